//! `write_batch`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::write::WriteMetadata;
use crate::rpc::codec::WireBytes;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files;
use crate::service::files::bulk_ops::write_all;
use crate::service::files::ops::Written;

/// Write several files, all or none.
///
/// At most 256, in one revision: nobody ever sees some of them without the others. Each is written as by `write`
/// without conditions, and no path may be named twice. Needs `write` on each file that is there, else on its
/// directory.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct WriteBatch {
    /// Pairs: an absolute virtual path, and the bytes; a plain string is taken as UTF-8 text.
    files: Vec<(String, WireBytes)>,
}

fn output(written: &[Written]) -> Vec<WriteMetadata> {
    written.iter().cloned().map(WriteMetadata::from).collect()
}

impl Method for WriteBatch {
    const NAME: &'static str = "write_batch";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::Precondition,
        ErrorCode::QuotaExceeded,
        ErrorCode::StorageFull,
    ];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = Vec<WriteMetadata>;

    async fn call(self, cx: &RequestContext) -> Result<Vec<WriteMetadata>, RpcError> {
        let file = |(path, body): (String, WireBytes)| Ok((files::path_below_root(&path)?, body.0));
        let all: Vec<_> = self.files.into_iter().map(file).collect::<Result<_, RpcError>>()?;
        cx.reply_with(|written: &Vec<Written>| output(written));
        Ok(output(&write_all(&cx.call, all).await?))
    }
}
