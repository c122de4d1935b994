//! `delete`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files;

/// Delete a file.
///
/// The file, every grant on it and, for a SKILL.md, the skill are gone when the reply comes; the path may be used
/// again and inherits nothing. A directory is deleted only when it is empty. Needs `write` on the file.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Delete {
    /// Absolute virtual path.
    path: String,
}

/// What `delete` did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeleteOutput {
    /// Always true; a failure is an error.
    deleted: bool,
}

impl Method for Delete {
    const NAME: &'static str = "delete";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::FileNotFound, ErrorCode::InvalidPath, ErrorCode::PermissionDenied, ErrorCode::Precondition];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = DeleteOutput;

    async fn call(self, cx: &RequestContext) -> Result<DeleteOutput, RpcError> {
        cx.reply_with(|(): &()| DeleteOutput { deleted: true });
        files::delete(&cx.call, files::path_below_root(&self.path)?).await?;
        Ok(DeleteOutput { deleted: true })
    }
}
