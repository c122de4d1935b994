//! `namespace_get`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::NamespaceView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::namespaces;

/// Look at the rules of an object type that are in force.
///
/// Null if it has none: then a name means the tuples with that very relation.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NamespaceGet {
    /// The object type.
    object_type: String,
}

impl Method for NamespaceGet {
    const NAME: &'static str = "namespace_get";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = Option<NamespaceView>;

    async fn call(self, cx: &RequestContext) -> Result<Option<NamespaceView>, RpcError> {
        Ok(namespaces::get(&cx.call, self.object_type).await?.map(NamespaceView::from))
    }
}
