//! The agents and their owners.
//!
//! Owns the table `agents`. Knows nothing of keys, folders or rights. Every change is recorded here.

use std::ops::ControlFlow;

use super::{Row, Sql, StoreError, WriteTx, statements::statements};
use crate::model::{AgentRow, Change, Delta};
use crate::params;

statements! {
    /// All of them, for a projection that loads.
    ALL_AGENTS = "SELECT tenant, agent_id, user_id, name, description, inherit_permissions, metadata, \
         created_at_us FROM agents ORDER BY tenant, agent_id";
    /// One.
    AGENT = "SELECT tenant, agent_id, user_id, name, description, inherit_permissions, metadata, \
         created_at_us FROM agents WHERE tenant = ?1 AND agent_id = ?2";
    /// A new one, or everything but tenant, id and time of creation of a known one.
    PUT_AGENT = "INSERT INTO agents (tenant, agent_id, user_id, name, description, inherit_permissions, \
         metadata, created_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
         ON CONFLICT (tenant, agent_id) DO UPDATE SET user_id = excluded.user_id, name = excluded.name, \
         description = excluded.description, inherit_permissions = excluded.inherit_permissions, \
         metadata = excluded.metadata";
    /// Its end.
    DELETE_AGENT = "DELETE FROM agents WHERE tenant = ?1 AND agent_id = ?2";
}

fn from_row(row: &Row<'_>) -> Result<AgentRow, StoreError> {
    Ok(AgentRow {
        tenant: row.string(0)?,
        agent_id: row.string(1)?,
        user_id: row.string(2)?,
        name: row.string(3)?,
        description: row.opt_string(4)?,
        inherit_permissions: row.bool(5)?,
        metadata: row.string(6)?,
        created_at_us: row.int(7)?,
    })
}

/// Gives every agent to `each`.
pub fn each(tx: &impl Sql, mut each: impl FnMut(AgentRow)) -> Result<(), StoreError> {
    tx.each(ALL_AGENTS, &[], |row| {
        each(from_row(row)?);
        Ok(ControlFlow::Continue(()))
    })
}

/// One agent.
pub fn find(tx: &impl Sql, tenant: &str, agent_id: &str) -> Result<Option<AgentRow>, StoreError> {
    tx.query_one(AGENT, params![tenant, agent_id], from_row)
}

/// Adds an agent or changes a known one, which keeps its time of creation. Returns the row that stands.
pub fn put(tx: &mut WriteTx<'_>, row: AgentRow) -> Result<AgentRow, StoreError> {
    let before = find(tx, &row.tenant, &row.agent_id)?;
    let row = match &before {
        Some(before) => AgentRow { created_at_us: before.created_at_us, ..row },
        None => row,
    };
    if before.as_ref() == Some(&row) {
        return Ok(row);
    }
    tx.exec(
        PUT_AGENT,
        params![
            &row.tenant,
            &row.agent_id,
            &row.user_id,
            &row.name,
            &row.description,
            row.inherit_permissions,
            &row.metadata,
            row.created_at_us,
        ],
    )?;
    tx.record(Change::Agent(Delta { before, after: Some(row.clone()) }));
    Ok(row)
}

/// Removes an agent that was read in this transaction.
pub fn delete(tx: &mut WriteTx<'_>, agent: &AgentRow) -> Result<(), StoreError> {
    tx.exec(DELETE_AGENT, params![&agent.tenant, &agent.agent_id])?;
    tx.record(Change::Agent(Delta::delete(agent.clone())));
    Ok(())
}
