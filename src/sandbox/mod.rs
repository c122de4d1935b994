//! Sandboxes: private directories, and the processes in them.
//!
//! Owns the providers and what they make on the machine. Knows ids, never names, users or rights; the records of
//! sandboxes are in the store. Invariant: a provider touches nothing but what it made for an id.

mod bubblewrap;
mod cgroup;
mod copying;
mod delegation;
mod fence;
mod files;
mod filter;
mod host;
mod keeper;
mod launch;
mod limits;
mod local;
mod orders;
mod program;
mod runs;
mod socket;
mod tree;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;

use crate::config::SandboxWalls;

pub use cgroup::{Cgroups, Controller};
pub use copying::Copying;
pub use files::{BYTES_MAX, Connection, Copied, DEPTH_MAX, FILES_MAX, FOLDER, Files, Found};
pub use host::Language;
pub use keeper::child;
pub use launch::{Lifeline, use_program};
pub use local::{ID_PREFIX, LocalProvider};
pub use orders::{CHILD_ARGUMENT, Ending, Report};
pub use runs::{Cut, RUNS_MAX, Running, Runs};
pub use socket::Attendant;

/// What a sandbox of a provider can do. What is not built is false, so that a client can ask before it tries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Capabilities {
    /// Whether code can be run in it (`sandbox_run`).
    pub run: bool,
    /// Whether files of the tree can be copied into it (`sandbox_connect`).
    pub mount: bool,
    /// Whether it can be paused and resumed.
    pub pause: bool,
    /// Whether programs reach this server, over the socket `NEXUS_SOCKET` with the key `NEXUS_API_KEY`.
    pub server: bool,
    /// What confines programs: `bubblewrap` or `landlock`, each with a filter of system calls and limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub walls: Option<&'static str>,
    /// Where each run has a cgroup of its own: which of its limits the kernel holds for all its processes together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<Vec<Controller>>,
    /// The languages whose interpreters are there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<Language>,
    /// Why no code can be run: what this machine lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_refused: Option<String>,
}

/// A program to run.
#[derive(Debug, Clone)]
pub struct Job {
    /// What it is written in.
    pub language: Language,
    /// The program.
    pub code: String,
    /// What it finds in its environment beside the usual names.
    pub environment: Vec<(String, String)>,
    /// How long it may take.
    pub time: Duration,
    /// Whether it is shown the server's socket, as `NEXUS_SOCKET`, where that is possible.
    pub server: bool,
}

/// Nothing was run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// This machine cannot: what it lacks.
    #[error("{0}")]
    Refused(String),
    /// It should have been possible.
    #[error(transparent)]
    Failed(#[from] SandboxError),
}

/// An operation of a provider failed.
#[derive(Debug, thiserror::Error)]
#[error("the {provider} provider could not {step} sandbox {id}: {source}")]
pub struct SandboxError {
    /// The provider's name.
    pub provider: &'static str,
    /// The step, as a verb.
    pub step: &'static str,
    /// The sandbox.
    pub id: String,
    /// What the operating system said.
    #[source]
    pub source: std::io::Error,
}

/// Makes sandboxes. Its functions block: callers run them where blocking is allowed.
pub trait Provider: std::fmt::Debug + Send + Sync + 'static {
    /// The name in records and answers.
    fn name(&self) -> &'static str;
    /// What its sandboxes can do.
    fn capabilities(&self) -> Capabilities;
    /// Runs a program in the sandbox `id` until it ends or `lifeline` is cut.
    fn run(&self, id: &str, job: Job, lifeline: &Lifeline) -> Result<Report, RunError>;
    /// From now on `attendant` serves the socket that programs are shown, which is made when the first one needs it.
    fn attend(&self, attendant: Attendant);
    /// Makes the sandbox `id`, which is new.
    fn create(&self, id: &str) -> Result<(), SandboxError>;
    /// Whether the sandbox `id` is there.
    fn verify(&self, id: &str) -> Result<bool, SandboxError>;
    /// Removes the sandbox `id` and everything in it; nothing to do if it is not there.
    fn destroy(&self, id: &str) -> Result<(), SandboxError>;
    /// The files of the sandbox `id`, which is there.
    fn files(&self, id: &str) -> Result<Files, SandboxError>;
    /// The ids of all sandboxes that are there.
    fn list(&self) -> Result<Vec<String>, SandboxError>;
}

/// The providers of this server.
#[derive(Debug, Clone)]
pub struct Sandboxes {
    local: Arc<dyn Provider>,
    known: Arc<AtomicBool>,
    runs: Arc<Runs>,
    copied: Arc<copying::Copied>,
}

impl Sandboxes {
    /// The local provider alone, with its directories under `root`, confining as `wanted` says, with cgroups where `cgroups`
    /// says.
    #[must_use]
    pub fn new(root: PathBuf, wanted: SandboxWalls, cgroups: Cgroups) -> Self {
        Self {
            local: Arc::new(LocalProvider::new(root, wanted, cgroups)),
            known: Arc::default(),
            runs: Arc::default(),
            copied: Arc::default(),
        }
    }

    /// Waits until it is known what sandboxes can do on this machine, so that asking for it blocks nobody from then on.
    pub async fn ready(&self) {
        if !self.known.load(Ordering::Acquire) {
            let local = Arc::clone(&self.local);
            // What failed in it is asked about again by the next one.
            if tokio::task::spawn_blocking(move || drop(local.capabilities())).await.is_ok() {
                self.known.store(true, Ordering::Release);
            }
        }
    }

    /// From now on `attendant` serves what programs in sandboxes ask this server.
    pub fn attend(&self, attendant: Attendant) {
        self.local.attend(attendant);
    }

    /// What runs.
    #[must_use]
    pub fn runs(&self) -> &Arc<Runs> {
        &self.runs
    }

    /// The right to work on the files of the sandbox `id`, until it is let go of; `None` if somebody has it.
    #[must_use]
    pub fn copying(&self, id: &str) -> Option<Copying> {
        Copying::begin(&self.copied, id)
    }

    /// The provider for a new sandbox: the one that was asked for if it is configured, else the local one.
    #[must_use]
    pub fn choose(&self, _asked: Option<&str>) -> Arc<dyn Provider> {
        Arc::clone(&self.local)
    }

    /// The provider of a record.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<Arc<dyn Provider>> {
        (self.local.name() == name).then(|| Arc::clone(&self.local))
    }

    /// The names of the providers.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        vec![self.local.name()]
    }
}
