//! `rename`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files;

/// Move a file, or a directory with everything below it.
///
/// History, owner and grants go along; grants that waited at the new path are removed. Nothing is overwritten.
/// Missing directories above the new path are made. Needs `write` on the old path and on the new directory; a
/// directory that holds files of another tenant is moved by the instance admin only.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Rename {
    /// Absolute virtual path of what is moved.
    old_path: String,
    /// Absolute virtual path it gets.
    new_path: String,
}

/// What `rename` did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RenameOutput {
    /// Always true; a failure is an error.
    renamed: bool,
}

impl Method for Rename {
    const NAME: &'static str = "rename";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::FileNotFound,
        ErrorCode::FileExists,
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::Precondition,
    ];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = RenameOutput;

    async fn call(self, cx: &RequestContext) -> Result<RenameOutput, RpcError> {
        let (old, new) = (files::path_below_root(&self.old_path)?, files::path_below_root(&self.new_path)?);
        cx.reply_with(|(): &()| RenameOutput { renamed: true });
        files::rename(&cx.call, old, new).await?;
        Ok(RenameOutput { renamed: true })
    }
}
