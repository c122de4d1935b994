//! `workspace_delete_snapshot`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::SnapshotRow;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::workspaces::snapshot_ops;

/// Delete a snapshot of a workspace.
///
/// The files stay as they are. What only this snapshot needed may then be collected; its number is not given again. Needs
/// `write` on the directory.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WorkspaceDeleteSnapshot {
    /// Its number.
    snapshot_number: u64,
    /// Absolute virtual path of the workspace.
    #[serde(default)]
    workspace_path: Option<String>,
}

/// What became of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeletedSnapshot {
    /// Always true; a snapshot that is not there is an error.
    deleted: bool,
    /// Its id.
    snapshot_id: String,
}

fn output(row: &SnapshotRow) -> DeletedSnapshot {
    DeletedSnapshot { deleted: true, snapshot_id: row.snapshot_id.clone() }
}

impl Method for WorkspaceDeleteSnapshot {
    const NAME: &'static str = "workspace_delete_snapshot";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied, ErrorCode::FileNotFound];
    type Output = DeletedSnapshot;

    async fn call(self, cx: &RequestContext) -> Result<DeletedSnapshot, RpcError> {
        cx.reply_with(output);
        let path = self.workspace_path.as_deref();
        Ok(output(&snapshot_ops::delete(&cx.call, path, self.snapshot_number).await?))
    }
}
