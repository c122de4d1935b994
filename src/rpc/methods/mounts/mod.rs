//! Mounts, one method a file.

pub mod add;
pub mod connectors;
pub mod delete_saved;
pub mod get;
pub mod has;
pub mod list;
pub mod list_saved;
pub mod load;
pub mod remove;
pub mod save;
pub mod sync;
pub mod sync_jobs;

pub use add::AddMount;
pub use connectors::ListConnectors;
pub use delete_saved::DeleteSavedMount;
pub use get::GetMount;
pub use has::HasMount;
pub use list::ListMounts;
pub use list_saved::ListSavedMounts;
pub use load::LoadMount;
pub use remove::RemoveMount;
pub use save::SaveMount;
pub use sync::SyncMount;
pub use sync_jobs::{CancelSyncJob, GetSyncJob, ListSyncJobs, SyncMountAsync};

use schemars::JsonSchema;
use serde::Serialize;

use crate::service::mounts::Mount;

/// A mount. Its settings are not shown: they may hold secrets.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MountView {
    /// The path it is mounted at.
    mount_point: String,
    /// Higher wins where mounts overlap.
    priority: i64,
    /// Whether writes are refused.
    readonly: bool,
    /// The class name of its backend.
    backend_type: String,
}

impl From<Mount> for MountView {
    fn from(mount: Mount) -> Self {
        Self {
            mount_point: mount.mount_point,
            priority: mount.priority,
            readonly: mount.readonly,
            backend_type: mount.backend_type,
        }
    }
}
