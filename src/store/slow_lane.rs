//! The slow lane: threads and connections of its own for what may take long, so that no request thread is held by a
//! scan, an export or a big file.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::StoreError;
use super::lock::LockFile;
use super::readers::Slot;
use super::shared::Shared;

/// Work for a thread of the lane.
type Job = Box<dyn FnOnce(&Slot) + Send>;

/// The lane.
pub(super) struct SlowLane {
    queue: Arc<Queue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    capacity: usize,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl SlowLane {
    /// Starts the threads, each with its own connection; each holds the directory's lock while it lives.
    pub(super) fn start(shared: &Arc<Shared>, lock: &Arc<LockFile>) -> Result<Self, StoreError> {
        let capacity = shared.limits.slow_queue;
        let queue = Arc::new(Queue { state: Mutex::default(), changed: Condvar::new(), capacity });
        let this = Self { queue, threads: Mutex::default() };
        for number in 0..shared.limits.slow_threads.max(1) {
            let slot = Slot::open(shared)?;
            let (queue, lock) = (Arc::clone(&this.queue), Arc::clone(lock));
            let work = move || {
                let _held = lock;
                while let Some(job) = queue.next() {
                    job(&slot);
                }
            };
            let thread = std::thread::Builder::new().name(format!("nexus-slow-{number}")).spawn(work);
            let thread = thread.map_err(|e| StoreError::io("starting a thread for", &shared.database, e))?;
            this.threads.lock().push(thread);
        }
        Ok(this)
    }

    /// Runs `work` on a thread of the lane. Refused at once when the queue is full.
    pub(super) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Slot) -> R + Send + 'static,
    ) -> Result<R, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(move |slot: &Slot| {
            let result = catch_unwind(AssertUnwindSafe(|| work(slot)));
            // Nobody waits any more: the work was done all the same.
            let _ = reply.send(result);
        });
        self.queue.push(job)?;
        // A job that was never run has dropped its reply: the lane was closed.
        let result = answer.await.map_err(|_| StoreError::Closed)?;
        Ok(result.unwrap_or_else(|panic| resume_unwind(panic)))
    }

    /// Jobs waiting.
    pub(super) fn waiting(&self) -> usize {
        self.queue.state.lock().jobs.len()
    }

    /// Refuses new work, drops what has not begun.
    pub(super) fn close(&self) {
        let mut state = self.queue.state.lock();
        state.closed = true;
        let dropped = std::mem::take(&mut state.jobs);
        self.queue.changed.notify_all();
        drop(state);
        drop(dropped);
    }

    /// Waits for what runs. After [`close`](Self::close).
    pub(super) fn join(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the slow lane had panicked");
            }
        }
    }
}

impl Drop for SlowLane {
    fn drop(&mut self) {
        self.close();
    }
}

impl Queue {
    fn push(&self, job: Job) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(StoreError::Closed);
        }
        if state.jobs.len() >= self.capacity {
            return Err(StoreError::Busy { queue: "the slow lane" });
        }
        state.jobs.push_back(job);
        self.changed.notify_one();
        Ok(())
    }

    /// The next job; `None` when the lane is closed.
    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            self.changed.wait(&mut state);
        }
    }
}
