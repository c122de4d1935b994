//! The records of sandboxes, active and past.
//!
//! Owns the table `sandboxes`: at most one active row per (tenant, user, name), by a unique index. Knows nothing of
//! what a provider does. Every change is recorded here.

use super::{Row, Sql, StoreError, WriteTx, statements::statements};
use crate::model::{Change, Delta, SandboxRow};
use crate::params;

/// It is there.
pub const ACTIVE: &str = "active";
/// It is kept, and nothing runs in it.
pub const PAUSED: &str = "paused";
/// It is gone; the record stays.
pub const STOPPED: &str = "stopped";

statements! {
    /// One by its id.
    SANDBOX = "SELECT sandbox_id, name, tenant, user_id, agent_id, provider, template_id, status, \
         created_at_us, last_active_at_us, paused_at_us, stopped_at_us, ttl_minutes, expires_at_us FROM sandboxes \
         WHERE sandbox_id = ?1";
    /// The active one of a name.
    ACTIVE_SANDBOX = "SELECT sandbox_id, name, tenant, user_id, agent_id, provider, template_id, status, \
         created_at_us, last_active_at_us, paused_at_us, stopped_at_us, ttl_minutes, expires_at_us FROM sandboxes \
         WHERE tenant = ?1 AND user_id = ?2 AND name = ?3 AND status = 'active'";
    /// Those of a tenant.
    SANDBOXES_OF_TENANT = "SELECT sandbox_id, name, tenant, user_id, agent_id, provider, template_id, \
         status, created_at_us, last_active_at_us, paused_at_us, stopped_at_us, ttl_minutes, expires_at_us \
         FROM sandboxes WHERE tenant = ?1 ORDER BY created_at_us, sandbox_id";
    /// Those that are not stopped, of every tenant.
    LIVE_SANDBOXES = "SELECT sandbox_id, name, tenant, user_id, agent_id, provider, template_id, status, \
         created_at_us, last_active_at_us, paused_at_us, stopped_at_us, ttl_minutes, expires_at_us FROM sandboxes \
         WHERE status <> 'stopped' ORDER BY sandbox_id";
    /// A new one.
    INSERT_SANDBOX = "INSERT INTO sandboxes (sandbox_id, name, tenant, user_id, agent_id, provider, \
         template_id, status, created_at_us, last_active_at_us, paused_at_us, stopped_at_us, ttl_minutes, expires_at_us) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    /// What may change of one.
    UPDATE_SANDBOX = "UPDATE sandboxes SET status = ?2, last_active_at_us = ?3, paused_at_us = ?4, \
         stopped_at_us = ?5, ttl_minutes = ?6, expires_at_us = ?7 WHERE sandbox_id = ?1";
}

fn from_row(row: &Row<'_>) -> Result<SandboxRow, StoreError> {
    Ok(SandboxRow {
        sandbox_id: row.string(0)?,
        name: row.string(1)?,
        tenant: row.string(2)?,
        user_id: row.string(3)?,
        agent_id: row.opt_string(4)?,
        provider: row.string(5)?,
        template_id: row.opt_string(6)?,
        status: row.string(7)?,
        created_at_us: row.int(8)?,
        last_active_at_us: row.int(9)?,
        paused_at_us: row.opt_int(10)?,
        stopped_at_us: row.opt_int(11)?,
        ttl_minutes: row.int(12)?,
        expires_at_us: row.opt_int(13)?,
    })
}

/// The sandbox of this id.
pub fn find(tx: &impl Sql, sandbox_id: &str) -> Result<Option<SandboxRow>, StoreError> {
    tx.query_one(SANDBOX, params![sandbox_id], from_row)
}

/// The active sandbox of this name.
pub fn active(tx: &impl Sql, tenant: &str, user_id: &str, name: &str) -> Result<Option<SandboxRow>, StoreError> {
    tx.query_one(ACTIVE_SANDBOX, params![tenant, user_id, name], from_row)
}

/// Those of a tenant, stopped ones too, oldest first.
pub fn of_tenant(tx: &impl Sql, tenant: &str) -> Result<Vec<SandboxRow>, StoreError> {
    tx.query(SANDBOXES_OF_TENANT, params![tenant], from_row)
}

/// Those of every tenant that are not stopped.
pub fn live(tx: &impl Sql) -> Result<Vec<SandboxRow>, StoreError> {
    tx.query(LIVE_SANDBOXES, &[], from_row)
}

/// Adds one; its id is new, and no active one has its name.
pub fn insert(tx: &mut WriteTx<'_>, row: SandboxRow) -> Result<(), StoreError> {
    tx.exec(
        INSERT_SANDBOX,
        params![
            &row.sandbox_id,
            &row.name,
            &row.tenant,
            &row.user_id,
            &row.agent_id,
            &row.provider,
            &row.template_id,
            &row.status,
            row.created_at_us,
            row.last_active_at_us,
            row.paused_at_us,
            row.stopped_at_us,
            row.ttl_minutes,
            row.expires_at_us,
        ],
    )?;
    tx.record(Change::Sandbox(Delta::insert(row)));
    Ok(())
}

/// Changes status, times and time to live.
pub fn update(tx: &mut WriteTx<'_>, before: SandboxRow, after: SandboxRow) -> Result<(), StoreError> {
    tx.exec(
        UPDATE_SANDBOX,
        params![
            &after.sandbox_id,
            &after.status,
            after.last_active_at_us,
            after.paused_at_us,
            after.stopped_at_us,
            after.ttl_minutes,
            after.expires_at_us,
        ],
    )?;
    tx.record(Change::Sandbox(Delta::update(before, after)));
    Ok(())
}
