//! Listing a directory: everything in it that the caller may see, complete or an error.
//!
//! Owns order, filter, paging and the bounds of a listing. A directory is decided once where the rules of the graph
//! allow it, and one that shows nothing is not entered.

use std::collections::BinaryHeap;
use std::ops::ControlFlow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::model::{NodeId, NodeKind, NodeRow, Rev, VirtualPath};
use crate::rebac::Budget;
use crate::service::access::{Access, Reader};
use crate::service::files::reach::Reach;
use crate::service::located::Located;
use crate::service::{Call, ServiceError};
use crate::store::{ReadTx, Sql, meta, nodes};

/// Rows that a listing looks at on the caller's thread; a larger one starts again on the slow lane.
const INLINE_ROWS_MAX: usize = 2_000;
/// Work of a listing on the slow lane, edges of the graph.
const SLOW_EDGES_MAX: u64 = 200_000_000;
/// Largest whole listing, bytes of its JSON.
pub const LIST_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What a row with details takes beside its path, bytes of its JSON.
const DETAIL_BYTES: usize = 330;
/// What a row takes beside its path, bytes of its JSON: quotes and a comma.
const ROW_BYTES: usize = 3;

/// What to list.
#[derive(Debug, Clone)]
pub struct ListQuery {
    /// The directory.
    pub path: VirtualPath,
    /// Everything below it, or only what lies in it.
    pub recursive: bool,
    /// Whether rows carry more than the path; counts for the size of the answer only.
    pub details: bool,
    /// Only paths that begin with this text.
    pub prefix: Option<String>,
    /// At most so many rows.
    pub limit: Option<usize>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// A row of a listing; rows are in order of their paths' text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The path.
    pub path: String,
    /// Whether it is a directory; then the rest is empty.
    pub is_directory: bool,
    /// Bytes.
    pub size: u64,
    /// Unix time, µs.
    pub created_at_us: Option<i64>,
    /// Unix time, µs.
    pub modified_at_us: Option<i64>,
    /// BLAKE3 of the body, hex.
    pub etag: Option<String>,
    /// MIME type, if known.
    pub mime: Option<String>,
    /// The version, from 1; 0 of a directory.
    pub version: u64,
}

/// What was listed.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The rows, by path.
    pub entries: Vec<Entry>,
    /// Where the next page begins; `None` = this was the last.
    pub next_cursor: Option<String>,
}

/// Lists a directory. A file and what does not exist list as empty.
pub async fn list(call: &Call, query: ListQuery) -> Result<Listing, ServiceError> {
    let (caller, caches, asked) = (call.caller.clone(), Arc::clone(&call.caches), query.clone());
    let inline = move |tx: &ReadTx<'_>| {
        let access = Access::new(tx, &caller, Some(&caches))?;
        walk(tx, &access, &asked, Some(INLINE_ROWS_MAX))
    };
    if let Some(listing) = call.read(inline).await? {
        return Ok(listing);
    }
    let (caller, caches) = (call.caller.clone(), Arc::clone(&call.caches));
    let slow = move |tx: &ReadTx<'_>| {
        let access = Access::new(tx, &caller, Some(&caches))?.spending(Budget::edges(SLOW_EDGES_MAX));
        walk(tx, &access, &query, None)
    };
    // Without a bound of rows the walk always ends with a listing.
    Ok(call.read_slow(slow).await?.unwrap_or_default())
}

/// The listing, or `None` if it takes more than `rows_max` rows to make it.
fn walk<T: Sql>(
    tx: &T,
    access: &Access<'_, T>,
    query: &ListQuery,
    rows_max: Option<usize>,
) -> Result<Option<Listing>, ServiceError> {
    let page = Page::begin(tx, query)?;
    let located = Located::find(tx, &query.path)?;
    let Some(top) = located.node().filter(|n| n.kind == NodeKind::Directory) else {
        return Ok(Some(page.end()));
    };
    let mut walk = Walk {
        tx,
        query,
        reader: access.reader(&top.tenant),
        reach: Reach::new(access, query.path.clone()),
        page,
        open: vec![(query.path.clone(), top.id)],
        rows_left: rows_max.unwrap_or(usize::MAX),
    };
    while let Some((path, id)) = walk.open.pop() {
        if !walk.directory(&path, id)? {
            return Ok(None);
        }
    }
    Ok(Some(walk.page.end()))
}

/// A walk over one directory or a whole tree.
struct Walk<'a, 't, T: Sql> {
    tx: &'a T,
    query: &'a ListQuery,
    reader: Reader<'a, 't, T>,
    reach: Reach<'a, 't, T>,
    page: Page,
    /// Directories that are not yet walked over.
    open: Vec<(VirtualPath, NodeId)>,
    rows_left: usize,
}

impl<T: Sql> Walk<'_, '_, T> {
    /// Walks over one directory; whether there were rows left to look at.
    fn directory(&mut self, path: &VirtualPath, id: NodeId) -> Result<bool, ServiceError> {
        let (mut failed, mut ended) = (None, false);
        nodes::children(self.tx, id, |row| {
            ended = self.rows_left == 0;
            if ended {
                return Ok(ControlFlow::Break(()));
            }
            self.rows_left -= 1;
            Ok(match self.row(path, row) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            })
        })?;
        match failed {
            Some(error) => Err(error),
            None => Ok(!ended),
        }
    }

    fn row(&mut self, directory: &VirtualPath, row: NodeRow) -> Result<(), ServiceError> {
        let path = directory.child(&row.name);
        let readable = self.reader.may_read(path.as_str(), &row)?;
        if row.kind == NodeKind::File {
            return if readable { self.page.add(&path, &row) } else { Ok(()) };
        }
        if !self.query.recursive {
            return if readable || self.reach.shows(&path, &row)? { self.page.add(&path, &row) } else { Ok(()) };
        }
        if readable && !row.implicit {
            self.page.add(&path, &row)?;
        }
        if self.may_match_below(&path) && (readable || self.reach.leads_into(&path, &row)?) {
            self.open.push((path, row.id));
        }
        Ok(())
    }

    /// Whether a path below this directory can begin with the prefix asked for.
    fn may_match_below(&self, directory: &VirtualPath) -> bool {
        let Some(prefix) = &self.query.prefix else { return true };
        let directory = directory.as_str();
        let inside = prefix.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'));
        directory.starts_with(prefix.as_str()) || inside
    }
}

/// The rows of one page, kept within the bounds of the answer.
struct Page {
    rows: Rows,
    prefix: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
    details: bool,
    bytes: usize,
    incarnation: String,
    rev: Rev,
}

/// All rows, or the first of many.
enum Rows {
    All(Vec<Entry>),
    First(BinaryHeap<Entry>),
}

impl Page {
    fn begin(tx: &impl Sql, query: &ListQuery) -> Result<Self, ServiceError> {
        let paged = query.limit.is_some() || query.cursor.is_some();
        let incarnation = if paged { meta::get(tx, meta::INCARNATION)?.unwrap_or_default() } else { String::new() };
        let cursor = query.cursor.as_deref().map(|text| Cursor::read(text, &incarnation)).transpose()?;
        let rows = if query.limit.is_some() { Rows::First(BinaryHeap::new()) } else { Rows::All(Vec::new()) };
        Ok(Self {
            rows,
            prefix: query.prefix.clone(),
            limit: query.limit,
            details: query.details,
            bytes: 0,
            incarnation,
            rev: cursor.as_ref().map_or(tx.rev(), |c| c.rev),
            after: cursor.map(|c| c.path),
        })
    }

    fn add(&mut self, path: &VirtualPath, row: &NodeRow) -> Result<(), ServiceError> {
        let text = path.as_str();
        if self.prefix.as_deref().is_some_and(|prefix| !text.starts_with(prefix))
            || self.after.as_deref().is_some_and(|after| text <= after)
        {
            return Ok(());
        }
        let is_directory = row.kind == NodeKind::Directory;
        let of_file = |at: i64| (!is_directory).then_some(at);
        let entry = Entry {
            path: text.to_owned(),
            is_directory,
            size: row.size,
            created_at_us: of_file(row.created_at_us),
            modified_at_us: of_file(row.modified_at_us),
            etag: row.content.clone(),
            mime: row.mime.clone(),
            version: row.version,
        };
        let bytes = |path: &str| path.len() + ROW_BYTES + if self.details { DETAIL_BYTES } else { 0 };
        self.bytes += bytes(text);
        match &mut self.rows {
            Rows::All(rows) => rows.push(entry),
            Rows::First(rows) => {
                rows.push(entry);
                // One more than asked for tells whether there is more.
                if self.limit.is_some_and(|limit| rows.len() > limit + 1) {
                    let last = rows.pop();
                    self.bytes -= last.map_or(0, |last| bytes(&last.path));
                }
            }
        }
        if self.bytes > LIST_BYTES_MAX {
            return Err(ServiceError::ResultTooLarge { limit_bytes: LIST_BYTES_MAX });
        }
        Ok(())
    }

    fn end(self) -> Listing {
        let mut entries = match self.rows {
            Rows::All(mut rows) => {
                rows.sort_unstable_by(|a, b| a.path.cmp(&b.path));
                rows
            }
            Rows::First(rows) => rows.into_sorted_vec(),
        };
        let limit = self.limit.unwrap_or(usize::MAX);
        if entries.len() <= limit {
            return Listing { entries, next_cursor: None };
        }
        entries.truncate(limit);
        let path = entries.last().map(|e| e.path.clone()).unwrap_or_default();
        let cursor = Cursor { path, rev: self.rev };
        Listing { entries, next_cursor: Some(cursor.write(&self.incarnation)) }
    }
}

/// Where a page ended: the life of the store, the revision of the first page, the last path.
struct Cursor {
    rev: Rev,
    path: String,
}

impl Cursor {
    fn write(&self, incarnation: &str) -> String {
        URL_SAFE_NO_PAD.encode(format!("{incarnation}\n{}\n{}", self.rev, self.path))
    }

    fn read(text: &str, incarnation: &str) -> Result<Self, ServiceError> {
        let unknown =
            || ServiceError::InvalidParams("cursor is not one that this server gave; list again without it".into());
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| unknown())?;
        let text = String::from_utf8(bytes).map_err(|_| unknown())?;
        let mut parts = text.splitn(3, '\n');
        let (of, rev, path) = (parts.next(), parts.next(), parts.next());
        let rev = rev.and_then(|rev| rev.parse().ok());
        match (of, rev, path) {
            (Some(of), Some(rev), Some(path)) if of == incarnation => Ok(Self { rev, path: path.to_owned() }),
            _ => Err(unknown()),
        }
    }
}
