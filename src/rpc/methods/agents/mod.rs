//! Agents and the people they belong to, one method a file.

pub mod delete;
pub mod deprovision_user;
pub mod get;
pub mod list;
pub mod provision_user;
pub mod register;
pub mod update;

pub use delete::DeleteAgent;
pub use deprovision_user::DeprovisionUser;
pub use get::GetAgent;
pub use list::ListAgents;
pub use provision_user::ProvisionUser;
pub use register::RegisterAgent;
pub use update::UpdateAgent;

use schemars::JsonSchema;
use serde::Serialize;

use crate::rpc::codec::WireTime;
use crate::service::agents::AgentInfo;

/// An agent.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AgentView {
    /// The id.
    agent_id: String,
    /// The owner.
    user_id: String,
    /// The display name.
    name: String,
    /// When it was registered; ISO-8601, UTC.
    created_at: String,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Whether it has a key of its own that works.
    has_api_key: bool,
    /// Whether it may do what its owner may.
    inherit_permissions: bool,
}

impl From<AgentInfo> for AgentView {
    fn from(info: AgentInfo) -> Self {
        Self {
            agent_id: info.row.agent_id,
            user_id: info.row.user_id,
            name: info.row.name,
            created_at: WireTime::naive(info.row.created_at_us).iso(),
            description: info.row.description,
            has_api_key: info.has_api_key,
            inherit_permissions: info.row.inherit_permissions,
        }
    }
}
