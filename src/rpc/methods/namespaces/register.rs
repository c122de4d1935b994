//! `register_namespace`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::replies;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::namespaces_ops;

/// Put the rules of an object type in force; the same as `namespace_create`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RegisterNamespace {
    /// The type and its rules.
    namespace: Registered,
}

/// An object type and its rules.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Registered {
    /// Clients may send one; the id is the server's to give.
    #[serde(default, rename = "namespace_id")]
    _namespace_id: Option<String>,
    /// The object type, e.g. `doc`.
    object_type: String,
    /// `{"relations": {name: rule}, "permissions": {name: rule}}`, as `namespace_create` has it.
    config: Value,
}

impl Method for RegisterNamespace {
    const NAME: &'static str = "register_namespace";
    const ACCESS: Access = Access::Admin;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::PermissionDenied, ErrorCode::InvalidParams, ErrorCode::Precondition];
    type Output = ();

    async fn call(self, cx: &RequestContext) -> Result<(), RpcError> {
        replies(cx, |_| ());
        Ok(namespaces_ops::put(&cx.call, self.namespace.object_type, self.namespace.config).await?)
    }
}
