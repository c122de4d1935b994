//! What was deleted: listing it, finding it by its path, and who may bring it back.
//!
//! A node that is gone leaves its states in `versions` and itself, as it was, in the log. Invariant: nothing is told
//! of it to whoever may not bring it back.
//!
//! **Who may.** Whoever may write to the directory it lay in and owned it, or manages that directory (its owners, the
//! tenant's admin). Writing alone does not suffice: what was granted or forbidden on the node itself went with it
//! (a removal takes every tuple), so somebody from whom it was kept could bring it back and read it. Who manages the
//! directory could have given himself every right on it anyway. Grants do not come back.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;

use crate::model::{Change, Delta, NodeId, NodeKind, NodeRow, ROOT_NODE, Rev, VirtualPath};
use crate::rebac::Graph;
use crate::service::access::{Access, FILE, Permission};
use crate::service::located::Located;
use crate::service::{Call, ServiceError};
use crate::store::versions::StateRow;
use crate::store::{ReadTx, Sql, changelog, nodes, versions};

/// States of nodes that are gone that one page looks at, about; a page of a directory with more is short.
const LOOKED_MAX: usize = 2_000;
/// States that are read at once.
const STEP: u64 = 500;
/// Nodes that are gone under one name of one directory, which a listing tells.
const SAME_NAME_MAX: u64 = 10_000;
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
    /// By path, name for name; of one path the older first.
    pub entries: Vec<Deleted>,
    /// The place behind which the next page begins; `None` = this was the last.
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
    let after = after.map(|text| place_in(&path, &text)).transpose()?;
    let asked = call.clone();
    call.read_slow(move |tx| {
        let (access, located) = (asked.access(tx)?, Located::find(tx, &path)?);
        access.require_write(&located)?;
        let Some(top) = located.node().filter(|node| node.kind == NodeKind::Directory) else {
            return Ok(DeletedPage::default());
        };
        let manages = access.manages(located.tenant(), FILE, path.as_str())?;
        let shown = |deleted: &Deleted| manages || owns(&access, &deleted.node);
        let mut walk = Walk { tx, log: Log::default(), shown, found: Vec::new(), limit, looked: 0, last: None };
        let after = after.as_ref().map(|(names, rev)| (names.as_slice(), *rev));
        let ended = walk.run(Level::new(path.clone(), vec![top.id]), after)?;
        let Walk { mut found, last, .. } = walk;
        let next = match ended {
            ControlFlow::Continue(()) => None,
            ControlFlow::Break(()) if found.len() > limit => {
                found.truncate(limit);
                found.last().map(|deleted| place(&deleted.path, deleted.rev))
            }
            ControlFlow::Break(()) => last.map(|(path, rev)| place(&path, rev)),
        };
        Ok(DeletedPage { entries: found, next })
    })
    .await
}

/// What a cursor says.
fn place(path: &VirtualPath, rev: Rev) -> String {
    format!("{rev}{path}")
}

/// The names below `top` and the revision that a cursor says.
fn place_in(top: &VirtualPath, cursor: &str) -> Result<(Vec<String>, Rev), ServiceError> {
    let read = || {
        let (rev, path) = cursor.split_at(cursor.find('/')?);
        let path = VirtualPath::parse(path).ok().filter(|path| top.contains(path) && path != top)?;
        let names = path.components().skip(top.components().count()).map(str::to_owned).collect();
        Some((names, rev.parse().ok()?))
    };
    read().ok_or_else(|| ServiceError::InvalidParams("cursor is none that list_deleted gave for this path".into()))
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

/// A walk over what is gone, name for name, which begins behind any place and ends where a page is full.
struct Walk<'a, 'c, F> {
    tx: &'a ReadTx<'c>,
    log: Log,
    shown: F,
    found: Vec<Deleted>,
    limit: usize,
    looked: usize,
    /// The place up to which everything was looked at, but for what lay below it.
    last: Option<(VirtualPath, Rev)>,
}

/// A path at which directories lay, one after the other, and how far it was walked.
struct Level {
    path: VirtualPath,
    ids: Vec<NodeId>,
    /// The name that was looked at last.
    behind: String,
    /// What comes next, by name.
    states: VecDeque<StateRow>,
}

impl Level {
    fn new(path: VirtualPath, ids: Vec<NodeId>) -> Self {
        Self { path, ids, behind: String::new(), states: VecDeque::new() }
    }
}

impl<F: Fn(&Deleted) -> bool> Walk<'_, '_, F> {
    /// What is gone from a directory, behind a place: names that lead there, and a revision. Breaks where the page ends.
    fn run(&mut self, top: Level, after: Option<(&[String], Rev)>) -> Result<ControlFlow<()>, ServiceError> {
        let mut open = vec![top];
        let (names, rev) = after.unwrap_or_default();
        for (at, name) in names.iter().enumerate() {
            let Some(level) = open.last_mut() else { break };
            level.behind.clone_from(name);
            let (path, states) = (level.path.child(name), self.named(&level.ids, name)?);
            // What lay on the way was told before; at the place itself, as far as it went until then.
            let seen = if at + 1 == names.len() { rev } else { Rev::MAX };
            let Some(vanished) = self.name(&path, states, seen)? else { return Ok(ControlFlow::Break(())) };
            if vanished.is_empty() {
                break;
            }
            open.push(Level::new(path, vanished));
        }
        while let Some(level) = open.last_mut() {
            if level.states.is_empty() {
                level.states = self.behind(&level.ids, &level.behind)?.into();
            }
            let Some(first) = level.states.pop_front() else {
                open.pop();
                continue;
            };
            if self.looked > LOOKED_MAX && self.last.is_some() {
                return Ok(ControlFlow::Break(()));
            }
            level.behind.clone_from(&first.name);
            let mut same = vec![first];
            while let Some(next) = level.states.pop_front_if(|state| state.name == level.behind) {
                same.push(next);
            }
            let path = level.path.child(&level.behind);
            let Some(vanished) = self.name(&path, same, 0)? else { return Ok(ControlFlow::Break(())) };
            self.last = Some((path.clone(), Rev::MAX));
            if !vanished.is_empty() {
                open.push(Level::new(path, vanished));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// What is gone under one name and went after `seen`, by revision. The directories of this name that vanished, or
    /// `None` where the page is full.
    fn name(
        &mut self,
        path: &VirtualPath,
        mut states: Vec<StateRow>,
        seen: Rev,
    ) -> Result<Option<Vec<NodeId>>, ServiceError> {
        states.sort_unstable_by_key(|state| (state.to_rev, state.node));
        let mut vanished = Vec::new();
        for state in states {
            let Some(rev) = state.to_rev else { continue };
            match self.log.end(self.tx, path.clone(), state.node, rev)? {
                Some(gone) if gone.node.implicit => vanished.push(state.node),
                Some(gone) if rev > seen && (self.shown)(&gone) => self.found.push(gone),
                // It went with a directory, or its row of the log is not kept.
                Some(_) | None => {}
            }
            if self.found.len() > self.limit {
                return Ok(None);
            }
        }
        Ok(Some(vanished))
    }

    /// The next states behind a name, by name, all of each name.
    fn behind(&mut self, ids: &[NodeId], name: &str) -> Result<Vec<StateRow>, ServiceError> {
        let (mut states, mut cut) = (Vec::new(), None::<String>);
        for id in ids {
            let found = versions::gone_in(self.tx, *id, name, STEP)?;
            if found.len() as u64 == STEP {
                let last = found.last().map(|state| state.name.clone());
                cut = [cut, last].into_iter().flatten().min();
            }
            states.extend(found);
        }
        if let Some(cut) = cut {
            // Of the last name there may be more.
            states.retain(|state| state.name < cut);
            if states.is_empty() {
                return self.named(ids, &cut);
            }
        }
        self.looked += states.len();
        states.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(states)
    }

    /// The states of one name.
    fn named(&mut self, ids: &[NodeId], name: &str) -> Result<Vec<StateRow>, ServiceError> {
        let mut states = Vec::new();
        for id in ids {
            states.extend(versions::gone_at(self.tx, *id, name, SAME_NAME_MAX)?);
        }
        self.looked += states.len();
        Ok(states)
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
