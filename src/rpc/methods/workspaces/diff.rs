//! `workspace_diff`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ChangesView;
use crate::model::SnapshotRow;
use crate::rpc::codec::WireTime;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::workspaces::snapshots::{self, CHANGES_MAX};

const fn default_limit() -> usize {
    CHANGES_MAX
}

/// Compare two snapshots of a workspace.
///
/// Names the files that were added, removed and modified from the first to the second, in order of their path's
/// components, and counts the others. Files that the caller may not read are left out. `complete` is false where there was
/// no room for all of them: then what comes later in that order was not looked at. Needs `read` on the directory.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WorkspaceDiff {
    /// The number of the first snapshot.
    snapshot_1: u64,
    /// The number of the second.
    snapshot_2: u64,
    /// Absolute virtual path of the workspace.
    #[serde(default)]
    workspace_path: Option<String>,
    /// Ignored; rights are those of the caller.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted for old clients")]
    agent_id: Option<String>,
    /// How many files are named at most, up to 100000.
    #[serde(default = "default_limit")]
    limit: usize,
}

/// Which snapshot.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ComparedView {
    /// Its id.
    snapshot_id: String,
    /// Its number.
    snapshot_number: u64,
    /// When it was taken.
    created_at: WireTime,
}

impl From<SnapshotRow> for ComparedView {
    fn from(row: SnapshotRow) -> Self {
        Self {
            snapshot_id: row.snapshot_id,
            snapshot_number: row.number,
            created_at: WireTime::naive(row.created_at_us),
        }
    }
}

/// What differs between two snapshots.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WorkspaceDiffView {
    /// The first.
    snapshot_1: ComparedView,
    /// The second.
    snapshot_2: ComparedView,
    /// What became of the first.
    #[serde(flatten)]
    changes: ChangesView,
}

impl Method for WorkspaceDiff {
    const NAME: &'static str = "workspace_diff";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied, ErrorCode::FileNotFound, ErrorCode::DeadlineExceeded];
    type Output = WorkspaceDiffView;

    async fn call(self, cx: &RequestContext) -> Result<WorkspaceDiffView, RpcError> {
        let numbers = (self.snapshot_1, self.snapshot_2);
        let found = snapshots::diff(&cx.call, self.workspace_path.as_deref(), numbers, self.limit).await?;
        Ok(WorkspaceDiffView {
            snapshot_1: found.left.into(),
            snapshot_2: found.right.into(),
            changes: found.changes.into(),
        })
    }
}
