//! The threads of one life: clients, the backup under load, the listener for signals.
//!
//! Must never judge: what is wrong is left for the run to report.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::super::running::{INTERRUPTED, Signals, runtime};
use super::super::waves::client::Client;
use super::super::waves::judge::result_of;
use super::super::{Failure, exit};
use super::ledger::{Ledger, Next, pick};
use crate::model::random::SeededRandom;

/// The longest pause of a client between two steps, ms: what is tried is correctness, not how much fits on the disk.
const PAUSE_MS_MAX: u64 = 40;

/// What the threads of a life share.
#[derive(Debug, Default)]
pub struct Common {
    /// Whether the life is over.
    pub over: AtomicBool,
    /// Steps so far.
    pub writes: AtomicU64,
    /// What must not be, in words.
    pub wrong: Mutex<Vec<String>>,
}

/// A client's life.
pub async fn work(client: Client, mut ledger: Ledger, random: SeededRandom, common: Arc<Common>) -> Ledger {
    while !common.over.load(Ordering::Acquire) {
        match ledger.step(&client, &random).await {
            Next::Go => {
                common.writes.fetch_add(1, Ordering::Relaxed);
            }
            Next::End => break,
            Next::Wrong(text) => {
                common.wrong.lock().push(text);
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(pick(&random, PAUSE_MS_MAX))).await;
    }
    ledger
}

/// One backup under load; `None` if the server ended first.
pub async fn back_up(client: Client, after: Duration, common: Arc<Common>) -> Option<PathBuf> {
    tokio::time::sleep(after).await;
    if common.over.load(Ordering::Acquire) {
        return None;
    }
    call_backup(&client).await.ok()
}

/// Asks for a backup; where it is.
pub async fn call_backup(client: &Client) -> Result<PathBuf, String> {
    let made: Value = result_of(&client.call("admin_create_backup", &json!({})).await)?;
    made["path"].as_str().map(PathBuf::from).ok_or_else(|| format!("no path: {made}"))
}

/// Starts a thread.
pub fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Failure> {
    std::thread::Builder::new().name(name.into()).spawn(work).map_err(no_thread)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
/// A thread that could not be started, as the end of the command.
pub fn no_thread(error: std::io::Error) -> Failure {
    Failure::new(exit::OS, format!("a thread could not be started: {error}"))
}

/// A first signal ends the run in order, with its table; a second one ends the process.
pub fn listen_for_signals(interrupted: &Arc<AtomicBool>) -> Result<(), Failure> {
    let (runtime, told) = (runtime()?, Arc::clone(interrupted));
    let mut signals = runtime.block_on(async { Signals::listen() })?;
    let listen = move || {
        runtime.block_on(async {
            signals.next().await;
            told.store(true, Ordering::Release);
            signals.next().await;
        });
        crate::telemetry::log::flush();
        std::process::exit(INTERRUPTED);
    };
    spawn("selftest-signals", listen).map(drop)
}
