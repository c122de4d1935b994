//! `get_namespace`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::NamespaceView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::namespaces;

/// Look at the rules of an object type that are in force; the same as `namespace_get`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GetNamespace {
    /// The object type.
    object_type: String,
}

impl Method for GetNamespace {
    const NAME: &'static str = "get_namespace";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = Option<NamespaceView>;

    async fn call(self, cx: &RequestContext) -> Result<Option<NamespaceView>, RpcError> {
        Ok(namespaces::get(&cx.call, self.object_type).await?.map(NamespaceView::from))
    }
}
