//! Effective rights: the bypass of admins, the caller's own relations, and what an agent inherits, in one function
//! for reads, listings and the second check inside the write transaction.

use crate::auth::Caller;
use crate::model::{EntityId, NodeRow, VirtualPath};
use crate::rebac::{Budget, Caches, LeafFacts, Verdict};
use crate::store::Sql;

use super::ServiceError;

/// The permissions of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// See and read.
    Read,
    /// Change, delete, create in.
    Write,
    /// Own: manage the permissions of.
    Execute,
}

impl Permission {
    /// The name in namespaces.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Execute => "execute",
        }
    }
}

/// What the caller may do, at the revision of one transaction.
pub struct Access<'t, T: Sql> {
    tx: &'t T,
    caller: Caller,
    caches: Option<&'t Caches>,
}

/// The file that is asked about, as far as the service has looked it up.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The path.
    pub path: &'a VirtualPath,
    /// Its node, or `None` if it does not exist.
    pub node: Option<&'a NodeRow>,
    /// The tenant that decides: of the node, else of its nearest existing ancestor (`files::tenant_of`).
    pub tenant: &'a str,
}

impl<'t, T: Sql> Access<'t, T> {
    /// Re-reads the caller's identity in `tx`. In a write transaction pass no caches.
    pub fn new(tx: &'t T, caller: &Caller, caches: Option<&'t Caches>) -> Result<Self, ServiceError> { todo!("files helper") }

    /// The caller as of this transaction.
    pub fn caller(&self) -> &Caller { &self.caller }

    /// Bypass of an admin (read and write, nodes of its own tenant; instance admin: every tenant), else the caller's
    /// relations, else those an agent inherits from its owner.
    pub fn file(&self, target: Target<'_>, permission: Permission) -> Result<Verdict, ServiceError> { todo!() }

    /// [`file`](Self::file), or the refusal that is the same for existing and missing paths.
    pub fn require_file(&self, target: Target<'_>, permission: Permission) -> Result<(), ServiceError> { todo!() }

    /// READ on the path or on any existing descendant (D.2.12).
    pub fn visible(&self, target: Target<'_>) -> Result<bool, ServiceError> { todo!() }

    /// Whether the caller manages `object` of type `kind`: for files `execute` or admin of its tenant, for a type
    /// with a namespace `manage`/owner by its rules or admin, else the tenant's admin alone (D.2.1).
    pub fn manages(&self, tenant: &str, kind: &str, id: &str) -> Result<bool, ServiceError> { todo!() }
}
