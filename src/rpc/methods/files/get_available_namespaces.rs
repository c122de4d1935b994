//! `get_available_namespaces`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::{Access, Method, RequestContext, RpcError};

/// The first components of paths that have a meaning of their own, but for `system`, in order.
const NAMESPACES: [&str; 4] = ["archives", "external", "shared", "workspace"];

/// List the first components of paths that the original knows.
///
/// They say how paths are meant to be used and nothing about what is there; everybody gets the same list. (The rules
/// of permissions are listed by `namespace_list`.)
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GetAvailableNamespaces {}

/// The names.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GetAvailableNamespacesOutput {
    /// Sorted.
    namespaces: [&'static str; 4],
}

impl Method for GetAvailableNamespaces {
    const NAME: &'static str = "get_available_namespaces";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [crate::rpc::ErrorCode] = &[];
    type Output = GetAvailableNamespacesOutput;

    async fn call(self, _cx: &RequestContext) -> Result<GetAvailableNamespacesOutput, RpcError> {
        Ok(GetAvailableNamespacesOutput { namespaces: NAMESPACES })
    }
}
