//! `sandbox_status`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::SandboxView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::sandboxes;

/// Look at a sandbox.
///
/// Its owner or an admin of the tenant may; for others it is not there.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SandboxStatus {
    /// The id.
    sandbox_id: String,
}

impl Method for SandboxStatus {
    const NAME: &'static str = "sandbox_status";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FileNotFound];
    type Output = SandboxView;

    async fn call(self, cx: &RequestContext) -> Result<SandboxView, RpcError> {
        Ok(SandboxView::new(cx, sandboxes::get(&cx.call, self.sandbox_id).await?).await)
    }
}
