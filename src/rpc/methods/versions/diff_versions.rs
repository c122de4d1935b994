//! `diff_versions`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::codec::WireTime;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::{files, versions};
use crate::store::versions::VersionRow;

/// What differs between two versions of a file.
///
/// With the mode `metadata` an object; with `content` the unified difference of the texts with 3 lines around, or one
/// line in brackets where there is none or where a version is binary. A difference is shown of texts up to 4 MiB, and
/// 256 KiB of it. Needs `read` on the file, today.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct DiffVersions {
    /// Absolute virtual path.
    path: String,
    /// The number of one version.
    v1: u64,
    /// The number of the other.
    v2: u64,
    /// `metadata` or `content`.
    #[serde(default = "metadata")]
    mode: String,
}

fn metadata() -> String {
    "metadata".to_owned()
}

/// The difference.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Difference {
    /// With the mode `metadata`.
    Metadata(Box<MetadataDifference>),
    /// With the mode `content`.
    Content(String),
}

/// What is known of both versions.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MetadataDifference {
    /// The file.
    path: String,
    /// The number of one version.
    v1: u64,
    /// The number of the other.
    v2: u64,
    /// BLAKE3 of the body, hex.
    content_hash_v1: Option<String>,
    /// BLAKE3 of the body, hex.
    content_hash_v2: Option<String>,
    /// Whether the bytes differ.
    content_changed: bool,
    /// Bytes.
    size_v1: u64,
    /// Bytes.
    size_v2: u64,
    /// Bytes that the second has more.
    size_delta: i64,
    /// When it was made.
    created_at_v1: WireTime,
    /// When it was made.
    created_at_v2: WireTime,
    /// MIME type, if known.
    mime_type_v1: Option<String>,
    /// MIME type, if known.
    mime_type_v2: Option<String>,
}

impl MetadataDifference {
    fn new(path: String, [first, second]: [VersionRow; 2]) -> Self {
        Self {
            path,
            v1: first.version,
            v2: second.version,
            content_changed: first.content != second.content,
            content_hash_v1: first.content,
            content_hash_v2: second.content,
            size_v1: first.size,
            size_v2: second.size,
            size_delta: second.size.cast_signed().saturating_sub_unsigned(first.size),
            created_at_v1: WireTime::naive(first.created_at_us),
            created_at_v2: WireTime::naive(second.created_at_us),
            mime_type_v1: first.mime,
            mime_type_v2: second.mime,
        }
    }
}

impl Method for DiffVersions {
    const NAME: &'static str = "diff_versions";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::FileNotFound,
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::Precondition,
        ErrorCode::Integrity,
    ];
    const CACHE: CachePolicy = CachePolicy::NoCache;
    type Output = Difference;

    async fn call(self, cx: &RequestContext) -> Result<Difference, RpcError> {
        let path = files::path_below_root(&self.path)?;
        let numbers = [self.v1, self.v2];
        match self.mode.as_str() {
            "metadata" => {
                let shown = path.as_str().to_owned();
                let rows = versions::pair(&cx.call, path, numbers).await?;
                Ok(Difference::Metadata(Box::new(MetadataDifference::new(shown, rows))))
            }
            "content" => Ok(Difference::Content(versions::diff(&cx.call, path, numbers).await?)),
            other => Err(RpcError::invalid_params(format!("Invalid mode: {other}. Must be 'metadata' or 'content'"))),
        }
    }
}
