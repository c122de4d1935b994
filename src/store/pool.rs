//! A pool: threads with a connection each, and a bounded queue in front of them. The slow lane is one, for what may take
//! long, so that no request thread is held by a scan, an export or a big file; on an engine over a network the ordinary
//! reads have one, too.

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

/// Work for a thread of the pool.
type Job = Box<dyn FnOnce(&mut Slot) + Send>;

/// The pool.
pub(super) struct Pool {
    queue: Arc<Queue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    capacity: usize,
    /// Long jobs that may run at a time: where there are several threads, one is left for the others.
    long_max: usize,
    name: &'static str,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Jobs that take their time; others go first.
    long: VecDeque<Job>,
    long_running: usize,
    closed: bool,
}

impl Pool {
    /// The slow lane. Each thread holds the directory's lock, if there is one, while it lives.
    pub(super) fn slow(shared: &Arc<Shared>, lock: Option<&Arc<LockFile>>) -> Result<Self, StoreError> {
        let limits = &shared.limits;
        Self::start(shared, lock, "slow", limits.slow_threads, limits.slow_queue)
    }

    /// Starts the threads, each with its own connection.
    pub(super) fn start(
        shared: &Arc<Shared>,
        lock: Option<&Arc<LockFile>>,
        name: &'static str,
        threads: usize,
        capacity: usize,
    ) -> Result<Self, StoreError> {
        let long_max = threads.saturating_sub(1).max(1);
        let queue = Arc::new(Queue { state: Mutex::default(), changed: Condvar::new(), capacity, long_max, name });
        let this = Self { queue, threads: Mutex::default() };
        for number in 0..threads.max(1) {
            let mut slot = Slot::open(shared)?;
            let (queue, lock) = (Arc::clone(&this.queue), lock.cloned());
            let work = move || {
                let _held = lock;
                while let Some(job) = queue.next() {
                    job(&mut slot);
                }
            };
            let thread = std::thread::Builder::new().name(format!("nexus-{name}-{number}")).spawn(work);
            let thread = thread.map_err(|e| StoreError::io("starting a thread for", &shared.database, e))?;
            this.threads.lock().push(thread);
        }
        Ok(this)
    }

    /// Runs `work` on a thread of the pool. Refused at once when the queue is full.
    pub(super) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Slot) -> R + Send + 'static,
    ) -> Result<R, StoreError> {
        self.send(work, false).await
    }

    /// As [`run`](Self::run), for work that takes seconds: whatever else comes goes first, and has a thread left.
    pub(super) async fn run_long<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Slot) -> R + Send + 'static,
    ) -> Result<R, StoreError> {
        let queue = Arc::clone(&self.queue);
        let counted = move |slot: &mut Slot| {
            // Also when it panics.
            let _running = Running(queue);
            work(slot)
        };
        self.send(counted, true).await
    }

    async fn send<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Slot) -> R + Send + 'static,
        long: bool,
    ) -> Result<R, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(move |slot: &mut Slot| {
            let result = catch_unwind(AssertUnwindSafe(|| work(slot)));
            // Nobody waits any more: the work was done all the same.
            let _ = reply.send(result);
        });
        self.queue.push(job, long)?;
        // A job that was never run has dropped its reply: the pool was closed.
        let result = answer.await.map_err(|_| StoreError::Closed)?;
        Ok(result.unwrap_or_else(|panic| resume_unwind(panic)))
    }

    /// Jobs waiting.
    pub(super) fn waiting(&self) -> usize {
        let state = self.queue.state.lock();
        state.jobs.len() + state.long.len()
    }

    /// Refuses new work, drops what has not begun.
    pub(super) fn close(&self) {
        let mut state = self.queue.state.lock();
        state.closed = true;
        let dropped = (std::mem::take(&mut state.jobs), std::mem::take(&mut state.long));
        self.queue.changed.notify_all();
        drop(state);
        drop(dropped);
    }

    /// Waits for what runs. After [`close`](Self::close).
    pub(super) fn join(&self) {
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!(pool = self.queue.name, "a thread of a pool had panicked");
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

/// A long job that runs.
struct Running(Arc<Queue>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.state.lock().long_running -= 1;
        self.0.changed.notify_one();
    }
}

impl Queue {
    fn words(&self) -> &'static str {
        if self.name == "slow" { "the slow lane" } else { "the queue of reads" }
    }

    fn push(&self, job: Job, long: bool) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(StoreError::Closed);
        }
        let jobs = if long { &mut state.long } else { &mut state.jobs };
        if jobs.len() >= self.capacity {
            return Err(StoreError::Busy { queue: self.words() });
        }
        jobs.push_back(job);
        self.changed.notify_one();
        Ok(())
    }

    /// The next job; `None` when the pool is closed.
    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.long_running < self.long_max
                && let Some(job) = state.long.pop_front()
            {
                state.long_running += 1;
                return Some(job);
            }
            if state.closed {
                return None;
            }
            self.changed.wait(&mut state);
        }
    }
}
