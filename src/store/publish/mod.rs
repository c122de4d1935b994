//! The published states: the newest, and a ring of the last ones, so that a reader gets the state of exactly the
//! revision of its snapshot.

#[cfg(test)]
#[expect(clippy::duplicate_mod, reason = "it is the ring once more, over the locks of a scheduler")]
mod orders;
mod ring;

pub(super) use ring::{Asked, Head};

/// What the ring locks and waits with.
mod sync {
    pub(super) use parking_lot::{Condvar, Mutex};
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::model::Rev;
    use crate::store::projection::{Published, Working};

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
