//! One call: who asks, with which deadline, on which store, and the newest revision the answer has seen.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use parking_lot::Mutex;

use crate::auth::Caller;
use crate::model::Rev;
use crate::rebac::Caches;
use crate::store::{Footprint, Glance, Origin, ReadTx, Sql, Store, StoreError, WriteOp};

use super::ServiceError;
use super::access::Access;
use super::keyed::{Keyed, Reply};

/// What all calls of one thread stand on: what they share is counted here, and not by every call of every thread in one
/// place, for which the threads would wait for each other.
#[derive(Debug, Clone)]
pub struct Base {
    /// The store.
    pub store: Store,
    /// The shared closures of the permission engine.
    pub caches: Arc<Caches>,
}

/// What every service function needs to know about the request it serves.
#[derive(Clone)]
pub struct Call {
    /// Who is calling, as of the beginning of the request.
    pub caller: Caller,
    /// The id in log, header and error.
    pub request_id: Arc<str>,
    /// Work is not begun after this moment.
    pub deadline: Option<Instant>,
    base: Arc<Base>,
    seen: Arc<Seen>,
}

impl std::ops::Deref for Call {
    type Target = Base;
    fn deref(&self) -> &Base {
        &self.base
    }
}

/// What a call has seen of the store, and whether its message is applied once: shared by all that work for it.
#[derive(Default)]
struct Seen {
    /// The newest revision.
    rev: AtomicU64,
    footprint: Mutex<Footprint>,
    keyed: OnceLock<Arc<Keyed>>,
}

impl Seen {
    fn at(&self, rev: Rev, footprint: Footprint) {
        self.rev.fetch_max(rev, Ordering::Relaxed);
        self.footprint.lock().join(footprint);
    }
}

impl Call {
    /// A call that has seen nothing yet.
    #[must_use]
    pub fn new(caller: Caller, request_id: Arc<str>, deadline: Option<Instant>, base: Arc<Base>) -> Self {
        Self { caller, request_id, deadline, base, seen: Arc::default() }
    }

    /// A call of `caller` for the same request, that has seen nothing yet and is no reply to a repeated one.
    #[must_use]
    pub fn anew(&self, caller: Caller) -> Self {
        Self::new(caller, Arc::clone(&self.request_id), self.deadline, Arc::clone(&self.base))
    }

    /// What the caller may do in a read transaction of this call; each decision on one path leaves a record.
    pub fn access<'t, 'c>(&'t self, tx: &'t ReadTx<'c>) -> Result<Access<'t, ReadTx<'c>>, ServiceError> {
        Ok(Access::new(tx, &self.caller, Some(&self.caches))?.noting(&self.store))
    }

    /// `store.glance`, remembering the revision for the reply's header.
    pub fn glance<R>(&self, f: impl FnOnce(&Glance<'_>) -> R) -> Option<R> {
        let (answer, rev) = self.store.glance(|tx| (f(tx), tx.rev()))?;
        self.seen.at(rev, Footprint::everything());
        Some(answer)
    }

    /// `f`, remembering the revision it is asked at.
    fn noting<R>(
        &self,
        f: impl FnOnce(&ReadTx<'_>) -> R + Send + 'static,
    ) -> impl FnOnce(&ReadTx<'_>) -> R + Send + 'static {
        let seen = Arc::clone(&self.seen);
        move |tx: &ReadTx<'_>| {
            let answer = f(tx);
            seen.at(tx.rev(), tx.take_footprint());
            answer
        }
    }

    /// `store.read`, remembering the revision for the reply's header.
    pub async fn read<R, E>(&self, f: impl FnOnce(&ReadTx<'_>) -> Result<R, E> + Send + 'static) -> Result<R, E>
    where
        R: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.store.read(self.noting(f)).await
    }

    /// `store.read_slow`, remembering the revision for the reply's header.
    pub async fn read_slow<R, E>(&self, f: impl FnOnce(&ReadTx<'_>) -> Result<R, E> + Send + 'static) -> Result<R, E>
    where
        R: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.store.read_slow(self.noting(f)).await
    }

    /// `store.read_long`, remembering the revision for the reply's header.
    pub async fn read_long<R, E>(&self, f: impl FnOnce(&ReadTx<'_>) -> Result<R, E> + Send + 'static) -> Result<R, E>
    where
        R: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.store.read_long(self.noting(f)).await
    }

    fn origin(&self) -> Origin {
        Origin {
            actor: self.caller.actor().to_owned(),
            tenant: self.caller.tenant.clone(),
            request_id: self.request_id.as_ref().to_owned(),
            deadline: self.deadline,
        }
    }

    /// [`submit`](Self::submit) of a further message of a request whose reply another one made.
    pub async fn submit_further<O: WriteOp>(&self, op: O) -> Result<O::Output, O::Error> {
        let (output, rev) = self.store.submit(self.origin(), op).await?;
        self.seen.at(rev, Footprint::everything());
        Ok(output)
    }

    /// `store.submit`, remembering the revision for the reply's header.
    pub async fn submit<O: WriteOp>(&self, op: O) -> Result<O::Output, O::Error> {
        let (output, rev) = match self.seen.keyed.get() {
            Some(keyed) => self.store.submit(self.origin(), keyed.wrap(op)).await?,
            None => self.store.submit(self.origin(), op).await?,
        };
        self.seen.at(rev, Footprint::everything());
        Ok(output)
    }

    /// The request has an Idempotency-Key: its message is applied once.
    pub fn execute_once(&self, keyed: Arc<Keyed>) {
        // Said once, by whoever runs the method.
        let _first = self.seen.keyed.set(keyed);
    }

    /// Says how the reply is made from what the message gives back, for a request that may be repeated.
    pub fn reply_with<T: Any>(&self, make: impl Fn(&T) -> Reply + Send + Sync + 'static) {
        if let Some(keyed) = self.seen.keyed.get() {
            keyed.reply_with(make);
        }
    }

    /// The answer is that of an earlier request, at this revision.
    pub fn answered_at(&self, rev: Rev) {
        self.seen.rev.store(rev, Ordering::Relaxed);
    }

    /// What the answer depends on beside grants and rules, as far as it was read by this call. Later reads tell anew.
    #[must_use]
    pub fn take_footprint(&self) -> Footprint {
        std::mem::take(&mut self.seen.footprint.lock())
    }

    /// The newest revision that the answer depends on; 0 if it read nothing.
    #[must_use]
    pub fn revision(&self) -> Rev {
        self.seen.rev.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("caller", &self.caller)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}
