//! What is running: how much at once, and in which sandbox.
//!
//! Invariant: a run is on the list from before its keeper is started until after it has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::launch::Lifeline;

/// Programs that run at once.
pub const RUNS_MAX: usize = 24;
/// Programs that wait for one to end.
const WAITING_MAX: usize = 100;
/// How long the end of a run is waited for that was cut.
const END_TIME: Duration = Duration::from_secs(10);

/// Everything that runs, on this server.
#[derive(Debug)]
pub struct Runs {
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
    lines: Mutex<Vec<(String, Arc<Lifeline>)>>,
    ended: Notify,
}

impl Default for Runs {
    fn default() -> Self {
        let slots = Arc::new(Semaphore::new(RUNS_MAX));
        Self { slots, waiting: AtomicUsize::new(0), lines: Mutex::default(), ended: Notify::new() }
    }
}

/// A run that may begin. While it is there, it is on the list.
#[derive(Debug)]
pub struct Running {
    line: Arc<Lifeline>,
    runs: Arc<Runs>,
    _slot: OwnedSemaphorePermit,
}

impl Running {
    /// What holds it.
    #[must_use]
    pub fn line(&self) -> &Arc<Lifeline> {
        &self.line
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.runs.lines.lock().retain(|(_, line)| !Arc::ptr_eq(line, &self.line));
        self.runs.ended.notify_waiters();
    }
}

/// Cuts a line when it is let go of.
#[derive(Debug)]
pub struct Cut(pub Arc<Lifeline>);

impl Drop for Cut {
    fn drop(&mut self) {
        self.0.cut();
    }
}

/// One of those who wait.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Runs {
    /// Waits until a program may run in the sandbox `id`. `None` if too many wait already, or the server stops.
    pub async fn begin(self: &Arc<Self>, id: &str) -> Option<Running> {
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        let _waiting = Waiting(&self.waiting);
        if before >= WAITING_MAX {
            return None;
        }
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        let line = Arc::new(Lifeline::default());
        self.lines.lock().push((id.to_owned(), Arc::clone(&line)));
        Some(Running { line, runs: Arc::clone(self), _slot: slot })
    }

    /// The sandboxes in which something runs.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.lines.lock().iter().map(|(id, _)| id.clone()).collect()
    }

    /// Ends what runs in the sandbox `id`, in all with `None`, and waits until it has ended.
    pub async fn end(&self, id: Option<&str>) {
        let wait = async {
            loop {
                let ended = self.ended.notified();
                tokio::pin!(ended);
                // Listens from here on, so that no end is missed.
                ended.as_mut().enable();
                let lines: Vec<_> = {
                    let lines = self.lines.lock();
                    lines.iter().filter(|(of, _)| id.is_none_or(|id| id == of)).map(|(_, l)| Arc::clone(l)).collect()
                };
                if lines.is_empty() {
                    return;
                }
                lines.iter().for_each(|line| line.cut());
                ended.await;
            }
        };
        if tokio::time::timeout(END_TIME, wait).await.is_err() {
            tracing::warn!("a program in a sandbox has not ended in time");
        }
    }

    /// Lets nothing begin any more, and ends what runs.
    pub async fn close(&self) {
        self.slots.close();
        self.end(None).await;
    }
}
