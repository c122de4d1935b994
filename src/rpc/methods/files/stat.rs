//! `stat`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::NodeKind;
use crate::rpc::codec::WireTime;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files;

/// Metadata of a file or directory, without the body.
///
/// Needs `read` on it, or, for a directory, on something below it; without that, what is not there is refused alike.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Stat {
    /// Absolute virtual path.
    path: String,
}

/// Metadata. Of a directory only the kind is told.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StatOutput {
    /// Bytes; 0 for a directory.
    size: u64,
    /// BLAKE3 of the body, hex.
    etag: Option<String>,
    /// The version, from 1.
    version: Option<u64>,
    /// When this version was written.
    modified_at: Option<WireTime>,
    /// Whether it is a directory.
    is_directory: bool,
}

impl Method for Stat {
    const NAME: &'static str = "stat";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::FileNotFound, ErrorCode::InvalidPath, ErrorCode::PermissionDenied];
    const KEPT: bool = true;
    type Output = StatOutput;

    async fn call(self, cx: &RequestContext) -> Result<StatOutput, RpcError> {
        let node = files::stat(&cx.call, files::path(&self.path)?).await?;
        let is_directory = node.kind == NodeKind::Directory;
        Ok(StatOutput {
            size: node.size,
            etag: node.content,
            version: (!is_directory).then_some(node.version),
            modified_at: (!is_directory).then(|| WireTime::naive(node.modified_at_us)),
            is_directory,
        })
    }
}
