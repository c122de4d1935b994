//! A walk over everything below a directory that the caller may read, in order of the paths' text.
//!
//! Owns that order, and when a search has to stop. Decides rights with the filter of a listing, row by row and before
//! anybody looks at a body; a directory that shows nothing is not entered. Holds a bounded number of rows, however
//! large the tree is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::model::time::SharedClock;
use crate::model::{NodeId, NodeKind, NodeRow, VirtualPath};
use crate::service::ServiceError;
use crate::service::access::{Access, Reader};
use crate::service::files::reach::Reach;
use crate::store::{FaultPoint, Sql, Store, StoreError, nodes};

/// Rows of one directory that are held at a time.
const PAGE_ROWS_MAX: u64 = 256;
/// The same far below: a page is the smaller the deeper its directory lies.
const PAGE_ROWS_MIN: u64 = 8;

/// Why a search stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// As many results as were asked for.
    Limit,
    /// As many bytes as a result may have.
    ResultBytes,
    /// Its time was up.
    Deadline,
    /// Nobody waits for it any more.
    Abandoned,
}

/// What ends a search from outside: its deadline, or that nobody waits for it.
#[derive(Clone)]
pub(in crate::service) struct Stop {
    store: Store,
    clock: SharedClock,
    deadline: Instant,
    abandoned: Arc<AtomicBool>,
}

impl Stop {
    pub(in crate::service) fn new(store: &Store, deadline: Instant, abandoned: Arc<AtomicBool>) -> Self {
        Self { store: store.clone(), clock: Arc::clone(store.clock()), deadline, abandoned }
    }

    /// Whether it has to end now.
    pub(in crate::service) fn look(&self) -> Option<Stopped> {
        if self.abandoned.load(Ordering::Relaxed) {
            return Some(Stopped::Abandoned);
        }
        (self.clock.instant() >= self.deadline).then_some(Stopped::Deadline)
    }

    /// The same between two files.
    fn look_at_file(&self) -> Option<Stopped> {
        self.store.reach(FaultPoint::SearchNextFile);
        self.look()
    }

    /// What an error means that came up because of it.
    fn explain(&self, error: ServiceError) -> Result<Stopped, ServiceError> {
        match (error, self.look()) {
            // Said by the store, for reads that run too long or hold up the log.
            (ServiceError::Store(StoreError::DeadlineExceeded { .. }), _) => Ok(Stopped::Deadline),
            // A budget that was spent because it was stopped.
            (ServiceError::Indeterminate { .. }, Some(stopped)) => Ok(stopped),
            (error, _) => Err(error),
        }
    }
}

/// What a walk comes to.
pub(in crate::service) enum Step {
    /// The caller may read it.
    Found(VirtualPath, NodeRow),
    /// It had to stop.
    Stopped(Stopped),
    /// There is nothing more.
    End,
}

/// Which part of a tree is walked over.
pub(in crate::service) struct Range {
    /// The text that all paths of interest begin with.
    pub(in crate::service) prefix: String,
    /// Paths before this one, in order of their text, are passed by; itself is not.
    pub(in crate::service) from: Option<String>,
}

impl Range {
    fn holds(&self, path: &str) -> bool {
        path.starts_with(&self.prefix) && self.from.as_deref().is_none_or(|from| path >= from)
    }

    /// Whether a path below this directory may be held.
    fn reaches_into(&self, directory: &str) -> bool {
        let leads_to = |goal: &str| goal.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'));
        let begins = directory.starts_with(&self.prefix) || leads_to(&self.prefix);
        begins && self.from.as_deref().is_none_or(|from| leads_to(from) || before(directory, from).is_gt())
    }
}

/// How what lies in the directory `directory` is ordered to the path or name `other`.
fn before(directory: &str, other: &str) -> std::cmp::Ordering {
    directory.bytes().chain([b'/']).cmp(other.bytes())
}

/// The walk.
pub(in crate::service) struct Walk<'a, 't, T: Sql> {
    tx: &'a T,
    reader: Reader<'a, 't, T>,
    reach: Reach<'a, 't, T>,
    range: Range,
    stop: Stop,
    frames: Vec<Frame>,
}

/// A directory that is walked over.
struct Frame {
    path: VirtualPath,
    id: NodeId,
    page: VecDeque<NodeRow>,
    /// The last name that was read.
    last: String,
    ended: bool,
    /// Directories in it whose content is still to come, the nearest last: the content of `a` comes after `a.txt`.
    waiting: Vec<(VirtualPath, NodeId)>,
}

impl Frame {
    fn new(path: VirtualPath, id: NodeId) -> Self {
        Self { path, id, page: VecDeque::new(), last: String::new(), ended: false, waiting: Vec::new() }
    }

    /// The directory whose content comes before the next row.
    fn due(&mut self) -> Option<(VirtualPath, NodeId)> {
        let (directory, _) = self.waiting.last()?;
        let is_due = self.page.front().is_none_or(|row| before(directory.name(), &row.name).is_lt());
        if is_due { self.waiting.pop() } else { None }
    }
}

impl<'a, 't, T: Sql> Walk<'a, 't, T> {
    /// Over what lies below the directory `top` at `path`.
    pub(in crate::service) fn new(
        access: &'a Access<'t, T>,
        path: &VirtualPath,
        top: &'a NodeRow,
        range: Range,
        stop: Stop,
    ) -> Self {
        let (reader, reach) = (access.reader(&top.tenant), Reach::new(access, path.clone()));
        Self { tx: access.tx(), reader, reach, range, stop, frames: vec![Frame::new(path.clone(), top.id)] }
    }

    /// The next file or explicit directory that the caller may read.
    pub(in crate::service) fn next(&mut self) -> Result<Step, ServiceError> {
        match self.step() {
            Err(error) => self.stop.explain(error).map(Step::Stopped),
            step => step,
        }
    }

    fn step(&mut self) -> Result<Step, ServiceError> {
        loop {
            if let Some(stopped) = self.stop.look() {
                return Ok(Step::Stopped(stopped));
            }
            let depth = self.frames.len() as u64;
            let Some(frame) = self.frames.last_mut() else { return Ok(Step::End) };
            if frame.page.is_empty() && !frame.ended {
                let most = (PAGE_ROWS_MAX / depth).max(PAGE_ROWS_MIN);
                let rows = nodes::children_after(self.tx, frame.id, &frame.last, most)?;
                frame.ended = (rows.len() as u64) < most;
                frame.last = rows.last().map(|row| row.name.clone()).unwrap_or_default();
                frame.page = rows.into();
            }
            if let Some((path, id)) = frame.due() {
                self.frames.push(Frame::new(path, id));
                continue;
            }
            let Some(row) = frame.page.pop_front() else {
                self.frames.pop();
                continue;
            };
            let path = frame.path.child(&row.name);
            if self.look(&path, &row)? {
                return Ok(match self.stop.look_at_file() {
                    Some(stopped) => Step::Stopped(stopped),
                    None => Step::Found(path, row),
                });
            }
        }
    }

    /// Whether a row is found; a directory that may hold something is kept for later.
    fn look(&mut self, path: &VirtualPath, row: &NodeRow) -> Result<bool, ServiceError> {
        let held = self.range.holds(path.as_str());
        if row.kind == NodeKind::File {
            return Ok(held && self.reader.may_read(path.as_str(), row)?);
        }
        let enters = self.range.reaches_into(path.as_str());
        if !held && !enters {
            return Ok(false);
        }
        let readable = self.reader.may_read(path.as_str(), row)?;
        if enters
            && (readable || self.reach.leads_into(path, row)?)
            && let Some(frame) = self.frames.last_mut()
        {
            frame.waiting.push((path.clone(), row.id));
        }
        Ok(held && readable && !row.implicit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(prefix: &str, from: Option<&str>) -> Range {
        Range { prefix: prefix.to_owned(), from: from.map(str::to_owned) }
    }

    #[test]
    fn the_content_of_a_directory_is_in_order_of_its_slash() {
        assert!(before("a", "a-b").is_gt());
        assert!(before("a", "a.txt").is_gt());
        assert!(before("a", "a").is_gt());
        assert!(before("a", "a0").is_lt());
        assert!(before("a", "ab").is_lt());
    }

    #[test]
    fn a_range_holds_its_paths_and_leads_to_them() {
        let below = range("/s/a", None);
        assert!(below.holds("/s/a") && below.holds("/s/ab") && !below.holds("/s/b"));
        assert!(below.reaches_into("/s") && below.reaches_into("/s/ab") && !below.reaches_into("/s/b"));
        let later = range("/", Some("/s/a.txt"));
        assert!(later.holds("/s/a.txt") && later.holds("/s/a/x") && !later.holds("/s/a-b"));
        assert!(later.reaches_into("/s") && later.reaches_into("/s/a") && later.reaches_into("/t"));
        assert!(!later.reaches_into("/s/a-b") && !later.reaches_into("/r"));
    }
}
