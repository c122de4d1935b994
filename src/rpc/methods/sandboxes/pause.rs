//! `sandbox_pause`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::SandboxView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::sandboxes;
use crate::service::sandboxes::SandboxInfo;
use crate::service::sandboxes::ops::SandboxChange;

/// Pause a sandbox: it is kept, and does not expire.
///
/// Its owner or an admin of the tenant may; for others it is not there.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SandboxPause {
    /// The id.
    sandbox_id: String,
}

impl Method for SandboxPause {
    const NAME: &'static str = "sandbox_pause";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FileNotFound, ErrorCode::Precondition];
    type Output = SandboxView;

    async fn call(self, cx: &RequestContext) -> Result<SandboxView, RpcError> {
        SandboxView::replies(cx, |info: &SandboxInfo| info).await;
        let services = &cx.services.sandboxes;
        let info = sandboxes::ops::change(&cx.call, services, self.sandbox_id, SandboxChange::Pause).await?;
        Ok(SandboxView::new(cx, info).await)
    }
}
