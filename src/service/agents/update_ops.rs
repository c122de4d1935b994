//! Agents, changed by their owner or by an admin of the tenant: what they are called and described with, and whether they
//! inherit. What is not sent stays.

use serde_json::{Map, Value};

use crate::auth::{Caller, check_name};
use crate::model::{AgentRow, VirtualPath};
use crate::service::agents::ops::{CONFIG_FILE, check_texts, config, require_user, update_keys};
use crate::service::agents::{AgentInfo, directory, info, visible};
use crate::service::files::ops::{FileBody, put_file_in};
use crate::service::located::Located;
use crate::service::{Call, ServiceError};
use crate::store::{Sql, WriteOp, WriteTx, agents};

/// What is to change of an agent.
#[derive(Debug, Clone, Default)]
pub struct AgentChange {
    /// The display name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Free properties, in place of all there were.
    pub metadata: Option<Map<String, Value>>,
    /// Whether it may do what its owner may.
    pub inherit_permissions: Option<bool>,
}

impl AgentChange {
    fn check(&self) -> Result<(), ServiceError> {
        if let Some(name) = &self.name {
            check_name("name", name).map_err(|e| ServiceError::InvalidParams(e.to_string()))?;
        }
        check_texts(self.description.as_ref(), self.metadata.as_ref())
    }

    fn of(&self, row: &AgentRow) -> AgentRow {
        let metadata = self.metadata.as_ref().map(|m| Value::Object(m.clone()).to_string());
        AgentRow {
            name: self.name.clone().unwrap_or_else(|| row.name.clone()),
            description: self.description.clone().or_else(|| row.description.clone()),
            metadata: metadata.unwrap_or_else(|| row.metadata.clone()),
            inherit_permissions: self.inherit_permissions.unwrap_or(row.inherit_permissions),
            ..row.clone()
        }
    }
}

/// Changes an agent and the file with its settings. One that is not there and one that the caller may not know of are
/// "not found" alike.
pub async fn update(
    call: &Call,
    agent_id: String,
    change: AgentChange,
) -> Result<(AgentInfo, VirtualPath), ServiceError> {
    change.check()?;
    call.submit(UpdateAgent { caller: call.caller.clone(), agent_id, change }).await
}

/// Changes an agent.
#[derive(Debug)]
pub struct UpdateAgent {
    /// Who asks.
    pub caller: Caller,
    /// The agent.
    pub agent_id: String,
    /// What is to change.
    pub change: AgentChange,
}

impl WriteOp for UpdateAgent {
    const NAME: &'static str = "agent_update";
    /// The agent and the file with its settings.
    type Output = (AgentInfo, VirtualPath);
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Self::Output, ServiceError> {
        let caller = require_user(tx, &self.caller)?;
        let found = agents::find(tx, &caller.tenant, &self.agent_id)?.filter(|row| visible(&caller, row));
        let before = found.ok_or_else(|| ServiceError::NotFound(format!("Agent not found: {}", self.agent_id)))?;
        let after = self.change.of(&before);
        let directory = directory(&after)?;
        let (config_path, text) = (directory.child(CONFIG_FILE), config(&after)?);
        if after != before {
            let after = agents::put(tx, after.clone())?;
            if after.inherit_permissions != before.inherit_permissions {
                update_keys(tx, &after, |key| key.inherit_permissions = after.inherit_permissions)?;
            }
            // Where its owner has moved or deleted the directory, none is made.
            if Located::find(tx, &directory)?.exact {
                put_file_in(tx, &caller, &config_path, &FileBody::inline(&config_path, text.into()))?;
            }
        }
        let now_us = tx.wall_us();
        Ok((info(tx.view(), &after, now_us), config_path))
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.agent_id.len() + self.change.description.as_ref().map_or(0, String::len)
    }
}
