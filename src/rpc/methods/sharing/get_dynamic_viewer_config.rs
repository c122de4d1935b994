//! `get_dynamic_viewer_config`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::rpc::methods::rebac::subject;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files::{self, columns};

/// Show the column rules that bind somebody on a table, directly or through a group.
///
/// About oneself and one's agents, or for whoever manages the file. Null where none do. Several grants are put together.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GetDynamicViewerConfig {
    /// Who: `[type, id]`.
    subject: Vec<String>,
    /// Absolute virtual path.
    file_path: String,
}

impl Method for GetDynamicViewerConfig {
    const NAME: &'static str = "get_dynamic_viewer_config";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied, ErrorCode::Indeterminate];
    type Output = Option<Value>;

    async fn call(self, cx: &RequestContext) -> Result<Option<Value>, RpcError> {
        let path = files::path_below_root(&self.file_path)?;
        Ok(columns::rules_of(&cx.call, path, subject(&self.subject)?).await?)
    }
}
