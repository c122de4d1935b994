//! What the server, the keeper and the confined program say to each other: one line of JSON in, one or two out.
//!
//! Owns the words alone. Invariant: nothing secret goes over a command line or an environment that another process could read.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::cgroup::Cgroup;
use super::limits::Limits;

/// The argument that makes this program a child of a sandbox.
pub const CHILD_ARGUMENT: &str = "sandbox-child";

/// What is confined with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Walls {
    /// Namespaces made by this program, then Landlock where the kernel has it, then the filter and the limits.
    Bubblewrap(PathBuf),
    /// Landlock, the filter and the limits.
    Landlock,
}

impl Walls {
    /// For people.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Bubblewrap(_) => "bubblewrap",
            Self::Landlock => "landlock",
        }
    }
}

/// What is done inside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Work {
    /// Tries what must not be possible, and says so if it is.
    Probe {
        /// A file that must not be readable.
        foreign: PathBuf,
    },
    /// Runs a program.
    Program {
        /// What runs it.
        interpreter: PathBuf,
        /// What its file is called, in the directory of the sandbox.
        file: String,
        /// The program.
        code: String,
    },
}

/// One run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Orders {
    /// The directory that it may write to.
    pub directory: PathBuf,
    /// What confines it.
    pub walls: Walls,
    /// The server's socket, which the program finds at [`SOCKET`](super::bubblewrap::SOCKET); behind bubblewrap alone.
    pub socket: Option<PathBuf>,
    /// The user it becomes; `None` where the server is nobody who could become another.
    pub user: Option<u32>,
    /// What it does.
    pub work: Work,
    /// Its environment, beside the usual names.
    pub environment: Vec<(String, String)>,
    /// Its limits.
    pub limits: Limits,
    /// The cgroup that is made for it, where there is a directory for them.
    pub cgroup: Option<Cgroup>,
    /// Said on standard error when the walls stand; nobody else knows it.
    pub token: String,
}

/// What a child is told to be.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Message {
    /// Watch over a run, until the run or the server ends.
    Keep(Orders),
    /// Go behind the walls and do it.
    Enter {
        /// What to do.
        orders: Orders,
        /// Who must be alive, or 0 where somebody else looks after that.
        keeper: u32,
    },
}

/// The keeper's first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Started {
    /// The process group of what runs.
    pub group: i32,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// By itself.
    Exited,
    /// Its time was over.
    Timeout,
    /// It took more memory than it may.
    Memory,
    /// It wrote more, or more files, than it may.
    Disk,
    /// Whoever asked for it has gone, or the sandbox was stopped.
    Cancelled,
}

/// What came of a run: the keeper's last line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// How it ended.
    pub ended: Ending,
    /// The exit status; 128 and the signal, if one ended it.
    pub exit_code: i32,
    /// What it wrote, up to the limit.
    pub stdout: String,
    /// What it wrote to standard error, up to the limit.
    pub stderr: String,
    /// Whether it wrote more than that.
    pub stdout_truncated: bool,
    /// Whether it wrote more than that.
    pub stderr_truncated: bool,
    /// How long it took, ms.
    pub millis: u64,
    /// The walls could not be put up, and nothing was run: why.
    pub refused: Option<String>,
}
