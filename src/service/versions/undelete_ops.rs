//! Bringing back what was deleted: a file in one message, a directory and what lay below it in messages of a few
//! hundred rows.
//!
//! Nodes come back under the ids they had, so that their history goes on, and belong to whom they belonged; of their
//! grants none comes back. Rights are in [`deleted`]. What a message brings back is checked in its own
//! transaction: history may have been thrown away, and the name taken, since it was read.
//!
//! A directory whose way back was cut short (the server was killed, the client left, a quota was reached) is there with a
//! part of what lay in it. The same request goes on with it: the history says when the directory was gone, and what has
//! had no state since then has not come back yet. So nothing that was deleted afterwards comes back by it.

use crate::auth::Caller;
use crate::model::{ContentHash, NodeId, NodeKind, NodeRow, Rev, VirtualPath};
use crate::rebac::Graph;
use crate::service::access::{Access, FILE, Permission};
use crate::service::files::ops::{MESSAGE_BYTES, free_detached};
use crate::service::files::tree::directories_above;
use crate::service::located::Located;
use crate::service::skills::front_matter;
use crate::service::versions::deleted::{self, Log, require_undelete};
use crate::service::{Call, ServiceError};
use crate::store::quotas::Growth;
use crate::store::{ReadTx, Sql, StoreError, WriteOp, WriteTx, contents, entities, nodes, skills, versions};

/// Nodes that one message brings back.
const ROWS_MAX: u64 = 250;
/// Names that were taken which an answer tells.
const TOLD_MAX: usize = 100;

/// What was brought back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// Files and directories.
    pub nodes: u64,
    /// Paths that were not brought back: the name was taken, or the history thrown away. At most 100 are told.
    pub skipped: Vec<String>,
    /// The version of a file; 0 of a directory.
    pub version: u64,
}

/// Brings back what lay at `path`: the node `id`, or the one that was deleted last.
pub async fn undelete(call: &Call, path: VirtualPath, id: Option<NodeId>) -> Result<Restored, ServiceError> {
    if let Some(restored) = go_on(call, &path, id).await? {
        return Ok(restored);
    }
    let (asked, op) = (call.clone(), Undelete { caller: call.caller.clone(), path, id });
    let (op, directory) = call
        .read_slow(move |tx| {
            let located = Located::find(tx, &op.path)?;
            let deleted = require_undelete(&asked.access(tx)?, &located, deleted::find(tx, &op.path, op.id)?)?;
            Ok::<_, ServiceError>((op, deleted.node.kind == NodeKind::Directory))
        })
        .await?;
    if directory {
        // Its rows must be history before they become nodes again.
        free_detached(call.store.clone()).await;
    }
    let path = op.path.clone();
    let (node, rev) = call.submit(op).await?;
    let mut restored = Restored { nodes: 1, skipped: Vec::new(), version: node.version };
    if node.kind == NodeKind::Directory {
        fill(call, &path, &node, rev, &mut restored).await?;
    }
    Ok(restored)
}

/// Goes on with a directory at `path` that came back in part; `None` if there is none, or nothing is missing of it.
async fn go_on(call: &Call, path: &VirtualPath, id: Option<NodeId>) -> Result<Option<Restored>, ServiceError> {
    let (asked, of) = (call.clone(), path.clone());
    let found = call.read_slow(move |tx| {
        let located = Located::find(tx, &of)?;
        let directory = located.node().filter(|node| node.kind == NodeKind::Directory);
        let Some(node) = directory.filter(|node| id.is_none_or(|id| id == node.id)) else { return Ok(None) };
        let access = asked.access(tx)?;
        access.require_create(&located)?;
        let manages = access.manages(located.parent_target().tenant, FILE, located.parent_path.as_str())?;
        if !(manages || deleted::owns(&access, node)) || (node.mixed && !access.is_instance_admin()) {
            return Ok(None);
        }
        Ok::<_, ServiceError>(versions::gone_until_now(tx, node.id)?.map(|rev| (node.clone(), rev)))
    });
    let Some((node, rev)) = found.await? else { return Ok(None) };
    let mut restored = Restored::default();
    fill(call, path, &node, rev, &mut restored).await?;
    Ok((restored.nodes > 0).then_some(restored))
}

/// A child of a directory as it was when that was removed.
enum Child {
    /// It has not come back yet; since when it was in its last state, and it.
    Gone(Rev, NodeRow),
    /// It is a directory that has come back and lies where it lay.
    Back(NodeId),
    /// It came back, whatever became of it since.
    Past,
    /// The log has nothing of it any more.
    Lost,
}

fn child(
    tx: &ReadTx<'_>,
    log: &mut Log,
    directory: NodeId,
    state: &versions::StateRow,
    removed: Rev,
) -> Result<Child, ServiceError> {
    if versions::came_after(tx, state.node, removed)? {
        let there = nodes::child(tx, directory, &state.name)?.filter(|node| node.id == state.node);
        let directory = there.filter(|node| node.kind == NodeKind::Directory);
        return Ok(directory.map_or(Child::Past, |node| Child::Back(node.id)));
    }
    Ok(match log.made(tx, state.node, state.from_rev)? {
        Some(row) => Child::Gone(state.from_rev, row),
        None => Child::Lost,
    })
}

/// Brings back what lay below a directory before the revision `rev` removed it, from the top down.
async fn fill(
    call: &Call,
    path: &VirtualPath,
    top: &NodeRow,
    rev: Rev,
    restored: &mut Restored,
) -> Result<(), ServiceError> {
    let mut open = vec![(path.clone(), top.id)];
    while let Some((directory, id)) = open.pop() {
        let mut after = String::new();
        loop {
            let behind = after.clone();
            let found = call.read_slow(move |tx| {
                let mut log = Log::default();
                let states = versions::children_at(tx, id, &behind, rev.saturating_sub(1), ROWS_MAX)?;
                let row = |state: &versions::StateRow| Ok((state.name.clone(), child(tx, &mut log, id, state, rev)?));
                states.iter().map(row).collect::<Result<Vec<_>, ServiceError>>()
            });
            let found = found.await?;
            let Some((last, _)) = found.last() else { break };
            after.clone_from(last);
            let (mut rows, mut skipped) = (Vec::new(), Vec::new());
            for (name, child) in found {
                match child {
                    Child::Gone(from, row) => rows.push((from, NodeRow { parent: id, name, mixed: top.mixed, ..row })),
                    Child::Back(directory_id) => open.push((directory.child(&name), directory_id)),
                    Child::Past => {}
                    Child::Lost => skipped.push(directory.child(&name).to_string()),
                }
            }
            let (caller, top_path) = (call.caller.clone(), path.clone());
            let op = RestoreNodes { caller, top: top.id, top_path, directory: directory.clone(), rev, rows };
            let done = if op.rows.is_empty() { Vec::new() } else { call.submit_further(op).await? };
            restored.nodes += done.len() as u64;
            for (name, row) in done {
                match row {
                    Some(directory_id) if directory_id != 0 => open.push((directory.child(&name), directory_id)),
                    Some(_) => {}
                    None => {
                        restored.nodes -= 1;
                        skipped.push(directory.child(&name).to_string());
                    }
                }
            }
            let room = TOLD_MAX.saturating_sub(restored.skipped.len());
            restored.skipped.extend(skipped.into_iter().take(room));
        }
    }
    Ok(())
}

/// Brings back a file, or a directory without what lay below it.
#[derive(Debug)]
pub struct Undelete {
    caller: Caller,
    path: VirtualPath,
    id: Option<NodeId>,
}

impl WriteOp for Undelete {
    const NAME: &'static str = "node_undelete";
    /// The node, and the revision that had removed it.
    type Output = (NodeRow, Rev);
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(NodeRow, Rev), ServiceError> {
        let located = Located::find(tx, &self.path)?;
        let access = Access::in_writer(&*tx, &self.caller)?;
        let gone = require_undelete(&access, &located, deleted::find(tx, &self.path, self.id)?)?;
        let caller = access.caller().clone();
        if nodes::get(tx, gone.node.id)?.is_some() {
            return Err(StoreError::Busy { queue: "freeing the directory that was removed" }.into());
        }
        if gone.node.kind == NodeKind::File {
            Growth::of_file(&gone.node.tenant, None, gone.node.size).require(tx)?;
        }
        let parent = directories_above(tx, &caller, &located, &gone.node.tenant, true, Some(&gone.node))?;
        let row = NodeRow { parent, name: self.path.name().to_owned(), ..gone.node };
        let row = bring_back(tx, row, &self.path, gone.rev)?;
        Ok((row, gone.rev))
    }

    fn bytes(&self) -> usize {
        self.path.as_str().len() + MESSAGE_BYTES
    }
}

/// Brings back nodes of one directory, which is back already.
#[derive(Debug)]
pub struct RestoreNodes {
    caller: Caller,
    /// The directory that is brought back as a whole.
    top: NodeId,
    top_path: VirtualPath,
    /// The directory of the nodes.
    directory: VirtualPath,
    /// The revision that had removed them.
    rev: Rev,
    /// Since when each was in its last state, and it.
    rows: Vec<(Rev, NodeRow)>,
}

impl WriteOp for RestoreNodes {
    const NAME: &'static str = "nodes_restore";
    /// Of each name: `None` = not brought back; else the id of a directory, 0 for a file.
    type Output = Vec<(String, Option<NodeId>)>;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Self::Output, ServiceError> {
        let located = Located::find(tx, &self.top_path)?;
        let access = Access::in_writer(&*tx, &self.caller)?;
        access.require_for(located.creation_target(), Permission::Write, &self.top_path, &self.top_path)?;
        let directory = nodes::find(tx, &self.directory)?;
        let whole = located.node().is_some_and(|node| node.id == self.top);
        let there = directory.filter(|node| whole && node.kind == NodeKind::Directory).map(|node| node.id);
        let free = |(from_rev, row): &(Rev, NodeRow)| {
            Ok::<_, StoreError>(
                there == Some(row.parent)
                    && versions::is_kept(tx, row.id, *from_rev)?
                    && nodes::get(tx, row.id)?.is_none()
                    && nodes::child(tx, row.parent, &row.name)?.is_none(),
            )
        };
        let free = self.rows.iter().map(free).collect::<Result<Vec<_>, _>>()?;
        let mut growth = Growth::default();
        let files = self.rows.iter().zip(&free).filter(|((_, row), free)| **free && row.kind == NodeKind::File);
        files.for_each(|((_, row), _)| growth.file(&row.tenant, None, row.size));
        growth.require(tx)?;
        let mut done = Vec::with_capacity(self.rows.len());
        for ((_, row), free) in self.rows.iter().zip(free) {
            let back = if free {
                let row = bring_back(tx, row.clone(), &self.directory.child(&row.name), self.rev)?;
                Some(if row.kind == NodeKind::Directory { row.id } else { 0 })
            } else {
                None
            };
            done.push((row.name.clone(), back));
        }
        Ok(done)
    }

    fn bytes(&self) -> usize {
        self.rows.len() * MESSAGE_BYTES
    }
}

/// A node is there again, with its skill if it is one. A directory stays when it is empty: it is one that was wanted.
fn bring_back(tx: &mut WriteTx<'_>, row: NodeRow, path: &VirtualPath, rev: Rev) -> Result<NodeRow, ServiceError> {
    let owner = row.owner.and_then(|owner| tx.view::<Graph>().name(owner));
    // The name may have got another id since.
    let owner = owner.map(|name| (name.tenant.to_owned(), name.kind.to_owned(), name.id.to_owned()));
    let owner = owner.map(|(tenant, kind, id)| entities::intern(tx, &tenant, &kind, &id)).transpose()?;
    let row = NodeRow { owner, implicit: false, ..row };
    let row = nodes::restore(tx, row, &format!("Undeleted: was removed at revision {rev}"))?;
    if row.kind == NodeKind::File && front_matter::is_skill_file(path) {
        let hash = row.content.as_deref().and_then(ContentHash::from_hex);
        let content = match hash.map(|hash| contents::get(tx, hash)).transpose() {
            // A body that cannot be read has no row, as one that cannot be parsed.
            Err(StoreError::Corrupt { .. }) => None,
            content => content?.flatten(),
        };
        if let Some(skill) = content.and_then(|c| c.body).and_then(|body| front_matter::parse(&body).ok()) {
            skills::put(tx, row.id, path, &skill)?;
        }
    }
    Ok(row)
}
