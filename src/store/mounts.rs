//! What is mounted where.
//!
//! Owns the table `mounts`. The root is not a row: it is the store itself. Every change is recorded here.

use super::{Row, Sql, StoreError, WriteTx, statements::statements};
use crate::model::{Change, Delta, MountRow};
use crate::params;

statements! {
    /// All of them.
    ALL_MOUNTS = "SELECT mount_point, backend_type, backend_config, priority, readonly, tenant, \
         created_at_us FROM mounts ORDER BY mount_point";
    /// One.
    MOUNT = "SELECT mount_point, backend_type, backend_config, priority, readonly, tenant, created_at_us \
         FROM mounts WHERE mount_point = ?1";
    /// A new one.
    INSERT_MOUNT = "INSERT INTO mounts (mount_point, backend_type, backend_config, priority, readonly, \
         tenant, created_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    /// Its end.
    DELETE_MOUNT = "DELETE FROM mounts WHERE mount_point = ?1";
}

fn from_row(row: &Row<'_>) -> Result<MountRow, StoreError> {
    Ok(MountRow {
        mount_point: row.string(0)?,
        backend_type: row.string(1)?,
        backend_config: row.string(2)?,
        priority: row.int(3)?,
        readonly: row.bool(4)?,
        tenant: row.string(5)?,
        created_at_us: row.int(6)?,
    })
}

/// All mounts but the root, by mount point.
pub fn list(tx: &impl Sql) -> Result<Vec<MountRow>, StoreError> {
    tx.query(ALL_MOUNTS, &[], from_row)
}

/// The mount at this path.
pub fn find(tx: &impl Sql, mount_point: &str) -> Result<Option<MountRow>, StoreError> {
    tx.query_one(MOUNT, params![mount_point], from_row)
}

/// Adds one; its mount point is free.
pub fn insert(tx: &mut WriteTx<'_>, row: MountRow) -> Result<(), StoreError> {
    tx.exec(
        INSERT_MOUNT,
        params![
            &row.mount_point,
            &row.backend_type,
            &row.backend_config,
            row.priority,
            row.readonly,
            &row.tenant,
            row.created_at_us,
        ],
    )?;
    tx.record(Change::Mount(Delta::insert(row)));
    Ok(())
}

/// Removes one that was read in this transaction.
pub fn delete(tx: &mut WriteTx<'_>, row: &MountRow) -> Result<(), StoreError> {
    tx.exec(DELETE_MOUNT, params![&row.mount_point])?;
    tx.record(Change::Mount(Delta::delete(row.clone())));
    Ok(())
}
