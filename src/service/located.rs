//! Where a path leads: the nodes on the way to it that exist, or the one at its end, and the tenant that decides about it.
//!
//! Owns the rule which tenant a path belongs to. Decides no rights.

use std::sync::Arc;

use crate::model::{EntityId, NodeKind, NodeRow, VirtualPath};
use crate::store::{Sql, nodes};

use super::ServiceError;
use super::access::Target;

/// A path, looked up in one transaction.
#[derive(Debug, Clone)]
pub struct Located {
    /// The path.
    pub path: VirtualPath,
    /// The directory it lies in; `/` for `/` itself.
    pub parent_path: VirtualPath,
    /// The nodes on the way that exist, from the root down.
    pub chain: Vec<NodeRow>,
    /// Whether the last of them is the node at the path.
    pub exact: bool,
}

/// The tenant that decides: of the node; of a missing path the one it names, else that of its nearest existing
/// ancestor.
fn deciding<'a>(path: &'a VirtualPath, nearest: &'a str, exact: bool) -> &'a str {
    if exact { nearest } else { path.named_tenant().unwrap_or(nearest) }
}

/// The owner of the file at `path`, and the tenant that decides: what [`Located`] knows of them, without the nodes on
/// the way; from what is remembered, if it is exact.
pub(super) fn end_of(tx: &impl Sql, path: &VirtualPath) -> Result<(Option<EntityId>, String), ServiceError> {
    let place = nodes::place(tx, path)?;
    let tenant = deciding(path, &place.tenant, place.exact).to_owned();
    Ok((place.owner.filter(|_| place.exact && place.kind == NodeKind::File), tenant))
}

/// The end of a path, looked up in one transaction without the nodes on the way: what is asked about the path itself.
#[derive(Debug, Clone)]
pub struct End<'p> {
    path: &'p VirtualPath,
    node: Option<NodeRow>,
    /// Of the deepest node on the way that exists.
    tenant: Arc<str>,
}

impl<'p> End<'p> {
    /// Looks `path` up.
    pub fn find(tx: &impl Sql, path: &'p VirtualPath) -> Result<Self, ServiceError> {
        let (node, tenant) = nodes::end(tx, path)?;
        Ok(Self { path, node, tenant })
    }

    /// The node at the path.
    #[must_use]
    pub fn node(&self) -> Option<&NodeRow> {
        self.node.as_ref()
    }

    /// What is asked about the path.
    #[must_use]
    pub fn target(&self) -> Target<'_> {
        let tenant = deciding(self.path, &self.tenant, self.node.is_some());
        Target { path: self.path, node: self.node(), tenant }
    }
}

impl Located {
    /// Looks `path` up.
    pub fn find(tx: &impl Sql, path: &VirtualPath) -> Result<Self, ServiceError> {
        let chain = nodes::chain(tx, path)?;
        let exact = chain.len() > path.components().count();
        let parent_path = path.parent().unwrap_or_else(VirtualPath::root);
        Ok(Self { path: path.clone(), parent_path, chain, exact })
    }

    /// The node at the path.
    #[must_use]
    pub fn node(&self) -> Option<&NodeRow> {
        if self.exact { self.chain.last() } else { None }
    }

    /// The deepest node on the way that exists.
    #[must_use]
    pub fn nearest(&self) -> &NodeRow {
        self.chain.last().expect("a chain begins with the root")
    }

    /// The nodes above the path that exist, from the root down.
    #[must_use]
    pub fn ancestors(&self) -> &[NodeRow] {
        if self.exact { &self.chain[..self.chain.len() - 1] } else { &self.chain }
    }

    /// The tenant that decides about the path.
    #[must_use]
    pub fn tenant(&self) -> &str {
        deciding(&self.path, &self.nearest().tenant, self.exact)
    }

    /// The tenant that a node made here belongs to: the one the path names, else the creator's.
    #[must_use]
    pub fn tenant_of_new<'a>(&'a self, creator: &'a str) -> &'a str {
        self.path.named_tenant().unwrap_or(creator)
    }

    /// What is asked about the path itself.
    #[must_use]
    pub fn target(&self) -> Target<'_> {
        Target { path: &self.path, node: self.node(), tenant: self.tenant() }
    }

    /// The node of the directory the path lies in.
    #[must_use]
    pub fn parent(&self) -> Option<&NodeRow> {
        match self.path.components().count().checked_sub(1) {
            Some(at) => self.chain.get(at),
            None => None,
        }
    }

    /// What is asked about the directory the path lies in.
    #[must_use]
    pub fn parent_target(&self) -> Target<'_> {
        let node = self.parent();
        let tenant = match node {
            Some(node) => node.tenant.as_str(),
            None => self.parent_path.named_tenant().unwrap_or(&self.nearest().tenant),
        };
        Target { path: &self.parent_path, node, tenant }
    }

    /// What is asked about the directory when something is made in it. The first directory of a tenant is that
    /// tenant's matter and not of whoever may write to `/`.
    #[must_use]
    pub fn creation_target(&self) -> Target<'_> {
        let target = self.parent_target();
        match self.path.named_tenant() {
            Some(tenant) if self.parent_path.is_root() => Target { tenant, ..target },
            _ => target,
        }
    }

    /// The refusal of a path that leads through a file.
    pub fn through_directories(&self) -> Result<(), ServiceError> {
        match self.ancestors().iter().any(|a| a.kind == NodeKind::File) {
            true => Err(ServiceError::Precondition(format!("[Errno 20] Not a directory: {}", self.nearest_path()))),
            false => Ok(()),
        }
    }

    /// The path of the deepest node on the way that exists.
    fn nearest_path(&self) -> VirtualPath {
        let names = self.path.components().take(self.chain.len() - 1);
        names.fold(VirtualPath::root(), |path, name| path.child(name))
    }
}
