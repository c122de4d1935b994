//! `list_workspaces`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::WorkspaceView;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::workspaces::{self, Scope};

/// List registered workspaces.
///
/// A user sees its own, the admin of a tenant all of the tenant. Oldest first.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListWorkspaces {}

impl Method for ListWorkspaces {
    const NAME: &'static str = "list_workspaces";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = Vec<WorkspaceView>;

    async fn call(self, cx: &RequestContext) -> Result<Vec<WorkspaceView>, RpcError> {
        let found = workspaces::list(&cx.call, Scope::Workspace).await?;
        Ok(found.into_iter().map(WorkspaceView::from).collect())
    }
}
