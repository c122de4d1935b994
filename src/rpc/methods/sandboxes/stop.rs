//! `sandbox_stop`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::SandboxView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::sandboxes;
use crate::service::sandboxes::SandboxInfo;
use crate::service::sandboxes::ops::SandboxChange;

/// Stop a sandbox: what is in it is removed, its record stays.
///
/// Its owner or an admin of the tenant may; for others it is not there. Stopping it again changes nothing.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SandboxStop {
    /// The id.
    sandbox_id: String,
}

impl Method for SandboxStop {
    const NAME: &'static str = "sandbox_stop";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FileNotFound, ErrorCode::Precondition];
    type Output = SandboxView;

    async fn call(self, cx: &RequestContext) -> Result<SandboxView, RpcError> {
        SandboxView::replies(cx, |info: &SandboxInfo| info).await;
        let services = &cx.services.sandboxes;
        let info = sandboxes::ops::change(&cx.call, services, self.sandbox_id, SandboxChange::Stop).await?;
        Ok(SandboxView::new(cx, info).await)
    }
}
