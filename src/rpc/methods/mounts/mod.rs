//! Mounts, one method a file.

pub mod get;
pub mod has;
pub mod list;

pub use get::GetMount;
pub use has::HasMount;
pub use list::ListMounts;

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
