//! `sandbox_get_or_create`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{SandboxView, TTL_MINUTES};
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::sandboxes;
use crate::service::sandboxes::ops::{Given, SandboxRequest};

/// Get the caller's active sandbox of a name, or make it.
///
/// There is one active sandbox per user and name, however many ask at once. One that was there before comes with
/// `verified` and `provider_status`; one that its provider has lost is replaced. A provider that is not configured is
/// stood in for by the local one, a private directory on the server, and `provider` says so. What the sandbox can do
/// is in `capabilities`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SandboxGetOrCreate {
    /// The name, e.g. the id of an agent.
    name: String,
    /// Minutes it lives without being used. Default: 10.
    #[serde(default)]
    ttl_minutes: Option<i64>,
    /// The provider. Default: any.
    #[serde(default)]
    provider: Option<String>,
    /// The template to make it from.
    #[serde(default)]
    template_id: Option<String>,
    /// Ask the provider whether it still has it. Default: true.
    #[serde(default)]
    verify_status: Option<bool>,
}

impl Method for SandboxGetOrCreate {
    const NAME: &'static str = "sandbox_get_or_create";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied, ErrorCode::Precondition];
    type Output = SandboxView;

    async fn call(self, cx: &RequestContext) -> Result<SandboxView, RpcError> {
        let request = SandboxRequest {
            name: self.name,
            ttl_minutes: self.ttl_minutes.unwrap_or(TTL_MINUTES),
            provider: self.provider,
            template_id: self.template_id,
            verify: self.verify_status.unwrap_or(true),
            reuse: true,
        };
        SandboxView::replies(cx, |given: &Given| &given.info).await;
        let given = sandboxes::ops::get_or_create(&cx.call, &cx.services.sandboxes, request).await?;
        let view = SandboxView::new(cx, given.info).await;
        Ok(if given.verified { view.verified(true) } else { view })
    }
}
