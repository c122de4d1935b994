//! `rmdir`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files;

/// Remove a directory.
///
/// With `recursive` everything below it goes at once, with all grants and skills; its space is freed afterwards.
/// Needs `write` on the directory; one that holds files of another tenant is removed by the instance admin only.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Rmdir {
    /// Absolute virtual path.
    path: String,
    /// Remove it with everything below it; otherwise it must be empty.
    #[serde(default)]
    recursive: bool,
}

/// What `rmdir` did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RmdirOutput {
    /// Always true; a failure is an error.
    removed: bool,
}

impl Method for Rmdir {
    const NAME: &'static str = "rmdir";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::FileNotFound, ErrorCode::InvalidPath, ErrorCode::PermissionDenied, ErrorCode::Precondition];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = RmdirOutput;

    async fn call(self, cx: &RequestContext) -> Result<RmdirOutput, RpcError> {
        cx.reply_with(|_: &bool| RmdirOutput { removed: true });
        files::remove_directory(&cx.call, files::path_below_root(&self.path)?, self.recursive).await?;
        Ok(RmdirOutput { removed: true })
    }
}
