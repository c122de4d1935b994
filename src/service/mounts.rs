//! What is mounted where. The root is the store itself; everybody sees it.

use crate::auth::AuthIndex;
use crate::model::VirtualPath;
use crate::store::{Sql, mounts};

use super::{Call, ServiceError};

/// The class name of the root's backend, as the incumbent's clients know it.
const ROOT_BACKEND: &str = "LocalBackend";

/// A mount, as clients see it: never its settings, which may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The path.
    pub mount_point: String,
    /// Higher wins where mounts overlap.
    pub priority: i64,
    /// Whether writes are refused.
    pub readonly: bool,
    /// The backend's type name.
    pub backend_type: String,
}

/// The mounts of the caller's tenant, longest path first, then the root.
pub async fn list(call: &Call) -> Result<Vec<Mount>, ServiceError> {
    let caller = call.caller.clone();
    call.read(move |tx| {
        let caller =
            tx.view::<AuthIndex>().refresh(&caller, tx.wall_us()).map_err(|_| ServiceError::Unauthenticated)?;
        let visible = mounts::list(tx)?.into_iter().filter(|m| m.tenant == caller.tenant || caller.is_instance_admin);
        let mut found: Vec<Mount> = visible
            .map(|row| Mount {
                mount_point: row.mount_point,
                priority: row.priority,
                readonly: row.readonly,
                backend_type: row.backend_type,
            })
            .collect();
        found.sort_by(|a, b| b.mount_point.len().cmp(&a.mount_point.len()).then(a.mount_point.cmp(&b.mount_point)));
        found.push(Mount { mount_point: "/".into(), priority: 0, readonly: false, backend_type: ROOT_BACKEND.into() });
        Ok(found)
    })
    .await
}

/// The mount at exactly this path, if the caller may see it.
pub async fn get(call: &Call, mount_point: &str) -> Result<Option<Mount>, ServiceError> {
    let path = VirtualPath::parse(mount_point).map_err(|reason| ServiceError::path(mount_point, reason))?;
    Ok(list(call).await?.into_iter().find(|mount| mount.mount_point == path.as_str()))
}
