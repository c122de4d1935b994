//! `register_workspace`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::WorkspaceView;
use crate::model::WorkspaceRow;
use crate::rpc::codec::WireDuration;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::workspaces;
use crate::service::workspaces::Scope;
use crate::service::workspaces::ops::WorkspaceRequest;

/// Longest life of a registration, seconds: a hundred years.
const TTL_SECONDS_MAX: f64 = 3_155_760_000.0;

/// Register a directory as a workspace.
///
/// The directory is made if it is missing, and the caller becomes its `direct_owner`. Needs `write` where it is to be
/// made, or `execute` on the directory that is there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterWorkspace {
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
    /// Ignored.
    #[serde(default)]
    #[expect(dead_code, reason = "accepted for old clients")]
    tags: Option<Vec<String>>,
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

impl RegisterWorkspace {
    /// What the service is asked.
    pub(super) fn into_request(self) -> Result<WorkspaceRequest, RpcError> {
        Ok(WorkspaceRequest {
            path: self.path,
            scope: Scope::Workspace,
            name: self.name,
            description: self.description,
            created_by: self.created_by,
            metadata: self.metadata,
            session_id: self.session_id,
            ttl_us: ttl_us(self.ttl)?,
        })
    }
}

impl Method for RegisterWorkspace {
    const NAME: &'static str = "register_workspace";
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

/// How long a registration stands, µs.
pub(super) fn ttl_us(ttl: Option<WireDuration>) -> Result<Option<i64>, RpcError> {
    match ttl {
        Some(ttl) if ttl.seconds > 0.0 && ttl.seconds <= TTL_SECONDS_MAX => Ok(Some(micros(ttl.seconds))),
        Some(_) => {
            let text = format!("ttl must be more than 0 and at most {TTL_SECONDS_MAX} seconds");
            Err(RpcError::invalid_params(text))
        }
        None => Ok(None),
    }
}

/// Whole µs of a number of seconds that was checked to be in range; at least one.
fn micros(seconds: f64) -> i64 {
    let whole = std::time::Duration::from_secs_f64(seconds).as_micros();
    i64::try_from(whole).unwrap_or(i64::MAX).max(1)
}
