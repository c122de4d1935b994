//! `glob` and `grep`: which paths match a pattern, and which lines of readable files.
//!
//! Owns the bounds of a search and what an answer says about them: one that is not whole always says so, and why. Runs
//! on the slow lane, behind everything else there, in one transaction that lasts [`SEARCH_TIME_MAX`] at most, and stops
//! when nobody waits for it any more. A file is decided before its name is compared or its body is read; what the
//! caller may not read is in no result, no count and no cursor.

pub mod glob;
mod outlet;
pub mod text;
mod walk;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::model::{ContentHash, NodeKind, NodeRow, VirtualPath};
use crate::rebac::Budget;
use crate::service::access::{Access, Permission, Target};
use crate::service::located::Located;
use crate::service::search::glob::Glob;
use crate::service::search::outlet::Outlet;
use crate::service::search::text::{Hit, TextSearch, is_binary};
use crate::service::search::walk::{Range, Step, Stop, Walk};
use crate::service::{Call, ServiceError};
use crate::store::{FaultPoint, ReadTx, Store, StoreError, contents, meta};
use crate::telemetry::metric;

pub use crate::service::search::outlet::{Event, Running};
pub use crate::service::search::walk::Stopped;

/// Longest time that a search looks around; then it answers with what it has.
pub const SEARCH_TIME_MAX: Duration = Duration::from_secs(10);
/// What of a request's own deadline is kept for its answer.
const ANSWER_TIME: Duration = Duration::from_secs(2);
/// Largest result, bytes of its paths and lines.
pub const SEARCH_BYTES_MAX: usize = 8 << 20;
/// Largest file whose lines are looked at, bytes.
pub const FILE_BYTES_MAX: u64 = 16 << 20;
/// Work of a search, edges of the graph.
const EDGES_MAX: u64 = 200_000_000;

/// Which paths to find.
#[derive(Debug, Clone)]
pub struct GlobQuery {
    /// The directory.
    pub path: VirtualPath,
    /// The pattern.
    pub pattern: String,
    /// At most so many.
    pub limit: Option<usize>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// Which lines to find.
#[derive(Debug, Clone)]
pub struct GrepQuery {
    /// The directory, or one file.
    pub path: VirtualPath,
    /// The regular expression.
    pub pattern: String,
    /// Which files.
    pub file_pattern: Option<String>,
    /// Whether upper and lower case are one.
    pub ignore_case: bool,
    /// Lines shown before each.
    pub before: usize,
    /// Lines shown after each.
    pub after: usize,
    /// At most so many.
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// A line that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The file.
    pub path: String,
    /// The line and what is around it.
    pub hit: Hit,
}

/// What was found, and whether that is all.
#[derive(Debug, Clone)]
pub struct Found<R> {
    /// In order of the paths' text, then of lines.
    pub results: Vec<R>,
    /// Why it stopped before its end; `None` = it went through.
    pub stopped: Option<Stopped>,
    /// Where the next page begins, if it stopped and somebody can go on from there.
    pub next_cursor: Option<String>,
    /// The files whose lines were asked about.
    pub files: FileCounts,
}

/// What became of readable files that a search for lines came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileCounts {
    /// Looked at.
    pub searched: u64,
    /// Passed by: a NUL byte is in them.
    pub binary: u64,
    /// Passed by: larger than [`FILE_BYTES_MAX`].
    pub too_large: u64,
    /// Passed by: what is stored is not what was written.
    pub damaged: u64,
    /// Passed by: tables of which the caller is shown only some columns.
    pub partial: u64,
}

/// The paths below a directory that match a pattern. What is no directory has none.
pub async fn glob(call: &Call, query: GlobQuery) -> Result<Found<String>, ServiceError> {
    glob_into(call, query, None).await
}

/// The same, each as soon as it is found.
#[must_use]
pub fn glob_on(call: &Call, query: GlobQuery) -> Running<String> {
    let call = call.clone();
    Running::new(move |outlet| async move { glob_into(&call, query, Some(outlet)).await })
}

async fn glob_into(
    call: &Call,
    query: GlobQuery,
    outlet: Option<Outlet<String>>,
) -> Result<Found<String>, ServiceError> {
    let glob = Glob::below(&query.path, &query.pattern)?;
    run(call, move |tx, access, stop| {
        let limit = query.limit.unwrap_or(usize::MAX);
        let mut search =
            Search::begin(tx, query.cursor.as_deref(), limit, outlet.map(|outlet| (outlet, stop.clone())))?;
        let located = Located::find(tx, &query.path)?;
        let Some(top) = located.node().filter(|node| node.kind == NodeKind::Directory) else {
            return Ok(search.end(None));
        };
        let range = Range { prefix: glob.prefix().to_owned(), from: search.begin_path() };
        let mut walk = Walk::new(access, &query.path, top, range, stop.clone());
        loop {
            match walk.next()? {
                Step::Found(path, _) if search.is_passed(path.as_str(), u64::MAX) => {}
                Step::Found(path, _) => {
                    let text = path.as_str();
                    if glob.matches(text)
                        && let Err(stopped) = search.add(text.to_owned(), text.len())
                    {
                        return Ok(search.end(Some(stopped)));
                    }
                    search.passed(text, u64::MAX);
                }
                Step::Stopped(stopped) => return Ok(search.end(Some(stopped))),
                Step::End => return Ok(search.end(None)),
            }
        }
    })
    .await
}

/// The lines of the files at or below a path that match a regular expression.
pub async fn grep(call: &Call, query: GrepQuery) -> Result<Found<Match>, ServiceError> {
    grep_into(call, query, None).await
}

/// The same, each as soon as it is found.
#[must_use]
pub fn grep_on(call: &Call, query: GrepQuery) -> Running<Match> {
    let call = call.clone();
    Running::new(move |outlet| async move { grep_into(&call, query, Some(outlet)).await })
}

async fn grep_into(call: &Call, query: GrepQuery, outlet: Option<Outlet<Match>>) -> Result<Found<Match>, ServiceError> {
    let filter = query.file_pattern.as_deref().map(|text| Glob::file_filter(&query.path, text)).transpose()?;
    run(call, move |tx, access, stop| {
        let text = TextSearch::new(&query.pattern, query.ignore_case, query.before, query.after)?;
        let outlet = outlet.map(|outlet| (outlet, stop.clone()));
        let search = Search::begin(tx, query.cursor.as_deref(), query.limit, outlet)?;
        let mut grep = Grep { access, text, search, stop };
        let located = Located::find(tx, &query.path)?;
        let prefix = filter.as_ref().map_or("", Glob::prefix).to_owned();
        let range = Range { prefix, from: grep.search.begin_path() };
        let stopped = match located.node() {
            None => None,
            Some(node) if node.kind == NodeKind::File => {
                let readable = access.file(located.target(), Permission::Read)?.allowed();
                if readable { grep.file(&query.path, node)? } else { None }
            }
            Some(top) => {
                let mut walk = Walk::new(access, &query.path, top, range, stop.clone());
                loop {
                    let stopped = match walk.next()? {
                        Step::Found(path, row) if row.kind == NodeKind::File => match &filter {
                            Some(filter) if !filter.matches(path.as_str()) => None,
                            _ => grep.file(&path, &row)?,
                        },
                        Step::Found(..) => None,
                        Step::Stopped(stopped) => Some(stopped),
                        Step::End => break None,
                    };
                    if stopped.is_some() {
                        break stopped;
                    }
                }
            }
        };
        Ok(grep.search.end(stopped))
    })
    .await
}

/// Runs a search on the slow lane and tells it when nobody waits for it any more.
async fn run<R, F>(call: &Call, search: F) -> Result<Found<R>, ServiceError>
where
    R: Send + 'static,
    F: FnOnce(&ReadTx<'_>, &Access<'_, ReadTx<'_>>, &Stop) -> Result<Found<R>, ServiceError> + Send + 'static,
{
    let abandoned = Arc::new(AtomicBool::new(false));
    let mut waiting = Waiting { store: &call.store, abandoned: Arc::clone(&abandoned), answered: false };
    let (asked, deadline) = (call.clone(), call.deadline);
    let found = call
        .read_long(move |tx| {
            let latest = asked.store.clock().instant() + SEARCH_TIME_MAX;
            let deadline = deadline.and_then(|at| at.checked_sub(ANSWER_TIME)).map_or(latest, |at| at.min(latest));
            let stop = Stop::new(&asked.store, deadline, abandoned);
            let ends = stop.clone();
            let budget = Budget::edges(EDGES_MAX).until(move || ends.look().is_some());
            let access = Access::new(tx, &asked.caller, Some(&asked.caches))?.spending(budget);
            search(tx, &access, &stop)
        })
        .await;
    waiting.answered = true;
    found
}

/// Whoever waits for a search; gone before the answer, it is abandoned.
struct Waiting<'a> {
    store: &'a Store,
    abandoned: Arc<AtomicBool>,
    answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.abandoned.store(true, Ordering::Relaxed);
            self.store.reach(FaultPoint::SearchAbandoned);
        }
    }
}

/// A search for lines.
struct Grep<'a, 'c> {
    access: &'a Access<'a, ReadTx<'c>>,
    text: TextSearch,
    search: Search<Match>,
    stop: &'a Stop,
}

impl Grep<'_, '_> {
    /// Looks at one file that the caller may read; why the search ends with it.
    fn file(&mut self, path: &VirtualPath, row: &NodeRow) -> Result<Option<Stopped>, ServiceError> {
        let name = path.as_str();
        if self.search.is_passed(name, u64::MAX) {
            return Ok(None);
        }
        let Some(body) = self.body(path, row)? else {
            self.search.passed(name, u64::MAX);
            return Ok(None);
        };
        self.search.files.searched += 1;
        let (search, stop) = (&mut self.search, self.stop);
        let mut stopped = None;
        self.text.run(&body, |hit| {
            let number = hit.line.number;
            if search.is_passed(name, number) {
                return true;
            }
            let bytes = hit.bytes() + name.len();
            let added = search.add(Match { path: name.to_owned(), hit }, bytes);
            if added.is_ok() {
                search.passed(name, number);
            }
            stopped = added.err().or_else(|| stop.look());
            stopped.is_none()
        })?;
        if stopped.is_none() {
            self.search.passed(name, u64::MAX);
        }
        Ok(stopped)
    }

    /// The body, or `None` and a count if it is not looked at.
    fn body(&mut self, path: &VirtualPath, row: &NodeRow) -> Result<Option<Vec<u8>>, ServiceError> {
        let files = &mut self.search.files;
        let target = Target { path, node: Some(row), tenant: &row.tenant };
        if self.access.column_rules(target)?.is_some() {
            files.partial += 1;
            return Ok(None);
        }
        if row.size > FILE_BYTES_MAX {
            files.too_large += 1;
            return Ok(None);
        }
        let hash = row.content.as_deref().and_then(ContentHash::from_hex);
        let body = match hash.map(|hash| contents::body(self.access.tx(), hash)).transpose() {
            Ok(body) => body.flatten(),
            Err(StoreError::Corrupt { what }) => {
                tracing::error!(%path, what, "a file is damaged; it was not searched");
                None
            }
            Err(error) => return Err(error.into()),
        };
        match body {
            Some(body) if is_binary(&body) => files.binary += 1,
            Some(body) => return Ok(Some(body)),
            None => {
                metric::INTEGRITY_ERRORS.count(&[]);
                files.damaged += 1;
            }
        }
        Ok(None)
    }
}

/// The results of one page, kept within their bounds.
struct Search<R> {
    results: Vec<R>,
    /// Where they go in place of that.
    outlet: Option<(Outlet<R>, Stop)>,
    count: usize,
    limit: usize,
    bytes: usize,
    files: FileCounts,
    incarnation: String,
    /// Where the page before ended.
    begin: Option<Place>,
    /// How far this one came.
    reached: Option<Place>,
}

/// A place in the order of results: everything up to this line of this file.
#[derive(Debug, Clone)]
struct Place {
    path: String,
    line: u64,
}

impl<R> Search<R> {
    fn begin(
        tx: &ReadTx<'_>,
        cursor: Option<&str>,
        limit: usize,
        outlet: Option<(Outlet<R>, Stop)>,
    ) -> Result<Self, ServiceError> {
        let incarnation = meta::get(tx, meta::INCARNATION)?.unwrap_or_default();
        let begin = cursor.map(|text| Place::read(text, &incarnation)).transpose()?;
        let (results, files) = (Vec::new(), FileCounts::default());
        let reached = begin.clone();
        Ok(Self { results, outlet, count: 0, limit, bytes: 0, files, incarnation, reached, begin })
    }

    fn begin_path(&self) -> Option<String> {
        self.begin.as_ref().map(|place| place.path.clone())
    }

    /// Whether the page before has had this.
    fn is_passed(&self, path: &str, line: u64) -> bool {
        self.begin.as_ref().is_some_and(|place| (place.path.as_str(), place.line) >= (path, line))
    }

    /// Everything up to here is in this page or an earlier one.
    fn passed(&mut self, path: &str, line: u64) {
        match &mut self.reached {
            Some(place) if place.path == path => place.line = line,
            reached => *reached = Some(Place { path: path.to_owned(), line }),
        }
    }

    /// Adds a result, or says why there is no room for it.
    fn add(&mut self, result: R, bytes: usize) -> Result<(), Stopped> {
        if self.count >= self.limit {
            return Err(Stopped::Limit);
        }
        if self.bytes + bytes > SEARCH_BYTES_MAX {
            return Err(Stopped::ResultBytes);
        }
        match &self.outlet {
            Some((outlet, stop)) => outlet.send(result, || stop.look())?,
            None => self.results.push(result),
        }
        self.bytes += bytes;
        self.count += 1;
        Ok(())
    }

    fn end(self, stopped: Option<Stopped>) -> Found<R> {
        let next_cursor = stopped.and(self.reached).map(|place| place.write(&self.incarnation));
        Found { results: self.results, stopped, next_cursor, files: self.files }
    }
}

impl Place {
    fn write(&self, incarnation: &str) -> String {
        URL_SAFE_NO_PAD.encode(format!("{incarnation}\n{}\n{}", self.line, self.path))
    }

    fn read(text: &str, incarnation: &str) -> Result<Self, ServiceError> {
        let unknown =
            || ServiceError::InvalidParams("cursor is not one that this server gave; search again without it".into());
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| unknown())?;
        let text = String::from_utf8(bytes).map_err(|_| unknown())?;
        let mut parts = text.splitn(3, '\n');
        let (of, line, path) = (parts.next(), parts.next(), parts.next());
        let line = line.and_then(|line| line.parse().ok());
        match (of, line, path) {
            (Some(of), Some(line), Some(path)) if of == incarnation => Ok(Self { line, path: path.to_owned() }),
            _ => Err(unknown()),
        }
    }
}
