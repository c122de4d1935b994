//! Ctrl-C: the first one ends the run in order, the second one at once; in both cases nothing stays behind.
//!
//! Owns the list of what must not survive this process. Invariant: a process is on it from its start until it was
//! waited for, so that its number is nobody else's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};

use super::super::running::{INTERRUPTED, Signals, runtime};
use super::super::selftest::threads::spawn;
use super::super::{Failure, exit};

/// What is known of an interruption; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    told: Arc<AtomicBool>,
    left: Arc<Mutex<BTreeMap<u32, Left>>>,
}

/// How to end a process, and what to remove then.
#[derive(Debug)]
struct Left {
    signal: Signal,
    dir: Option<PathBuf>,
}

/// A process on the list.
#[derive(Debug)]
pub struct Guard {
    interrupt: Interrupt,
    pid: u32,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.interrupt.forget(self.pid);
    }
}

impl Interrupt {
    /// Listens for SIGINT and SIGTERM from now on.
    pub fn listen() -> Result<Self, Failure> {
        let interrupt = Self::default();
        let (runtime, heard) = (runtime()?, interrupt.clone());
        let mut signals = runtime.block_on(async { Signals::listen() })?;
        let listen = move || {
            runtime.block_on(async {
                signals.next().await;
                heard.told.store(true, Ordering::Release);
                signals.next().await;
            });
            heard.end_all();
            std::process::exit(INTERRUPTED);
        };
        spawn("compare-signals", listen)?;
        Ok(interrupt)
    }

    /// The flag that is set by the first signal.
    #[must_use]
    pub fn flag(&self) -> &Arc<AtomicBool> {
        &self.told
    }

    /// An error once a signal has come.
    pub fn check(&self) -> Result<(), Failure> {
        let told = self.told.load(Ordering::Acquire);
        if told { Err(Failure::new(exit::INTERRUPTED, "interrupted; nothing was left behind")) } else { Ok(()) }
    }

    /// A process that must not survive this one.
    pub fn watch(&self, pid: u32, signal: Signal, dir: Option<&Path>) {
        self.left.lock().insert(pid, Left { signal, dir: dir.map(Path::to_owned) });
    }

    /// As [`watch`](Self::watch), until this is dropped.
    #[must_use]
    pub fn guard(&self, pid: u32, signal: Signal, dir: &Path) -> Guard {
        self.watch(pid, signal, Some(dir));
        Guard { interrupt: self.clone(), pid }
    }

    /// It has ended.
    pub fn forget(&self, pid: u32) {
        self.left.lock().remove(&pid);
    }

    fn end_all(&self) {
        for (pid, left) in std::mem::take(&mut *self.left.lock()) {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                // It may have ended, but was not waited for: the number is still its own.
                let _ = kill_process(pid, left.signal);
            }
            if let Some(dir) = left.dir {
                // What is left of a temporary directory harms nobody.
                let _ = std::fs::remove_dir_all(dir);
            }
        }
    }
}
