//! `copy`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::write::WriteMetadata;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files;
use crate::service::files::append_ops::copy;
use crate::service::files::ops::Written;

/// Copy a file.
///
/// The copy is a new file of the caller with a history of its own; grants are not copied. Nothing is overwritten;
/// directories are not copied. Needs `read` on the source and `write` on the new directory.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Copy {
    /// Absolute virtual path of the file.
    src_path: String,
    /// Absolute virtual path of the copy.
    dst_path: String,
}

/// What was copied.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CopyOutput {
    /// Always true; a failure is an error.
    copied: bool,
    /// The metadata of the copy.
    #[serde(flatten)]
    metadata: WriteMetadata,
}

impl From<Written> for CopyOutput {
    fn from(written: Written) -> Self {
        Self { copied: true, metadata: written.into() }
    }
}

impl Method for Copy {
    const NAME: &'static str = "copy";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::FileNotFound,
        ErrorCode::FileExists,
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::Precondition,
        ErrorCode::QuotaExceeded,
        ErrorCode::StorageFull,
    ];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = CopyOutput;

    async fn call(self, cx: &RequestContext) -> Result<CopyOutput, RpcError> {
        let (source, goal) = (files::path_below_root(&self.src_path)?, files::path_below_root(&self.dst_path)?);
        cx.reply_with(|written: &Written| CopyOutput::from(written.clone()));
        Ok(copy(&cx.call, source, goal).await?.into())
    }
}
