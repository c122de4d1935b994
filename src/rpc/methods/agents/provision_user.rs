//! `provision_user`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::VirtualPath;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::agents::people::{self, Arrival, Arrived};
use crate::service::keys::ops::NewKey;

/// Let a person in: directories of his own, and a key if he has none that works.
///
/// For an admin of the tenant; another tenant than the caller's is the instance admin's to name. Makes
/// `/tenant:<tenant>/user:<user>` with workspace, memory, skill, agent, connector and resource, owned by the user, as far
/// as they are missing, and with `create_agents` two agents without rights. The key is in this answer and nowhere else.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ProvisionUser {
    /// The person.
    user_id: String,
    /// Ignored: there is no list of addresses.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted for clients that send it")]
    email: Option<String>,
    /// Ignored.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted for clients that send it")]
    display_name: Option<String>,
    /// The tenant. Default: the caller's.
    #[serde(default)]
    tenant_id: Option<String>,
    /// Make a key, if the user has none that works. Default: true.
    #[serde(default)]
    create_api_key: Option<bool>,
    /// Make the agents `ImpersonatedUser` and `UntrustedAgent`, without keys and without rights. Default: false.
    #[serde(default)]
    create_agents: Option<bool>,
    /// Ignored: there are no skills to import; those of the tenant are seen by whoever may read them.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted for clients that send it")]
    import_skills: Option<bool>,
}

/// What a person got.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Provisioned {
    /// The person.
    user_id: String,
    /// The tenant.
    tenant_id: String,
    /// The new key; null if none was made. It is not shown again.
    api_key: Option<String>,
    /// The directory of his workspaces.
    workspace_path: String,
    /// The directories of his new agents.
    agent_paths: Vec<String>,
    /// None.
    skill_paths: Vec<String>,
    /// What was made.
    created_resources: CreatedResources,
}

/// What was made for a person.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CreatedResources {
    /// Whether he is new.
    user: bool,
    /// Whether the tenant is.
    tenant: bool,
    /// The directories that were missing.
    directories: Vec<String>,
    /// The directory of his workspaces.
    workspace: String,
    /// The directories of his new agents.
    agents: Vec<String>,
    /// None.
    skills: Vec<String>,
}

impl Method for ProvisionUser {
    const NAME: &'static str = "provision_user";
    const ACCESS: Access = Access::Admin;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied, ErrorCode::Precondition];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    const SECRET: bool = true;
    type Output = Provisioned;

    async fn call(self, cx: &RequestContext) -> Result<Provisioned, RpcError> {
        let arrival = Arrival {
            user: self.user_id.clone(),
            tenant: self.tenant_id,
            with_key: self.create_api_key.unwrap_or(true),
            with_agents: self.create_agents.unwrap_or(false),
        };
        if !arrival.with_key {
            let user_id = self.user_id.clone();
            cx.reply_with(move |arrived: &Arrived| Provisioned::new(user_id.clone(), arrived, None));
        }
        let (arrived, key) = people::admit(&cx.call, &cx.services.hasher, arrival).await?;
        Ok(Provisioned::new(self.user_id, &arrived, key))
    }
}

impl Provisioned {
    fn new(user_id: String, arrived: &Arrived, key: Option<NewKey>) -> Self {
        let texts = |paths: &[VirtualPath]| paths.iter().map(|path| path.as_str().to_owned()).collect::<Vec<_>>();
        Self {
            user_id,
            tenant_id: arrived.tenant.clone(),
            api_key: key.map(|new| new.key.expose().to_owned()),
            workspace_path: arrived.workspace.clone(),
            agent_paths: texts(&arrived.agents),
            skill_paths: Vec::new(),
            created_resources: CreatedResources {
                user: arrived.is_new,
                tenant: arrived.is_new_tenant,
                directories: texts(&arrived.directories),
                workspace: arrived.workspace.clone(),
                agents: texts(&arrived.agents),
                skills: Vec::new(),
            },
        }
    }
}
