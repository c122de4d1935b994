//! Reading rows on one thread while another builds from them.
//!
//! Owns the hand-over of chunks and nothing of what they hold. Invariants: no more than a few chunks are under way, so a
//! slow builder holds the reader back instead of filling the memory; and nothing built from rows of which some could not
//! be read is ever returned.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use super::StoreError;

/// Chunks that wait for the builder, beside the one it works on and the one that is being filled.
const CHUNKS_AHEAD: usize = 2;
/// The builder's name in a debugger.
const THREAD: &str = "nexus-builder";

/// Runs `read` here, and on a thread of its own `build`, which gets every chunk that `read` gives away, in order.
/// The connection stays on this thread. When both have ended, returns what was built; an error of `read` instead, if it
/// had one. A panic of the builder goes on here.
pub fn relay<C: Send, B: Send>(
    build: impl FnOnce(Receiver<C>) -> B + Send,
    read: impl FnOnce(&mut dyn FnMut(C)) -> Result<(), StoreError>,
) -> Result<B, StoreError> {
    std::thread::scope(|scope| {
        let (chunks, from_reader) = sync_channel(CHUNKS_AHEAD);
        let builder = std::thread::Builder::new().name(THREAD.into());
        let builder = builder.spawn_scoped(scope, move || build(from_reader)).map_err(|source| StoreError::Io {
            step: "starting the thread",
            path: THREAD.into(),
            source: Arc::new(source),
        })?;
        // A builder that takes no more has panicked; that is said below.
        let read = read(&mut |chunk| drop(chunks.send(chunk)));
        drop(chunks);
        let built = builder.join().unwrap_or_else(|panic| resume_unwind(panic));
        read.map(|()| built)
    })
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn chunks_arrive_in_order_and_few_wait() {
        let (given, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let build = |chunks: Receiver<usize>| {
            let take = |chunk| {
                let ahead = given.load(Ordering::SeqCst) - taken.fetch_add(1, Ordering::SeqCst);
                // One is being handed over.
                assert!(ahead <= CHUNKS_AHEAD + 2, "{ahead} chunks under way");
                chunk
            };
            chunks.into_iter().map(take).collect::<Vec<_>>()
        };
        let built = relay(build, |give| {
            (0..1_000).for_each(|chunk| {
                given.fetch_add(1, Ordering::SeqCst);
                give(chunk);
            });
            Ok(())
        });
        assert_eq!(built.unwrap(), (0..1_000).collect::<Vec<_>>());
    }

    #[test]
    fn half_of_the_rows_build_nothing() {
        let built = relay(
            |chunks: Receiver<u8>| chunks.into_iter().count(),
            |give| {
                give(1);
                Err(StoreError::Closed)
            },
        );
        assert!(matches!(built, Err(StoreError::Closed)));
    }

    #[test]
    fn a_panic_of_the_builder_goes_on_here_and_nobody_waits() {
        let relay = || {
            relay(
                |chunks: Receiver<u8>| {
                    assert!(chunks.recv().is_err(), "the builder fails");
                },
                |give| {
                    (0..100).for_each(give);
                    Ok(())
                },
            )
        };
        assert!(catch_unwind(AssertUnwindSafe(relay)).is_err());
    }
}
