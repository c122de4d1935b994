//! `get_mount`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::MountView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::mounts;

/// Look at the mount at exactly this path.
///
/// Null if nothing is mounted there that the caller may see.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GetMount {
    /// The path.
    mount_point: String,
}

impl Method for GetMount {
    const NAME: &'static str = "get_mount";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath];
    type Output = Option<MountView>;

    async fn call(self, cx: &RequestContext) -> Result<Option<MountView>, RpcError> {
        Ok(mounts::get(&cx.call, &self.mount_point).await?.map(MountView::from))
    }
}
