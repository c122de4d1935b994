//! `rollback`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files::ops::Written;
use crate::service::{files, versions};

/// Make an earlier version of a file the newest.
///
/// A next version with the same bytes; nothing is lost. With `if_match` it fails with a conflict unless the stored etag
/// is this one. Needs `write` on the file.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Rollback {
    /// Absolute virtual path.
    path: String,
    /// The number of the earlier version, from 1.
    version: u64,
    /// Fail with a conflict unless the stored etag (BLAKE3, hex) equals this one.
    #[serde(default)]
    if_match: Option<String>,
}

impl Method for Rollback {
    const NAME: &'static str = "rollback";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::FileNotFound,
        ErrorCode::Conflict,
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::Precondition,
        ErrorCode::Integrity,
        ErrorCode::QuotaExceeded,
        ErrorCode::StorageFull,
    ];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = ();

    async fn call(self, cx: &RequestContext) -> Result<(), RpcError> {
        let path = files::path_below_root(&self.path)?;
        cx.reply_with(|_: &Written| ());
        Ok(versions::rollback(&cx.call, path, self.version, self.if_match).await?)
    }
}
