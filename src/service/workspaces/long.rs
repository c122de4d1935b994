//! Walks over whole trees for one request: on the slow lane, ended by the request's deadline or when nobody waits.
//!
//! Owns when such a walk has to stop. Knows nothing of what it looks for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::service::{Call, ServiceError};
use crate::store::{FaultPoint, ReadTx, Store, StoreError};

/// What of a request's deadline is kept for what follows the walk.
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// What ends a walk from outside.
pub(super) struct Stop {
    store: Store,
    deadline: Option<Instant>,
    abandoned: Arc<AtomicBool>,
}

impl Stop {
    /// An error if the walk has to end now. Asked before each entry.
    pub(super) fn look(&self) -> Result<(), StoreError> {
        self.store.reach(FaultPoint::TreeNextEntry);
        let late = self.deadline.is_some_and(|at| self.store.clock().instant() >= at);
        match late || self.abandoned.load(Ordering::Relaxed) {
            true => Err(StoreError::DeadlineExceeded { step: "the walk over a tree" }),
            false => Ok(()),
        }
    }
}

/// Whoever waits for a walk; gone before the answer, it is abandoned.
struct Waiting<'a> {
    store: &'a Store,
    abandoned: Arc<AtomicBool>,
    answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.abandoned.store(true, Ordering::Relaxed);
            self.store.reach(FaultPoint::TreeAbandoned);
        }
    }
}

/// Runs `walk` on the slow lane in one transaction.
pub(super) async fn run<R: Send + 'static>(
    call: &Call,
    walk: impl FnOnce(&ReadTx<'_>, &Stop) -> Result<R, ServiceError> + Send + 'static,
) -> Result<R, ServiceError> {
    let abandoned = Arc::new(AtomicBool::new(false));
    let deadline = call.deadline.map(|at| at.checked_sub(ANSWER_TIME).unwrap_or(at));
    let stop = Stop { store: call.store.clone(), deadline, abandoned: Arc::clone(&abandoned) };
    let mut waiting = Waiting { store: &call.store, abandoned, answered: false };
    let done = call.read_long(move |tx| walk(tx, &stop)).await;
    waiting.answered = true;
    done
}
