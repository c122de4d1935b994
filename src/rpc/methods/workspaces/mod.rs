//! Registered workspaces and directories of memories, and the snapshots of workspaces; one method a file.

pub mod delete_snapshot;
pub mod diff;
pub mod get;
pub mod list;
pub mod load;
pub mod log;
pub mod memory;
pub mod register;
pub mod restore;
pub mod snapshot;
pub mod unregister;

pub use delete_snapshot::WorkspaceDeleteSnapshot;
pub use diff::WorkspaceDiff;
pub use get::GetWorkspaceInfo;
pub use list::ListWorkspaces;
pub use load::LoadWorkspaceMemoryConfig;
pub use log::WorkspaceLog;
pub use memory::{GetMemoryInfo, ListRegisteredMemories, RegisterMemory, UnregisterMemory};
pub use register::RegisterWorkspace;
pub use restore::WorkspaceRestore;
pub use snapshot::WorkspaceSnapshot;
pub use unregister::UnregisterWorkspace;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::{SnapshotRow, WorkspaceRow};
use crate::rpc::codec::WireTime;
use crate::service::workspaces::snapshots::{Changes, Modified, OneSided};

/// A registered workspace.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WorkspaceView {
    /// Its directory.
    path: String,
    /// The display name.
    name: Option<String>,
    /// Free text.
    description: String,
    /// When it was registered; ISO-8601, UTC.
    created_at: String,
    /// By whom.
    created_by: String,
    /// Free properties.
    metadata: Map<String, Value>,
    /// The session it lives for.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    /// When the registration ends; ISO-8601, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

impl From<WorkspaceRow> for WorkspaceView {
    fn from(row: WorkspaceRow) -> Self {
        Self {
            path: row.path,
            name: row.name,
            description: row.description,
            created_at: WireTime::naive(row.created_at_us).iso(),
            created_by: row.created_by,
            metadata: serde_json::from_str(&row.metadata).unwrap_or_default(),
            session_id: row.session_id,
            expires_at: row.expires_at_us.map(|us| WireTime::naive(us).iso()),
        }
    }
}

/// A snapshot of a workspace.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SnapshotView {
    /// Its id.
    snapshot_id: String,
    /// Its number among those of the workspace, from 1.
    snapshot_number: u64,
    /// BLAKE3 over the paths and contents of everything below, hex; null where it was not counted.
    manifest_hash: Option<String>,
    /// Files below; null where they were not counted.
    file_count: Option<u64>,
    /// Bytes of these files; null where they were not counted.
    total_size_bytes: Option<u64>,
    /// Free text.
    description: Option<String>,
    /// The user who took it.
    created_by: String,
    /// Words to find it by.
    tags: Vec<String>,
    /// When it was taken.
    created_at: WireTime,
    /// The revision whose state it is.
    revision: Option<u64>,
}

impl From<SnapshotRow> for SnapshotView {
    fn from(row: SnapshotRow) -> Self {
        Self {
            snapshot_id: row.snapshot_id,
            snapshot_number: row.number,
            manifest_hash: row.manifest_hash,
            file_count: row.file_count,
            total_size_bytes: row.total_size,
            description: row.description,
            created_by: row.created_by,
            tags: serde_json::from_str(&row.tags).unwrap_or_default(),
            created_at: WireTime::naive(row.created_at_us),
            revision: row.rev,
        }
    }
}

/// A file that is on one side only.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OneSidedView {
    /// Its path below the workspace.
    path: String,
    /// Bytes.
    size: u64,
}

/// A file with another content on each side.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ModifiedView {
    /// Its path below the workspace.
    path: String,
    /// Bytes before.
    old_size: u64,
    /// Bytes after.
    new_size: u64,
    /// BLAKE3 before, hex.
    old_hash: String,
    /// BLAKE3 after, hex.
    new_hash: String,
}

/// What differs between two states of a workspace.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChangesView {
    /// Files that came.
    added: Vec<OneSidedView>,
    /// Files that went.
    removed: Vec<OneSidedView>,
    /// Files with another content.
    modified: Vec<ModifiedView>,
    /// How many files are the same.
    unchanged: u64,
    /// Whether that is all.
    complete: bool,
}

impl From<Changes> for ChangesView {
    fn from(changes: Changes) -> Self {
        let one = |OneSided { path, size }| OneSidedView { path, size };
        let modified = |Modified { path, old_size, new_size, old_hash, new_hash }| ModifiedView {
            path,
            old_size,
            new_size,
            old_hash,
            new_hash,
        };
        Self {
            added: changes.added.into_iter().map(one).collect(),
            removed: changes.removed.into_iter().map(one).collect(),
            modified: changes.modified.into_iter().map(modified).collect(),
            unchanged: changes.unchanged,
            complete: !changes.truncated,
        }
    }
}
