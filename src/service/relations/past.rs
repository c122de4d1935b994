//! The permissions of an earlier revision: the graph as it was, whose each file was, and what time it was.
//!
//! Starts from the nearest published state and undoes the changes of the log since, newest first, on a clone; nothing
//! is looked up by guess, and a way that is too long or no longer kept is a typed refusal. Decides no rights; who may
//! ask about the past is in [`questions`](super::questions).
//!
//! The time of a decision about revision R is that of its row, so what had expired by then had expired, and what has
//! expired since had not. A question about a *time* is about the last revision up to it, decided at that very time.

use std::collections::{HashMap, HashSet};

use crate::model::time::iso_utc;
use crate::model::{Change, Delta, NodeId, NodeRow, ROOT_NODE, Rev, VirtualPath};
use crate::rebac::Graph;
use crate::service::ServiceError;
use crate::service::located::Located;
use crate::store::{Projection, ReadTx, Sql, StoreError, changelog, meta, nodes, versions};

/// Most revisions that are undone for one question.
pub const UNDO_MAX: u64 = 200_000;

/// Which moment is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// A revision.
    Rev(Rev),
    /// A time, µs since the Unix epoch.
    Time(i64),
}

/// What decided permissions at an earlier revision.
pub struct PastView {
    rev: Rev,
    at_us: i64,
    graph: Graph,
    changed: ChangedNodes,
}

/// The nodes that were created, moved, given away or removed since.
#[derive(Default)]
struct ChangedNodes {
    /// As they were; what is not about place, tenant and owner may be of a later time.
    before: HashMap<NodeId, NodeRow>,
    /// The same, by directory and name.
    places: HashMap<NodeId, HashMap<String, Vec<NodeId>>>,
    /// Those that are gone.
    removed: HashSet<NodeId>,
}

impl PastView {
    /// Builds the view; for the slow lane, since it may take seconds.
    pub fn open(tx: &ReadTx<'_>, at: At) -> Result<Self, ServiceError> {
        Self::open_within(tx, at, UNDO_MAX)
    }

    /// [`open`](Self::open), undoing at most `undo_max` revisions.
    pub fn open_within(tx: &ReadTx<'_>, at: At, undo_max: u64) -> Result<Self, ServiceError> {
        let (rev, at_us) = moment(tx, at)?;
        if changelog::count_permissions_after(tx, rev, undo_max + 1)? > undo_max {
            return Err(ServiceError::RevisionTooFar { asked: rev, limit: undo_max });
        }
        let nearest = tx.nearest(rev);
        let mut view = Self { rev, at_us, graph: nearest.view::<Graph>().clone(), changed: ChangedNodes::default() };
        changelog::back_to(tx, rev, |of, changes| {
            for change in changes.into_iter().rev().map(Change::inverse) {
                if of <= nearest.rev {
                    view.graph.apply(&change, of);
                }
                if let Change::Node(delta) = change {
                    view.changed.undone(delta);
                }
            }
            Ok(())
        })?;
        view.changed.index();
        Ok(view)
    }

    /// The revision.
    #[must_use]
    pub fn rev(&self) -> Rev {
        self.rev
    }

    /// The time at which expiry and conditions are decided, µs.
    #[must_use]
    pub fn at_us(&self) -> i64 {
        self.at_us
    }

    /// The graph. No caches go with it: its stamps are of no revision.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Where a path led. The nodes found have the place, kind, tenant and owner they had; the rest of their rows may
    /// be of a later time.
    pub fn locate(&self, tx: &impl Sql, path: &VirtualPath) -> Result<Located, ServiceError> {
        let mut chain = vec![self.node(tx, ROOT_NODE, 0)?];
        // The removal of a directory is one change: what lay below it has none, and is in no table but `versions`.
        let (mut parent, mut removed) = (ROOT_NODE, false);
        for name in path.components() {
            let Some(row) = self.child(tx, parent, name, removed)? else { break };
            parent = row.id;
            removed |= self.changed.removed.contains(&parent);
            chain.push(row);
        }
        let exact = chain.len() > path.components().count();
        let parent_path = path.parent().unwrap_or_else(VirtualPath::root);
        Ok(Located { path: path.clone(), parent_path, chain, exact })
    }

    /// What lay in a directory under a name.
    fn child(&self, tx: &impl Sql, parent: NodeId, name: &str, removed: bool) -> Result<Option<NodeRow>, ServiceError> {
        for row in self.changed.at(parent, name) {
            // That a node came is no change of permissions: of one that came later only the end was undone.
            if versions::was_there(tx, row.id, self.rev)? {
                return Ok(Some(row.clone()));
            }
        }
        if removed {
            let found = versions::child_at(tx, parent, name, self.rev)?;
            return found.map(|(id, since)| self.node(tx, id, since)).transpose();
        }
        let Some(row) = nodes::child(tx, parent, name)? else { return Ok(None) };
        let came_later = self.changed.before.contains_key(&row.id) || !versions::was_there(tx, row.id, self.rev)?;
        Ok((!came_later).then_some(row))
    }

    /// A node that is known to have been there, in a state that began with revision `since`.
    fn node(&self, tx: &impl Sql, id: NodeId, since: Rev) -> Result<NodeRow, ServiceError> {
        if let Some(row) = self.changed.before.get(&id) {
            return Ok(row.clone());
        }
        match nodes::get(tx, id)? {
            Some(row) => Ok(row),
            None => self.freed(tx, id, since),
        }
    }

    /// A node that went with its directory and of which no row is left: as the log has it, from the beginning of its
    /// state on.
    fn freed(&self, tx: &impl Sql, id: NodeId, since: Rev) -> Result<NodeRow, ServiceError> {
        if changelog::count_permissions_after(tx, since, UNDO_MAX + 1)? > UNDO_MAX {
            return Err(ServiceError::RevisionTooFar { asked: self.rev, limit: UNDO_MAX });
        }
        let Some(opened) = changelog::changes_of(tx, since)? else {
            return Err(too_old(tx, format!("what was removed after revision {}", self.rev))?);
        };
        let mut row = None;
        let mut follow = |change| match change {
            Change::Node(Delta { after: Some(after), .. }) if after.id == id => row = Some(after),
            _ => {}
        };
        opened.into_iter().for_each(&mut follow);
        changelog::permissions_between(tx, since, self.rev, follow)?;
        let corrupt = || StoreError::Corrupt { what: format!("changelog row {since} does not have node {id}") };
        Ok(row.ok_or_else(corrupt)?)
    }
}

impl ChangedNodes {
    /// Takes a change in, the other way round: what was before comes after.
    fn undone(&mut self, delta: Delta<NodeRow>) {
        if let (None, Some(back)) = (&delta.before, &delta.after) {
            self.removed.insert(back.id);
        }
        match (delta.before, delta.after) {
            (_, Some(was)) => {
                self.before.insert(was.id, was);
            }
            (Some(new), None) => {
                self.before.remove(&new.id);
            }
            (None, None) => {}
        }
    }

    fn index(&mut self) {
        for row in self.before.values() {
            let names = self.places.entry(row.parent).or_default();
            names.entry(row.name.clone()).or_default().push(row.id);
        }
    }

    /// What was there, and perhaps what came there later and is gone, too.
    fn at(&self, parent: NodeId, name: &str) -> impl Iterator<Item = &NodeRow> {
        let ids = self.places.get(&parent).and_then(|names| names.get(name));
        ids.into_iter().flatten().filter_map(|id| self.before.get(id))
    }
}

/// The revision and the time that are meant.
fn moment(tx: &ReadTx<'_>, at: At) -> Result<(Rev, i64), ServiceError> {
    let (head, floor) = (tx.rev(), meta::floor_rev(tx)?);
    let (rev, at_us) = logged_moment(tx, at, head, floor)?;
    // Where a path led then may not be known any more.
    let first = meta::history_floor(tx)?;
    if rev < first {
        return Err(ServiceError::RevisionTooOld { asked: format!("revision {rev}"), first });
    }
    Ok((rev, at_us))
}

fn logged_moment(tx: &ReadTx<'_>, at: At, head: Rev, floor: Rev) -> Result<(Rev, i64), ServiceError> {
    match at {
        At::Rev(rev) if rev > head => Err(ServiceError::RevisionInFuture { asked: format!("revision {rev}"), head }),
        // Before the first change, at no time in particular: there is nothing that could expire.
        At::Rev(0) if floor == 0 => Ok((0, 0)),
        At::Rev(rev) => match changelog::time_of(tx, rev)? {
            Some(at_us) => Ok((rev, at_us)),
            None => Err(too_old(tx, format!("revision {rev}"))?),
        },
        At::Time(at_us) if at_us > tx.now_us() => {
            Err(ServiceError::RevisionInFuture { asked: format!("the time {}", iso_utc(at_us)), head })
        }
        At::Time(at_us) => match changelog::rev_at(tx, at_us)? {
            rev if rev == floor && floor > 0 => Err(too_old(tx, format!("the time {}", iso_utc(at_us)))?),
            rev => Ok((rev, at_us)),
        },
    }
}

fn too_old(tx: &impl Sql, asked: String) -> Result<ServiceError, StoreError> {
    Ok(ServiceError::RevisionTooOld { asked, first: (meta::floor_rev(tx)? + 1).max(meta::history_floor(tx)?) })
}

impl std::fmt::Debug for PastView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PastView").field("rev", &self.rev).field("at_us", &self.at_us).finish_non_exhaustive()
    }
}
