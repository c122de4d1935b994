//! `revoke_share_by_id`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::shares_ops::{self, Ending};

/// End one share.
///
/// Needs `manage` on what is shared. The next check knows it. Returns whether it was there; whoever has not the right is
/// refused either way.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RevokeShareById {
    /// The id that `share_with_user` returned or `list_outgoing_shares` shows.
    share_id: String,
}

impl Method for RevokeShareById {
    const NAME: &'static str = "revoke_share_by_id";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied];
    type Output = bool;

    async fn call(self, cx: &RequestContext) -> Result<bool, RpcError> {
        cx.reply_with(|was_there: &bool| *was_there);
        Ok(shares_ops::end(&cx.call, Ending::Share(self.share_id)).await?)
    }
}
