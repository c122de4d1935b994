//! `get_etag`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::{ServiceError, files};

/// The etag of a file, without its body.
///
/// Null for a directory, and for what is not there where the caller may read the directory. Needs `read` on the file.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GetEtag {
    /// Absolute virtual path.
    path: String,
}

/// An etag.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GetEtagOutput {
    /// BLAKE3 of the body, hex.
    etag: Option<String>,
}

impl Method for GetEtag {
    const NAME: &'static str = "get_etag";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied];
    type Output = GetEtagOutput;

    async fn call(self, cx: &RequestContext) -> Result<GetEtagOutput, RpcError> {
        let etag = match files::stat(&cx.call, files::path_below_root(&self.path)?).await {
            Ok(node) => node.content,
            Err(ServiceError::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(GetEtagOutput { etag })
    }
}
