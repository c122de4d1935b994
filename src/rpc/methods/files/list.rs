//! `list`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::codec::WireTime;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files;
use crate::service::files::list::{Entry, ListQuery, list};

/// List a directory.
///
/// The answer is complete: everything that the caller may see, or an error. Rows are sorted by the text of their
/// paths; directories have no trailing slash; the directory itself is not among them. With `recursive` all files
/// below and the directories that were made by `mkdir`; without it what lies directly in the directory, files and
/// directories alike. A file, a directory that is not there and one that shows nothing all list as empty. A listing
/// over 64 MiB is refused: ask for pages with `limit` and `cursor`.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct List {
    /// Absolute virtual path of the directory.
    #[serde(default = "root")]
    path: String,
    /// Everything below the directory, or only what lies in it.
    #[serde(default = "yes")]
    recursive: bool,
    /// Rows with size, times, etag and kind in place of paths.
    #[serde(default)]
    details: bool,
    /// Only paths that begin with this text.
    #[serde(default)]
    prefix: Option<String>,
    /// Accepted for old clients; there are no parsed views.
    #[serde(default = "yes")]
    #[expect(dead_code, reason = "a parameter of the contract without a meaning here")]
    show_parsed: bool,
    /// At most so many rows; then the reply says whether there are more.
    #[serde(default)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    cursor: Option<String>,
}

fn root() -> String {
    "/".to_owned()
}

fn yes() -> bool {
    true
}

/// A directory's content.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListOutput {
    /// The rows, sorted by path.
    files: ListRows,
    /// Only with `limit`: where the next page begins; null on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<Option<String>>,
    /// Only with `limit`: whether there are more rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    has_more: Option<bool>,
}

/// Paths, or rows with details.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ListRows {
    /// Without `details`.
    Paths(Vec<String>),
    /// With `details`.
    Details(Vec<ListRow>),
}

/// A file or directory. Of a directory only path and kind are told.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ListRow {
    /// Absolute virtual path.
    path: String,
    /// Bytes; 0 for a directory.
    size: u64,
    /// When this version was written.
    modified_at: Option<WireTime>,
    /// When the file was made.
    created_at: Option<WireTime>,
    /// BLAKE3 of the body, hex.
    etag: Option<String>,
    /// MIME type, if known.
    mime_type: Option<String>,
    /// Whether it is a directory.
    is_directory: bool,
}

impl From<Entry> for ListRow {
    fn from(entry: Entry) -> Self {
        let (path, is_directory) = (entry.path, entry.is_directory);
        let Some(file) = entry.details else {
            let (modified_at, created_at, etag, mime_type) = Default::default();
            return Self { path, size: 0, modified_at, created_at, etag, mime_type, is_directory };
        };
        Self {
            path,
            size: file.size,
            modified_at: Some(WireTime::naive(file.modified_at_us)),
            created_at: Some(WireTime::naive(file.created_at_us)),
            etag: file.content,
            mime_type: file.mime,
            is_directory,
        }
    }
}

impl Method for List {
    const NAME: &'static str = "list";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath, ErrorCode::ResultTooLarge, ErrorCode::Indeterminate];
    const CACHE: CachePolicy = CachePolicy::MaxAge(30);
    const KEPT: bool = true;
    type Output = ListOutput;

    async fn call(self, cx: &RequestContext) -> Result<ListOutput, RpcError> {
        if self.limit == Some(0) {
            return Err(RpcError::invalid_params("limit must be at least 1"));
        }
        let query = ListQuery {
            path: files::path(&self.path)?,
            recursive: self.recursive,
            details: self.details,
            prefix: self.prefix.filter(|prefix| !prefix.is_empty()),
            limit: self.limit.map(|limit| limit as usize),
            cursor: self.cursor,
        };
        let listing = list(&cx.call, query).await?;
        let files = if self.details {
            ListRows::Details(listing.entries.into_iter().map(ListRow::from).collect())
        } else {
            ListRows::Paths(listing.entries.into_iter().map(|entry| entry.path).collect())
        };
        let has_more = self.limit.map(|_| listing.next_cursor.is_some());
        Ok(ListOutput { files, next_cursor: self.limit.map(|_| listing.next_cursor), has_more })
    }
}
