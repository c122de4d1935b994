//! The tree of files and directories.
//!
//! Owns the table `nodes`, and with it the row of `versions` that each change of a node opens and closes. Knows the
//! tree by id, by path and by directory; knows nothing of who may see it, of bodies, or of what a skill is. Every
//! change is recorded here.

use std::ops::ControlFlow;

use super::statements::statements;
pub use super::ways::{Place, chain, child, end, find, parent_of, path_of, place, root};
use super::{Row, Sql, StoreError, WriteTx, versions};
use crate::model::{Change, ContentHash, Delta, EntityId, NodeId, NodeKind, NodeRow, VirtualPath};
use crate::params;

/// The id under which detached directories lie: no node has it.
pub(super) const NOWHERE: NodeId = 0;

statements! {
    /// One by its id.
    NODE_BY_ID = "SELECT parent, name, id, tenant, type, owner, implicit, mixed, content, size, version, \
         mime, created_at_us, modified_at_us, created_by FROM nodes WHERE id = ?1";
    /// What lies in a directory, by name.
    CHILDREN = "SELECT parent, name, id, tenant, type, owner, implicit, mixed, content, size, version, \
         mime, created_at_us, modified_at_us, created_by FROM nodes WHERE parent = ?1 ORDER BY name";
    /// What lies in a directory behind a name, by name.
    CHILDREN_AFTER = "SELECT parent, name, id, tenant, type, owner, implicit, mixed, content, size, version, \
         mime, created_at_us, modified_at_us, created_by FROM nodes \
         WHERE parent = ?1 AND name > ?2 ORDER BY name LIMIT ?3";
    /// What lies in a directory and may show a tenant something: its own nodes, and directories with foreign nodes.
    CHILDREN_TOWARDS_TENANT = "SELECT parent, name, id, tenant, type, owner, implicit, mixed, content, size, \
         version, mime, created_at_us, modified_at_us, created_by FROM nodes \
         WHERE parent = ?1 AND (tenant = ?2 OR mixed = 1)";
    /// What lies in a directory and is of another tenant, or holds something that is.
    FOREIGN_CHILDREN = "SELECT parent, name, id, tenant, type, owner, implicit, mixed, content, size, version, \
         mime, created_at_us, modified_at_us, created_by FROM nodes \
         WHERE parent = ?1 AND (tenant <> ?2 OR mixed = 1) LIMIT ?3";
    /// Whether anything lies in a directory.
    ANY_CHILD = "SELECT 1 FROM nodes WHERE parent = ?1 LIMIT 1";
    /// The next directory, by id, in which an owner has a file of a tenant.
    OWNED_NEXT_PARENT = "SELECT parent FROM nodes \
         WHERE owner = ?1 AND parent > ?2 AND tenant = ?3 AND type = 0 ORDER BY parent LIMIT 1";
    /// Whether any node has an owner.
    ANY_OWNED = "SELECT 1 FROM nodes WHERE owner IS NOT NULL LIMIT 1";
    /// The files of an owner, by directory.
    OWNED_FILES = "SELECT parent, name, id, tenant, type, owner, implicit, mixed, content, size, version, \
         mime, created_at_us, modified_at_us, created_by FROM nodes WHERE owner = ?1 AND type = 0 \
         ORDER BY parent, name LIMIT ?2";
    /// A new one.
    INSERT_NODE = "INSERT INTO nodes (parent, name, id, tenant, type, owner, implicit, mixed, detached, \
         content, size, version, mime, created_at_us, modified_at_us, created_by) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    /// What it holds. No index says any of it, so that one page changes.
    UPDATE_NODE = "UPDATE nodes SET content = ?3, size = ?4, version = ?5, mime = ?6, modified_at_us = ?7, \
         created_by = ?8 WHERE parent = ?1 AND name = ?2";
    /// Whose it is, and what else listings and permissions depend on.
    UPDATE_NODE_FACTS = "UPDATE nodes SET tenant = ?3, owner = ?4, implicit = ?5, mixed = ?6 \
         WHERE parent = ?1 AND name = ?2";
    /// Another place.
    MOVE_NODE = "UPDATE nodes SET parent = ?3, name = ?4 WHERE parent = ?1 AND name = ?2";
    /// Its end.
    DELETE_NODE = "DELETE FROM nodes WHERE parent = ?1 AND name = ?2";
    /// Out of the tree, with everything below it.
    DETACH_NODE = "UPDATE nodes SET parent = 0, name = ?3, detached = 1 WHERE parent = ?1 AND name = ?2";
    /// Detached directories.
    DETACHED = "SELECT id FROM nodes WHERE parent = 0 AND detached = 1 LIMIT ?1";
    /// What lies directly in a detached directory.
    DETACHED_CHILDREN = "SELECT name, id, type, tenant, size FROM nodes WHERE parent = ?1 LIMIT ?2";
}

/// The node of this id, detached ones too.
pub fn get(tx: &impl Sql, id: NodeId) -> Result<Option<NodeRow>, StoreError> {
    tx.query_one(NODE_BY_ID, params![id], from_row)
}

/// Gives what lies in a directory to `each`, by name, until it breaks.
pub fn children(
    tx: &impl Sql,
    directory: NodeId,
    mut each: impl FnMut(NodeRow) -> Result<ControlFlow<()>, StoreError>,
) -> Result<(), StoreError> {
    tx.each(CHILDREN, params![directory], |row| each(from_row(row)?))
}

/// Up to `limit` of what lies directly in a directory behind the name `after`, by name; `""` is before all names.
pub fn children_after(tx: &impl Sql, directory: NodeId, after: &str, limit: u64) -> Result<Vec<NodeRow>, StoreError> {
    tx.query(CHILDREN_AFTER, params![directory, after, limit], from_row)
}

/// What lies directly in a directory and is of `tenant`, or is a directory with nodes of several tenants below it.
pub fn children_towards_tenant(tx: &impl Sql, directory: NodeId, tenant: &str) -> Result<Vec<NodeRow>, StoreError> {
    tx.query(CHILDREN_TOWARDS_TENANT, params![directory, tenant], from_row)
}

/// Up to `limit` of what lies directly in a directory and is not of `tenant`, or is a directory with nodes of several
/// tenants below it.
pub fn foreign_children(
    tx: &impl Sql,
    directory: NodeId,
    tenant: &str,
    limit: u64,
) -> Result<Vec<NodeRow>, StoreError> {
    tx.query(FOREIGN_CHILDREN, params![directory, tenant, limit], from_row)
}

/// Whether anything lies in a directory.
pub fn has_children(tx: &impl Sql, directory: NodeId) -> Result<bool, StoreError> {
    Ok(tx.query_one(ANY_CHILD, params![directory], |_| Ok(()))?.is_some())
}

/// Whether any node has an owner.
pub fn any_owned(tx: &impl Sql) -> Result<bool, StoreError> {
    Ok(tx.query_one(ANY_OWNED, &[], |_| Ok(()))?.is_some())
}

/// At most `limit` files of an owner, by directory; those of removed directories too, until they are freed.
pub fn owned_files(tx: &impl Sql, owner: EntityId, limit: u64) -> Result<Vec<NodeRow>, StoreError> {
    tx.query(OWNED_FILES, params![owner, limit], from_row)
}

/// The directory with the lowest id above `after` in which `owner` has a file of `tenant`: walks over all of them by
/// asking again, one index probe each.
pub fn next_owned_parent(
    tx: &impl Sql,
    owner: EntityId,
    tenant: &str,
    after: NodeId,
) -> Result<Option<NodeId>, StoreError> {
    tx.query_one(OWNED_NEXT_PARENT, params![owner, after, tenant], |row| row.id(0))
}

/// A new node; opens its first version row.
pub fn insert(tx: &mut WriteTx<'_>, row: NodeRow) -> Result<NodeRow, StoreError> {
    insert_as(tx, row, versions::ORIGINAL, None)
}

/// A node that was gone, under the id it had: its history goes on, with a free `reason`.
pub fn restore(tx: &mut WriteTx<'_>, row: NodeRow, reason: &str) -> Result<NodeRow, StoreError> {
    insert_as(tx, row, versions::RESTORE, Some(reason))
}

/// As [`insert`], with the `source` and the `reason` of its first version.
pub fn insert_as(
    tx: &mut WriteTx<'_>,
    row: NodeRow,
    source: &str,
    reason: Option<&str>,
) -> Result<NodeRow, StoreError> {
    let content = content_bytes(&row)?;
    tx.exec(
        INSERT_NODE,
        params![
            row.parent,
            &row.name,
            row.id,
            &row.tenant,
            kind_code(row.kind),
            row.owner,
            row.implicit,
            row.mixed,
            content.as_ref().map(|c| &c[..]),
            row.size,
            row.version,
            &row.mime,
            row.created_at_us,
            row.modified_at_us,
            &row.created_by,
        ],
    )?;
    versions::open(tx, &row, source, reason)?;
    tx.record(Change::Node(Delta::insert(row.clone())));
    Ok(row)
}

/// Another state of a node in its place. A new content or version opens a version row of the kind `source`
/// (`original`, `rollback`, `restore`) with a free `reason`.
pub fn update(
    tx: &mut WriteTx<'_>,
    before: &NodeRow,
    after: NodeRow,
    source: &str,
    reason: Option<&str>,
) -> Result<NodeRow, StoreError> {
    let place = (before.parent, before.name.as_str());
    if facts(before) != facts(&after) {
        let params = params![place.0, place.1, &after.tenant, after.owner, after.implicit, after.mixed];
        tx.exec(UPDATE_NODE_FACTS, params)?;
    }
    if held(before) != held(&after) {
        let content = content_bytes(&after)?;
        let content = content.as_ref().map(|c| &c[..]);
        let NodeRow { size, version, mime, modified_at_us, created_by, .. } = &after;
        let params = params![place.0, place.1, content, *size, *version, mime, *modified_at_us, created_by];
        tx.exec(UPDATE_NODE, params)?;
    }
    if before.version != after.version || before.content != after.content {
        versions::close(tx, after.id)?;
        versions::open(tx, &after, source, reason)?;
    }
    tx.record(Change::Node(Delta::update(before.clone(), after.clone())));
    Ok(after)
}

/// What [`UPDATE_NODE_FACTS`] writes.
fn facts(row: &NodeRow) -> (&str, Option<EntityId>, bool, bool) {
    (&row.tenant, row.owner, row.implicit, row.mixed)
}

/// What [`UPDATE_NODE`] writes.
fn held(row: &NodeRow) -> (Option<&str>, u64, u64, Option<&str>, i64, &str) {
    let (content, mime) = (row.content.as_deref(), row.mime.as_deref());
    (content, row.size, row.version, mime, row.modified_at_us, &row.created_by)
}

/// Moves a node with everything below it: one row, and one version row.
pub fn relocate(tx: &mut WriteTx<'_>, before: &NodeRow, parent: NodeId, name: &str) -> Result<NodeRow, StoreError> {
    let after = NodeRow { parent, name: name.to_owned(), ..before.clone() };
    tx.exec(MOVE_NODE, params![before.parent, &before.name, parent, name])?;
    versions::close(tx, after.id)?;
    versions::open(tx, &after, "move", None)?;
    tx.record(Change::Node(Delta::update(before.clone(), after.clone())));
    Ok(after)
}

/// Ends a file or an empty directory.
pub fn remove(tx: &mut WriteTx<'_>, row: &NodeRow) -> Result<(), StoreError> {
    tx.exec(DELETE_NODE, params![row.parent, &row.name])?;
    versions::end(tx, row.id)?;
    tx.record(Change::Node(Delta::delete(row.clone())));
    Ok(())
}

/// Takes a directory out of the tree with everything below it, in one row. [`free_detached`] frees the rows later.
pub fn detach(tx: &mut WriteTx<'_>, row: &NodeRow) -> Result<(), StoreError> {
    tx.exec(DETACH_NODE, params![row.parent, &row.name, &row.id.to_string()])?;
    versions::end(tx, row.id)?;
    tx.record(Change::Node(Delta::delete(row.clone())));
    Ok(())
}

/// Frees up to `limit` rows of detached directories; returns how many it met. Less than `limit` = there are none left.
///
/// The log already says that they are gone (the removal of a directory removes its subtree), so nothing is recorded;
/// a directory found in a detached one is detached itself, so that no run has to go deep.
pub fn free_detached(tx: &mut WriteTx<'_>, limit: u64) -> Result<u64, StoreError> {
    let mut met = 0;
    while met < limit {
        let directories = tx.query(DETACHED, params![limit - met], |row| row.id(0))?;
        if directories.is_empty() {
            break;
        }
        for directory in directories {
            met += free_directory(tx, directory, limit - met)?;
        }
    }
    Ok(met)
}

/// Frees one detached directory, or as much of it as `limit` allows.
fn free_directory(tx: &mut WriteTx<'_>, directory: NodeId, limit: u64) -> Result<u64, StoreError> {
    let found = tx.query(DETACHED_CHILDREN, params![directory, limit], |row| {
        Ok((row.string(0)?, row.id(1)?, row.int(2)?, row.string(3)?, row.id(4)?))
    })?;
    let mut met = 0;
    for (name, id, kind, tenant, size) in &found {
        if *kind == kind_code(NodeKind::Directory) {
            tx.exec(DETACH_NODE, params![directory, name, &id.to_string()])?;
        } else {
            tx.exec(DELETE_NODE, params![directory, name])?;
            tx.freed(tenant, *size);
        }
        versions::end(tx, *id)?;
        met += 1;
    }
    if met < limit {
        tx.exec(DELETE_NODE, params![NOWHERE, &directory.to_string()])?;
        met += 1;
    }
    Ok(met)
}

/// Makes the directory at `path` explicit, if it is an implicit one: it no longer vanishes with its last child.
/// Whoever grants something on a path calls this.
pub fn make_explicit(tx: &mut WriteTx<'_>, path: &VirtualPath) -> Result<(), StoreError> {
    let Some(before) = find(tx, path)? else { return Ok(()) };
    if before.implicit {
        let after = NodeRow { implicit: false, ..before.clone() };
        update(tx, &before, after, "original", None)?;
    }
    Ok(())
}

/// Marks those of `ancestors`, nodes of this moment, that `holds` says will hold a node of another tenant.
pub fn mark_mixed(
    tx: &mut WriteTx<'_>,
    ancestors: &[NodeRow],
    holds: impl Fn(&NodeRow) -> bool,
) -> Result<(), StoreError> {
    for before in ancestors.iter().filter(|a| !a.mixed && holds(a)) {
        let after = NodeRow { mixed: true, ..before.clone() };
        update(tx, before, after, "original", None)?;
    }
    Ok(())
}

fn kind_code(kind: NodeKind) -> i64 {
    match kind {
        NodeKind::File => 0,
        NodeKind::Directory => 1,
    }
}

pub(super) fn kind_of(code: i64) -> NodeKind {
    if code == 0 { NodeKind::File } else { NodeKind::Directory }
}

/// The 32 bytes of the content that a row names in hex.
pub(super) fn content_bytes(row: &NodeRow) -> Result<Option<[u8; 32]>, StoreError> {
    let Some(hex) = &row.content else { return Ok(None) };
    let hash = ContentHash::from_hex(hex)
        .ok_or_else(|| StoreError::Corrupt { what: format!("node {} names no content hash", row.id) })?;
    Ok(Some(*hash.as_bytes()))
}

/// The content hash in a column, in hex.
pub(super) fn content_hex(row: &Row<'_>, at: usize) -> Result<Option<String>, StoreError> {
    let Some(bytes) = row.opt_blob(at)? else { return Ok(None) };
    let bytes = <[u8; 32]>::try_from(bytes)
        .map_err(|_| StoreError::Corrupt { what: format!("a content hash has {} bytes", bytes.len()) })?;
    Ok(Some(ContentHash::from_bytes(bytes).to_hex()))
}

pub(super) fn from_row(row: &Row<'_>) -> Result<NodeRow, StoreError> {
    node_at(row, 0)
}

/// The node in the fifteen columns from `at` on, in the order of this module's statements.
pub(super) fn node_at(row: &Row<'_>, at: usize) -> Result<NodeRow, StoreError> {
    Ok(NodeRow {
        parent: row.id(at)?,
        name: row.string(at + 1)?,
        id: row.id(at + 2)?,
        tenant: row.string(at + 3)?,
        kind: kind_of(row.int(at + 4)?),
        owner: row.opt_entity(at + 5)?,
        implicit: row.bool(at + 6)?,
        mixed: row.bool(at + 7)?,
        content: content_hex(row, at + 8)?,
        size: row.id(at + 9)?,
        version: row.id(at + 10)?,
        mime: row.opt_string(at + 11)?,
        created_at_us: row.int(at + 12)?,
        modified_at_us: row.int(at + 13)?,
        created_by: row.string(at + 14)?,
    })
}
