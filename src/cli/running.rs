//! From a started server to its end: signals, and a writer that died.
//!
//! Invariant: the first SIGINT or SIGTERM drains in order (doors, requests, sandboxes, store), the second one ends the
//! process at once.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, exit};
use crate::app::App;
use crate::http::Running;
use crate::store::FaultPoint;
use crate::telemetry::log;

/// How often the health of the writer is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The exit code of a process that a second SIGINT or SIGTERM ended.
pub const INTERRUPTED: i32 = 130;

/// A runtime for a command: its own thread, so that a second signal is heard while the first one is obeyed.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let built = built.map_err(|e| Failure::new(exit::OS, format!("the runtime could not be started: {e}")))?;
    survive_file_size_limits(&built)?;
    Ok(built)
}

/// A write past the largest size of a file (`ulimit -f`) raises SIGXFSZ, which ends a process that does not handle it.
/// Handled, the write fails like any other, and is answered. The handler stays when the stream is dropped.
fn survive_file_size_limits(runtime: &tokio::runtime::Runtime) -> Result<(), Failure> {
    let _inside = runtime.enter();
    let handled = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()));
    handled.map(drop).map_err(|e| Failure::new(exit::OS, format!("signals cannot be received: {e}")))
}

/// The signals that end a server.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signals").finish_non_exhaustive()
    }
}

impl Signals {
    /// Listens from now on; must be called inside a runtime, before anything is printed that invites a signal.
    pub fn listen() -> Result<Self, Failure> {
        let failed = |e| Failure::new(exit::OS, format!("signals cannot be received: {e}"));
        let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        Ok(Self { interrupt, terminate })
    }

    /// The next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Serves until a signal comes, or the writer is gone; then closes everything in order.
pub async fn until_stopped(app: App, running: Running, mut signals: Signals) -> Result<u8, Failure> {
    let broken = tokio::select! {
        () = signals.next() => None,
        reason = writer_broken(&app) => Some(reason),
    };
    running.close_doors();
    tokio::spawn(async move {
        signals.next().await;
        log::flush();
        std::process::exit(INTERRUPTED);
    });
    app.store.reach(FaultPoint::ShutdownDoorsClosed);
    tracing::info!("stopping: requests under way are answered, then the store is closed");
    let closed = app.close(Some(running)).await;
    match (broken, closed) {
        (Some(failure), _) => Err(failure),
        (None, Err(error)) => Err(error.into()),
        (None, Ok(rev)) => {
            tracing::info!(rev, "stopped");
            Ok(exit::OK)
        }
    }
}

/// Comes back only if the writer takes no more writes: then a supervisor had better start a new process.
async fn writer_broken(app: &App) -> Failure {
    let mut every = tokio::time::interval(LOOK_EVERY);
    loop {
        every.tick().await;
        let status = app.store.status();
        if let (Some(reason), true) = (&status.read_only, status.damaged) {
            let message = format!("the store takes no writes, because its database is damaged: {reason}");
            return Failure::new(exit::DATA, message)
                .hint("restore a backup: nexus-lite restore BACKUP --data-dir …; the directory as it is will be kept");
        }
        if let Some(reason) = status.read_only {
            let message = format!("the store takes no writes since an input/output error: {reason}");
            return Failure::new(exit::IO, message).hint("look at the disk, then start again; recovery is automatic");
        }
        if !status.writer_alive {
            return Failure::new(exit::SOFTWARE, "the writer ended unexpectedly; see the log").hint("start again");
        }
    }
}
