//! Two trees side by side: what lies below a directory now or lay there at a revision, met in one order.
//!
//! Owns the order (by path component, bytes within a component) and the walk; what a difference means is for `snapshots`
//! and `restore`. Holds a bounded number of rows however large the trees are: a page per directory on the way. Decides no
//! rights.

use std::cmp::Ordering;
use std::collections::VecDeque;

use crate::model::{NodeId, NodeKind, NodeRow, Rev};
use crate::store::{Sql, StoreError, nodes, past};

/// Rows of one directory that are held at a time.
const PAGE_ROWS_MAX: u64 = 256;
/// The same far below: a page is the smaller the deeper its directory lies.
const PAGE_ROWS_MIN: u64 = 8;

/// Which state of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// That of the transaction.
    Now,
    /// That of a revision.
    At(Rev),
}

/// A directory in one state; `None` = nothing is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tree {
    pub(super) directory: Option<NodeId>,
    pub(super) when: When,
}

/// A file or directory of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) id: NodeId,
    /// BLAKE3 of the body, hex; `None` = a directory.
    pub(super) content: Option<String>,
    pub(super) size: u64,
    pub(super) mime: Option<String>,
    /// The node, of a tree of now.
    pub(super) row: Option<NodeRow>,
}

impl Entry {
    pub(super) fn is_directory(&self) -> bool {
        self.content.is_none()
    }
}

/// What one or both trees have at a path.
#[derive(Debug)]
pub(super) struct Met {
    /// The path below the directory, without a leading slash.
    pub(super) path: String,
    pub(super) left: Option<Entry>,
    pub(super) right: Option<Entry>,
    /// The directory it lies in, in the left tree.
    pub(super) left_parent: Option<NodeId>,
    /// The same in the right tree.
    pub(super) right_parent: Option<NodeId>,
    /// Whether the left one is a directory with nothing in it.
    pub(super) left_is_empty: bool,
}

/// What lies in one directory of one tree.
struct Side {
    tree: Tree,
    page: VecDeque<Entry>,
    last: String,
    ended: bool,
}

impl Side {
    fn new(tree: Tree) -> Self {
        Self { tree, page: VecDeque::new(), last: String::new(), ended: tree.directory.is_none() }
    }

    /// Makes sure that the next entry is at hand, if there is one.
    fn fill(&mut self, tx: &impl Sql, most: u64) -> Result<(), StoreError> {
        let Some(directory) = self.tree.directory.filter(|_| self.page.is_empty() && !self.ended) else {
            return Ok(());
        };
        self.page = match self.tree.when {
            When::Now => {
                let entry = |row: NodeRow| Entry {
                    name: row.name.clone(),
                    id: row.id,
                    content: row.content.clone().filter(|_| row.kind == NodeKind::File),
                    size: row.size,
                    mime: row.mime.clone(),
                    row: Some(row),
                };
                nodes::children_after(tx, directory, &self.last, most)?.into_iter().map(entry).collect()
            }
            When::At(rev) => {
                let entry = |row: past::PastRow| Entry {
                    name: row.name,
                    id: row.node,
                    content: row.content,
                    size: row.size,
                    mime: row.mime,
                    row: None,
                };
                past::children(tx, directory, rev, &self.last, most)?.into_iter().map(entry).collect()
            }
        };
        self.ended = (self.page.len() as u64) < most;
        if let Some(entry) = self.page.back() {
            self.last.clone_from(&entry.name);
        }
        Ok(())
    }
}

struct Frame {
    path: String,
    left: Side,
    right: Side,
}

/// The walk over two trees.
pub(super) struct Walk<'a, T: Sql> {
    tx: &'a T,
    frames: Vec<Frame>,
    met: u64,
}

impl<'a, T: Sql> Walk<'a, T> {
    pub(super) fn new(tx: &'a T, left: Tree, right: Tree) -> Self {
        let top = Frame { path: String::new(), left: Side::new(left), right: Side::new(right) };
        Self { tx, frames: vec![top], met: 0 }
    }

    /// How many paths it has met.
    pub(super) fn met(&self) -> u64 {
        self.met
    }

    /// What comes next; the content of a directory comes right after it.
    pub(super) fn next(&mut self) -> Result<Option<Met>, StoreError> {
        loop {
            let depth = self.frames.len().max(1) as u64;
            let most = (PAGE_ROWS_MAX / depth).max(PAGE_ROWS_MIN);
            let Some(frame) = self.frames.last_mut() else { return Ok(None) };
            frame.left.fill(self.tx, most)?;
            frame.right.fill(self.tx, most)?;
            let order = match (frame.left.page.front(), frame.right.page.front()) {
                (None, None) => {
                    self.frames.pop();
                    continue;
                }
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(left), Some(right)) => left.name.as_bytes().cmp(right.name.as_bytes()),
            };
            let left = if order.is_le() { frame.left.page.pop_front() } else { None };
            let right = if order.is_ge() { frame.right.page.pop_front() } else { None };
            let Some(name) = left.as_ref().or(right.as_ref()).map(|entry| &entry.name) else { continue };
            let path = if frame.path.is_empty() { name.clone() } else { format!("{}/{name}", frame.path) };
            let (left_tree, right_tree) = (frame.left.tree, frame.right.tree);
            let left_is_empty = self.enter(&path, left.as_ref(), right.as_ref(), left_tree, right_tree, most)?;
            self.met += 1;
            let (left_parent, right_parent) = (left_tree.directory, right_tree.directory);
            return Ok(Some(Met { path, left, right, left_parent, right_parent, left_is_empty }));
        }
    }

    /// Goes into what is a directory on either side. Returns whether the left one is one and has nothing in it.
    fn enter(
        &mut self,
        path: &str,
        left: Option<&Entry>,
        right: Option<&Entry>,
        left_tree: Tree,
        right_tree: Tree,
        most: u64,
    ) -> Result<bool, StoreError> {
        let directory = |entry: Option<&Entry>| entry.filter(|entry| entry.is_directory()).map(|entry| entry.id);
        let (into_left, into_right) = (directory(left), directory(right));
        if into_left.is_none() && into_right.is_none() {
            return Ok(false);
        }
        let mut left = Side::new(Tree { directory: into_left, ..left_tree });
        left.fill(self.tx, most)?;
        let is_empty = into_left.is_some() && left.page.is_empty();
        let right = Side::new(Tree { directory: into_right, ..right_tree });
        self.frames.push(Frame { path: path.to_owned(), left, right });
        Ok(is_empty)
    }
}
