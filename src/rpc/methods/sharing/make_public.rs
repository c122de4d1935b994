//! `make_public`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rpc::methods::rebac::object;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::shares_ops;

/// Let everybody of the resource's tenant discover it without consent.
///
/// That is the tuple `(*, *) public_discoverable resource`: `rebac_expand_with_privacy` shows it, and rules of one's own
/// may use it. It gives nobody the right to read; for that grant `direct_viewer` to `["*", "*"]` with `rebac_create`.
/// Needs `manage` on the resource. Returns the id of the tuple, the same when it is said again.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct MakePublic {
    /// `[type, id]`; the id of type `file` is an absolute virtual path.
    resource: Vec<String>,
    /// The tenant of the resource. Default: of a file its own, of anything else the caller's.
    #[serde(default)]
    tenant_id: Option<String>,
}

impl Method for MakePublic {
    const NAME: &'static str = "make_public";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied, ErrorCode::Precondition];
    type Output = String;

    async fn call(self, cx: &RequestContext) -> Result<String, RpcError> {
        cx.reply_with(String::clone);
        Ok(shares_ops::publish(&cx.call, object(&self.resource)?, self.tenant_id).await?)
    }
}
