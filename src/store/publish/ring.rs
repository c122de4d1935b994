//! The newest published state, and a ring of the last ones.
//!
//! What it locks and waits with is `super::sync`, so that `orders.rs` can play it under a scheduler.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::model::Rev;
use crate::store::projection::Published;
use arc_swap::{ArcSwap, Guard};

use super::sync::{Condvar, Mutex};

/// What a reader gets when it asks for a revision.
pub(in crate::store) enum Asked {
    /// The state of exactly that revision.
    Here(Arc<Published>),
    /// It was published so long ago that it is no longer held: begin the read again.
    Gone,
    /// It was not published in time.
    Late,
}

/// The published states of a store.
pub(in crate::store) struct Head {
    newest: ArcSwap<Published>,
    ring: Mutex<VecDeque<Arc<Published>>>,
    changed: Condvar,
    kept: usize,
}

impl Head {
    pub(in crate::store) fn new(first: Published, kept: usize) -> Self {
        let first = Arc::new(first);
        Self {
            newest: ArcSwap::new(Arc::clone(&first)),
            ring: Mutex::new(VecDeque::from([first])),
            changed: Condvar::new(),
            kept: kept.max(1),
        }
    }

    /// The newest published state, for a moment: it is not counted who looks at it.
    pub(in crate::store) fn newest(&self) -> Guard<Arc<Published>> {
        self.newest.load()
    }

    /// Makes `state` the newest. Stores pointers only: everything that can fail was done before COMMIT.
    pub(in crate::store) fn publish(&self, state: Arc<Published>) {
        let mut ring = self.ring.lock();
        let dropped = if ring.len() >= self.kept { ring.pop_front() } else { None };
        ring.push_back(Arc::clone(&state));
        self.newest.store(state);
        self.changed.notify_all();
        drop(ring);
        // A state may be large: it is freed when nobody waits for the lock.
        drop(dropped);
    }

    /// The state of exactly `rev`; waits up to `wait`, having called `lags`, when it is about to be published.
    pub(in crate::store) fn at(&self, rev: Rev, wait: Duration, lags: impl FnOnce()) -> Asked {
        let newest = self.newest.load();
        if newest.rev == rev {
            return Asked::Here(Arc::clone(&newest));
        }
        drop(newest);
        let mut ring = self.ring.lock();
        if self.newest.load().rev < rev {
            lags();
            let lagging = |_: &mut VecDeque<Arc<Published>>| self.newest.load().rev < rev;
            if self.changed.wait_while_for(&mut ring, lagging, wait).timed_out() {
                return Asked::Late;
            }
        }
        ring.iter().rev().find(|state| state.rev == rev).map_or(Asked::Gone, |state| Asked::Here(Arc::clone(state)))
    }
}

impl Head {
    /// The oldest state held that is of `rev` or later, but not later than `most`.
    pub(in crate::store) fn since(&self, rev: Rev, most: Rev) -> Option<Arc<Published>> {
        let ring = self.ring.lock();
        ring.iter().find(|state| rev <= state.rev && state.rev <= most).map(Arc::clone)
    }
}
