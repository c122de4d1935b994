//! `namespace_delete`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::replies;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::namespaces_ops;

/// Delete the stored rules of an object type, for every tenant and at once.
///
/// For the instance admin. Built-in rules, where there are any, hold again. Refused while live tuples would lose their
/// meaning. Returns whether any rules were stored.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NamespaceDelete {
    /// The object type.
    object_type: String,
}

impl Method for NamespaceDelete {
    const NAME: &'static str = "namespace_delete";
    const ACCESS: Access = Access::Admin;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::PermissionDenied, ErrorCode::InvalidParams, ErrorCode::Precondition];
    type Output = bool;

    async fn call(self, cx: &RequestContext) -> Result<bool, RpcError> {
        replies(cx, |was_stored| was_stored);
        Ok(namespaces_ops::delete(&cx.call, self.object_type).await?)
    }
}
