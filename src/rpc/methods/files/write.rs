//! `write`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::codec::{WireBytes, WireTime};
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files;
use crate::service::files::ops::{PutOptions, Written};

/// Write a file.
///
/// Creates the file and its directories when absent; otherwise makes the next version, also of the same bytes. The
/// creator owns a new file. The conditions are tested in the same transaction as the write, after the permission.
/// Needs `write` on a file that is there, else on its directory.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Write {
    /// Absolute virtual path.
    path: String,
    /// The bytes; a plain string is taken as UTF-8 text.
    content: WireBytes,
    /// Fail with a conflict unless the stored etag (BLAKE3, hex) equals this one.
    #[serde(default)]
    if_match: Option<String>,
    /// Fail if the file is there.
    #[serde(default)]
    if_none_match: bool,
    /// Write whatever the two conditions say.
    #[serde(default)]
    force: bool,
}

/// What was written.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WriteOutput {
    /// The same once more, where some clients look for it.
    bytes_written: WriteMetadata,
    /// The metadata.
    #[serde(flatten)]
    metadata: WriteMetadata,
}

/// The metadata of a written version.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WriteMetadata {
    /// BLAKE3 of the bytes, hex.
    etag: String,
    /// The version, from 1.
    version: u64,
    /// When it was written.
    modified_at: WireTime,
    /// Bytes.
    size: u64,
}

impl From<Written> for WriteMetadata {
    fn from(written: Written) -> Self {
        Self {
            etag: written.etag,
            version: written.version,
            modified_at: WireTime::aware(written.modified_at_us),
            size: written.size,
        }
    }
}

impl From<Written> for WriteOutput {
    fn from(written: Written) -> Self {
        let metadata = WriteMetadata::from(written);
        Self { bytes_written: metadata.clone(), metadata }
    }
}

impl Method for Write {
    const NAME: &'static str = "write";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::Conflict,
        ErrorCode::FileExists,
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::Precondition,
        ErrorCode::QuotaExceeded,
        ErrorCode::StorageFull,
    ];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = WriteOutput;

    async fn call(self, cx: &RequestContext) -> Result<WriteOutput, RpcError> {
        let path = files::path_below_root(&self.path)?;
        let options = PutOptions {
            if_match: self.if_match,
            if_none_match: self.if_none_match,
            force: self.force,
            ..PutOptions::default()
        };
        cx.reply_with(|written: &Written| WriteOutput::from(written.clone()));
        Ok(files::write(&cx.call, path, self.content.0, options).await?.into())
    }
}
