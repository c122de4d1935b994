//! Sandboxes: private directories, and later the processes in them.
//!
//! Owns the providers and what they make on the machine. Knows ids, never names, users or rights; the records of
//! sandboxes are in the store. Invariant: a provider touches nothing but what it made for an id.

mod local;

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

pub use local::LocalProvider;

/// What a sandbox of a provider can do. What is not built is false, so that a client can ask before it tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Capabilities {
    /// Whether code can be run in it (`sandbox_run`).
    pub run: bool,
    /// Whether the file tree can be mounted in it (`sandbox_connect`).
    pub mount: bool,
    /// Whether it can be paused and resumed.
    pub pause: bool,
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
    /// Makes the sandbox `id`, which is new.
    fn create(&self, id: &str) -> Result<(), SandboxError>;
    /// Whether the sandbox `id` is there.
    fn verify(&self, id: &str) -> Result<bool, SandboxError>;
    /// Removes the sandbox `id` and everything in it; nothing to do if it is not there.
    fn destroy(&self, id: &str) -> Result<(), SandboxError>;
    /// The ids of all sandboxes that are there.
    fn list(&self) -> Result<Vec<String>, SandboxError>;
}

/// The providers of this server.
#[derive(Debug, Clone)]
pub struct Sandboxes {
    local: Arc<dyn Provider>,
}

impl Sandboxes {
    /// The local provider alone, with its directories under `<data_dir>/sandboxes`.
    #[must_use]
    pub fn new(data_dir: &Path) -> Self {
        Self { local: Arc::new(LocalProvider::new(data_dir.join("sandboxes"))) }
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
