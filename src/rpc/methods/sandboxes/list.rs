//! `sandbox_list`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SandboxView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::sandboxes::{self, SandboxFilter};

/// List the caller's sandboxes, stopped ones too, oldest first.
///
/// An agent sees those it asked for.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SandboxList {
    /// Ask the provider of each active one whether it still has it. Default: false.
    #[serde(default)]
    verify_status: Option<bool>,
    /// Of this user; heeded for admins.
    #[serde(default)]
    user_id: Option<String>,
    /// Of this tenant; heeded for the instance admin.
    #[serde(default)]
    tenant_id: Option<String>,
    /// Asked for by this agent.
    #[serde(default)]
    agent_id: Option<String>,
    /// `active`, `paused` or `stopped`.
    #[serde(default)]
    status: Option<String>,
}

/// The caller's sandboxes.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SandboxListOutput {
    /// The sandboxes.
    sandboxes: Vec<SandboxView>,
}

impl Method for SandboxList {
    const NAME: &'static str = "sandbox_list";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = SandboxListOutput;

    async fn call(self, cx: &RequestContext) -> Result<SandboxListOutput, RpcError> {
        let filter = SandboxFilter {
            user_id: self.user_id,
            tenant: self.tenant_id,
            agent_id: self.agent_id,
            status: self.status,
        };
        let verify = self.verify_status.unwrap_or(false);
        let mut views = Vec::new();
        for info in sandboxes::list(&cx.call, filter).await? {
            let verified = match verify && info.is_active() {
                true => Some(sandboxes::ops::verify(&cx.services.sandboxes, &info.row).await?),
                false => None,
            };
            let view = SandboxView::new(cx, info).await;
            views.push(match verified {
                Some(verified) => view.verified(verified),
                None => view,
            });
        }
        Ok(SandboxListOutput { sandboxes: views })
    }
}
