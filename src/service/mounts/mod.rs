//! What is mounted where: directories of this machine, whose files a sync brings into the tree and back.
//!
//! A mount point is a directory of the tree like any other. No read ever looks at the host: `sync` copies what is there
//! through the writer, so that permissions, versions, search and snapshots hold for it as for everything else and
//! nobody waits for a foreign disk. The root is the store itself; everybody sees it. Mounting, saving and syncing is for
//! the instance admin alone, for it reaches files of the machine; and only below the directories that the configuration
//! names (`mount_dirs`). `DESIGN.md` has the reasons.

pub mod connectors;
mod decide;
mod host;
pub mod jobs;
pub mod ops;
pub mod scope;
pub mod sync;
pub mod sync_ops;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::auth::{AuthIndex, Caller};
use crate::model::{MountRow, VirtualPath};
use crate::service::keys::{not_instance_admin, require_admin};
use crate::service::{Call, ServiceError};
use crate::store::{Sql, mounts};

/// The class name of the root's backend, as the incumbent's clients know it.
const ROOT_BACKEND: &str = "LocalBackend";
/// The type of backend that is built.
pub const LOCAL: &str = "local";

/// What mounts need of the running server beside the store.
#[derive(Debug, Default)]
pub struct Mounts {
    /// Directories of the machine that may be mounted, with what is below them.
    allowed: Vec<PathBuf>,
    /// The mounts that are being synced, by id.
    running: Mutex<HashMap<String, Arc<sync::Progress>>>,
    /// The jobs that run, by id.
    jobs: Mutex<HashMap<String, Arc<sync::Progress>>>,
}

impl Mounts {
    /// With the directories that may be mounted.
    #[must_use]
    pub fn new<'a>(allowed: impl IntoIterator<Item = &'a String>) -> Self {
        Self { allowed: allowed.into_iter().map(PathBuf::from).collect(), ..Self::default() }
    }
}

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
        let seen = |m: &MountRow| m.active && (m.tenant == caller.tenant || caller.is_instance_admin);
        let visible = mounts::list(tx)?.into_iter().filter(seen);
        let mut found: Vec<Mount> = visible
            .map(|row| Mount {
                mount_point: row.mount_point,
                priority: row.priority,
                readonly: row.readonly,
                backend_type: if row.backend_type == LOCAL { ROOT_BACKEND.into() } else { row.backend_type },
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
    let path = point(mount_point)?;
    Ok(list(call).await?.into_iter().find(|mount| mount.mount_point == path.as_str()))
}

/// The saved mounts, mounted or not, of one owner and one tenant if they are named. For the instance admin.
pub async fn saved(call: &Call, owner: Option<String>, tenant: Option<String>) -> Result<Vec<MountRow>, ServiceError> {
    let caller = call.caller.clone();
    call.read(move |tx| {
        instance_admin(tx, &caller)?;
        let mut rows = mounts::list(tx)?;
        let asked = |given: &Option<String>, has: Option<&str>| given.as_deref().is_none_or(|given| has == Some(given));
        rows.retain(|row| row.saved && asked(&owner, row.owner.as_deref()) && asked(&tenant, Some(&row.tenant)));
        Ok(rows)
    })
    .await
}

/// A path at which something is or may be mounted, `/` allowed.
pub(in crate::service) fn point(text: &str) -> Result<VirtualPath, ServiceError> {
    VirtualPath::parse(text).map_err(|reason| ServiceError::path(text, reason))
}

/// The caller as of `tx`, if it is the instance admin by its own key.
pub(in crate::service) fn instance_admin(tx: &impl Sql, caller: &Caller) -> Result<Caller, ServiceError> {
    let caller = require_admin(tx, caller).map_err(|error| match error {
        ServiceError::PermissionDenied { .. } => not_instance_admin(),
        error => error,
    })?;
    if caller.is_instance_admin { Ok(caller) } else { Err(not_instance_admin()) }
}

/// As [`instance_admin`], before anything else of a request is looked at.
pub(in crate::service) async fn require_instance_admin(call: &Call) -> Result<(), ServiceError> {
    let caller = call.caller.clone();
    call.read(move |tx| instance_admin(tx, &caller).map(|_| ())).await
}
