//! `admin_revoke_key`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::keys;

/// Revoke an API key.
///
/// From the moment of this answer it is refused, also in requests that are under way. Revoking it again changes
/// nothing. The last key of an instance admin that does not end cannot be revoked.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AdminRevokeKey {
    /// The id.
    key_id: String,
}

/// A revoked key.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RevokedKey {
    /// Always true; a failure is an error.
    success: bool,
    /// The id.
    key_id: String,
}

impl Method for AdminRevokeKey {
    const NAME: &'static str = "admin_revoke_key";
    const ACCESS: Access = Access::Admin;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::FileNotFound, ErrorCode::PermissionDenied, ErrorCode::Precondition];
    type Output = RevokedKey;

    async fn call(self, cx: &RequestContext) -> Result<RevokedKey, RpcError> {
        let key_id = self.key_id.clone();
        cx.reply_with(move |(): &()| RevokedKey { success: true, key_id: key_id.clone() });
        keys::ops::revoke(&cx.call, self.key_id.clone()).await?;
        Ok(RevokedKey { success: true, key_id: self.key_id })
    }
}
