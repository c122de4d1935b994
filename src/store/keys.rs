//! The API keys.
//!
//! Owns the table `api_keys`: keyed hashes, never a key. Knows nothing of how a hash is made nor what a key may do.
//! Every change but `last_used_at_us`, which the second lane writes, is recorded here.

use std::ops::ControlFlow;

use super::{Row, Sql, StoreError, WriteTx, statements::statements};
use crate::model::{Change, Delta, KeyRow};
use crate::params;

statements! {
    /// All of them, for a projection that loads.
    ALL_KEYS = "SELECT key_id, hash, hash_scheme, user_id, subject_type, subject_id, tenant, is_admin, \
         is_instance_admin, inherit_permissions, name, created_at_us, expires_at_us, revoked_at_us FROM api_keys \
         ORDER BY key_id";
    /// One by its id.
    KEY_BY_ID = "SELECT key_id, hash, hash_scheme, user_id, subject_type, subject_id, tenant, is_admin, \
         is_instance_admin, inherit_permissions, name, created_at_us, expires_at_us, revoked_at_us FROM api_keys \
         WHERE key_id = ?1";
    /// When it was last used.
    KEY_LAST_USED = "SELECT last_used_at_us FROM api_keys WHERE key_id = ?1";
    /// A new one.
    INSERT_KEY = "INSERT INTO api_keys (key_id, hash, hash_scheme, user_id, subject_type, subject_id, \
         tenant, is_admin, is_instance_admin, inherit_permissions, name, created_at_us, expires_at_us, revoked_at_us, \
         last_used_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, NULL)";
    /// What may change of one.
    UPDATE_KEY = "UPDATE api_keys SET is_admin = ?2, name = ?3, expires_at_us = ?4, revoked_at_us = ?5, \
         inherit_permissions = ?6 WHERE key_id = ?1";
}

fn from_row(row: &Row<'_>) -> Result<KeyRow, StoreError> {
    Ok(KeyRow {
        key_id: row.string(0)?,
        hash: row.string(1)?,
        hash_scheme: row.string(2)?,
        user_id: row.string(3)?,
        subject_type: row.string(4)?,
        subject_id: row.string(5)?,
        tenant: row.string(6)?,
        is_admin: row.bool(7)?,
        is_instance_admin: row.bool(8)?,
        inherit_permissions: row.bool(9)?,
        name: row.string(10)?,
        created_at_us: row.int(11)?,
        expires_at_us: row.opt_int(12)?,
        revoked_at_us: row.opt_int(13)?,
    })
}

/// Gives every key to `each`, the revoked ones too.
pub fn each(tx: &impl Sql, mut each: impl FnMut(KeyRow)) -> Result<(), StoreError> {
    tx.each(ALL_KEYS, &[], |row| {
        each(from_row(row)?);
        Ok(ControlFlow::Continue(()))
    })
}

/// The key of this id.
pub fn find(tx: &impl Sql, key_id: &str) -> Result<Option<KeyRow>, StoreError> {
    tx.query_one(KEY_BY_ID, params![key_id], from_row)
}

/// When a key was last used, µs, to the minute; `None` = never, or no such key.
pub fn last_used(tx: &impl Sql, key_id: &str) -> Result<Option<i64>, StoreError> {
    Ok(tx.query_one(KEY_LAST_USED, params![key_id], |row| row.opt_int(0))?.flatten())
}

/// Adds a key; its id and its hash are new.
pub fn insert(tx: &mut WriteTx<'_>, row: KeyRow) -> Result<(), StoreError> {
    tx.exec(
        INSERT_KEY,
        params![
            &row.key_id,
            &row.hash,
            &row.hash_scheme,
            &row.user_id,
            &row.subject_type,
            &row.subject_id,
            &row.tenant,
            row.is_admin,
            row.is_instance_admin,
            row.inherit_permissions,
            &row.name,
            row.created_at_us,
            row.expires_at_us,
            row.revoked_at_us,
        ],
    )?;
    tx.record(Change::Key(Delta::insert(row)));
    Ok(())
}

/// Changes a key's label, expiry, flags or revocation; whose key it is, and its hash, stay for ever.
pub fn update(tx: &mut WriteTx<'_>, before: KeyRow, after: KeyRow) -> Result<(), StoreError> {
    tx.exec(
        UPDATE_KEY,
        params![
            &after.key_id,
            after.is_admin,
            &after.name,
            after.expires_at_us,
            after.revoked_at_us,
            after.inherit_permissions
        ],
    )?;
    tx.record(Change::Key(Delta::update(before, after)));
    Ok(())
}
