//! What was deleted: listing it, finding it by its path, and who may bring it back.
//!
//! A node that is gone leaves its states in `versions` and itself, as it was, in the log. Invariant: nothing is told
//! of it to whoever may not bring it back.
//!
//! **Who may.** Whoever may write to the directory it lay in and owned it, or manages that directory (its owners, the
//! tenant's admin). Writing alone does not suffice: what was granted or forbidden on the node itself went with it
//! (a removal takes every tuple), so somebody from whom it was kept could bring it back and read it. Who manages the
//! directory could have given himself every right on it anyway. Grants do not come back.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::model::{Change, Delta, NodeId, NodeKind, NodeRow, ROOT_NODE, Rev, VirtualPath};
use crate::rebac::Graph;
use crate::service::access::{Access, FILE, Permission};
use crate::service::located::Located;
use crate::service::{Call, ServiceError};
use crate::store::versions::StateRow;
use crate::store::{ReadTx, Sql, changelog, nodes, versions};

/// States of nodes that are gone that one listing looks at.
const LOOKED_MAX: usize = 10_000;
/// States that are read at once.
const STEP: u64 = 500;
/// Nodes that were deleted under one path and are told apart.
const SAME_PATH_MAX: u64 = 100;

/// Something that was deleted.
#[derive(Debug, Clone)]
pub struct Deleted {
    /// Where it lay.
    pub path: VirtualPath,
    /// It, as it was.
    pub node: NodeRow,
    /// The revision that removed it.
    pub rev: Rev,
    /// When, Unix time, µs.
    pub at_us: i64,
    /// Who, as `type:id`.
    pub by: String,
}

/// A page of what was deleted.
#[derive(Debug, Clone, Default)]
pub struct DeletedPage {
    /// By path.
    pub entries: Vec<Deleted>,
    /// The path behind which the next page begins; `None` = this was the last.
    pub next: Option<String>,
}

/// What was deleted from the directory at `path` and may be brought back by the caller. Directories that had vanished
/// with their last child are walked into. On the slow lane.
pub async fn list(
    call: &Call,
    path: VirtualPath,
    after: Option<String>,
    limit: usize,
) -> Result<DeletedPage, ServiceError> {
    let asked = call.clone();
    call.read_slow(move |tx| {
        let (access, located) = (asked.access(tx)?, Located::find(tx, &path)?);
        access.require_write(&located)?;
        let Some(top) = located.node().filter(|node| node.kind == NodeKind::Directory) else {
            return Ok(DeletedPage::default());
        };
        let mut walk = Walk { tx, log: Log::default(), found: Vec::new(), looked: 0 };
        walk.directory(&path, top.id)?;
        walk.found.sort_unstable_by(|a, b| (a.path.as_str(), a.rev).cmp(&(b.path.as_str(), b.rev)));
        let manages = access.manages(located.tenant(), FILE, path.as_str())?;
        let behind = |deleted: &Deleted| after.as_deref().is_none_or(|after| place(deleted).as_str() > after);
        let shown = |deleted: &Deleted| manages || owns(&access, &deleted.node);
        let mut entries: Vec<_> = walk.found.into_iter().filter(|d| behind(d) && shown(d)).collect();
        let more = entries.len() > limit;
        entries.truncate(limit);
        let next = if more { entries.last().map(place) } else { None };
        Ok(DeletedPage { entries, next })
    })
    .await
}

/// What a cursor says; ordered as the listing is.
fn place(deleted: &Deleted) -> String {
    format!("{}\0{:020}", deleted.path, deleted.rev)
}

/// Whether the caller, or whom it inherits from, owned a node.
pub(in crate::service) fn owns<T: Sql>(access: &Access<'_, T>, node: &NodeRow) -> bool {
    let graph = access.tx().view::<Graph>();
    let Some(owner) = node.owner.and_then(|owner| graph.name(owner)) else { return false };
    access.subjects().any(|subject| subject == owner)
}

/// The rows of the log that were read, by revision.
#[derive(Default)]
pub(in crate::service) struct Log {
    rows: HashMap<Rev, Option<changelog::ChangelogRow>>,
}

impl Log {
    fn row(&mut self, tx: &impl Sql, rev: Rev) -> Result<Option<&changelog::ChangelogRow>, ServiceError> {
        match self.rows.entry(rev) {
            Entry::Occupied(known) => Ok(known.into_mut().as_ref()),
            Entry::Vacant(unknown) => {
                let row = changelog::after(tx, rev.saturating_sub(1), 1)?.pop().filter(|row| row.rev == rev);
                Ok(unknown.insert(row).as_ref())
            }
        }
    }

    /// The end of a node, if it was removed for itself and the log still has it.
    pub(in crate::service) fn end(
        &mut self,
        tx: &impl Sql,
        path: VirtualPath,
        node: NodeId,
        rev: Rev,
    ) -> Result<Option<Deleted>, ServiceError> {
        let Some(row) = self.row(tx, rev)? else { return Ok(None) };
        let ended = row.changes.iter().rev().find_map(|change| match change {
            Change::Node(Delta { before: Some(before), after: None }) if before.id == node => Some(before.clone()),
            _ => None,
        });
        let (at_us, by) = (row.at_us, row.actor.clone());
        Ok(ended.map(|node| Deleted { path, node, rev, at_us, by }))
    }

    /// A node in the state that a revision made.
    pub(in crate::service) fn made(
        &mut self,
        tx: &impl Sql,
        node: NodeId,
        rev: Rev,
    ) -> Result<Option<NodeRow>, ServiceError> {
        let Some(row) = self.row(tx, rev)? else { return Ok(None) };
        Ok(row.changes.iter().rev().find_map(|change| match change {
            Change::Node(Delta { after: Some(after), .. }) if after.id == node => Some(after.clone()),
            _ => None,
        }))
    }
}

struct Walk<'a, 'c> {
    tx: &'a ReadTx<'c>,
    log: Log,
    found: Vec<Deleted>,
    looked: usize,
}

impl Walk<'_, '_> {
    fn directory(&mut self, path: &VirtualPath, id: NodeId) -> Result<(), ServiceError> {
        let mut open = vec![(path.clone(), id)];
        while let Some((path, id)) = open.pop() {
            let mut after = String::new();
            loop {
                let states = versions::gone_in(self.tx, id, &after, STEP)?;
                self.looked += states.len();
                if self.looked > LOOKED_MAX {
                    let text =
                        format!("more than {LOOKED_MAX} deleted entries below {path}; list a directory below it");
                    return Err(ServiceError::Precondition(text));
                }
                let Some(last) = states.last().map(|state| state.name.clone()) else { break };
                for state in states {
                    let Some(rev) = state.to_rev else { continue };
                    let path = path.child(&state.name);
                    match self.log.end(self.tx, path.clone(), state.node, rev)? {
                        Some(gone) if gone.node.implicit => open.push((path, state.node)),
                        Some(gone) => self.found.push(gone),
                        // It went with a directory, or its row of the log is not kept.
                        None => {}
                    }
                }
                after = last;
            }
        }
        Ok(())
    }
}

/// What was deleted at `path`: the node `id`, or the one that went last.
pub(in crate::service) fn find(
    tx: &impl Sql,
    path: &VirtualPath,
    id: Option<NodeId>,
) -> Result<Option<Deleted>, ServiceError> {
    let mut log = Log::default();
    // Each with whether it is there: below one that is not nothing is looked up that could be remembered.
    let mut parents = vec![(ROOT_NODE, true)];
    let mut names = path.components().peekable();
    while let Some(name) = names.next() {
        let last = names.peek().is_none();
        let mut found = Vec::new();
        for (parent, there) in parents {
            let live = if there && !last { nodes::child(tx, parent, name)? } else { None };
            found.extend(live.map(|node| (node.id, None)));
            let gone = versions::gone_at(tx, parent, name, SAME_PATH_MAX)?;
            found.extend(gone.into_iter().map(|StateRow { node, to_rev, .. }| (node, to_rev)));
        }
        if last {
            // The one that went last first.
            found.sort_unstable_by_key(|(_, to_rev)| std::cmp::Reverse(*to_rev));
            for (node, to_rev) in found {
                let Some(rev) = to_rev.filter(|_| id.is_none_or(|id| id == node)) else { continue };
                if let Some(deleted) = log.end(tx, path.clone(), node, rev)? {
                    return Ok(Some(deleted));
                }
            }
            return Ok(None);
        }
        parents = found
            .into_iter()
            .map(|(node, end)| (node, end.is_none()))
            .take(usize::try_from(SAME_PATH_MAX).unwrap_or(0))
            .collect();
    }
    Ok(None)
}

/// The rule who may bring something back, in the words of a path that is not there: to others nothing is told of it.
pub(in crate::service) fn require_undelete<T: Sql>(
    access: &Access<'_, T>,
    located: &Located,
    deleted: Option<Deleted>,
) -> Result<Deleted, ServiceError> {
    access.require_create(located)?;
    let path = &located.path;
    let manages = access.manages(located.parent_target().tenant, FILE, located.parent_path.as_str())?;
    let Some(deleted) = deleted.filter(|deleted| manages || owns(access, &deleted.node)) else {
        return Err(ServiceError::NotFound(format!(
            "{path} (nothing was deleted there that can be brought back by you)"
        )));
    };
    if deleted.node.mixed && !access.is_instance_admin() {
        return Err(access.denial(Permission::Write, path, path));
    }
    if located.exact {
        return Err(ServiceError::Exists(format!(
            "Destination path already exists: {path}. Move it away, then undelete again"
        )));
    }
    located.through_directories()?;
    Ok(deleted)
}
