//! Snapshots of registered directories: a directory and a revision each.
//!
//! Owns the table `snapshots`. Knows nothing of what the directory held (that is `past`) nor of rights. Every change is
//! recorded here. Invariants: a number is given once per path; what a live row names is protected from collection by
//! [`kept`].

use super::statements::statements;
use super::{Row, Sql, StoreError, WriteTx, digest};
use crate::model::{Change, Delta, NodeId, Rev, SnapshotRow};
use crate::params;

statements! {
    /// Live ones of a path or a directory below a number, newest first.
    SNAPSHOTS_OF = "SELECT number, snapshot_id, path, tenant, node, rev, description, tags, created_by, \
         created_at_us, file_count, total_size, manifest_hash FROM snapshots \
         WHERE (key = ?1 OR node = ?2) AND number < ?3 AND rev IS NOT NULL \
         ORDER BY number DESC, created_at_us DESC, snapshot_id LIMIT ?4";
    /// Live ones of a path or a directory with a number.
    SNAPSHOTS_NUMBERED = "SELECT number, snapshot_id, path, tenant, node, rev, description, tags, created_by, \
         created_at_us, file_count, total_size, manifest_hash FROM snapshots \
         WHERE (key = ?1 OR node = ?2) AND number = ?3 AND rev IS NOT NULL";
    /// One.
    SNAPSHOT_BY_ID = "SELECT number, snapshot_id, path, tenant, node, rev, description, tags, created_by, \
         created_at_us, file_count, total_size, manifest_hash FROM snapshots WHERE snapshot_id = ?1";
    /// The highest number of a path or a directory, deleted ones too.
    SNAPSHOT_LAST_NUMBER = "SELECT COALESCE(MAX(number), 0) FROM snapshots WHERE key = ?1 OR node = ?2";
    /// A new one.
    INSERT_SNAPSHOT = "INSERT INTO snapshots (key, number, snapshot_id, path, tenant, node, rev, description, \
         tags, created_by, created_at_us, file_count, total_size, manifest_hash) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    /// Its end: only the number is kept.
    FORGET_SNAPSHOT = "UPDATE snapshots SET rev = NULL, description = NULL, tags = '[]', file_count = NULL, \
         total_size = NULL, manifest_hash = NULL WHERE snapshot_id = ?1";
    /// A number that need not be kept any more.
    DELETE_SNAPSHOT = "DELETE FROM snapshots WHERE snapshot_id = ?1";
    /// The oldest revision that a snapshot needs, from a revision on.
    SNAPSHOT_KEPT_FROM = "SELECT MIN(rev) FROM snapshots WHERE rev >= ?1";
}

fn from_row(row: &Row<'_>) -> Result<SnapshotRow, StoreError> {
    let opt_id = |at: usize| Ok::<_, StoreError>(if row.opt_int(at)?.is_none() { None } else { Some(row.id(at)?) });
    Ok(SnapshotRow {
        number: row.id(0)?,
        snapshot_id: row.string(1)?,
        path: row.string(2)?,
        tenant: row.string(3)?,
        node: row.id(4)?,
        rev: opt_id(5)?,
        description: row.opt_string(6)?,
        tags: row.string(7)?,
        created_by: row.string(8)?,
        created_at_us: row.int(9)?,
        file_count: opt_id(10)?,
        total_size: opt_id(11)?,
        manifest_hash: row.opt_string(12)?,
    })
}

/// The state that a directory had at a revision, as which snapshots are found: by its path of then, or by itself.
#[derive(Debug, Clone, Copy)]
pub struct Of<'a> {
    /// Where the directory lay.
    pub path: &'a str,
    /// The directory that lies there now; 0 = none.
    pub node: NodeId,
}

/// Up to `limit` live snapshots below the number `before`, newest first.
pub fn list(tx: &impl Sql, of: Of<'_>, before: u64, limit: u64) -> Result<Vec<SnapshotRow>, StoreError> {
    let before = i64::try_from(before).unwrap_or(i64::MAX);
    tx.query(SNAPSHOTS_OF, params![&digest::key16(&[of.path])[..], of.node, before, limit], from_row)
}

/// The live snapshots with a number: of the path, and of the directory that lies there now.
pub fn numbered(tx: &impl Sql, of: Of<'_>, number: u64) -> Result<Vec<SnapshotRow>, StoreError> {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    tx.query(SNAPSHOTS_NUMBERED, params![&digest::key16(&[of.path])[..], of.node, number], from_row)
}

/// The snapshot of this id; deleted ones too.
pub fn find(tx: &impl Sql, snapshot_id: &str) -> Result<Option<SnapshotRow>, StoreError> {
    tx.query_one(SNAPSHOT_BY_ID, params![snapshot_id], from_row)
}

/// The number that the next snapshot has.
pub fn next_number(tx: &impl Sql, of: Of<'_>) -> Result<u64, StoreError> {
    Ok(last_number(tx, of)? + 1)
}

fn last_number(tx: &impl Sql, of: Of<'_>) -> Result<u64, StoreError> {
    let last = tx.query_one(SNAPSHOT_LAST_NUMBER, params![&digest::key16(&[of.path])[..], of.node], |row| row.id(0))?;
    Ok(last.unwrap_or(0))
}

/// Whether a snapshot needs the state that held in `[from, to)`; `None` = it still holds. Whoever throws away rows of
/// `versions`, or bodies they name, asks first.
pub fn kept(tx: &impl Sql, from: Rev, to: Option<Rev>) -> Result<bool, StoreError> {
    let next = tx.query_one(SNAPSHOT_KEPT_FROM, params![from], |row| {
        Ok(if row.opt_int(0)?.is_none() { None } else { Some(row.id(0)?) })
    })?;
    Ok(next.flatten().is_some_and(|rev: Rev| to.is_none_or(|to| rev < to)))
}

/// Adds one; its number is that of [`next_number`].
pub fn insert(tx: &mut WriteTx<'_>, row: SnapshotRow) -> Result<SnapshotRow, StoreError> {
    tx.exec(
        INSERT_SNAPSHOT,
        params![
            &digest::key16(&[&row.path])[..],
            row.number,
            &row.snapshot_id,
            &row.path,
            &row.tenant,
            row.node,
            row.rev,
            &row.description,
            &row.tags,
            &row.created_by,
            row.created_at_us,
            row.file_count,
            row.total_size,
            &row.manifest_hash,
        ],
    )?;
    tx.record(Change::Snapshot(Delta::insert(row.clone())));
    Ok(row)
}

/// Deletes one that was read in this transaction: what it alone needed may be collected. The number of the newest is
/// kept, so that it is not given again.
pub fn delete(tx: &mut WriteTx<'_>, row: &SnapshotRow) -> Result<(), StoreError> {
    let newest = last_number(tx, Of { path: &row.path, node: row.node })? == row.number;
    tx.exec(if newest { FORGET_SNAPSHOT } else { DELETE_SNAPSHOT }, params![&row.snapshot_id])?;
    tx.record(Change::Snapshot(Delta::delete(row.clone())));
    Ok(())
}
