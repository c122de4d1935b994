//! `register_agent`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::VirtualPath;
use crate::rpc::codec::WireTime;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::agents;
use crate::service::agents::AgentInfo;
use crate::service::agents::ops::{AgentRequest, Registered};

/// Register an agent of the calling user, or change one of it.
///
/// Makes the directory `/tenant:<tenant>/user:<user>/agent/<name>`, owned by the user and the agent, with the settings
/// in `config.yaml`. The key, if one is wanted, is in this answer and nowhere else; it ends with the key of the caller,
/// or in a year. Registering again keeps what is not sent, and with `generate_api_key` makes a further key. Agents
/// may not register agents.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RegisterAgent {
    /// The id, by convention `<user>,<name>`; the user must be the caller.
    agent_id: String,
    /// The display name.
    name: String,
    /// Free text.
    #[serde(default)]
    description: Option<String>,
    /// Make a key for it. Default: false.
    #[serde(default)]
    generate_api_key: Option<bool>,
    /// Whether it may do what its owner may. Default: false.
    #[serde(default)]
    inherit_permissions: Option<bool>,
    /// Free properties: `platform`, `endpoint_url`, `agent_id`, `system_prompt`, `tools` show up in `get_agent`.
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
    /// Ignored.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted for old clients")]
    context: Option<Value>,
}

/// A registered agent.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RegisteredAgent {
    /// The id.
    agent_id: String,
    /// The owner.
    user_id: String,
    /// The display name.
    name: String,
    /// The tenant.
    tenant_id: String,
    /// The description, and the free properties.
    metadata: Map<String, Value>,
    /// When it was registered; ISO-8601, UTC.
    created_at: String,
    /// The file with its settings.
    config_path: String,
    /// The new key. It is not shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<String>,
    /// Whether a key was made; of `update_agent`: whether it has one.
    has_api_key: bool,
    /// Whether it may do what its owner may.
    inherit_permissions: bool,
}

impl Method for RegisterAgent {
    const NAME: &'static str = "register_agent";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied, ErrorCode::Precondition];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    const SECRET: bool = true;
    type Output = RegisteredAgent;

    async fn call(self, cx: &RequestContext) -> Result<RegisteredAgent, RpcError> {
        let request = AgentRequest {
            agent_id: self.agent_id,
            name: self.name,
            description: self.description,
            inherit_permissions: self.inherit_permissions,
            metadata: self.metadata,
            generate_api_key: self.generate_api_key.unwrap_or(false),
        };
        if !request.generate_api_key {
            cx.reply_with(|(info, config_path): &(AgentInfo, VirtualPath)| {
                RegisteredAgent::new(Registered { info: info.clone(), config_path: config_path.clone(), key: None })
            });
        }
        Ok(RegisteredAgent::new(agents::ops::register(&cx.call, &cx.services.hasher, request).await?))
    }
}

impl RegisteredAgent {
    /// Of an agent that was changed, which makes no key.
    pub(super) fn of(info: AgentInfo, config_path: &VirtualPath) -> Self {
        let has_api_key = info.has_api_key;
        Self { has_api_key, ..Self::new(Registered { info, config_path: config_path.clone(), key: None }) }
    }

    fn new(registered: Registered) -> Self {
        let properties = registered.info.metadata();
        let row = registered.info.row;
        let mut metadata = Map::new();
        if let Some(description) = row.description {
            metadata.insert("description".into(), description.into());
        }
        metadata.extend(properties);
        Self {
            agent_id: row.agent_id,
            user_id: row.user_id,
            name: row.name,
            tenant_id: row.tenant,
            metadata,
            created_at: WireTime::aware(row.created_at_us).iso(),
            config_path: registered.config_path.as_str().to_owned(),
            has_api_key: registered.key.is_some(),
            api_key: registered.key.map(|new| new.key.expose().to_owned()),
            inherit_permissions: row.inherit_permissions,
        }
    }
}
