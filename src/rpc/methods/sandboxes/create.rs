//! `sandbox_create`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{SandboxView, TTL_MINUTES};
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::sandboxes;
use crate::service::sandboxes::ops::{Given, SandboxRequest};

/// Make a sandbox; an active one of the same name is a refusal.
///
/// A provider that is not configured is stood in for by the local one, and `provider` says so.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SandboxCreate {
    /// The name.
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
}

impl Method for SandboxCreate {
    const NAME: &'static str = "sandbox_create";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied, ErrorCode::Precondition];
    type Output = SandboxView;

    async fn call(self, cx: &RequestContext) -> Result<SandboxView, RpcError> {
        let request = SandboxRequest {
            name: self.name,
            ttl_minutes: self.ttl_minutes.unwrap_or(TTL_MINUTES),
            provider: self.provider,
            template_id: self.template_id,
            verify: false,
            reuse: false,
        };
        SandboxView::replies(cx, |given: &Given| &given.info).await;
        let given = sandboxes::ops::get_or_create(&cx.call, &cx.services.sandboxes, request).await?;
        Ok(SandboxView::new(cx, given.info).await)
    }
}
