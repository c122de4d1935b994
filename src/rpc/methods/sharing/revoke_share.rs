//! `revoke_share`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rpc::methods::rebac::object;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::shares_ops::{self, Ending};

/// End every share that the users of a name have of a thing, at whatever level and of whichever tenant.
///
/// Needs `manage` on the resource. The next check knows it. Returns whether there was a share; whoever has not the right
/// is refused either way.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RevokeShare {
    /// `[type, id]`; the id of type `file` is an absolute virtual path.
    resource: Vec<String>,
    /// With whom it is shared.
    user_id: String,
}

impl Method for RevokeShare {
    const NAME: &'static str = "revoke_share";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied];
    type Output = bool;

    async fn call(self, cx: &RequestContext) -> Result<bool, RpcError> {
        cx.reply_with(|was_there: &bool| *was_there);
        let ending = Ending::Shares { resource: object(&self.resource)?, user: self.user_id };
        Ok(shares_ops::end(&cx.call, ending).await?)
    }
}
