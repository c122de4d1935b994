//! Registered workspaces, one method a file.

pub mod get;
pub mod list;
pub mod register;
pub mod unregister;

pub use get::GetWorkspaceInfo;
pub use list::ListWorkspaces;
pub use register::RegisterWorkspace;
pub use unregister::UnregisterWorkspace;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::WorkspaceRow;
use crate::rpc::codec::WireTime;

/// A registered workspace.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WorkspaceView {
    /// Its directory.
    path: String,
    /// The display name.
    name: Option<String>,
    /// Free text.
    description: String,
    /// When it was registered; ISO-8601, UTC.
    created_at: String,
    /// By whom.
    created_by: String,
    /// Free properties.
    metadata: Map<String, Value>,
    /// The session it lives for.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    /// When the registration ends; ISO-8601, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

impl From<WorkspaceRow> for WorkspaceView {
    fn from(row: WorkspaceRow) -> Self {
        Self {
            path: row.path,
            name: row.name,
            description: row.description,
            created_at: WireTime::naive(row.created_at_us).iso(),
            created_by: row.created_by,
            metadata: serde_json::from_str(&row.metadata).unwrap_or_default(),
            session_id: row.session_id,
            expires_at: row.expires_at_us.map(|us| WireTime::naive(us).iso()),
        }
    }
}
