//! Registered directories, read: a user's own, and for the admin of a tenant all of it.

pub mod load_ops;
mod long;
pub mod ops;
mod restore;
pub mod restore_ops;
pub mod snapshot_ops;
pub mod snapshots;
mod trees;

use crate::auth::Caller;
use crate::model::{VirtualPath, WorkspaceRow};
use crate::service::sandboxes::refreshed;
use crate::service::{Call, ServiceError};
use crate::store::{Sql, workspaces};

/// What kind of directory is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A workspace.
    Workspace,
    /// A memory directory.
    Memory,
}

impl Scope {
    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Workspace => workspaces::WORKSPACE,
            Self::Memory => workspaces::MEMORY,
        }
    }

    /// As messages to people name it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Workspace => "Workspace",
            Self::Memory => "Memory",
        }
    }
}

/// Whether the caller may know of a registration: who made it, or an admin; an agent only if it inherits.
pub(in crate::service) fn visible(caller: &Caller, row: &WorkspaceRow) -> bool {
    let own = row.tenant == caller.tenant && row.created_by == caller.user && caller.inherits;
    own || caller.administers(&row.tenant)
}

/// Whether it still stands.
pub(in crate::service) fn live(row: &WorkspaceRow, now_us: i64) -> bool {
    row.expires_at_us.is_none_or(|at| now_us < at)
}

/// The registrations of the caller's tenant that it may know of, oldest first.
pub async fn list(call: &Call, scope: Scope) -> Result<Vec<WorkspaceRow>, ServiceError> {
    let caller = call.caller.clone();
    call.read(move |tx| {
        let caller = refreshed(tx, &caller)?;
        let now_us = tx.now_us();
        let found = workspaces::of_tenant(tx, &caller.tenant, scope.as_str())?.into_iter();
        Ok(found.filter(|row| visible(&caller, row) && live(row, now_us)).collect())
    })
    .await
}

/// The registration of a path; `None` alike for one that is not there and one that the caller may not know of.
pub async fn get(call: &Call, scope: Scope, path: &str) -> Result<Option<WorkspaceRow>, ServiceError> {
    let path = VirtualPath::parse(path).map_err(|reason| ServiceError::path(path, reason))?;
    let caller = call.caller.clone();
    call.read(move |tx| {
        let caller = refreshed(tx, &caller)?;
        let now_us = tx.now_us();
        let found = workspaces::find(tx, scope.as_str(), path.as_str())?;
        Ok(found.filter(|row| visible(&caller, row) && live(row, now_us)))
    })
    .await
}
