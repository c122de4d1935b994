//! `get_version`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rpc::codec::WireBytes;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::{files, versions};

/// The body of one version of a file.
///
/// Needs `read` on the file, today.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GetVersion {
    /// Absolute virtual path.
    path: String,
    /// The number of the version, from 1.
    version: u64,
}

impl Method for GetVersion {
    const NAME: &'static str = "get_version";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::FileNotFound,
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::Precondition,
        ErrorCode::Integrity,
    ];
    const CACHE: CachePolicy = CachePolicy::NoCache;
    type Output = WireBytes;

    async fn call(self, cx: &RequestContext) -> Result<WireBytes, RpcError> {
        Ok(WireBytes(versions::read(&cx.call, files::path_below_root(&self.path)?, self.version).await?))
    }
}
