//! `load_mount`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::mounts::ops;

/// Mount what was saved. For the instance admin.
///
/// What is mounted stays mounted over a restart, so this is for what was removed, or saved and never mounted.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct LoadMount {
    /// Absolute virtual path of the mount point.
    mount_point: String,
}

impl Method for LoadMount {
    const NAME: &'static str = "load_mount";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied, ErrorCode::NotSupported, ErrorCode::Precondition];
    /// The mount point.
    type Output = String;

    async fn call(self, cx: &RequestContext) -> Result<String, RpcError> {
        cx.reply_with(|mount_point: &String| mount_point.clone());
        Ok(ops::load(&cx.call, &cx.services.mounts, &self.mount_point).await?)
    }
}
