//! What the tree and the host agreed on when a file of a mount was last synced.
//!
//! Owns the table `mount_files`. Side data: by it a sync tells which side has changed; without a row it says that both
//! have. Knows nothing of the host or the tree. Not recorded in the log.

use super::{Row, Sql, StoreError, WriteTx, statements::statements};
use crate::params;

statements! {
    /// All of a mount, by path.
    MOUNT_FILES = "SELECT path, etag, stamp FROM mount_files WHERE mount_id = ?1 ORDER BY path";
    /// One, or what it is now.
    MOUNT_FILE_PUT = "INSERT INTO mount_files (mount_id, path, etag, stamp) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (mount_id, path) DO UPDATE SET etag = excluded.etag, stamp = excluded.stamp";
    /// One less.
    MOUNT_FILE_DELETE = "DELETE FROM mount_files WHERE mount_id = ?1 AND path = ?2";
    /// Some of a mount.
    MOUNT_FILES_SOME = "SELECT path FROM mount_files WHERE mount_id = ?1 ORDER BY path LIMIT ?2";
    /// A mount that has rows and is gone.
    MOUNT_FILES_ORPHANED = "SELECT f.mount_id FROM mount_files AS f \
         WHERE NOT EXISTS (SELECT 1 FROM mounts AS m WHERE m.mount_id = f.mount_id) LIMIT 1";
}

/// What was agreed on about one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// BLAKE3 of the body, hex.
    pub etag: String,
    /// Size, times and number of the host's file; empty = not to be trusted.
    pub stamp: String,
}

fn from_row(row: &Row<'_>) -> Result<(String, Agreed), StoreError> {
    Ok((row.string(0)?, Agreed { etag: row.string(1)?, stamp: row.string(2)? }))
}

/// Everything that was agreed on about a mount, by the path below its mount point.
pub fn of_mount(tx: &impl Sql, mount_id: &str) -> Result<Vec<(String, Agreed)>, StoreError> {
    tx.query(MOUNT_FILES, params![mount_id], from_row)
}

/// Writes what is agreed on about a file.
pub fn put(tx: &mut WriteTx<'_>, mount_id: &str, path: &str, agreed: &Agreed) -> Result<(), StoreError> {
    tx.exec(MOUNT_FILE_PUT, params![mount_id, path, &agreed.etag, &agreed.stamp])
}

/// Both sides agree that there is no such file.
pub fn remove(tx: &mut WriteTx<'_>, mount_id: &str, path: &str) -> Result<(), StoreError> {
    tx.exec(MOUNT_FILE_DELETE, params![mount_id, path])
}

/// A mount that is gone and whose rows are not.
pub fn orphaned(tx: &impl Sql) -> Result<Option<String>, StoreError> {
    tx.query_one(MOUNT_FILES_ORPHANED, &[], |row| row.string(0))
}

/// Removes at most `limit` rows of a mount; how many they were.
pub fn free(tx: &mut WriteTx<'_>, mount_id: &str, limit: u64) -> Result<u64, StoreError> {
    let paths = tx.query(MOUNT_FILES_SOME, params![mount_id, limit], |row| row.string(0))?;
    paths.iter().try_for_each(|path| remove(tx, mount_id, path))?;
    Ok(paths.len() as u64)
}
