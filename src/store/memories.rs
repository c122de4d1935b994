//! Memory records, by id, by name, and newest first.
//!
//! Owns the table `memories`. Knows nothing of who may see one. Every change is recorded here; bodies are in `contents`,
//! and a row keeps the one that it names from being collected.

use super::records::{Before, GLOBAL, Owner, Source, hash_of, hash_text};
use super::statements::statements;
use super::{Row, Sql, StoreError, WriteTx};
use crate::model::{Change, Delta, MemoryRow};
use crate::params;

statements! {
    /// One.
    MEMORY_BY_ID = "SELECT memory_id, tenant, user_id, agent_id, scope, owner, memory_type, importance, \
         state, namespace, path_key, content, size, created_at_us, updated_at_us FROM memories WHERE memory_id \
         = ?1";
    /// The one of a name.
    MEMORY_BY_NAME = "SELECT memory_id, tenant, user_id, agent_id, scope, owner, memory_type, importance, \
         state, namespace, path_key, content, size, created_at_us, updated_at_us FROM memories WHERE tenant = \
         ?1 AND scope = ?2 AND owner = ?3 AND namespace = ?4 AND path_key = ?5";
    /// The global one of a name.
    MEMORY_BY_GLOBAL_NAME = "SELECT memory_id, tenant, user_id, agent_id, scope, owner, memory_type, \
         importance, state, namespace, path_key, content, size, created_at_us, updated_at_us FROM memories \
         WHERE scope = 'global' AND namespace = ?1 AND path_key = ?2";
    /// A page of a user's, newest first.
    MEMORIES_OF_USER = "SELECT memory_id, tenant, user_id, agent_id, scope, owner, memory_type, \
         importance, state, namespace, path_key, content, size, created_at_us, updated_at_us FROM memories \
         WHERE tenant = ?1 AND user_id = ?2 AND created_at_us <= ?3 AND (created_at_us < ?3 OR memory_id < ?4) \
         ORDER BY created_at_us DESC, memory_id DESC LIMIT ?5";
    /// A page of a tenant's.
    MEMORIES_OF_TENANT = "SELECT memory_id, tenant, user_id, agent_id, scope, owner, memory_type, \
         importance, state, namespace, path_key, content, size, created_at_us, updated_at_us FROM memories \
         WHERE tenant = ?1 AND created_at_us <= ?2 AND (created_at_us < ?2 OR memory_id < ?3) ORDER BY \
         created_at_us DESC, memory_id DESC LIMIT ?4";
    /// A page of those for a whole tenant.
    MEMORIES_SHARED = "SELECT memory_id, tenant, user_id, agent_id, scope, owner, memory_type, importance, \
         state, namespace, path_key, content, size, created_at_us, updated_at_us FROM memories WHERE scope = \
         'tenant' AND tenant = ?1 AND created_at_us <= ?2 AND (created_at_us < ?2 OR memory_id < ?3) ORDER BY \
         created_at_us DESC, memory_id DESC LIMIT ?4";
    /// A page of those for everybody.
    MEMORIES_GLOBAL = "SELECT memory_id, tenant, user_id, agent_id, scope, owner, memory_type, importance, \
         state, namespace, path_key, content, size, created_at_us, updated_at_us FROM memories WHERE scope = \
         'global' AND created_at_us <= ?1 AND (created_at_us < ?1 OR memory_id < ?2) ORDER BY created_at_us \
         DESC, memory_id DESC LIMIT ?3";
    /// A new one.
    INSERT_MEMORY = "INSERT INTO memories (memory_id, tenant, user_id, agent_id, scope, owner, \
         memory_type, importance, state, namespace, path_key, content, size, created_at_us, updated_at_us) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    /// What may change of it.
    UPDATE_MEMORY = "UPDATE memories SET memory_type = ?2, importance = ?3, state = ?4, content = ?5, size \
         = ?6, updated_at_us = ?7 WHERE memory_id = ?1";
    /// Its end.
    DELETE_MEMORY = "DELETE FROM memories WHERE memory_id = ?1";
}

fn from_row(row: &Row<'_>) -> Result<MemoryRow, StoreError> {
    Ok(MemoryRow {
        memory_id: row.string(0)?,
        tenant: row.string(1)?,
        user_id: row.string(2)?,
        agent_id: row.opt_string(3)?,
        scope: row.string(4)?,
        owner: row.string(5)?,
        memory_type: row.string(6)?,
        importance: row.int(7)?,
        state: row.string(8)?,
        namespace: row.opt_string(9)?,
        path_key: row.opt_string(10)?,
        content: hash_text(row, 11)?,
        size: row.id(12)?,
        created_at_us: row.int(13)?,
        updated_at_us: row.int(14)?,
    })
}

/// The record of this id.
pub fn find(tx: &impl Sql, memory_id: &str) -> Result<Option<MemoryRow>, StoreError> {
    tx.query_one(MEMORY_BY_ID, params![memory_id], from_row)
}

/// The record of this name.
pub fn named(
    tx: &impl Sql,
    owner: Owner<'_>,
    namespace: &str,
    path_key: &str,
) -> Result<Option<MemoryRow>, StoreError> {
    if owner.scope == GLOBAL {
        return tx.query_one(MEMORY_BY_GLOBAL_NAME, params![namespace, path_key], from_row);
    }
    let params = params![owner.tenant, owner.scope, owner.name, namespace, path_key];
    tx.query_one(MEMORY_BY_NAME, params, from_row)
}

/// A page, newest first.
pub fn page(tx: &impl Sql, of: Source<'_>, before: &Before, limit: u64) -> Result<Vec<MemoryRow>, StoreError> {
    let (at, id) = (before.at_us, before.id.as_str());
    match of {
        Source::User(tenant, user) => tx.query(MEMORIES_OF_USER, params![tenant, user, at, id, limit], from_row),
        Source::Tenant(tenant) => tx.query(MEMORIES_OF_TENANT, params![tenant, at, id, limit], from_row),
        Source::Shared(tenant) => tx.query(MEMORIES_SHARED, params![tenant, at, id, limit], from_row),
        Source::Global => tx.query(MEMORIES_GLOBAL, params![at, id, limit], from_row),
    }
}

/// Adds one; its id and its name are new.
pub fn insert(tx: &mut WriteTx<'_>, row: MemoryRow) -> Result<(), StoreError> {
    let hash = hash_of(&row.content)?;
    tx.exec(
        INSERT_MEMORY,
        params![
            &row.memory_id,
            &row.tenant,
            &row.user_id,
            &row.agent_id,
            &row.scope,
            &row.owner,
            &row.memory_type,
            row.importance,
            &row.state,
            &row.namespace,
            &row.path_key,
            &hash.as_bytes()[..],
            row.size,
            row.created_at_us,
            row.updated_at_us,
        ],
    )?;
    tx.record(Change::Memory(Delta::insert(row)));
    Ok(())
}

/// Changes type, importance, state or body of one that was read in this transaction.
pub fn update(tx: &mut WriteTx<'_>, before: MemoryRow, after: MemoryRow) -> Result<(), StoreError> {
    let hash = hash_of(&after.content)?;
    tx.exec(
        UPDATE_MEMORY,
        params![
            &after.memory_id,
            &after.memory_type,
            after.importance,
            &after.state,
            &hash.as_bytes()[..],
            after.size,
            after.updated_at_us,
        ],
    )?;
    tx.record(Change::Memory(Delta::update(before, after)));
    Ok(())
}

/// Removes one that was read in this transaction.
pub fn delete(tx: &mut WriteTx<'_>, row: MemoryRow) -> Result<(), StoreError> {
    tx.exec(DELETE_MEMORY, params![&row.memory_id])?;
    tx.record(Change::Memory(Delta::delete(row)));
    Ok(())
}
