//! `admin_update_key`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::KeyView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::keys;
use crate::service::keys::KeyInfo;
use crate::service::keys::ops::KeyChange;

/// Change the label, the admin flag or the end of an API key.
///
/// What is not sent stays. An end can be moved and not be taken away; `expires_days: 0` ends the key now.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AdminUpdateKey {
    /// The id.
    key_id: String,
    /// Days from now until it ends; 0 = now.
    #[serde(default)]
    expires_days: Option<i64>,
    /// Whether it rules its tenant.
    #[serde(default)]
    is_admin: Option<bool>,
    /// Another label.
    #[serde(default)]
    name: Option<String>,
}

/// A changed key.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UpdatedKey {
    /// Always true; a failure is an error.
    success: bool,
    /// The key.
    #[serde(flatten)]
    key: KeyView,
}

impl Method for AdminUpdateKey {
    const NAME: &'static str = "admin_update_key";
    const ACCESS: Access = Access::Admin;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::FileNotFound, ErrorCode::PermissionDenied, ErrorCode::Precondition];
    type Output = UpdatedKey;

    async fn call(self, cx: &RequestContext) -> Result<UpdatedKey, RpcError> {
        let change = KeyChange { name: self.name, is_admin: self.is_admin, expires_days: self.expires_days };
        cx.reply_with(|info: &KeyInfo| UpdatedKey { success: true, key: info.clone().into() });
        let info = keys::ops::update(&cx.call, self.key_id, change).await?;
        Ok(UpdatedKey { success: true, key: info.into() })
    }
}
