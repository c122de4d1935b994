//! `make_private`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rpc::methods::rebac::object;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::shares_ops::{self, Ending};

/// End what `make_public` began.
///
/// Needs `manage` on the resource. Returns whether it was public; whoever has not the right is refused either way.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct MakePrivate {
    /// `[type, id]`; the id of type `file` is an absolute virtual path.
    resource: Vec<String>,
}

impl Method for MakePrivate {
    const NAME: &'static str = "make_private";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied];
    type Output = bool;

    async fn call(self, cx: &RequestContext) -> Result<bool, RpcError> {
        cx.reply_with(|was_there: &bool| *was_there);
        Ok(shares_ops::end(&cx.call, Ending::Public(object(&self.resource)?)).await?)
    }
}
