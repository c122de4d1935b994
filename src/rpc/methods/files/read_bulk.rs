//! `read_bulk`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::by_path::ByPath;
use crate::rpc::codec::{WireBytes, WireTime};
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files::FileRead;
use crate::service::files::bulk_read::read_many;

/// Read several files.
///
/// At most 1000 files and 48 MiB of bodies, all of one revision. What cannot be read, for whatever reason, is null;
/// with `skip_errors` off the first reason is the error of the whole. Needs `read` on each file.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ReadBulk {
    /// Absolute virtual paths.
    paths: Vec<String>,
    /// Objects with etag, version, time and size in place of the bytes alone.
    #[serde(default)]
    return_metadata: bool,
    /// Null for what cannot be read.
    #[serde(default = "yes")]
    skip_errors: bool,
}

fn yes() -> bool {
    true
}

/// A file's bytes, alone or with metadata.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum BulkFile {
    /// Without `return_metadata`.
    Bytes(WireBytes),
    /// With it.
    File(BulkFileWithMetadata),
}

/// A file with its metadata.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BulkFileWithMetadata {
    /// The bytes.
    content: WireBytes,
    /// BLAKE3 of the bytes, hex.
    etag: String,
    /// The version, from 1.
    version: u64,
    /// When this version was written.
    modified_at: WireTime,
    /// Bytes.
    size: u64,
}

impl BulkFile {
    fn new(file: FileRead, with_metadata: bool) -> Self {
        let content = WireBytes(file.body);
        if !with_metadata {
            return Self::Bytes(content);
        }
        let modified_at = WireTime::naive(file.modified_at_us);
        let FileRead { etag, version, size, .. } = file;
        Self::File(BulkFileWithMetadata { content, etag, version, modified_at, size })
    }
}

impl Method for ReadBulk {
    const NAME: &'static str = "read_bulk";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::FileNotFound,
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::Precondition,
        ErrorCode::Integrity,
        ErrorCode::ResultTooLarge,
    ];
    type Output = ByPath<Option<BulkFile>>;

    async fn call(self, cx: &RequestContext) -> Result<ByPath<Option<BulkFile>>, RpcError> {
        let found = read_many(&cx.call, self.paths.clone()).await?;
        let mut files = Vec::with_capacity(found.len());
        for (path, file) in self.paths.into_iter().zip(found) {
            files.push(match file {
                Ok(file) => (path, Some(BulkFile::new(file, self.return_metadata))),
                Err(_) if self.skip_errors => (path, None),
                Err(error) => return Err(error.into()),
            });
        }
        Ok(ByPath::new(files))
    }
}
