//! `write_stream`.

use bytes::{Bytes, BytesMut};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::time::iso_utc;
use crate::rpc::codec::WireBytes;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files;
use crate::service::files::ops::{PutOptions, Written};

/// Write a file from pieces.
///
/// The pieces are joined in their order and written as `write` does it, whatever was there. Clients that read a source
/// piece by piece send what they have in one request; a file that is too large for one is sent with
/// `PUT /files/{path}`, which holds no more of it in memory than a piece. Needs `write` on a file that is there, else
/// on its directory.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WriteStream {
    /// Absolute virtual path.
    path: String,
    /// The bytes, or a list of them.
    chunks: Chunks,
}

/// Bytes, whole or in pieces.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Chunks {
    /// In pieces.
    Many(Vec<WireBytes>),
    /// Whole; a plain string is taken as UTF-8 text.
    One(WireBytes),
}

/// What was written.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WriteStreamOutput {
    /// BLAKE3 of the bytes, hex.
    etag: String,
    /// The version, from 1.
    version: u64,
    /// When it was written, ISO 8601.
    modified_at: String,
    /// Bytes.
    size: u64,
}

impl From<Written> for WriteStreamOutput {
    fn from(written: Written) -> Self {
        let Written { etag, version, modified_at_us, size } = written;
        Self { etag, version, modified_at: iso_utc(modified_at_us), size }
    }
}

impl Chunks {
    fn join(self) -> Bytes {
        match self {
            Self::One(bytes) => bytes.0,
            Self::Many(pieces) => {
                let mut joined = BytesMut::with_capacity(pieces.iter().map(|piece| piece.0.len()).sum());
                pieces.iter().for_each(|piece| joined.extend_from_slice(&piece.0));
                joined.freeze()
            }
        }
    }
}

impl Method for WriteStream {
    const NAME: &'static str = "write_stream";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::Precondition,
        ErrorCode::QuotaExceeded,
        ErrorCode::StorageFull,
    ];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = WriteStreamOutput;

    async fn call(self, cx: &RequestContext) -> Result<WriteStreamOutput, RpcError> {
        let path = files::path_below_root(&self.path)?;
        cx.reply_with(|written: &Written| WriteStreamOutput::from(written.clone()));
        Ok(files::write(&cx.call, path, self.chunks.join(), PutOptions::default()).await?.into())
    }
}
