//! `mkdir`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files;

/// Make a directory.
///
/// Whoever makes it becomes its `direct_owner`. Unlike a directory that a write makes by itself it stays when it is
/// empty. Needs `write` on the directory it is made in.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Mkdir {
    /// Absolute virtual path.
    path: String,
    /// Make the missing directories above it too; a directory that is there already is then a success.
    #[serde(default)]
    parents: bool,
    /// A directory that is there already is a success.
    #[serde(default)]
    exist_ok: bool,
}

/// What `mkdir` did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MkdirOutput {
    /// Always true; a failure is an error.
    created: bool,
}

impl Method for Mkdir {
    const NAME: &'static str = "mkdir";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::FileExists,
        ErrorCode::FileNotFound,
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::Precondition,
    ];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = MkdirOutput;

    async fn call(self, cx: &RequestContext) -> Result<MkdirOutput, RpcError> {
        let path = files::path_below_root(&self.path)?;
        cx.reply_with(|(): &()| MkdirOutput { created: true });
        files::make_directory(&cx.call, path, self.parents, self.exist_ok).await?;
        Ok(MkdirOutput { created: true })
    }
}
