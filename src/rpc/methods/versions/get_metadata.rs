//! `get_metadata`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::NodeKind;
use crate::model::time::iso_naive;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files;
use crate::service::versions::metadata::{self, Metadata};

/// What clients that show file systems are told of the size of a directory, bytes.
const DIRECTORY_BYTES: u64 = 4096;
/// `rw-r--r--`.
const FILE_MODE: u32 = 0o644;
/// `rwxr-xr-x`.
const DIRECTORY_MODE: u32 = 0o755;

/// Metadata of a file or directory, in the shape of a file system.
///
/// Null for what is not there where the caller may read the directory. `/` is a directory like any other. Owner and
/// group are the user who owns it, not who asks. Needs `read` on it, or, for a directory, on something below it.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GetMetadata {
    /// Absolute virtual path.
    path: String,
}

/// The metadata.
#[derive(Debug, Serialize, JsonSchema)]
pub struct GetMetadataOutput {
    /// Null: there is nothing.
    metadata: Option<MetadataView>,
}

/// Metadata in the shape of a file system.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MetadataView {
    /// Absolute virtual path.
    path: String,
    /// Bytes; 4096 for a directory.
    size: u64,
    /// MIME type.
    mime_type: String,
    /// When it was made, ISO-8601; null for a directory.
    created_at: Option<String>,
    /// When this version was written, ISO-8601; null for a directory.
    modified_at: Option<String>,
    /// Whether it is a directory.
    is_directory: bool,
    /// The user who owns it.
    owner: Option<String>,
    /// The same.
    group: Option<String>,
    /// Unix mode bits; what counts are the relations.
    mode: u32,
    /// BLAKE3 of the body, hex; null for a directory.
    etag: Option<String>,
    /// The version, from 1; null for a directory.
    version: Option<u64>,
}

impl MetadataView {
    fn new(path: String, Metadata { node, owner }: Metadata) -> Self {
        let is_directory = node.kind == NodeKind::Directory;
        let time = |us| (!is_directory).then(|| iso_naive(us));
        let mime = if is_directory { "inode/directory" } else { "application/octet-stream" };
        Self {
            path,
            size: if is_directory { DIRECTORY_BYTES } else { node.size },
            mime_type: node.mime.unwrap_or_else(|| mime.to_owned()),
            created_at: time(node.created_at_us),
            modified_at: time(node.modified_at_us),
            is_directory,
            group: owner.clone(),
            owner,
            mode: if is_directory { DIRECTORY_MODE } else { FILE_MODE },
            etag: node.content,
            version: (!is_directory).then_some(node.version),
        }
    }
}

impl Method for GetMetadata {
    const NAME: &'static str = "get_metadata";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied];
    const KEPT: bool = true;
    type Output = GetMetadataOutput;

    async fn call(self, cx: &RequestContext) -> Result<GetMetadataOutput, RpcError> {
        let path = files::path(&self.path)?;
        let shown = path.as_str().to_owned();
        let found = metadata::get(&cx.call, path).await?;
        Ok(GetMetadataOutput { metadata: found.map(|found| MetadataView::new(shown, found)) })
    }
}
