//! Results that are handed out while the search goes on.
//!
//! Owns how far a search may be ahead of whoever reads: a bounded number of results. A search that waits for room ends
//! when its time is up, or when nobody reads any more.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::{Condvar, Mutex};
use tokio::sync::mpsc;

use super::Found;
use super::walk::Stopped;
use crate::service::ServiceError;

/// Results that wait to be read.
const WAITING_MAX: usize = 64;
/// How often a search that waits for room looks whether it has to end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Where the results go.
pub(super) struct Outlet<R> {
    sender: mpsc::Sender<R>,
    room: Arc<Room>,
}

/// Tells a search that a result was read.
#[derive(Default)]
struct Room {
    lock: Mutex<()>,
    made: Condvar,
}

impl Room {
    fn tell(&self) {
        drop(self.lock.lock());
        self.made.notify_one();
    }
}

impl<R> Outlet<R> {
    /// Hands a result out; why the search ends if it cannot. `look`: whether it has to end by now.
    pub(super) fn send(&self, mut result: R, look: impl Fn() -> Option<Stopped>) -> Result<(), Stopped> {
        loop {
            result = match self.sender.try_send(result) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(Stopped::Abandoned),
                Err(mpsc::error::TrySendError::Full(result)) => result,
            };
            if let Some(stopped) = look() {
                return Err(stopped);
            }
            let mut waiting = self.room.lock.lock();
            if self.sender.capacity() == 0 && !self.sender.is_closed() {
                self.room.made.wait_for(&mut waiting, LOOK_EVERY);
            }
        }
    }
}

/// What comes next of a search.
#[derive(Debug)]
pub enum Event<R> {
    /// A result.
    Result(R),
    /// The end, without the results.
    End(Found<R>),
}

/// A search under way. Dropping it abandons it.
pub struct Running<R> {
    search: BoxFuture<'static, Result<Found<R>, ServiceError>>,
    results: mpsc::Receiver<R>,
    room: Arc<Room>,
    /// How it ended; some results may still wait.
    ended: Option<Result<Found<R>, ServiceError>>,
}

impl<R: Send + 'static> Running<R> {
    /// Runs `search`, which begins when the first result is asked for.
    pub(super) fn new<F>(search: impl FnOnce(Outlet<R>) -> F) -> Self
    where
        F: Future<Output = Result<Found<R>, ServiceError>> + Send + 'static,
    {
        let (sender, results) = mpsc::channel(WAITING_MAX);
        let room = Arc::new(Room::default());
        let search = Box::pin(search(Outlet { sender, room: Arc::clone(&room) }));
        Self { search, results, room, ended: None }
    }

    /// The next result as soon as it is found, or the end. Not to be asked again after that.
    pub async fn next(&mut self) -> Result<Event<R>, ServiceError> {
        let result = loop {
            if let Some(ended) = self.ended.take() {
                // The outlet is gone with the search: what waits is all there is.
                match self.results.recv().await {
                    None => return ended.map(Event::End),
                    Some(result) => {
                        self.ended = Some(ended);
                        break result;
                    }
                }
            }
            tokio::select! {
                biased;
                Some(result) = self.results.recv() => break result,
                ended = &mut self.search => self.ended = Some(ended),
            }
        };
        self.room.tell();
        Ok(Event::Result(result))
    }
}

impl<R> std::fmt::Debug for Running<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("ended", &self.ended.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlet() -> (Outlet<usize>, mpsc::Receiver<usize>, Arc<Room>) {
        let (sender, results) = mpsc::channel(WAITING_MAX);
        let room = Arc::new(Room::default());
        (Outlet { sender, room: Arc::clone(&room) }, results, room)
    }

    #[test]
    fn a_search_is_a_bounded_way_ahead() {
        let (outlet, results, _) = outlet();
        for n in 0..WAITING_MAX {
            outlet.send(n, || Some(Stopped::Deadline)).expect("there is room");
        }
        assert_eq!(outlet.send(0, || Some(Stopped::Deadline)), Err(Stopped::Deadline));
        drop(results);
        assert_eq!(outlet.send(0, || None), Err(Stopped::Abandoned));
    }

    #[test]
    fn it_goes_on_when_there_is_room() {
        let (outlet, mut results, room) = outlet();
        let search = std::thread::spawn(move || (0..4 * WAITING_MAX).try_for_each(|n| outlet.send(n, || None)));
        for n in 0..4 * WAITING_MAX {
            assert_eq!(results.blocking_recv(), Some(n));
            room.tell();
        }
        assert_eq!((results.blocking_recv(), search.join().expect("no panic")), (None, Ok(())));
    }
}
