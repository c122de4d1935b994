//! `undelete`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{NodeKind, NodeRow, Rev};
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files;
use crate::service::keyed::Reply;
use crate::service::versions::undelete_ops::{Restored, undelete};

/// Bring back a deleted file, or a directory with everything that lay below it.
///
/// It comes back where it lay, with its history, and belongs to whom it belonged; of what was granted on it nothing
/// comes back. If several were deleted under one path it is the one that was deleted last, unless `deleted_id` names
/// another. If the name is taken it is refused. A directory is filled again in steps, which others may see; if that is cut
/// short (a quota, a restart), the same request goes on with it. Needs
/// `write` on the directory it lay in, and either to have owned it or to manage that directory.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Undelete {
    /// Absolute virtual path of where it lay.
    path: String,
    /// `deleted_id` of `list_deleted`.
    #[serde(default)]
    deleted_id: Option<String>,
}

/// What was brought back.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UndeleteOutput {
    /// Always true; a failure is an error.
    restored: bool,
    /// Where it is.
    path: String,
    /// Files and directories.
    count: u64,
    /// The version of a file, from 1; null for a directory.
    version: Option<u64>,
    /// Below a directory: what was not brought back, because its name was taken or its history is not kept. At most
    /// 100 are told.
    skipped: Vec<String>,
}

impl Method for Undelete {
    const NAME: &'static str = "undelete";
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
    type Output = UndeleteOutput;

    async fn call(self, cx: &RequestContext) -> Result<UndeleteOutput, RpcError> {
        let path = files::path_below_root(&self.path)?;
        let id = self.deleted_id.map(|id| id.parse::<u64>()).transpose();
        let id = id.map_err(|_| RpcError::invalid_params("deleted_id is none that list_deleted gave"))?;
        let shown = path.as_str().to_owned();
        let output = move |restored: Restored| UndeleteOutput {
            restored: true,
            path: shown.clone(),
            count: restored.nodes,
            version: (restored.version > 0).then_some(restored.version),
            skipped: restored.skipped,
        };
        let made = output.clone();
        cx.call.reply_with(move |(node, _): &(NodeRow, Rev)| {
            // Of a directory the answer is not known before all of it is back.
            let restored = Restored { nodes: 1, skipped: Vec::new(), version: node.version };
            let reply = (node.kind == NodeKind::File).then(|| serde_json::to_string(&made(restored)).ok()).flatten();
            reply.map_or(Reply::Unkept, Reply::Json)
        });
        Ok(output(undelete(&cx.call, path, id).await?))
    }
}
