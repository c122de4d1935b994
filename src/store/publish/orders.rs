//! The ring under a scheduler that plays the orders in which threads can meet: a reader whose revision is about to be
//! published gets exactly its state, and none waits for ever. Under this scheduler a wait has no time limit, so a
//! wake-up that is lost is a deadlock, which fails the test.

use std::sync::Arc;
use std::time::Duration;

use shuttle::thread;

use crate::model::Rev;
use crate::store::projection::{Published, Working};

use ring::{Asked, Head};

/// The code under test, once more, with the locks of the scheduler.
#[path = "ring.rs"]
#[expect(dead_code, reason = "a part is played")]
mod ring;

/// The scheduler's locks in the shape of those that the program uses.
mod sync {
    use std::ops::{Deref, DerefMut};
    use std::time::Duration;

    use shuttle::sync;

    pub(super) struct Mutex<T>(sync::Mutex<T>);
    pub(super) struct Guard<'a, T>(Option<sync::MutexGuard<'a, T>>);
    #[derive(Default)]
    pub(super) struct Condvar(sync::Condvar);
    pub(super) struct Waited;

    impl<T> Mutex<T> {
        pub(super) fn new(value: T) -> Self {
            Self(sync::Mutex::new(value))
        }
        pub(super) fn lock(&self) -> Guard<'_, T> {
            Guard(Some(self.0.lock().expect("no panic")))
        }
    }

    impl<T> Deref for Guard<'_, T> {
        type Target = T;
        fn deref(&self) -> &T {
            self.0.as_ref().expect("held")
        }
    }

    impl<T> DerefMut for Guard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().expect("held")
        }
    }

    impl Condvar {
        pub(super) fn new() -> Self {
            Self::default()
        }
        pub(super) fn notify_all(&self) {
            self.0.notify_all();
        }
        pub(super) fn wait_while_for<T>(
            &self,
            guard: &mut Guard<'_, T>,
            lagging: impl FnMut(&mut T) -> bool,
            _: Duration,
        ) -> Waited {
            let held = guard.0.take().expect("held");
            guard.0 = Some(self.0.wait_while(held, lagging).expect("no panic"));
            Waited
        }
    }

    impl Waited {
        pub(super) fn timed_out(&self) -> bool {
            false
        }
    }
}

const ORDERS: usize = 2_000;
/// States that are kept: fewer than are published, so that some fall out of the ring.
const KEPT: usize = 3;
/// Revisions that are published, with a gap as after a batch.
const REVS: [Rev; 5] = [1, 2, 4, 5, 6];

fn state(rev: Rev) -> Published {
    Working::new(Vec::new()).publish(rev)
}

fn one_writer_three_readers() {
    let head = Arc::new(Head::new(state(0), KEPT));
    let readers: Vec<_> = [[1, 4], [2, 6], [6, 5]]
        .into_iter()
        .map(|asked| {
            let head = Arc::clone(&head);
            thread::spawn(move || {
                for rev in asked {
                    match head.at(rev, Duration::ZERO, || ()) {
                        Asked::Here(state) => assert_eq!(state.rev, rev, "the state of another revision"),
                        Asked::Gone => assert!(head.newest().rev > rev, "{rev} is gone before it was the newest"),
                        Asked::Late => panic!("there is no time here"),
                    }
                    assert!(head.newest().rev >= rev);
                }
            })
        })
        .collect();
    for rev in REVS {
        thread::yield_now();
        head.publish(Arc::new(state(rev)));
    }
    readers.into_iter().for_each(|reader| reader.join().expect("a reader"));
}

#[test]
fn whoever_waits_gets_exactly_its_revision() {
    shuttle::check_random(one_writer_three_readers, ORDERS);
    shuttle::check_pct(one_writer_three_readers, ORDERS, 3);
}
