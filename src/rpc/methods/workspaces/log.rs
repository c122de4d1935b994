//! `workspace_log`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::SnapshotView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::workspaces::snapshots;

const fn default_limit() -> u64 {
    100
}

/// List the snapshots of a workspace, newest first.
///
/// For the next page `before` is the last `snapshot_number` of this one. A directory that was moved here brings its
/// snapshots along; those of a directory that lay here earlier are shown to who took them and to admins. Needs `read` on
/// the directory.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WorkspaceLog {
    /// Absolute virtual path of the workspace.
    #[serde(default)]
    workspace_path: Option<String>,
    /// Ignored; rights are those of the caller.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted for old clients")]
    agent_id: Option<String>,
    /// At most so many, from 1 to 1000; a few more where several have one number.
    #[serde(default = "default_limit")]
    limit: u64,
    /// Only those with a lower number.
    #[serde(default)]
    before: Option<u64>,
}

impl Method for WorkspaceLog {
    const NAME: &'static str = "workspace_log";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied];
    type Output = Vec<SnapshotView>;

    async fn call(self, cx: &RequestContext) -> Result<Vec<SnapshotView>, RpcError> {
        let rows = snapshots::log(&cx.call, self.workspace_path.as_deref(), self.before, self.limit).await?;
        Ok(rows.into_iter().map(SnapshotView::from).collect())
    }
}
