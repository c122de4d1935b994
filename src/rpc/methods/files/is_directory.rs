//! `is_directory`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{NodeKind, VirtualPath};
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files;

/// Whether a path is a directory that the caller may see.
///
/// Seen is a directory that the caller may read, or that has something below it that the caller may read. What is
/// not seen is not a directory. `/` is one for everybody who sees anything.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct IsDirectory {
    /// Absolute virtual path; one that no directory can have is none.
    path: String,
}

/// What `is_directory` found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct IsDirectoryOutput {
    /// Whether it is a directory and seen.
    is_directory: bool,
}

impl Method for IsDirectory {
    const NAME: &'static str = "is_directory";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::Indeterminate];
    const CACHE: CachePolicy = CachePolicy::MaxAge(60);
    type Output = IsDirectoryOutput;

    async fn call(self, cx: &RequestContext) -> Result<IsDirectoryOutput, RpcError> {
        let Ok(path) = VirtualPath::parse(&self.path) else { return Ok(IsDirectoryOutput { is_directory: false }) };
        let kind = files::visible_kind(&cx.call, path).await?;
        Ok(IsDirectoryOutput { is_directory: kind == Some(NodeKind::Directory) })
    }
}
