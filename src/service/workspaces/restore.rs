//! What it takes to bring a workspace back to a snapshot: a plan, made by a reader.
//!
//! Owns the plan and the question whether it still holds. The plan names every row that changes, so that the message
//! (`restore_ops`) looks nothing up: a file that differs gets a further version, what is only there today goes, what is only
//! in the snapshot comes as new. A directory that goes is one row however much lies in it.
//!
//! Invariant: a plan made at a revision holds at a later one iff no node at or below the workspace's directory has come,
//! changed, moved or gone in between, which the log of these revisions tells.

use std::collections::HashMap;

use crate::model::{Change, ContentHash, NodeId, NodeKind, NodeRow, Rev, VirtualPath};
use crate::service::ServiceError;
use crate::service::skills::front_matter;
use crate::service::workspaces::trees::{Entry, Met, Tree, Walk};
use crate::store::quotas::Growth;
use crate::store::skills::SkillRow;
use crate::store::{Sql, StoreError, changelog, contents, nodes};

/// Rows of the tree that one restore changes. They are changed in one transaction, during which nobody else writes.
pub(super) const RESTORE_ROWS_MAX: usize = 10_000;

/// Where something is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parent {
    /// In a directory that is there.
    Node(NodeId),
    /// In the directory of this number among those that the plan makes; 0 = that of the workspace itself.
    Made(usize),
}

/// The content of a file.
#[derive(Debug, Clone)]
pub(super) struct Body {
    pub(super) content: String,
    pub(super) size: u64,
    pub(super) mime: Option<String>,
    /// What it says, if it is a SKILL.md.
    pub(super) skill: Option<SkillRow>,
}

/// A node that goes.
#[derive(Debug, Clone)]
pub(super) struct Removal {
    pub(super) path: VirtualPath,
    pub(super) row: NodeRow,
}

/// A directory that comes.
#[derive(Debug, Clone)]
pub(super) struct NewDirectory {
    pub(super) parent: Parent,
    pub(super) name: String,
}

/// A file that comes.
#[derive(Debug, Clone)]
pub(super) struct NewFile {
    pub(super) parent: Parent,
    pub(super) path: VirtualPath,
    pub(super) body: Body,
}

/// A file that gets a further version.
#[derive(Debug, Clone)]
pub(super) struct Rewrite {
    pub(super) path: VirtualPath,
    pub(super) row: NodeRow,
    pub(super) body: Body,
}

/// Everything that a restore changes.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    pub(super) removals: Vec<Removal>,
    /// In the order in which they are made; the first is number 1.
    pub(super) directories: Vec<NewDirectory>,
    pub(super) files: Vec<NewFile>,
    pub(super) rewrites: Vec<Rewrite>,
    /// Directories that stay and hold nothing afterwards: they no longer go with their last child.
    pub(super) emptied: Vec<NodeRow>,
    /// Files that go, those in directories that go too.
    pub(super) deleted: u64,
}

impl Plan {
    /// Compares the tree of a snapshot with that of now, asking `look` before each entry whether to go on.
    pub(super) fn make<T: Sql>(
        tx: &T,
        path: &VirtualPath,
        (snapshot, now): (Tree, Tree),
        mut look: impl FnMut(u64) -> Result<(), ServiceError>,
    ) -> Result<Self, ServiceError> {
        let mut planner = Planner { tx, path, plan: Self::default(), made: HashMap::new() };
        if let (Some(then), None) = (snapshot.directory, now.directory) {
            planner.made.insert(then, 0);
        }
        let mut walk = Walk::new(tx, snapshot, now);
        while let Some(met) = walk.next()? {
            look(walk.met())?;
            planner.take(met)?;
            if planner.plan.rows() > RESTORE_ROWS_MAX {
                let text = format!(
                    "more than {RESTORE_ROWS_MAX} files and directories differ from the snapshot; a restore changes at \
                     most so many at once. Remove what is not needed first (a directory counts as one), or restore \
                     single files"
                );
                return Err(ServiceError::Precondition(text));
            }
        }
        Ok(planner.plan)
    }

    /// Rows of the tree that change.
    pub(super) fn rows(&self) -> usize {
        self.removals.len() + self.directories.len() + self.files.len() + self.rewrites.len() + self.emptied.len()
    }

    /// Files that come or get a further version.
    pub(super) fn restored(&self) -> u64 {
        (self.files.len() + self.rewrites.len()) as u64
    }

    /// By what it makes tenants larger, `tenant` being that of what comes. Files in directories that go count until they
    /// are freed.
    pub(super) fn growth(&self, tenant: &str) -> Growth {
        let mut growth = Growth::default();
        self.files.iter().for_each(|one| growth.file(tenant, None, one.body.size));
        self.rewrites.iter().for_each(|one| growth.file(&one.row.tenant, Some(one.row.size), one.body.size));
        let files = self.removals.iter().map(|one| &one.row).filter(|row| row.kind == NodeKind::File);
        files.for_each(|row| growth.gone(&row.tenant, row.size));
        growth
    }

    /// What it weighs in the queue, bytes.
    pub(super) fn bytes(&self) -> usize {
        let paths = self.removals.iter().map(|one| one.path.as_str().len());
        let paths = paths.chain(self.files.iter().map(|one| one.path.as_str().len()));
        let paths = paths.chain(self.rewrites.iter().map(|one| one.path.as_str().len()));
        paths.sum::<usize>() + self.rows() * size_of::<Rewrite>()
    }
}

struct Planner<'a, T: Sql> {
    tx: &'a T,
    path: &'a VirtualPath,
    plan: Plan,
    /// Of directories of the snapshot that are made: their numbers.
    made: HashMap<NodeId, usize>,
}

impl<T: Sql> Planner<'_, T> {
    fn take(&mut self, met: Met) -> Result<(), ServiceError> {
        // What lies in a directory that goes, goes with it.
        if met.left_parent.is_none() {
            self.plan.deleted += u64::from(met.right.is_some_and(|entry| !entry.is_directory()));
            return Ok(());
        }
        let path = met.path.split('/').fold(self.path.clone(), |path, name| path.child(name));
        let parent = match (met.right_parent, met.left_parent.and_then(|id| self.made.get(&id))) {
            (Some(id), _) => Parent::Node(id),
            (None, Some(number)) => Parent::Made(*number),
            (None, None) => return Err(StoreError::Corrupt { what: format!("a plan lost its way at {path}") }.into()),
        };
        match (met.left, met.right) {
            (Some(left), Some(right)) if left.is_directory() && right.is_directory() => {
                if let Some(row) = right.row.filter(|row| met.left_is_empty && row.implicit) {
                    self.plan.emptied.push(row);
                }
            }
            (Some(left), Some(right)) if left.content == right.content => {}
            (Some(left), Some(Entry { row: Some(row), content: Some(_), .. })) if !left.is_directory() => {
                let body = self.body(&path, left)?;
                self.plan.rewrites.push(Rewrite { path, row, body });
            }
            (left, right) => {
                if let Some(right) = right {
                    self.remove(&path, right);
                }
                if let Some(left) = left {
                    self.create(path, parent, left)?;
                }
            }
        }
        Ok(())
    }

    fn remove(&mut self, path: &VirtualPath, entry: Entry) {
        self.plan.deleted += u64::from(!entry.is_directory());
        let Some(row) = entry.row else { return };
        self.plan.removals.push(Removal { path: path.clone(), row });
    }

    fn create(&mut self, path: VirtualPath, parent: Parent, entry: Entry) -> Result<(), ServiceError> {
        if entry.is_directory() {
            self.plan.directories.push(NewDirectory { parent, name: entry.name });
            self.made.insert(entry.id, self.plan.directories.len());
        } else {
            let body = self.body(&path, entry)?;
            self.plan.files.push(NewFile { parent, path, body });
        }
        Ok(())
    }

    /// The body of a file of the snapshot, and what it says if it is a SKILL.md. A body that cannot be read has no skill,
    /// as one that cannot be parsed.
    fn body(&self, path: &VirtualPath, entry: Entry) -> Result<Body, ServiceError> {
        let content = entry.content.unwrap_or_default();
        let mut skill = None;
        if front_matter::is_skill_file(path) {
            let hash = ContentHash::from_hex(&content);
            let stored = match hash.map(|hash| contents::get(self.tx, hash)).transpose() {
                Err(StoreError::Corrupt { .. }) => None,
                stored => stored?.flatten(),
            };
            skill = stored.and_then(|stored| stored.body).and_then(|body| front_matter::parse(&body).ok());
        }
        Ok(Body { content, size: entry.size, mime: entry.mime, skill })
    }
}

/// What the log says of the time since a plan was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// Nothing below the directory was changed up to this revision, which is the newest.
    Untouched(Rev),
    /// The same, and there are later ones to look at.
    More(Rev),
    /// Something was.
    Touched,
}

/// Looks at up to `limit` revisions after `since` for changes at or below the directory `top`.
pub(super) fn touched(tx: &impl Sql, top: NodeId, since: Rev, limit: u64) -> Result<Since, StoreError> {
    let rows = changelog::after(tx, since, limit)?;
    let full = rows.len() as u64 == limit;
    let last = rows.last().map_or(since, |row| row.rev);
    let mut below: HashMap<NodeId, bool> = HashMap::new();
    for change in rows.iter().flat_map(|row| &row.changes) {
        let Change::Node(delta) = change else { continue };
        for row in delta.before.iter().chain(&delta.after) {
            let inside = match below.get(&row.parent) {
                Some(known) => *known,
                None => {
                    let inside = is_below(tx, row.parent, top)?;
                    below.insert(row.parent, inside);
                    inside
                }
            };
            if inside {
                return Ok(Since::Touched);
            }
        }
    }
    Ok(if full { Since::More(last) } else { Since::Untouched(last) })
}

/// Whether a directory is `top` or lies below it. One that was removed lies nowhere; its own removal is in the log as well.
fn is_below(tx: &impl Sql, directory: NodeId, top: NodeId) -> Result<bool, StoreError> {
    let mut at = directory;
    loop {
        if at == top {
            return Ok(true);
        }
        match nodes::parent_of(tx, at)? {
            // The root, or the highest directory that was removed.
            Some(0) => return Ok(false),
            Some(parent) => at = parent,
            // Its row is freed: nobody knows any more where it was.
            None => return Ok(true),
        }
    }
}
