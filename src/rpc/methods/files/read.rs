//! `read`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::codec::{WireBytes, WireTime};
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files;

/// Read a file.
///
/// The reply's `ETag` is the BLAKE3 of the body, with and without metadata; `If-None-Match` with it is answered 304,
/// after the permission check. Needs `read` on the file; without it a file that is not there is refused alike.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Read {
    /// Absolute virtual path.
    path: String,
    /// An object with etag, version, time and size in place of the bytes alone.
    #[serde(default)]
    return_metadata: bool,
    /// Text made from the file by a parser. There are none: the bytes come as they are.
    #[serde(default)]
    parsed: bool,
    /// An address to fetch the file from, where a connector serves it. There are none: the bytes come here.
    #[serde(default)]
    #[expect(dead_code, reason = "a parameter of the contract without a meaning here")]
    return_url: bool,
    /// How long such an address is good, seconds.
    #[serde(default = "an_hour")]
    #[expect(dead_code, reason = "a parameter of the contract without a meaning here")]
    expires_in: u64,
}

fn an_hour() -> u64 {
    3600
}

/// A file's bytes, alone or with metadata.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ReadOutput {
    /// Without `return_metadata`.
    Bytes(WireBytes),
    /// With it.
    File(ReadFile),
}

/// A file with its metadata.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReadFile {
    /// The bytes.
    content: WireBytes,
    /// Only with `parsed`: whether the content was made by a parser.
    #[serde(skip_serializing_if = "Option::is_none")]
    parsed: Option<bool>,
    /// Only with `parsed`: which parser made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<Option<String>>,
    /// Only with `parsed`: whether it was made before.
    #[serde(skip_serializing_if = "Option::is_none")]
    cached: Option<bool>,
    /// BLAKE3 of the bytes, hex.
    etag: String,
    /// The version, from 1.
    version: u64,
    /// When this version was written.
    modified_at: WireTime,
    /// Bytes.
    size: u64,
}

impl Method for Read {
    const NAME: &'static str = "read";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::FileNotFound,
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::Precondition,
        ErrorCode::Integrity,
        ErrorCode::ResultTooLarge,
    ];
    const CACHE: CachePolicy = CachePolicy::MaxAge(60);
    const KEPT: bool = true;
    type Output = ReadOutput;

    async fn call(self, cx: &RequestContext) -> Result<ReadOutput, RpcError> {
        let path = files::path_below_root(&self.path)?;
        let file = files::read(&cx.call, path, cx.if_none_match.clone()).await?;
        // Where the client has it already, the body is empty and the door answers without one.
        cx.set_etag(&file.etag);
        let content = WireBytes(file.body);
        if !self.return_metadata {
            return Ok(ReadOutput::Bytes(content));
        }
        Ok(ReadOutput::File(ReadFile {
            content,
            parsed: self.parsed.then_some(false),
            provider: self.parsed.then_some(None),
            cached: self.parsed.then_some(false),
            etag: file.etag,
            version: file.version,
            modified_at: WireTime::naive(file.modified_at_us),
            size: file.size,
        }))
    }
}
