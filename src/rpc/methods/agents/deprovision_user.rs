//! `deprovision_user`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::agents::people::{self, Departed, Departure};

/// Send a person away: his keys are refused from this moment, his agents are gone, and so is his directory.
///
/// For an admin of the tenant; not for oneself. What was deleted can be brought back with `undelete` as long as deleted
/// files are kept; `delete_files: false` leaves them where they are.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DeprovisionUser {
    /// The person.
    user_id: String,
    /// The tenant. Default: the caller's.
    #[serde(default)]
    tenant_id: Option<String>,
    /// Take back what he was granted, too, so that whoever gets his name later begins without. What he wrote outside of
    /// his directory stays his name's. Default: false.
    #[serde(default)]
    delete_user_record: Option<bool>,
    /// Even if he is an admin of the tenant. Default: false.
    #[serde(default)]
    force: Option<bool>,
    /// Delete his directory. Default: true.
    #[serde(default)]
    delete_files: Option<bool>,
}

/// What went with a person.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Deprovisioned {
    /// The person.
    user_id: String,
    /// The tenant.
    tenant_id: String,
    /// What went.
    deleted_resources: DeletedResources,
}

/// What is gone.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeletedResources {
    /// His directory.
    directories: Vec<String>,
    /// Registrations of workspaces and memories in it.
    workspaces: usize,
    /// Agents.
    agents: usize,
    /// None by themselves: those in his directory go with it.
    skills: usize,
    /// Keys that worked, those of his agents too.
    api_keys: usize,
}

impl Deprovisioned {
    fn new(user_id: String, departed: &Departed) -> Self {
        Self {
            user_id,
            tenant_id: departed.tenant.clone(),
            deleted_resources: DeletedResources {
                directories: departed.directories.iter().map(|path| path.as_str().to_owned()).collect(),
                workspaces: departed.workspaces,
                agents: departed.agents,
                skills: 0,
                api_keys: departed.keys,
            },
        }
    }
}

impl Method for DeprovisionUser {
    const NAME: &'static str = "deprovision_user";
    const ACCESS: Access = Access::Admin;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied, ErrorCode::Precondition];
    type Output = Deprovisioned;

    async fn call(self, cx: &RequestContext) -> Result<Deprovisioned, RpcError> {
        let user_id = self.user_id.clone();
        let departure = Departure {
            user: self.user_id,
            tenant: self.tenant_id,
            with_files: self.delete_files.unwrap_or(true),
            with_grants: self.delete_user_record.unwrap_or(false),
            force: self.force.unwrap_or(false),
        };
        let named = user_id.clone();
        cx.reply_with(move |departed: &Departed| Deprovisioned::new(named.clone(), departed));
        Ok(Deprovisioned::new(user_id, &people::dismiss(&cx.call, departure).await?))
    }
}
