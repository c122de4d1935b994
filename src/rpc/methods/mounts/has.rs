//! `has_mount`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::mounts;

/// Ask whether something that the caller may see is mounted at exactly this path.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct HasMount {
    /// The path.
    mount_point: String,
}

impl Method for HasMount {
    const NAME: &'static str = "has_mount";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath];
    type Output = bool;

    async fn call(self, cx: &RequestContext) -> Result<bool, RpcError> {
        Ok(mounts::get(&cx.call, &self.mount_point).await?.is_some())
    }
}
