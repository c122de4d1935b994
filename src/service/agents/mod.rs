//! Agents, read: a user's own, and for the admin of a tenant all of it.

pub mod ops;
pub mod people;
pub mod update_ops;

use serde_json::{Map, Value};

use crate::auth::{AuthIndex, Caller};
use crate::model::{AgentRow, VirtualPath};
use crate::service::{Call, ServiceError};
use crate::store::Sql;

/// An agent as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentInfo {
    /// The agent.
    pub row: AgentRow,
    /// Whether it has a key of its own that works.
    pub has_api_key: bool,
}

impl AgentInfo {
    /// The free properties it was registered with.
    #[must_use]
    pub fn metadata(&self) -> Map<String, Value> {
        metadata(&self.row)
    }
}

/// The free properties of an agent.
pub(in crate::service) fn metadata(row: &AgentRow) -> Map<String, Value> {
    serde_json::from_str(&row.metadata).unwrap_or_default()
}

/// The directory of an agent: `/tenant:<tenant>/user:<owner>/agent/<name>`, the name being what follows the first
/// comma of the id, or the whole id.
pub fn directory(row: &AgentRow) -> Result<VirtualPath, ServiceError> {
    let name = row.agent_id.split_once(',').map_or(row.agent_id.as_str(), |(_, name)| name);
    let path = format!("/tenant:{}/user:{}/agent/{name}", row.tenant, row.user_id);
    VirtualPath::parse(&path).map_err(|reason| ServiceError::path(&path, reason))
}

/// Whether the caller may know of an agent: its owner (an agent that inherits nothing: of itself), or an admin.
pub(in crate::service) fn visible(caller: &Caller, row: &AgentRow) -> bool {
    let own = row.tenant == caller.tenant
        && row.user_id == caller.user
        && (caller.inherits || caller.agent.as_ref() == Some(&row.agent_id));
    own || caller.administers(&row.tenant)
}

pub(in crate::service) fn info(index: &AuthIndex, row: &AgentRow, now_us: i64) -> AgentInfo {
    AgentInfo { row: row.clone(), has_api_key: index.keys_of_agent(row, now_us).next().is_some() }
}

/// The agents of the caller's tenant that it may know of, by id.
pub async fn list(call: &Call) -> Result<Vec<AgentInfo>, ServiceError> {
    let caller = call.caller.clone();
    call.read(move |tx| {
        let (index, now_us) = (tx.view::<AuthIndex>(), tx.wall_us());
        let caller = index.refresh(&caller, now_us).map_err(|_| ServiceError::Unauthenticated)?;
        let agents = index.agents(&caller.tenant).filter(|row| visible(&caller, row));
        Ok(agents.map(|row| info(index, row, now_us)).collect())
    })
    .await
}

/// One agent; `None` alike for one that is not there and one that the caller may not know of.
pub async fn get(call: &Call, agent_id: String) -> Result<Option<AgentInfo>, ServiceError> {
    let caller = call.caller.clone();
    call.read(move |tx| {
        let (index, now_us) = (tx.view::<AuthIndex>(), tx.wall_us());
        let caller = index.refresh(&caller, now_us).map_err(|_| ServiceError::Unauthenticated)?;
        let found = index.agent(&caller.tenant, &agent_id).filter(|row| visible(&caller, row));
        Ok(found.map(|row| info(index, row, now_us)))
    })
    .await
}
