//! `update_agent`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::register::RegisteredAgent;
use crate::model::VirtualPath;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::agents::AgentInfo;
use crate::service::agents::update_ops::{self, AgentChange};

/// Change an agent.
///
/// What is not sent stays; `metadata` takes the place of all there was. Its owner or an admin of the tenant may; to others
/// it does not exist. Agents may not change agents. Never makes a key and never shows one: `register_agent` makes them.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct UpdateAgent {
    /// The id.
    agent_id: String,
    /// The display name.
    #[serde(default)]
    name: Option<String>,
    /// Free text.
    #[serde(default)]
    description: Option<String>,
    /// Free properties, as in `register_agent`.
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
    /// Whether it may do what its owner may; holds for its keys from this moment.
    #[serde(default)]
    inherit_permissions: Option<bool>,
    /// Ignored.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted for old clients")]
    context: Option<Value>,
}

impl Method for UpdateAgent {
    const NAME: &'static str = "update_agent";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FileNotFound, ErrorCode::PermissionDenied];
    type Output = RegisteredAgent;

    async fn call(self, cx: &RequestContext) -> Result<RegisteredAgent, RpcError> {
        let Self { agent_id, name, description, metadata, inherit_permissions, .. } = self;
        let change = AgentChange { name, description, metadata, inherit_permissions };
        cx.reply_with(|(info, path): &(AgentInfo, VirtualPath)| RegisteredAgent::of(info.clone(), path));
        let (info, path) = update_ops::update(&cx.call, agent_id, change).await?;
        Ok(RegisteredAgent::of(info, &path))
    }
}
