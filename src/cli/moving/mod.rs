//! `export`, `import` and `migrate`: a whole store from one engine or machine to another.
//!
//! Owns the commands, their progress and their summaries; what travels and how is known by `store::bundle`. A store that
//! is moved has no server: the lock of its directory is held all the time.

mod export;
mod import;
mod migrate;
mod place;
mod progress;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use export::Export;
pub use import::Import;
pub use migrate::Migrate;

use super::running::{INTERRUPTED, runtime};
use super::{Failure, exit};
use crate::store::bundle::{Counts, MoveError, Progress};
use progress::Shown;

/// How much a command says.
#[derive(Debug, Clone, Copy, clap::Args)]
struct Talk {
    /// Show no progress.
    #[arg(long, short)]
    quiet: bool,
    /// Print the summary as JSON.
    #[arg(long)]
    json: bool,
}

impl From<MoveError> for Failure {
    fn from(error: MoveError) -> Self {
        let text = error.to_string();
        match error {
            MoveError::Store(inner) => inner.into(),
            MoveError::Refused { name, line, what, remedy } => {
                let line = line.map_or_else(String::new, |line| format!(", line {line}"));
                Self::new(exit::DATA, format!("{name}{line}: {what}")).hint(remedy)
            }
            MoveError::Io { .. } => Self::new(exit::IO, text),
            MoveError::Stopped => Self::new(exit::INTERRUPTED, text),
        }
    }
}

/// Runs `work` on a thread of its own, with a flag that the first Ctrl-C or SIGTERM sets; the second ends the process.
fn stoppable<R: Send + 'static>(
    work: impl FnOnce(&tokio::runtime::Handle, Arc<AtomicBool>) -> Result<R, Failure> + Send + 'static,
) -> Result<R, Failure> {
    let runtime = runtime()?;
    let stop = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&stop);
    runtime.block_on(async move {
        let mut signals = super::running::Signals::listen()?;
        tokio::spawn(async move {
            signals.next().await;
            heard.store(true, Ordering::Release);
            signals.next().await;
            std::process::exit(INTERRUPTED);
        });
        let handle = tokio::runtime::Handle::current();
        let done = tokio::task::spawn_blocking(move || work(&handle, stop)).await;
        done.map_err(|e| Failure::new(exit::SOFTWARE, format!("it failed unexpectedly: {e}")))?
    })
}

/// Shows progress, and ends the work when the flag is set.
fn teller(mut shown: Shown, stop: Arc<AtomicBool>) -> impl FnMut(Progress) -> ControlFlow<()> + Send + 'static {
    move |progress| {
        shown.show(progress);
        if stop.load(Ordering::Acquire) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// `nodes 12, versions 15, …`, without empty tables.
fn worded(counts: &Counts) -> String {
    let some = counts.iter().filter(|(_, rows)| **rows > 0);
    some.map(|(table, rows)| format!("{table} {rows}")).collect::<Vec<_>>().join(", ")
}
