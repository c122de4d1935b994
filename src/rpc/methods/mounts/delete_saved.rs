//! `delete_saved_mount`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::mounts::ops;

/// Forget the settings of a saved mount. What is mounted stays mounted. For the instance admin.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DeleteSavedMount {
    /// Absolute virtual path of the mount point.
    mount_point: String,
}

impl Method for DeleteSavedMount {
    const NAME: &'static str = "delete_saved_mount";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied];
    /// Whether there were any.
    type Output = bool;

    async fn call(self, cx: &RequestContext) -> Result<bool, RpcError> {
        cx.reply_with(|forgot: &bool| *forgot);
        Ok(ops::forget(&cx.call, &self.mount_point).await?)
    }
}
