//! File descriptors: how many the process may have, and how many of them may be connections.
//!
//! Invariant: connections never take the descriptors that the store needs for blobs and backups. Whoever is one too
//! many waits in the kernel's queue until another goes; nothing fails in the middle.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept for what is opened later: blob files, backups, directories that are synced; and what each thread of the server
/// opens for itself.
const KEPT: usize = 12;
/// What a thread that serves connections opens for its event loop.
const OF_A_WORKER: usize = 4;
/// With fewer connections than this a server is not started.
pub(super) const CONNECTIONS_MIN: usize = 4;
/// What is assumed to be open where nobody can be asked.
const OPEN_IF_UNKNOWN: usize = 64;
/// Nobody serves more connections from one process; some systems say that there is no limit at all.
const RAISED_TO_MAX: u64 = 1 << 20;

/// Raises the soft limit of the process to its hard limit. What cannot be raised stays as it is.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(RAISED_TO_MAX).min(RAISED_TO_MAX);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

/// The limit of open files as it stands.
pub(super) fn limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(RAISED_TO_MAX);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// How many connections there is room for, beside everything that is open now and `workers` that are about to start.
pub(super) fn connections(workers: usize) -> usize {
    limit().saturating_sub(open() + workers * OF_A_WORKER + KEPT)
}

/// Descriptors that are open.
fn open() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(OPEN_IF_UNKNOWN, Iterator::count)
}
