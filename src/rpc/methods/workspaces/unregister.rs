//! `unregister_workspace`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::workspaces;
use crate::service::workspaces::Scope;

/// Unregister a workspace.
///
/// The directory stays, and so do the grants on it. Who registered it or an admin of the tenant may. Returns whether
/// it was registered.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct UnregisterWorkspace {
    /// Its directory.
    path: String,
}

impl Method for UnregisterWorkspace {
    const NAME: &'static str = "unregister_workspace";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied];
    type Output = bool;

    async fn call(self, cx: &RequestContext) -> Result<bool, RpcError> {
        cx.reply_with(|was_there: &bool| *was_there);
        Ok(workspaces::ops::unregister(&cx.call, Scope::Workspace, &self.path).await?)
    }
}
