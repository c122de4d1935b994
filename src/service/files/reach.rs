//! Visibility: READ on a path, or on something that exists below it.
//!
//! Owns the question "does anything below this directory show itself to the caller", asked per row of a listing.
//! Answers it from the grants of the graph and from the owner column, and searches the tree only where the rules of
//! the graph leave no other way; a search that does not end within its bound is an error, never a silent no.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::model::{NodeFacts, NodeId, NodeKind, ROOT_NODE, VirtualPath};
use crate::rebac::{Graph, Why};
use crate::service::ServiceError;
use crate::service::access::{Access, Permission, Target, USER, indeterminate};
use crate::store::{Sql, nodes};

/// Nodes that one request may look at in searches below directories it cannot read.
const SEARCH_NODES_MAX: usize = 20_000;
/// A name that no path can have, so that nothing is granted there: what gives READ on it comes from above.
const NOBODY: &str = "\0";
/// Directories with files of the caller that one request may walk up from.
const OWNED_DIRECTORIES_MAX: usize = 20_000;

/// What one caller can see at or below one directory, as far as it was asked for.
pub struct Reach<'a, 't, T: Sql> {
    access: &'a Access<'t, T>,
    base: VirtualPath,
    /// Per tenant the topmost granted paths at or below the base, by text; `None` = the graph needs a search.
    granted: HashMap<String, Option<Vec<Arc<str>>>>,
    /// Whether a granted path of a tenant leads to a node of it.
    confirmed: HashMap<(String, Arc<str>), bool>,
    /// The directories at or above a file that the caller owns.
    owned: Option<HashSet<NodeId>>,
    looks_left: usize,
}

impl<T: Sql> Access<'_, T> {
    /// READ on the path or on any existing descendant (D.2.12). False for what does not exist.
    pub fn visible(&self, target: Target<'_>) -> Result<bool, ServiceError> {
        let Some(node) = target.node else { return Ok(false) };
        if self.file(target, Permission::Read)?.allowed() {
            return Ok(true);
        }
        if node.kind == NodeKind::File {
            return Ok(false);
        }
        Reach::new(self, target.path.clone()).shows(target.path, node)
    }
}

impl<'a, 't, T: Sql> Reach<'a, 't, T> {
    /// Nothing asked yet; every question will be about `base` or below.
    pub fn new(access: &'a Access<'t, T>, base: VirtualPath) -> Self {
        let (granted, confirmed) = (HashMap::new(), HashMap::new());
        Self { access, base, granted, confirmed, owned: None, looks_left: SEARCH_NODES_MAX }
    }

    /// Whether the caller may read anything that exists below the directory `node` at `path`, which it may not read
    /// itself.
    pub fn shows<'n>(&mut self, path: &VirtualPath, node: impl Into<NodeFacts<'n>>) -> Result<bool, ServiceError> {
        let node = node.into();
        match self.granted_at_or_below(node.tenant, path)? {
            Some(true) => return Ok(true),
            Some(false) => {}
            None => return self.search(path, node.id),
        }
        if node.mixed && self.shows_foreign(path, node)? {
            return Ok(true);
        }
        self.owns_below(path, node.id)
    }

    /// Whether a walk has to go into the directory `node` at `path`, which the caller may not read itself.
    pub fn leads_into<'n>(&mut self, path: &VirtualPath, node: impl Into<NodeFacts<'n>>) -> Result<bool, ServiceError> {
        let node = node.into();
        let searched = self.granted_at_or_below(node.tenant, path)?.is_none();
        // Where the graph cannot tell without a search, the walk itself is the search.
        if searched { Ok(true) } else { self.shows(path, node) }
    }

    /// Whether anything of another tenant than the directory's own shows itself below it: of the caller's tenant by
    /// whatever gives READ from above or below, of a third tenant by what was shared.
    fn shows_foreign(&mut self, path: &VirtualPath, node: NodeFacts<'_>) -> Result<bool, ServiceError> {
        let access = self.access;
        let own = access.caller().tenant.as_str();
        if own != node.tenant {
            if self.gives_below(path, own)? && self.holds_tenant(node.id, own)? {
                return Ok(true);
            }
            match self.granted_at_or_below(own, path)? {
                Some(true) => return Ok(true),
                Some(false) => {}
                None => return self.search(path, node.id),
            }
        }
        let mut open = vec![(path.clone(), node.id, node.tenant.to_owned())];
        while let Some((path, id, tenant)) = open.pop() {
            let most = self.looks_left as u64 + 1;
            for row in nodes::foreign_children(access.tx(), id, &tenant, most)? {
                self.look()?;
                let path = path.child(&row.name);
                let target = Target { path: &path, node: Some(&row), tenant: &row.tenant };
                if access.peek(target, Permission::Read)?.allowed() {
                    return Ok(true);
                }
                if row.kind == NodeKind::File {
                    continue;
                }
                match self.granted_at_or_below(&row.tenant, &path)? {
                    Some(true) => return Ok(true),
                    Some(false) if !row.mixed => {}
                    Some(false) => open.push((path, row.id, row.tenant)),
                    None => return self.search(&path, row.id),
                }
            }
        }
        Ok(false)
    }

    /// Whether a granted path of `tenant` at or below `path` leads to a node of that tenant; `None` if the graph
    /// needs a search.
    fn granted_at_or_below(&mut self, tenant: &str, path: &VirtualPath) -> Result<Option<bool>, ServiceError> {
        if !self.granted.contains_key(tenant) {
            self.granted.insert(tenant.to_owned(), self.access.granted_below(tenant, &self.base));
        }
        let Some(Some(granted)) = self.granted.get(tenant) else { return Ok(None) };
        let candidates: Vec<Arc<str>> = within(granted, path).cloned().collect();
        for candidate in candidates {
            let key = (tenant.to_owned(), Arc::clone(&candidate));
            let known = match self.confirmed.get(&key) {
                Some(known) => *known,
                None => {
                    let exists = self.is_there(&candidate, tenant)?;
                    self.confirmed.insert(key, exists);
                    exists
                }
            };
            if known {
                return Ok(Some(true));
            }
        }
        Ok(Some(false))
    }

    /// Whether a node of `tenant` is at the granted path or, where that is another tenant's by now and its grants are
    /// inherited, below it.
    fn is_there(&mut self, path: &str, tenant: &str) -> Result<bool, ServiceError> {
        let Ok(path) = VirtualPath::parse(path) else { return Ok(false) };
        match nodes::find(self.access.tx(), &path)? {
            Some(node) if node.tenant == tenant => Ok(true),
            Some(node) if node.mixed => Ok(self.gives_below(&path, tenant)? && self.holds_tenant(node.id, tenant)?),
            _ => Ok(false),
        }
    }

    /// Whether what is granted at `path` or above gives READ on whatever of `tenant` lies below it.
    fn gives_below(&self, path: &VirtualPath, tenant: &str) -> Result<bool, ServiceError> {
        let target = Target { path: &path.child(NOBODY), node: None, tenant };
        Ok(self.access.peek(target, Permission::Read)?.allowed())
    }

    /// Whether a file that the caller owns lies below: the owner column, found by owner and walked up once.
    fn owns_below(&mut self, path: &VirtualPath, node: NodeId) -> Result<bool, ServiceError> {
        if self.owned.is_none() {
            self.owned = Some(self.owned_directories(path)?);
        }
        Ok(self.owned.as_ref().is_some_and(|owned| owned.contains(&node)))
    }

    fn owned_directories(&self, path: &VirtualPath) -> Result<HashSet<NodeId>, ServiceError> {
        let (access, tx) = (self.access, self.access.tx());
        let tenant = access.caller().tenant.as_str();
        let mut above = HashSet::from([ROOT_NODE]);
        let (mut reached_root, mut looked) = (false, 0);
        for subject in access.subjects().filter(|s| s.kind == USER) {
            let Some(owner) = tx.view::<Graph>().entity(subject) else { continue };
            if !access.owner_may_read(subject, owner, path) {
                continue;
            }
            let mut after = 0;
            while let Some(parent) = nodes::next_owned_parent(tx, owner, tenant, after)? {
                looked += 1;
                if looked > OWNED_DIRECTORIES_MAX {
                    return Err(indeterminate("read", path, &Why::Budget));
                }
                reached_root |= add_ancestors(tx, parent, &mut above)?;
                after = parent;
            }
        }
        if !reached_root {
            above.clear();
        }
        Ok(above)
    }

    /// Whether a node of `tenant` lies below a directory of another one; only mixed directories are entered.
    fn holds_tenant(&mut self, directory: NodeId, tenant: &str) -> Result<bool, ServiceError> {
        let tx = self.access.tx();
        if directory == ROOT_NODE && nodes::child(tx, ROOT_NODE, &format!("tenant:{tenant}"))?.is_some() {
            return Ok(true);
        }
        let mut open = vec![directory];
        while let Some(id) = open.pop() {
            for row in nodes::children_towards_tenant(tx, id, tenant)? {
                if row.tenant == tenant {
                    return Ok(true);
                }
                self.look()?;
                open.push(row.id);
            }
        }
        Ok(false)
    }

    /// Looks at everything below a directory until something may be read.
    fn search(&mut self, path: &VirtualPath, node: NodeId) -> Result<bool, ServiceError> {
        let access = self.access;
        let mut open = vec![(path.clone(), node)];
        while let Some((directory, id)) = open.pop() {
            let mut rows = Vec::new();
            let most = self.looks_left;
            nodes::children(access.tx(), id, |row| {
                rows.push(row);
                Ok(if rows.len() > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
            for row in rows {
                self.look()?;
                let path = directory.child(&row.name);
                let target = Target { path: &path, node: Some(&row), tenant: &row.tenant };
                if access.peek(target, Permission::Read)?.allowed() {
                    return Ok(true);
                }
                if row.kind == NodeKind::Directory {
                    open.push((path, row.id));
                }
            }
        }
        Ok(false)
    }

    fn look(&mut self) -> Result<(), ServiceError> {
        match self.looks_left.checked_sub(1) {
            Some(left) => self.looks_left = left,
            None => return Err(indeterminate("read", &self.base, &Why::Budget)),
        }
        Ok(())
    }
}

/// Adds a directory and those above it. Returns whether the way ends at the root, and not in a detached directory.
pub(in crate::service) fn add_ancestors(
    tx: &impl Sql,
    from: NodeId,
    above: &mut HashSet<NodeId>,
) -> Result<bool, ServiceError> {
    let (mut way, mut at) = (Vec::new(), from);
    while !above.contains(&at) {
        way.push(at);
        match nodes::parent_of(tx, at)? {
            Some(parent) if parent != 0 => at = parent,
            _ => return Ok(false),
        }
    }
    above.extend(way);
    Ok(true)
}

/// The paths of a sorted list that are `path` or lie below it, by component.
fn within<'l>(sorted: &'l [Arc<str>], path: &VirtualPath) -> impl Iterator<Item = &'l Arc<str>> {
    let base = path.as_str();
    let from = sorted.partition_point(|p| **p < *base);
    let count = sorted[from..].partition_point(|p| p.starts_with(base));
    let is_inside = move |rest: &str| rest.is_empty() || rest.starts_with('/') || base == "/";
    sorted[from..from + count].iter().filter(move |p| p.strip_prefix(base).is_some_and(is_inside))
}

impl<T: Sql> std::fmt::Debug for Reach<'_, '_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reach").field("base", &self.base).field("looks_left", &self.looks_left).finish_non_exhaustive()
    }
}
