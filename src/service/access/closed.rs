//! Where nothing is written whoever asks: read-only namespaces, and mounts.
//!
//! Knows nothing of grants.

use super::{Access, ServiceError};
use crate::model::VirtualPath;
use crate::store::Sql;
use crate::store::mounts::Mounted;

/// First components below which nobody but the instance admin writes.
const READ_ONLY: &[&str] = &["system", "archives"];

impl<T: Sql> Access<'_, T> {
    /// Whether writing to `path` is refused whoever asks: a read-only namespace, or a mount that only a sync writes to.
    pub(in crate::service) fn is_closed(&self, path: &VirtualPath) -> bool {
        self.read_only_namespace(path).is_some() || self.tx.view::<Mounted>().readonly_at(path).is_some()
    }

    /// Refuses what would take a mount point away: a mount at `path` or below it.
    pub fn require_unmounted(&self, path: &VirtualPath) -> Result<(), ServiceError> {
        mounted(self.tx.view::<Mounted>().at_or_below(path))
    }

    /// Refuses what would change a whole tree as one: a mount below `path`, whose files are the host's too.
    pub fn require_unmounted_below(&self, path: &VirtualPath) -> Result<(), ServiceError> {
        mounted(self.tx.view::<Mounted>().below(path))
    }

    /// The first component of `path`, if nobody writes below it but the instance admin, who the caller is not.
    pub(super) fn read_only_namespace<'p>(&self, path: &'p VirtualPath) -> Option<&'p str> {
        let first = path.components().next()?;
        (is_read_only(first) && !self.is_instance_admin()).then_some(first)
    }
}

fn mounted(point: Option<&str>) -> Result<(), ServiceError> {
    match point {
        Some(point) => Err(ServiceError::Precondition(format!("[Errno 16] '{point}' is mounted: remove_mount first"))),
        None => Ok(()),
    }
}

/// Whether nobody but the instance admin writes below a first component.
pub(in crate::service) fn is_read_only(first: &str) -> bool {
    READ_ONLY.contains(&first)
}
