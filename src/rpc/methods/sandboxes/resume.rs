//! `sandbox_resume`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::SandboxView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::sandboxes;
use crate::service::sandboxes::SandboxInfo;
use crate::service::sandboxes::ops::SandboxChange;

/// Resume a paused sandbox: its time to live begins anew.
///
/// Its owner or an admin of the tenant may; for others it is not there.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SandboxResume {
    /// The id.
    sandbox_id: String,
}

impl Method for SandboxResume {
    const NAME: &'static str = "sandbox_resume";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FileNotFound, ErrorCode::Precondition];
    type Output = SandboxView;

    async fn call(self, cx: &RequestContext) -> Result<SandboxView, RpcError> {
        SandboxView::replies(cx, |info: &SandboxInfo| info).await;
        let services = &cx.services.sandboxes;
        let info = sandboxes::ops::change(&cx.call, services, self.sandbox_id, SandboxChange::Resume).await?;
        Ok(SandboxView::new(cx, info).await)
    }
}
