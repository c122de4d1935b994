//! Where each node was and what it held, over revisions.
//!
//! Owns the table `versions`: intervals `[from_rev, to_rev)` of one node that neither overlap nor are empty. A file
//! gets one per version and one per move, a directory one per move. Written by `nodes` only.

use std::ops::ControlFlow;

use super::statements::statements;
use super::{Row, Sql, StoreError, WriteTx, nodes};
use crate::model::{ContentHash, NodeId, NodeRow, Rev};
use crate::params;

/// The source of a version that was written.
pub const ORIGINAL: &str = "original";
/// The source of a state that follows on its own end: the node was brought back.
pub const RESTORE: &str = "restore";
/// The source of a row that is no version: the node was moved.
const MOVED: &str = "move";

statements! {
    /// Opens an interval. Two states of one node in one revision leave the last one.
    OPEN_VERSION = "INSERT INTO versions (node, from_rev, to_rev, parent, name, version, content, size, mime, \
         created_at_us, created_by, source, reason) VALUES (?1, ?2, NULL, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
         ON CONFLICT (node, from_rev) DO UPDATE SET to_rev = NULL, parent = excluded.parent, name = excluded.name, \
         version = excluded.version, content = excluded.content, size = excluded.size, mime = excluded.mime, \
         created_at_us = excluded.created_at_us, created_by = excluded.created_by, source = excluded.source, \
         reason = excluded.reason";
    /// Ends the open interval of a node, if it began earlier. It is the last one: looking at the others would make
    /// each write of a file as expensive as the file has versions.
    CLOSE_VERSION = "UPDATE versions SET to_rev = ?2 WHERE node = ?1 AND to_rev IS NULL AND from_rev = \
         (SELECT MAX(last.from_rev) FROM versions AS last WHERE last.node = ?1 AND last.from_rev < ?2)";
    /// A state that did not outlive its own revision never was.
    DROP_VERSION = "DELETE FROM versions WHERE node = ?1 AND from_rev = ?2 AND to_rev IS NULL";
    /// The states of a node, newest first.
    VERSIONS_OF = "SELECT from_rev, to_rev, version, content, size, mime, created_at_us, created_by, source, \
         reason FROM versions WHERE node = ?1 ORDER BY from_rev DESC";
    /// The first state of one version of a file that is kept.
    VERSION_OF = "SELECT from_rev, to_rev, version, content, size, mime, created_at_us, created_by, source, \
         reason FROM versions WHERE node = ?1 AND version = ?2 ORDER BY from_rev LIMIT 1";
    /// Where a node lay at a revision, and until when.
    PLACE_AT = "SELECT parent, name, to_rev FROM versions WHERE node = ?1 AND from_rev <= ?2 \
         ORDER BY from_rev DESC LIMIT 1";
    /// The last states of nodes that are gone, which ended in a directory behind a name.
    GONE_IN = "SELECT v.node, v.from_rev, v.to_rev, v.name, v.version FROM versions AS v \
         WHERE v.parent = ?1 AND v.name > ?2 AND v.to_rev IS NOT NULL AND NOT EXISTS (SELECT 1 FROM versions AS later \
         WHERE later.node = v.node AND later.from_rev >= v.to_rev) ORDER BY v.name, v.from_rev LIMIT ?3";
    /// Those that ended in a directory under a name.
    GONE_AT = "SELECT v.node, v.from_rev, v.to_rev, v.name, v.version FROM versions AS v \
         WHERE v.parent = ?1 AND v.name = ?2 AND v.to_rev IS NOT NULL AND NOT EXISTS (SELECT 1 FROM versions AS later \
         WHERE later.node = v.node AND later.from_rev >= v.to_rev) ORDER BY v.to_rev DESC, v.node DESC LIMIT ?3";
    /// What lay in a directory behind a name at a revision.
    CHILDREN_AT = "SELECT node, from_rev, to_rev, name, version FROM versions WHERE parent = ?1 AND name > ?2 \
         AND from_rev <= ?3 AND (to_rev IS NULL OR to_rev > ?3) ORDER BY name LIMIT ?4";
    /// Files that have a body.
    FILES_WITH = "SELECT node FROM versions WHERE content = ?1 AND to_rev IS NULL ORDER BY node LIMIT ?2";
    /// Whether a state is kept.
    STATE_KEPT = "SELECT 1 FROM versions WHERE node = ?1 AND from_rev = ?2";
    /// Whether a node had a state that began after a revision.
    STATE_AFTER = "SELECT 1 FROM versions WHERE node = ?1 AND from_rev > ?2 LIMIT 1";
    /// What lay in a directory under a name at a revision.
    CHILD_AT = "SELECT node, from_rev FROM versions WHERE parent = ?1 AND name = ?2 AND from_rev <= ?3 \
         AND (to_rev IS NULL OR to_rev > ?3) LIMIT 1";
}

/// A version of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    /// The revision that made it.
    pub from_rev: Rev,
    /// The revision that ended this state; `None` = still so.
    pub to_rev: Option<Rev>,
    /// The number of the version, from 1.
    pub version: u64,
    /// BLAKE3 of the body, hex.
    pub content: Option<String>,
    /// Bytes.
    pub size: u64,
    /// MIME type, if known.
    pub mime: Option<String>,
    /// Unix time, µs.
    pub created_at_us: i64,
    /// `user:<u>` or `user:<u>,agent:<a>`.
    pub created_by: String,
    /// `original`, `rollback` or `restore`.
    pub source: String,
    /// Free text.
    pub reason: Option<String>,
}

/// A state of a node, by its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateRow {
    /// The node.
    pub node: NodeId,
    /// The revision that made the state; its row of the log has the whole node.
    pub from_rev: Rev,
    /// The revision that ended it; `None` = still so.
    pub to_rev: Option<Rev>,
    /// The name in its directory.
    pub name: String,
    /// The number of the version; 0 for a directory.
    pub version: u64,
}

impl VersionRow {
    /// A version that was written and moved in one revision has the row of the move alone.
    fn as_made(&mut self) {
        if self.source == MOVED {
            ORIGINAL.clone_into(&mut self.source);
        }
    }
}

/// Opens the interval of a node's new state, from the revision of this transaction.
pub(super) fn open(tx: &mut WriteTx<'_>, node: &NodeRow, source: &str, reason: Option<&str>) -> Result<(), StoreError> {
    let content = nodes::content_bytes(node)?;
    let (rev, now) = (tx.rev(), tx.now_us());
    tx.exec(
        OPEN_VERSION,
        params![
            node.id,
            rev,
            node.parent,
            &node.name,
            node.version,
            content.as_ref().map(|c| &c[..]),
            node.size,
            &node.mime,
            now,
            &node.created_by,
            source,
            reason,
        ],
    )
}

/// Ends the open interval of a node at the revision of this transaction; another state follows.
pub(super) fn close(tx: &mut WriteTx<'_>, node: NodeId) -> Result<(), StoreError> {
    let rev = tx.rev();
    tx.exec(CLOSE_VERSION, params![node, rev])
}

/// Ends the open interval of a node that is gone.
pub(super) fn end(tx: &mut WriteTx<'_>, node: NodeId) -> Result<(), StoreError> {
    close(tx, node)?;
    let rev = tx.rev();
    tx.exec(DROP_VERSION, params![node, rev])
}

/// The newest `limit` versions of a file, newest first, each once: as it was made. Moves are not told.
pub fn of_node(tx: &impl Sql, node: NodeId, limit: usize) -> Result<Vec<VersionRow>, StoreError> {
    let mut versions: Vec<VersionRow> = Vec::new();
    tx.each(VERSIONS_OF, params![node], |row| {
        let (row, full) = (from_row(row)?, versions.len() == limit);
        match versions.last_mut() {
            // The same version at another place, or before it was gone for a while: its beginning counts.
            Some(last) if last.version == row.version => *last = VersionRow { to_rev: last.to_rev, ..row },
            _ if full => return Ok(ControlFlow::Break(())),
            _ => versions.push(row),
        }
        Ok(ControlFlow::Continue(()))
    })?;
    versions.iter_mut().for_each(VersionRow::as_made);
    Ok(versions)
}

/// One version of a file, as it was made.
pub fn of_number(tx: &impl Sql, node: NodeId, version: u64) -> Result<Option<VersionRow>, StoreError> {
    let Ok(version) = i64::try_from(version) else { return Ok(None) };
    let mut found = tx.query_one(VERSION_OF, params![node, version], from_row)?;
    found.iter_mut().for_each(VersionRow::as_made);
    Ok(found)
}

/// Whether a node was there at `rev`.
pub fn was_there(tx: &impl Sql, node: NodeId, rev: Rev) -> Result<bool, StoreError> {
    Ok(place_at(tx, node, rev)?.is_some())
}

/// In which directory and under which name a node lay at `rev`; `None` if it was not there, or is not kept.
pub fn place_at(tx: &impl Sql, node: NodeId, rev: Rev) -> Result<Option<(NodeId, String)>, StoreError> {
    let found = tx.query_one(PLACE_AT, params![node, rev], |row| {
        let until = if row.opt_int(2)?.is_none() { None } else { Some(row.id(2)?) };
        Ok((row.id(0)?, row.string(1)?, until))
    })?;
    Ok(found.filter(|(_, _, until)| until.is_none_or(|until| until > rev)).map(|(parent, name, _)| (parent, name)))
}

/// What lay in a directory under a name at `rev`, and since when it was in that state. Looks through all versions in
/// that directory.
pub fn child_at(tx: &impl Sql, parent: NodeId, name: &str, rev: Rev) -> Result<Option<(NodeId, Rev)>, StoreError> {
    tx.query_one(CHILD_AT, params![parent, name, rev], |row| Ok((row.id(0)?, row.id(1)?)))
}

/// Up to `limit` last states of nodes that are gone and whose last place was in a directory, behind the name `after`,
/// by name. Looks through all states in that directory.
pub fn gone_in(tx: &impl Sql, parent: NodeId, after: &str, limit: u64) -> Result<Vec<StateRow>, StoreError> {
    tx.query(GONE_IN, params![parent, after, limit], state_from_row)
}

/// Up to `limit` of those that had the name `name`, the one that went last first.
pub fn gone_at(tx: &impl Sql, parent: NodeId, name: &str, limit: u64) -> Result<Vec<StateRow>, StoreError> {
    tx.query(GONE_AT, params![parent, name, limit], state_from_row)
}

/// Up to `limit` of what lay in a directory at `rev`, behind the name `after`, by name.
pub fn children_at(
    tx: &impl Sql,
    parent: NodeId,
    after: &str,
    rev: Rev,
    limit: u64,
) -> Result<Vec<StateRow>, StoreError> {
    tx.query(CHILDREN_AT, params![parent, after, rev, limit], state_from_row)
}

/// Up to `limit` nodes that have the body of this hash.
pub fn files_with(tx: &impl Sql, hash: ContentHash, limit: u64) -> Result<Vec<NodeId>, StoreError> {
    tx.query(FILES_WITH, params![&hash.as_bytes()[..], limit], |row| row.id(0))
}

/// Whether the state of a node that began with a revision is kept.
pub fn is_kept(tx: &impl Sql, node: NodeId, from_rev: Rev) -> Result<bool, StoreError> {
    Ok(tx.query_one(STATE_KEPT, params![node, from_rev], |_| Ok(()))?.is_some())
}

/// Whether a node has had a state that began after `rev`.
pub fn came_after(tx: &impl Sql, node: NodeId, rev: Rev) -> Result<bool, StoreError> {
    Ok(tx.query_one(STATE_AFTER, params![node, rev], |_| Ok(()))?.is_some())
}

/// The revision that removed a node which has come back since, the last one; `None` if it was always there, as far as
/// its history is kept.
pub fn gone_until_now(tx: &impl Sql, node: NodeId) -> Result<Option<Rev>, StoreError> {
    let (mut came, mut gone) = (None, None);
    tx.each(VERSIONS_OF, params![node], |row| {
        let row = from_row(row)?;
        // The states of what was there all the time follow each other.
        gone = row.to_rev.filter(|to| came.is_some_and(|came: Rev| *to < came));
        came = Some(row.from_rev);
        Ok(if gone.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(gone)
}

fn state_from_row(row: &Row<'_>) -> Result<StateRow, StoreError> {
    let to_rev = if row.opt_int(2)?.is_none() { None } else { Some(row.id(2)?) };
    Ok(StateRow { node: row.id(0)?, from_rev: row.id(1)?, to_rev, name: row.string(3)?, version: row.id(4)? })
}

fn from_row(row: &Row<'_>) -> Result<VersionRow, StoreError> {
    let to_rev = if row.opt_int(1)?.is_none() { None } else { Some(row.id(1)?) };
    Ok(VersionRow {
        from_rev: row.id(0)?,
        to_rev,
        version: row.id(2)?,
        content: nodes::content_hex(row, 3)?,
        size: row.id(4)?,
        mime: row.opt_string(5)?,
        created_at_us: row.int(6)?,
        created_by: row.string(7)?,
        source: row.string(8)?,
        reason: row.opt_string(9)?,
    })
}
