//! Whether rights or the tree below a path have changed since a revision: what a client that walks over pages of files
//! is told. Reads the log; decides nothing.
//!
//! Invariant: errs towards "changed". A tuple that ends by itself is no change.

use std::collections::HashMap;

use crate::model::{Change, Delta, EntityId, NodeId, NodeRow, Rev, VirtualPath};
use crate::rebac::Graph;
use crate::service::access::FILE;
use crate::store::{Sql, StoreError, changelog, nodes};

/// Operations that are looked at; more count as a change.
const OPERATIONS_MAX: u64 = 2_000;

/// Whether anything that decides who may do what at or below `top`, or what is there, was changed after `since`.
pub(in crate::service) fn changed_since(tx: &impl Sql, since: Rev, top: &VirtualPath) -> Result<bool, StoreError> {
    if since >= tx.rev() {
        return Ok(false);
    }
    let rows = changelog::after(tx, since, OPERATIONS_MAX + 1)?;
    if rows.len() as u64 > OPERATIONS_MAX {
        return Ok(true);
    }
    let mut looker = Looker { tx, top, directories: HashMap::new() };
    for change in rows.iter().flat_map(|row| &row.changes) {
        if looker.matters(change)? {
            return Ok(true);
        }
    }
    Ok(false)
}

struct Looker<'a, T: Sql> {
    tx: &'a T,
    top: &'a VirtualPath,
    directories: HashMap<NodeId, Option<VirtualPath>>,
}

impl<T: Sql> Looker<'_, T> {
    fn matters(&mut self, change: &Change) -> Result<bool, StoreError> {
        match change {
            Change::Namespace(_) => Ok(true),
            Change::Tuple(delta) => {
                Ok(delta.after.as_ref().or(delta.before.as_ref()).is_some_and(|t| self.tuple(t.object)))
            }
            // A new name says nothing yet. One that moves or goes comes with its node.
            Change::Entity(_) => Ok(false),
            Change::Node(delta) => self.node(delta),
            Change::Key(_)
            | Change::Agent(_)
            | Change::Workspace(_)
            | Change::Mount(_)
            | Change::Sandbox(_)
            | Change::Snapshot(_)
            | Change::Memory(_)
            | Change::Trajectory(_)
            | Change::TrajectoryNote(_)
            | Change::Playbook(_)
            | Change::Quota(_)
            | Change::Subscription(_)
            | Change::Approval(_) => Ok(false),
        }
    }

    /// A tuple on a file matters on the way to the path and below; one on anything else may be a membership.
    fn tuple(&self, object: EntityId) -> bool {
        let Some(name) = self.tx.view::<Graph>().name(object).filter(|name| name.kind == FILE) else { return true };
        VirtualPath::parse(name.id).is_ok_and(|path| self.is_on_the_way(&path))
    }

    fn is_on_the_way(&self, path: &VirtualPath) -> bool {
        self.top.contains(path) || path.contains(self.top)
    }

    fn node(&mut self, delta: &Delta<NodeRow>) -> Result<bool, StoreError> {
        if let (Some(before), Some(after)) = (&delta.before, &delta.after) {
            let place = |row: &NodeRow| (row.parent, row.name.clone(), row.owner, row.tenant.clone());
            if place(before) == place(after) {
                return Ok(false);
            }
        }
        for row in delta.before.iter().chain(&delta.after) {
            let parent = match self.directories.get(&row.parent) {
                Some(known) => known.clone(),
                None => {
                    let path = nodes::path_of(self.tx, row.parent)?;
                    self.directories.insert(row.parent, path.clone());
                    path
                }
            };
            // Where the directory is gone nobody knows any more where it was.
            if parent.is_none_or(|directory| self.is_on_the_way(&directory.child(&row.name))) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
