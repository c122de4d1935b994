//! `namespace_create`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::replies;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::namespaces_ops;

/// Put the rules of an object type in force, for every tenant and at once.
///
/// For the instance admin. Replaces the rules of the type, built-in ones too. What is refused, with its place: an
/// unknown operator, a name that depends on its own absence, rules by which live tuples would lose their meaning.
/// Warnings are written to the server's log; `namespace_validate` answers them beforehand.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NamespaceCreate {
    /// The object type, e.g. `doc`.
    object_type: String,
    /// `{"relations": {name: rule}, "permissions": {name: rule}}`. A rule is `{}` (the tuples of that name), a list of
    /// names (at least one), or an object with one of `union`, `intersection`, `exclusion`, `tupleToUserset`,
    /// `computed_userset`, `this`.
    config: Value,
}

impl Method for NamespaceCreate {
    const NAME: &'static str = "namespace_create";
    const ACCESS: Access = Access::Admin;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::PermissionDenied, ErrorCode::InvalidParams, ErrorCode::Precondition];
    type Output = ();

    async fn call(self, cx: &RequestContext) -> Result<(), RpcError> {
        replies(cx, |_| ());
        Ok(namespaces_ops::put(&cx.call, self.object_type, self.config).await?)
    }
}
