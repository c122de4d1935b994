//! `append`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::write::WriteMetadata;
use crate::rpc::codec::WireBytes;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files;
use crate::service::files::append_ops::append;
use crate::service::files::ops::{PutOptions, Written};

/// Append to a file.
///
/// Creates the file and its directories when absent; otherwise makes the next version. Appends at the same time are
/// all in the file, each whole. A file may become 256 MiB. Needs `write` on a file that is there, else on its
/// directory.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Append {
    /// Absolute virtual path.
    path: String,
    /// The bytes; a plain string is taken as UTF-8 text.
    content: WireBytes,
    /// Fail with a conflict unless the stored etag (BLAKE3, hex) equals this one.
    #[serde(default)]
    if_match: Option<String>,
    /// Append whatever the condition says.
    #[serde(default)]
    force: bool,
}

impl Method for Append {
    const NAME: &'static str = "append";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::Conflict,
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::Precondition,
        ErrorCode::Integrity,
        ErrorCode::QuotaExceeded,
        ErrorCode::StorageFull,
    ];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = WriteMetadata;

    async fn call(self, cx: &RequestContext) -> Result<WriteMetadata, RpcError> {
        let path = files::path_below_root(&self.path)?;
        let options =
            PutOptions { if_match: self.if_match, if_none_match: false, force: self.force, ..PutOptions::default() };
        // Nothing is remembered of a message that was too late and is sent anew.
        cx.reply_if(|written: &Option<Written>| written.clone().map(WriteMetadata::from));
        Ok(append(&cx.call, path, self.content.0, options).await?.into())
    }
}
