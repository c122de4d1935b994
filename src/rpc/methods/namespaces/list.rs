//! `namespace_list`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rpc::codec::WireTime;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::relations::namespaces::{self, NamespaceInfo};

/// List the rules in force, by object type.
///
/// Those that were put, and the built-in ones where none were.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct NamespaceList {}

/// The rules of an object type.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NamespaceRowView {
    /// Its id; `builtin-<type>` for built-in rules.
    namespace_id: String,
    /// The object type.
    object_type: String,
    /// `{"relations": {name: rule}, "permissions": {name: rule}}`.
    config: Value,
    /// When it was first put; null = built in.
    created_at: Option<WireTime>,
    /// When it was last put; null = built in.
    updated_at: Option<WireTime>,
    /// Whether it is built in: nobody has put another.
    builtin: bool,
}

impl From<NamespaceInfo> for NamespaceRowView {
    fn from(info: NamespaceInfo) -> Self {
        Self {
            builtin: info.builtin(),
            namespace_id: info.namespace_id,
            object_type: info.object_type,
            config: info.config,
            created_at: info.created_at_us.map(WireTime::aware),
            updated_at: info.updated_at_us.map(WireTime::aware),
        }
    }
}

impl Method for NamespaceList {
    const NAME: &'static str = "namespace_list";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = Vec<NamespaceRowView>;

    async fn call(self, cx: &RequestContext) -> Result<Vec<NamespaceRowView>, RpcError> {
        Ok(namespaces::list(&cx.call).await?.into_iter().map(NamespaceRowView::from).collect())
    }
}
