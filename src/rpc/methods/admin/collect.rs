//! `admin_collect`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::backups;

/// Throw away now what is not kept any longer.
///
/// States of the past beyond `keep_versions` and `keep_days` that no snapshot needs, bodies that nothing has named for a
/// day, and files of bodies without a row. The server does it by itself once an hour; others write meanwhile. For the
/// instance admin.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AdminCollect {}

/// What was removed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CollectedView {
    /// States of the past: versions, places.
    states: u64,
    /// Bodies.
    bodies: u64,
    /// Their bytes.
    bytes: u64,
    /// Files of bodies that no row named.
    files: u64,
}

impl Method for AdminCollect {
    const NAME: &'static str = "admin_collect";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    const LONG: bool = true;
    type Output = CollectedView;

    async fn call(self, cx: &RequestContext) -> Result<CollectedView, RpcError> {
        let removed = backups::collect(&cx.call).await?;
        Ok(CollectedView { states: removed.states, bodies: removed.bodies, bytes: removed.bytes, files: removed.files })
    }
}
