//! What a run may use. The kernel's limits are per process; what a run uses together is watched from outside.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, setpriority_process, setrlimit};
use serde::{Deserialize, Serialize};

/// Memory of one process that is its own, bytes.
const DATA_BYTES_MAX: u64 = 1 << 30;
/// Addresses of one process, bytes: engines reserve much more than they use.
const ADDRESS_BYTES_MAX: u64 = 64 << 30;
/// Largest file, bytes.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Open files of one process.
const OPEN_FILES_MAX: u64 = 256;
/// How nice it is to everybody else.
const NICE: i32 = 19;

/// What one run may use.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Limits {
    /// How long it may take.
    pub time: Duration,
    /// Memory of all its processes, bytes.
    pub memory_bytes: u64,
    /// What may lie in its directory, together with what is open and has no name any more, bytes.
    pub disk_bytes: u64,
    /// Files and directories in its directory.
    pub files: u64,
    /// What is kept of each of its outputs, bytes.
    pub output_bytes: usize,
    /// Processes and threads.
    pub processes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(300),
            memory_bytes: 1 << 30,
            disk_bytes: 512 << 20,
            files: 20_000,
            output_bytes: 1 << 20,
            processes: 128,
        }
    }
}

impl Limits {
    /// Puts the kernel's limits on this process and all that come of it. `others`: processes of the same user that are there
    /// already and count too.
    pub(super) fn apply(&self, others: u64) -> Result<(), String> {
        let seconds = self.time.as_secs() + 1;
        let all = [
            (Resource::Core, 0),
            (Resource::Cpu, seconds),
            (Resource::Data, DATA_BYTES_MAX.min(self.memory_bytes)),
            (Resource::As, ADDRESS_BYTES_MAX),
            (Resource::Fsize, FILE_BYTES_MAX.min(self.disk_bytes)),
            (Resource::Nofile, OPEN_FILES_MAX),
            (Resource::Nproc, self.processes + others),
            (Resource::Memlock, 0),
            (Resource::Msgqueue, 0),
        ];
        for (resource, most) in all {
            // What is lower already stays: only root could raise it.
            let now = rustix::process::getrlimit(resource).maximum.unwrap_or(u64::MAX);
            let most = Some(most.min(now));
            setrlimit(resource, Rlimit { current: most, maximum: most })
                .map_err(|e| format!("the limit {resource:?} could not be set: {e}"))?;
        }
        setpriority_process(None, NICE).map_err(|e| format!("the priority could not be lowered: {e}"))
    }
}
