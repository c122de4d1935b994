//! The published states: the newest, and a ring of the last ones, so that a reader gets the state of exactly the
//! revision of its snapshot.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex};

use crate::model::Rev;

use super::projection::Published;

/// What a reader gets when it asks for a revision.
pub(super) enum Asked {
    /// The state of exactly that revision.
    Here(Arc<Published>),
    /// It was published so long ago that it is no longer held: begin the read again.
    Gone,
    /// It was not published in time.
    Late,
}

/// The published states of a store.
pub(super) struct Head {
    newest: ArcSwap<Published>,
    ring: Mutex<VecDeque<Arc<Published>>>,
    changed: Condvar,
    kept: usize,
}

impl Head {
    pub(super) fn new(first: Published, kept: usize) -> Self {
        let first = Arc::new(first);
        Self {
            newest: ArcSwap::new(Arc::clone(&first)),
            ring: Mutex::new(VecDeque::from([first])),
            changed: Condvar::new(),
            kept: kept.max(1),
        }
    }

    /// The newest published state.
    pub(super) fn newest(&self) -> Arc<Published> {
        self.newest.load_full()
    }

    /// Makes `state` the newest. Stores pointers only: everything that can fail was done before COMMIT.
    pub(super) fn publish(&self, state: Arc<Published>) {
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
    pub(super) fn at(&self, rev: Rev, wait: Duration, lags: impl FnOnce()) -> Asked {
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
    pub(super) fn since(&self, rev: Rev, most: Rev) -> Option<Arc<Published>> {
        let ring = self.ring.lock();
        ring.iter().find(|state| rev <= state.rev && state.rev <= most).map(Arc::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::projection::Working;

    fn state(rev: Rev) -> Published {
        Working::new(Vec::new()).publish(rev)
    }

    #[test]
    fn hands_out_exactly_the_revision_asked_for() {
        let head = Head::new(state(0), 3);
        for rev in [2, 5, 9] {
            head.publish(Arc::new(state(rev)));
        }
        for rev in [2, 5, 9] {
            assert!(matches!(head.at(rev, Duration::ZERO, || ()), Asked::Here(s) if s.rev == rev));
        }
        assert!(matches!(head.at(0, Duration::ZERO, || ()), Asked::Gone), "fell out of the ring of three");
        assert!(matches!(head.at(10, Duration::ZERO, || ()), Asked::Late));
    }

    #[test]
    fn hands_out_the_nearest_that_is_not_newer_than_the_data() {
        let head = Head::new(state(0), 3);
        for rev in [2, 5, 9] {
            head.publish(Arc::new(state(rev)));
        }
        let since = |rev, most| head.since(rev, most).map(|state| state.rev);
        assert_eq!((since(2, 9), since(3, 9), since(0, 9)), (Some(2), Some(5), Some(2)));
        assert_eq!((since(6, 8), since(6, 9), since(10, 20)), (None, Some(9), None));
    }

    #[test]
    fn waits_for_the_publish() {
        let head = Head::new(state(0), 3);
        std::thread::scope(|scope| {
            let waiting =
                scope.spawn(|| matches!(head.at(1, Duration::from_secs(30), || ()), Asked::Here(s) if s.rev == 1));
            head.publish(Arc::new(state(1)));
            assert!(waiting.join().expect("no panic"));
        });
    }
}
