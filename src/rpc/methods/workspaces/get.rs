//! `get_workspace_info`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::WorkspaceView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::workspaces::{self, Scope};

/// Look at a registered workspace.
///
/// Null alike for a path that is not registered and for a workspace that the caller may not know of.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GetWorkspaceInfo {
    /// Its directory.
    path: String,
}

impl Method for GetWorkspaceInfo {
    const NAME: &'static str = "get_workspace_info";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath];
    type Output = Option<WorkspaceView>;

    async fn call(self, cx: &RequestContext) -> Result<Option<WorkspaceView>, RpcError> {
        Ok(workspaces::get(&cx.call, Scope::Workspace, &self.path).await?.map(WorkspaceView::from))
    }
}
