//! `list_deleted`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::NodeKind;
use crate::rpc::codec::WireTime;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files;
use crate::service::versions::deleted::{Deleted, list};

/// Rows of a page where none is asked for.
const PAGE_ROWS: u32 = 1_000;

/// What was deleted from a directory and can be brought back by the caller.
///
/// Sorted by path, name for name; of a directory that was removed with everything below it only the directory. Kept as long as the
/// history of files is. A page may be shorter than `limit` where much has to be looked through; the last one has no
/// `next_cursor`. Needs `write` on the directory; shown is what the caller owned, and everything to whoever
/// manages the directory.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListDeleted {
    /// Absolute virtual path of the directory.
    #[serde(default = "root")]
    path: String,
    /// At most so many rows, 1000 if it is not said.
    #[serde(default)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
}

fn root() -> String {
    "/".to_owned()
}

/// A page of deleted files and directories.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListDeletedOutput {
    /// The rows, sorted by path; of one path the older first.
    deleted: Vec<DeletedView>,
    /// Where the next page begins; null on the last one.
    next_cursor: Option<String>,
}

/// A deleted file or directory.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeletedView {
    /// Names it for `undelete`, where several were deleted under one path.
    deleted_id: String,
    /// Where it lay.
    path: String,
    /// Whether it is a directory.
    is_directory: bool,
    /// Bytes; 0 for a directory.
    size: u64,
    /// The version of a file, from 1.
    version: Option<u64>,
    /// BLAKE3 of the body, hex.
    etag: Option<String>,
    /// When it was deleted.
    deleted_at: WireTime,
    /// By whom, as `type:id`.
    deleted_by: String,
    /// The revision that removed it.
    revision: u64,
}

impl From<Deleted> for DeletedView {
    fn from(deleted: Deleted) -> Self {
        let Deleted { path, node, rev, at_us, by } = deleted;
        let is_directory = node.kind == NodeKind::Directory;
        Self {
            deleted_id: node.id.to_string(),
            path: path.to_string(),
            is_directory,
            size: node.size,
            version: (!is_directory).then_some(node.version),
            etag: node.content,
            deleted_at: WireTime::naive(at_us),
            deleted_by: by,
            revision: rev,
        }
    }
}

impl Method for ListDeleted {
    const NAME: &'static str = "list_deleted";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied, ErrorCode::Precondition];
    type Output = ListDeletedOutput;

    async fn call(self, cx: &RequestContext) -> Result<ListDeletedOutput, RpcError> {
        let limit = self.limit.unwrap_or(PAGE_ROWS).clamp(1, PAGE_ROWS) as usize;
        let page = list(&cx.call, files::path(&self.path)?, self.cursor, limit).await?;
        let deleted = page.entries.into_iter().map(DeletedView::from).collect();
        Ok(ListDeletedOutput { deleted, next_cursor: page.next })
    }
}
