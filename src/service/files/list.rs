//! Listing a directory: everything in it that the caller may see, complete or an error.
//!
//! Owns order, filter, paging and the bounds of a listing. A directory is decided once where the rules of the graph
//! allow it, and one that shows nothing is not entered.

use std::cmp::Ordering;
use std::ops::ControlFlow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::model::{NodeId, NodeKind, Rev, VirtualPath};
use crate::rebac::Budget;
use crate::service::access::{Access, Reader};
use crate::service::files::reach::Reach;
use crate::service::{Call, ServiceError};
use crate::store::members::{self, Details, Member};
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
    /// Whether rows carry more than the path.
    pub details: bool,
    /// Only paths that begin with this text.
    pub prefix: Option<String>,
    /// At most so many rows.
    pub limit: Option<usize>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// A row of a listing; rows are in order of their paths' text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path.
    pub path: String,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Of a file, if they were asked for.
    pub details: Option<Details>,
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
    let place = nodes::place(tx, &query.path)?;
    if !place.exact || place.kind != NodeKind::Directory {
        return page.end(tx).map(Some);
    }
    let mut walk = Walk {
        tx,
        query,
        reader: access.reader(&place.tenant),
        reach: Reach::new(access, query.path.clone()),
        page,
        open: vec![(query.path.clone(), place.id)],
        rows_left: rows_max.unwrap_or(usize::MAX),
    };
    while let Some((path, id)) = walk.open.pop() {
        if !walk.directory(&path, id)? {
            return Ok(None);
        }
    }
    walk.page.end(tx).map(Some)
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
        // What every path begins with; the name of each row is put behind it in turn.
        let mut text = if path.is_root() { "/".to_owned() } else { format!("{path}/") };
        let base = text.len();
        // Only rows of one directory come in the order of their paths.
        let in_order = !self.query.recursive;
        let first = if in_order { self.page.first_name(&text).to_owned() } else { String::new() };
        let all = self.reader.reads_all_in(path);
        members::each(self.tx, id, &first, self.query.details, |row| {
            ended = self.rows_left == 0;
            if ended || in_order && self.page.is_full() {
                return Ok(ControlFlow::Break(()));
            }
            self.rows_left -= 1;
            text.truncate(base);
            text.push_str(row.name);
            Ok(match self.row(path, &text, all, &row) {
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

    /// One row of a directory; `all`: what the directory grants is enough to read each that is of its tenant.
    fn row(&mut self, directory: &VirtualPath, text: &str, all: bool, row: &Member<'_>) -> Result<(), ServiceError> {
        let readable = all && self.reader.is_of_home(row.tenant) || self.reader.may_read(text, row.facts()?)?;
        if row.kind == NodeKind::File {
            return if readable { self.page.add(text, row) } else { Ok(()) };
        }
        let (path, facts) = (directory.child(row.name), row.facts()?);
        if !self.query.recursive {
            return if readable || self.reach.shows(&path, facts)? { self.page.add(text, row) } else { Ok(()) };
        }
        let enters = self.may_match_below(&path) && (readable || self.reach.leads_into(&path, facts)?);
        if enters {
            self.open.push((path, facts.id));
        }
        if readable && !row.is_implicit()? { self.page.add(text, row) } else { Ok(()) }
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
    rows: Vec<Entry>,
    prefix: Option<String>,
    after: Option<String>,
    /// As many rows as are asked for, and one that tells whether there are more.
    wanted: usize,
    details: bool,
    bytes_a_row: usize,
    bytes: usize,
    rev: Rev,
}

impl Page {
    fn begin(tx: &impl Sql, query: &ListQuery) -> Result<Self, ServiceError> {
        let cursor = query.cursor.as_deref().map(|text| Cursor::read(tx, text)).transpose()?;
        Ok(Self {
            rows: Vec::new(),
            prefix: query.prefix.clone(),
            wanted: query.limit.map_or(usize::MAX, |limit| limit + 1),
            details: query.details,
            bytes_a_row: ROW_BYTES + if query.details { DETAIL_BYTES } else { 0 },
            bytes: 0,
            rev: cursor.as_ref().map_or(tx.rev(), |c| c.rev),
            after: cursor.map(|c| c.path),
        })
    }

    /// The first name in a directory whose path can be on the page; `directory` ends with a slash.
    fn first_name(&self, directory: &str) -> &str {
        let least = self.after.as_deref().max(self.prefix.as_deref()).unwrap_or_default();
        least.strip_prefix(directory).unwrap_or_default()
    }

    /// Whether there are as many rows as are wanted.
    fn is_full(&self) -> bool {
        self.rows.len() >= self.wanted
    }

    fn add(&mut self, path: &str, row: &Member<'_>) -> Result<(), ServiceError> {
        if self.prefix.as_deref().is_some_and(|prefix| !path.starts_with(prefix))
            || self.after.as_deref().is_some_and(|after| path <= after)
        {
            return Ok(());
        }
        let is_directory = row.kind == NodeKind::Directory;
        let details = (self.details && !is_directory).then(|| row.details()).transpose()?;
        self.rows.push(Entry { path: path.to_owned(), is_directory, details });
        self.bytes += path.len() + self.bytes_a_row;
        if self.rows.len() >= self.wanted.saturating_mul(2) || self.bytes > LIST_BYTES_MAX {
            self.drop_the_last();
        }
        match self.bytes > LIST_BYTES_MAX {
            true => Err(ServiceError::ResultTooLarge { limit_bytes: LIST_BYTES_MAX }),
            false => Ok(()),
        }
    }

    /// Of more rows than are wanted, keeps the first.
    fn drop_the_last(&mut self) {
        if self.rows.len() > self.wanted {
            self.rows.select_nth_unstable_by(self.wanted, by_path);
            self.rows.truncate(self.wanted);
            self.bytes = self.rows.iter().map(|row| row.path.len() + self.bytes_a_row).sum();
        }
    }

    fn end(mut self, tx: &impl Sql) -> Result<Listing, ServiceError> {
        self.drop_the_last();
        let mut entries = self.rows;
        entries.sort_unstable_by(by_path);
        if entries.len() < self.wanted {
            return Ok(Listing { entries, next_cursor: None });
        }
        entries.pop();
        let path = entries.last().map(|e| e.path.clone()).unwrap_or_default();
        let cursor = Cursor { path, rev: self.rev };
        Ok(Listing { entries, next_cursor: Some(cursor.write(tx)?) })
    }
}

fn by_path(a: &Entry, b: &Entry) -> Ordering {
    a.path.cmp(&b.path)
}

/// Where a page ended: the life of the store, the revision of the first page, the last path.
struct Cursor {
    rev: Rev,
    path: String,
}

impl Cursor {
    fn write(&self, tx: &impl Sql) -> Result<String, ServiceError> {
        let incarnation = meta::get(tx, meta::INCARNATION)?.unwrap_or_default();
        Ok(URL_SAFE_NO_PAD.encode(format!("{incarnation}\n{}\n{}", self.rev, self.path)))
    }

    fn read(tx: &impl Sql, text: &str) -> Result<Self, ServiceError> {
        let incarnation = meta::get(tx, meta::INCARNATION)?.unwrap_or_default();
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
