//! `load_workspace_memory_config`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RegisterMemory, RegisterWorkspace};
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::workspaces::load_ops::{Loaded, load};

/// Register the directories that a configuration names: all of them, or none.
///
/// Each is registered as `register_workspace` or `register_memory` would, with the same rights; one that is registered
/// already stays as it is and counts as skipped. At most 100 at once.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct LoadWorkspaceMemoryConfig {
    /// Workspaces, each with the parameters of `register_workspace`.
    #[serde(default)]
    workspaces: Option<Vec<RegisterWorkspace>>,
    /// Directories of memories, each with the parameters of `register_memory`.
    #[serde(default)]
    memories: Option<Vec<RegisterMemory>>,
}

/// How many directories were registered.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LoadOutput {
    /// Workspaces that were not registered before.
    workspaces_registered: u64,
    /// Workspaces that were.
    workspaces_skipped: u64,
    /// Directories of memories that were not registered before.
    memories_registered: u64,
    /// Directories of memories that were.
    memories_skipped: u64,
}

impl From<(Loaded, Loaded)> for LoadOutput {
    fn from((workspaces, memories): (Loaded, Loaded)) -> Self {
        Self {
            workspaces_registered: workspaces.registered,
            workspaces_skipped: workspaces.skipped,
            memories_registered: memories.registered,
            memories_skipped: memories.skipped,
        }
    }
}

impl Method for LoadWorkspaceMemoryConfig {
    const NAME: &'static str = "load_workspace_memory_config";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied, ErrorCode::Precondition];
    type Output = LoadOutput;

    async fn call(self, cx: &RequestContext) -> Result<LoadOutput, RpcError> {
        let workspaces = self.workspaces.unwrap_or_default().into_iter().map(RegisterWorkspace::into_request);
        let memories = self.memories.unwrap_or_default().into_iter().map(RegisterMemory::into_request);
        let requests = workspaces.chain(memories).collect::<Result<_, _>>()?;
        cx.reply_with(|loaded: &(Loaded, Loaded)| LoadOutput::from(*loaded));
        Ok(load(&cx.call, requests).await?.into())
    }
}
