//! `register_memory`, `unregister_memory`, `list_registered_memories`, `get_memory_info`: directories of memories, as
//! workspaces are; registering one makes no directory.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::WorkspaceView;
use super::register::ttl_us;
use crate::model::WorkspaceRow;
use crate::rpc::codec::WireDuration;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::workspaces;
use crate::service::workspaces::Scope;
use crate::service::workspaces::ops::WorkspaceRequest;

/// Register a directory of memories.
///
/// The directory is not made. Needs `execute` on a directory that is there, or `write` where it would be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterMemory {
    /// Absolute virtual path of the directory.
    path: String,
    /// The display name.
    #[serde(default)]
    name: Option<String>,
    /// Free text.
    #[serde(default)]
    description: Option<String>,
    /// In whose name; heeded for admins. Default: the caller.
    #[serde(default)]
    created_by: Option<String>,
    /// Free properties.
    #[serde(default)]
    metadata: Option<Map<String, Value>>,
    /// The session it lives for.
    #[serde(default)]
    session_id: Option<String>,
    /// How long the registration stands, as a duration or in seconds. Default: for good.
    #[serde(default)]
    ttl: Option<WireDuration>,
}

impl RegisterMemory {
    /// What the service is asked.
    pub(super) fn into_request(self) -> Result<WorkspaceRequest, RpcError> {
        Ok(WorkspaceRequest {
            path: self.path,
            scope: Scope::Memory,
            name: self.name,
            description: self.description,
            created_by: self.created_by,
            metadata: self.metadata,
            session_id: self.session_id,
            ttl_us: ttl_us(self.ttl)?,
        })
    }
}

impl Method for RegisterMemory {
    const NAME: &'static str = "register_memory";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied, ErrorCode::Precondition];
    type Output = WorkspaceView;

    async fn call(self, cx: &RequestContext) -> Result<WorkspaceView, RpcError> {
        let request = self.into_request()?;
        cx.reply_with(|row: &WorkspaceRow| WorkspaceView::from(row.clone()));
        Ok(workspaces::ops::register(&cx.call, request).await?.into())
    }
}

/// Unregister a directory of memories.
///
/// The directory stays, and so do the grants on it. Who registered it or an admin of the tenant may. Returns whether
/// it was registered.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct UnregisterMemory {
    /// Its directory.
    path: String,
}

impl Method for UnregisterMemory {
    const NAME: &'static str = "unregister_memory";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied];
    type Output = bool;

    async fn call(self, cx: &RequestContext) -> Result<bool, RpcError> {
        cx.reply_with(|was_there: &bool| *was_there);
        Ok(workspaces::ops::unregister(&cx.call, Scope::Memory, &self.path).await?)
    }
}

/// List registered directories of memories.
///
/// A user sees its own, the admin of a tenant all of the tenant. Oldest first.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListRegisteredMemories {}

impl Method for ListRegisteredMemories {
    const NAME: &'static str = "list_registered_memories";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = Vec<WorkspaceView>;

    async fn call(self, cx: &RequestContext) -> Result<Vec<WorkspaceView>, RpcError> {
        let found = workspaces::list(&cx.call, Scope::Memory).await?;
        Ok(found.into_iter().map(WorkspaceView::from).collect())
    }
}

/// Look at a registered directory of memories.
///
/// Null alike for a path that is not registered and for one that the caller may not know of.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GetMemoryInfo {
    /// Its directory.
    path: String,
}

impl Method for GetMemoryInfo {
    const NAME: &'static str = "get_memory_info";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath];
    type Output = Option<WorkspaceView>;

    async fn call(self, cx: &RequestContext) -> Result<Option<WorkspaceView>, RpcError> {
        Ok(workspaces::get(&cx.call, Scope::Memory, &self.path).await?.map(WorkspaceView::from))
    }
}
