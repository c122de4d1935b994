//! `list_mounts`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::MountView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::mounts;

/// List what is mounted.
///
/// The root is always there: it is the store itself. Mounts of other tenants are not shown.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListMounts {}

impl Method for ListMounts {
    const NAME: &'static str = "list_mounts";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = Vec<MountView>;

    async fn call(self, cx: &RequestContext) -> Result<Vec<MountView>, RpcError> {
        Ok(mounts::list(&cx.call).await?.into_iter().map(MountView::from).collect())
    }
}
