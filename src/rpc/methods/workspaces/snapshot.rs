//! `workspace_snapshot`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::SnapshotView;
use crate::model::SnapshotRow;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::workspaces::snapshot_ops::{self, SnapshotRequest};

/// Take a snapshot of a workspace.
///
/// It is the state of the whole directory at one revision, `revision` in the reply, whatever is written meanwhile; its
/// number is the next one of the workspace. Counts files, not directories; a directory too large to be counted in time
/// has a snapshot without counts. Needs `write` on the directory, which must be registered.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WorkspaceSnapshot {
    /// Absolute virtual path of the workspace.
    #[serde(default)]
    workspace_path: Option<String>,
    /// Ignored; rights are those of the caller.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted for old clients")]
    agent_id: Option<String>,
    /// Free text.
    #[serde(default)]
    description: Option<String>,
    /// Words to find it by; at most 64.
    #[serde(default)]
    tags: Option<Vec<String>>,
    /// In whose name; heeded for admins. Default: the caller's user.
    #[serde(default)]
    created_by: Option<String>,
}

impl Method for WorkspaceSnapshot {
    const NAME: &'static str = "workspace_snapshot";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied, ErrorCode::FileNotFound];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = SnapshotView;

    async fn call(self, cx: &RequestContext) -> Result<SnapshotView, RpcError> {
        let request = SnapshotRequest {
            path: self.workspace_path,
            description: self.description,
            tags: self.tags.unwrap_or_default(),
            created_by: self.created_by,
        };
        cx.reply_with(|row: &SnapshotRow| SnapshotView::from(row.clone()));
        Ok(snapshot_ops::take(&cx.call, request).await?.into())
    }
}
