//! Playbooks, by id, by name, and newest first.
//!
//! Owns the table `playbooks`. Knows nothing of who may see one. Every change is recorded here.

use super::records::{Before, GLOBAL, Owner, Source};
use super::statements::statements;
use super::{Row, Sql, StoreError, WriteTx};
use crate::model::{Change, Delta, PlaybookRow};
use crate::params;

statements! {
    /// One.
    PLAYBOOK_BY_ID = "SELECT playbook_id, tenant, user_id, agent_id, scope, owner, name, description, \
         version, content, created_at_us, updated_at_us FROM playbooks WHERE playbook_id = ?1";
    /// The one of a name.
    PLAYBOOK_BY_NAME = "SELECT playbook_id, tenant, user_id, agent_id, scope, owner, name, description, \
         version, content, created_at_us, updated_at_us FROM playbooks WHERE tenant = ?1 AND scope = ?2 AND \
         owner = ?3 AND name = ?4";
    /// The global one of a name.
    PLAYBOOK_BY_GLOBAL_NAME = "SELECT playbook_id, tenant, user_id, agent_id, scope, owner, name, \
         description, version, content, created_at_us, updated_at_us FROM playbooks WHERE scope = 'global' AND \
         name = ?1";
    /// A page of a user's, newest first.
    PLAYBOOKS_OF_USER = "SELECT playbook_id, tenant, user_id, agent_id, scope, owner, name, description, \
         version, content, created_at_us, updated_at_us FROM playbooks WHERE tenant = ?1 AND user_id = ?2 AND \
         created_at_us <= ?3 AND (created_at_us < ?3 OR playbook_id < ?4) ORDER BY created_at_us DESC, \
         playbook_id DESC LIMIT ?5";
    /// A page of a tenant's.
    PLAYBOOKS_OF_TENANT = "SELECT playbook_id, tenant, user_id, agent_id, scope, owner, name, description, \
         version, content, created_at_us, updated_at_us FROM playbooks WHERE tenant = ?1 AND created_at_us <= \
         ?2 AND (created_at_us < ?2 OR playbook_id < ?3) ORDER BY created_at_us DESC, playbook_id DESC LIMIT \
         ?4";
    /// A page of those for a whole tenant.
    PLAYBOOKS_SHARED = "SELECT playbook_id, tenant, user_id, agent_id, scope, owner, name, description, \
         version, content, created_at_us, updated_at_us FROM playbooks WHERE scope = 'tenant' AND tenant = ?1 \
         AND created_at_us <= ?2 AND (created_at_us < ?2 OR playbook_id < ?3) ORDER BY created_at_us DESC, \
         playbook_id DESC LIMIT ?4";
    /// A page of those for everybody.
    PLAYBOOKS_GLOBAL = "SELECT playbook_id, tenant, user_id, agent_id, scope, owner, name, description, \
         version, content, created_at_us, updated_at_us FROM playbooks WHERE scope = 'global' AND created_at_us \
         <= ?1 AND (created_at_us < ?1 OR playbook_id < ?2) ORDER BY created_at_us DESC, playbook_id DESC LIMIT \
         ?3";
    /// A new one.
    INSERT_PLAYBOOK = "INSERT INTO playbooks (playbook_id, tenant, user_id, agent_id, scope, owner, name, \
         description, version, content, created_at_us, updated_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, \
         ?9, ?10, ?11, ?12)";
}

fn from_row(row: &Row<'_>) -> Result<PlaybookRow, StoreError> {
    Ok(PlaybookRow {
        playbook_id: row.string(0)?,
        tenant: row.string(1)?,
        user_id: row.string(2)?,
        agent_id: row.opt_string(3)?,
        scope: row.string(4)?,
        owner: row.string(5)?,
        name: row.string(6)?,
        description: row.opt_string(7)?,
        version: row.id(8)?,
        content: row.string(9)?,
        created_at_us: row.int(10)?,
        updated_at_us: row.int(11)?,
    })
}

/// The playbook of this id.
pub fn find(tx: &impl Sql, playbook_id: &str) -> Result<Option<PlaybookRow>, StoreError> {
    tx.query_one(PLAYBOOK_BY_ID, params![playbook_id], from_row)
}

/// The playbook of this name.
pub fn named(tx: &impl Sql, owner: Owner<'_>, name: &str) -> Result<Option<PlaybookRow>, StoreError> {
    if owner.scope == GLOBAL {
        return tx.query_one(PLAYBOOK_BY_GLOBAL_NAME, params![name], from_row);
    }
    tx.query_one(PLAYBOOK_BY_NAME, params![owner.tenant, owner.scope, owner.name, name], from_row)
}

/// A page, newest first.
pub fn page(tx: &impl Sql, of: Source<'_>, before: &Before, limit: u64) -> Result<Vec<PlaybookRow>, StoreError> {
    let (at, id) = (before.at_us, before.id.as_str());
    match of {
        Source::User(tenant, user) => tx.query(PLAYBOOKS_OF_USER, params![tenant, user, at, id, limit], from_row),
        Source::Tenant(tenant) => tx.query(PLAYBOOKS_OF_TENANT, params![tenant, at, id, limit], from_row),
        Source::Shared(tenant) => tx.query(PLAYBOOKS_SHARED, params![tenant, at, id, limit], from_row),
        Source::Global => tx.query(PLAYBOOKS_GLOBAL, params![at, id, limit], from_row),
    }
}

/// Adds one; its id and its name are new.
pub fn insert(tx: &mut WriteTx<'_>, row: PlaybookRow) -> Result<(), StoreError> {
    tx.exec(
        INSERT_PLAYBOOK,
        params![
            &row.playbook_id,
            &row.tenant,
            &row.user_id,
            &row.agent_id,
            &row.scope,
            &row.owner,
            &row.name,
            &row.description,
            row.version,
            &row.content,
            row.created_at_us,
            row.updated_at_us,
        ],
    )?;
    tx.record(Change::Playbook(Delta::insert(row)));
    Ok(())
}
