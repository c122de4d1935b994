//! `workspace_restore`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ChangesView;
use crate::model::SnapshotRow;
use crate::rpc::codec::WireTime;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::workspaces::restore_ops::{self, Restored};

/// Files that a dry run names.
const DRY_RUN_CHANGES_MAX: usize = 10_000;

/// Bring a workspace back to a snapshot.
///
/// All or nothing, in one revision. Files that differ get a further version, with their history and their grants; files that
/// are not in the snapshot are removed as by a delete; files that are only there come as new and belong to the caller. At
/// most 10000 files and directories change at once, a directory that goes counts as one. The workspace may have been
/// removed since: it is made again. With `dry_run` nothing is changed, and `changes` says what would be. Needs `write` on
/// the directory, which must be registered.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WorkspaceRestore {
    /// The number of the snapshot.
    snapshot_number: u64,
    /// Absolute virtual path of the workspace.
    #[serde(default)]
    workspace_path: Option<String>,
    /// Ignored; rights are those of the caller.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted for old clients")]
    agent_id: Option<String>,
    /// Whether it is only told what would happen.
    #[serde(default)]
    dry_run: bool,
}

/// The snapshot that was restored.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RestoredSnapshot {
    /// Its id.
    snapshot_id: String,
    /// Its number.
    snapshot_number: u64,
    /// BLAKE3 over the paths and contents of everything below, hex; null where it was not counted.
    manifest_hash: Option<String>,
    /// Files below; null where they were not counted.
    file_count: Option<u64>,
    /// Bytes of these files; null where they were not counted.
    total_size_bytes: Option<u64>,
    /// Free text.
    description: Option<String>,
    /// When it was taken.
    created_at: WireTime,
}

impl From<SnapshotRow> for RestoredSnapshot {
    fn from(row: SnapshotRow) -> Self {
        Self {
            snapshot_id: row.snapshot_id,
            snapshot_number: row.number,
            manifest_hash: row.manifest_hash,
            file_count: row.file_count,
            total_size_bytes: row.total_size,
            description: row.description,
            created_at: WireTime::naive(row.created_at_us),
        }
    }
}

/// What a restore did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WorkspaceRestoreView {
    /// Files that came or got a further version.
    files_restored: u64,
    /// Files that went.
    files_deleted: u64,
    /// The snapshot.
    snapshot_info: RestoredSnapshot,
    /// Of a dry run: what would become of the files of now.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<ChangesView>,
}

impl From<Restored> for WorkspaceRestoreView {
    fn from(done: Restored) -> Self {
        Self {
            files_restored: done.restored,
            files_deleted: done.deleted,
            snapshot_info: done.snapshot.into(),
            changes: None,
        }
    }
}

impl Method for WorkspaceRestore {
    const NAME: &'static str = "workspace_restore";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied, ErrorCode::FileNotFound, ErrorCode::Precondition];
    type Output = WorkspaceRestoreView;

    async fn call(self, cx: &RequestContext) -> Result<WorkspaceRestoreView, RpcError> {
        let path = self.workspace_path.as_deref();
        if self.dry_run {
            let would = restore_ops::dry_run(&cx.call, path, self.snapshot_number, DRY_RUN_CHANGES_MAX).await?;
            return Ok(WorkspaceRestoreView { changes: Some(would.changes.into()), ..would.restored.into() });
        }
        cx.reply_with(|done: &Restored| WorkspaceRestoreView::from(done.clone()));
        Ok(restore_ops::restore(&cx.call, path, self.snapshot_number).await?.into())
    }
}
