//! `delete_agent`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::agents;

/// Delete an agent.
///
/// Its keys are refused from this moment, its grants are gone, and so is its directory with everything in it. Its
/// owner or an admin of the tenant may; whoever else asks is refused, whether the agent is there or not. Returns
/// whether it was there.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DeleteAgent {
    /// The id.
    agent_id: String,
}

impl Method for DeleteAgent {
    const NAME: &'static str = "delete_agent";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied];
    type Output = bool;

    async fn call(self, cx: &RequestContext) -> Result<bool, RpcError> {
        cx.reply_with(|(was_there, _): &(bool, bool)| *was_there);
        Ok(agents::ops::delete(&cx.call, self.agent_id).await?)
    }
}
