//! The memory of a database server while it is under load: the most that its processes had together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::super::Failure;
use super::super::load::machine::family_memory;
use super::super::selftest::threads::spawn;

/// Between two looks. Adding up shared memory costs the system some milliseconds.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A look that goes on until it is told to stop.
#[derive(Debug)]
pub struct Watch {
    over: Arc<AtomicBool>,
    most: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Watch {
    /// Watches a process and its descendants.
    pub fn start(pid: u32) -> Result<Self, Failure> {
        let (over, most) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (until, seen) = (Arc::clone(&over), Arc::clone(&most));
        let look = move || {
            while !until.load(Ordering::Acquire) {
                seen.fetch_max(family_memory(pid).unwrap_or(0), Ordering::Relaxed);
                std::thread::park_timeout(LOOK_EVERY);
            }
        };
        Ok(Self { over, most, thread: spawn("compare-memory", look)? })
    }

    /// Ends; the most that was seen, bytes.
    #[must_use]
    pub fn stop(self) -> Option<u64> {
        self.over.store(true, Ordering::Release);
        self.thread.thread().unpark();
        // It only looks.
        let _ = self.thread.join();
        Some(self.most.load(Ordering::Relaxed)).filter(|most| *most > 0)
    }
}
