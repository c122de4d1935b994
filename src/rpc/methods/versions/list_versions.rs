//! `list_versions`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::codec::WireTime;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files;
use crate::service::versions::{LISTED_MAX, Version, list};

/// The versions of a file, newest first.
///
/// Each version once, also of a file that was moved or that was gone for a while: history follows the file. At most
/// 10,000. Of a directory and of what is not there the list is empty. Needs `read` on the file, today; who may read it
/// may see all its versions.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListVersions {
    /// Absolute virtual path.
    path: String,
    /// At most so many, the newest.
    #[serde(default)]
    limit: Option<u32>,
}

/// A version of a file.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VersionView {
    /// Its number, from 1.
    version: u64,
    /// BLAKE3 of the body, hex.
    content_hash: Option<String>,
    /// Bytes.
    size: u64,
    /// MIME type, if known.
    mime_type: Option<String>,
    /// When it was made.
    created_at: WireTime,
    /// By whom: `user:<u>` or `user:<u>,agent:<a>`.
    created_by: String,
    /// Why, e.g. `Rollback to version 2`.
    change_reason: Option<String>,
    /// How it came to be: `original`, `rollback` or `restore`.
    source_type: String,
    /// Its name.
    version_id: String,
    /// That of the version before.
    parent_version_id: Option<String>,
}

impl From<Version> for VersionView {
    fn from(version: Version) -> Self {
        let Version { id, parent, row } = version;
        Self {
            version: row.version,
            content_hash: row.content,
            size: row.size,
            mime_type: row.mime,
            created_at: WireTime::naive(row.created_at_us),
            created_by: row.created_by,
            change_reason: row.reason,
            source_type: row.source,
            version_id: id,
            parent_version_id: parent,
        }
    }
}

impl Method for ListVersions {
    const NAME: &'static str = "list_versions";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied];
    const CACHE: CachePolicy = CachePolicy::NoCache;
    type Output = Vec<VersionView>;

    async fn call(self, cx: &RequestContext) -> Result<Vec<VersionView>, RpcError> {
        let limit = self.limit.map_or(LISTED_MAX, |limit| limit as usize);
        let versions = list(&cx.call, files::path_below_root(&self.path)?, limit).await?;
        Ok(versions.into_iter().map(VersionView::from).collect())
    }
}
