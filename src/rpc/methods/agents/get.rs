//! `get_agent`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::AgentView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::agents;

/// Look at an agent.
///
/// Null alike for an agent that is not there and one that the caller may not know of. Never holds a key: the text of
/// a key is shown once, by `register_agent`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GetAgent {
    /// The id.
    agent_id: String,
}

/// An agent with the properties it was registered with.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AgentDetails {
    /// The agent.
    #[serde(flatten)]
    agent: AgentView,
    /// `metadata.platform`.
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Value>,
    /// `metadata.endpoint_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_url: Option<Value>,
    /// `metadata.agent_id`: what its platform calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    config_agent_id: Option<Value>,
    /// `metadata.system_prompt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    system_prompt: Option<Value>,
    /// `metadata.tools`.
    #[serde(skip_serializing_if = "Option::is_none")]
    tools: Option<Value>,
}

impl Method for GetAgent {
    const NAME: &'static str = "get_agent";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = Option<AgentDetails>;

    async fn call(self, cx: &RequestContext) -> Result<Option<AgentDetails>, RpcError> {
        let Some(info) = agents::get(&cx.call, self.agent_id).await? else { return Ok(None) };
        let mut metadata = info.metadata();
        let mut take = |name: &str| metadata.shift_remove(name);
        Ok(Some(AgentDetails {
            platform: take("platform"),
            endpoint_url: take("endpoint_url"),
            config_agent_id: take("agent_id"),
            system_prompt: take("system_prompt"),
            tools: take("tools"),
            agent: info.into(),
        }))
    }
}
