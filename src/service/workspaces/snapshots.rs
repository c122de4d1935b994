//! Snapshots, read: which there are, and what differs between two of them.
//!
//! Owns who may know of a snapshot. One of the directory that lies at the path today follows the rights on that directory.
//! One of a directory that lay there earlier (it was removed, or moved away) belongs to who took it and to the admins of
//! its tenant: whoever takes over a path must not read what lay there before.

use crate::auth::Caller;
use crate::model::{SnapshotRow, VirtualPath};
use crate::rebac::Budget;
use crate::service::access::{Access, Permission, Target};
use crate::service::located::Located;
use crate::service::workspaces::trees::{Entry, Met, Tree, Walk, When};
use crate::service::workspaces::{Scope, live, long};
use crate::service::{Call, ServiceError};
use crate::store::snapshots::{self, Of};
use crate::store::{ReadTx, Sql, workspaces};

/// Snapshots in one answer.
pub const LOG_ROWS_MAX: u64 = 1_000;
/// Snapshots of one number that several directories may have at a path, which a page never separates.
const SAME_NUMBER_MAX: u64 = 16;
/// Entries that a comparison names.
pub const CHANGES_MAX: usize = 100_000;
/// Bytes of the paths that a comparison names.
const CHANGES_BYTES_MAX: usize = 8 << 20;
/// Work of a comparison for somebody who is no admin, edges of the graph.
const EDGES_MAX: u64 = 200_000_000;

/// The path of a request, which may be missing.
pub(super) fn path_of(text: Option<&str>) -> Result<VirtualPath, ServiceError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Err(ServiceError::InvalidParams("workspace_path must be provided".into()));
    };
    VirtualPath::parse_below_root(text).map_err(|reason| ServiceError::path(text, reason))
}

/// A registered workspace, looked up for somebody who has `permission` on its directory.
pub(super) struct Workspace {
    pub(super) located: Located,
}

impl Workspace {
    /// Rights first: to others a path says nothing of what is registered.
    pub(super) fn find<T: Sql>(
        access: &Access<'_, T>,
        path: &VirtualPath,
        permission: Permission,
    ) -> Result<Self, ServiceError> {
        let located = Located::find(access.tx(), path)?;
        match permission {
            Permission::Write => access.require_write(&located)?,
            _ => access.require_file(located.target(), permission)?,
        }
        let row = workspaces::find(access.tx(), Scope::Workspace.as_str(), path.as_str())?;
        if !row.is_some_and(|row| live(&row, access.tx().now_us())) {
            let text = format!("Workspace not registered: {path}. Use register_workspace() first.");
            return Err(ServiceError::InvalidParams(text));
        }
        Ok(Self { located })
    }

    /// As which its snapshots are found.
    pub(super) fn of(&self) -> Of<'_> {
        Of { path: self.located.path.as_str(), node: self.located.node().map_or(0, |node| node.id) }
    }

    /// The directory in the state of the transaction.
    pub(super) fn now(&self) -> Tree {
        Tree { directory: self.located.node().map(|node| node.id), when: When::Now }
    }

    /// Whether the caller, who has the rights on the directory, may know of a snapshot.
    fn shows(&self, caller: &Caller, row: &SnapshotRow) -> bool {
        let own = row.tenant == caller.tenant && row.created_by == caller.user && caller.inherits;
        self.of().node == row.node || own || caller.administers(&row.tenant)
    }

    /// The snapshot of this number; of several that of the directory that lies here now.
    pub(super) fn snapshot(&self, tx: &impl Sql, caller: &Caller, number: u64) -> Result<SnapshotRow, ServiceError> {
        let mut found = snapshots::numbered(tx, self.of(), number)?;
        found.retain(|row| self.shows(caller, row));
        found.sort_by_key(|row| row.node != self.of().node);
        found.into_iter().next().ok_or(ServiceError::NoSnapshot(number))
    }
}

/// The tree that a snapshot holds.
pub(super) fn tree_of(row: &SnapshotRow) -> Tree {
    Tree { directory: Some(row.node), when: When::At(row.rev.unwrap_or(0)) }
}

/// The snapshots of a workspace with numbers below `before`, newest first; at least `limit` of them if there are so
/// many.
pub async fn log(
    call: &Call,
    path: Option<&str>,
    before: Option<u64>,
    limit: u64,
) -> Result<Vec<SnapshotRow>, ServiceError> {
    let path = path_of(path)?;
    if limit == 0 || limit > LOG_ROWS_MAX {
        return Err(ServiceError::InvalidParams(format!("limit must be from 1 to {LOG_ROWS_MAX}")));
    }
    let asked = call.clone();
    call.read(move |tx| {
        let access = asked.access(tx)?;
        let workspace = Workspace::find(&access, &path, Permission::Read)?;
        let (mut below, mut shown) = (before.unwrap_or(u64::MAX), Vec::new());
        loop {
            let rows = snapshots::list(tx, workspace.of(), below, limit + SAME_NUMBER_MAX)?;
            let ended = (rows.len() as u64) < limit + SAME_NUMBER_MAX;
            for row in rows {
                if shown.len() as u64 >= limit && row.number < below {
                    return Ok(shown);
                }
                below = row.number;
                if workspace.shows(access.caller(), &row) {
                    shown.push(row);
                }
            }
            if ended {
                return Ok(shown);
            }
        }
    })
    .await
}

/// A file that is on one side only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneSided {
    /// Below the workspace.
    pub path: String,
    /// Bytes.
    pub size: u64,
}

/// A file with another content on each side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modified {
    /// Below the workspace.
    pub path: String,
    /// Bytes before.
    pub old_size: u64,
    /// Bytes after.
    pub new_size: u64,
    /// BLAKE3 before, hex.
    pub old_hash: String,
    /// BLAKE3 after, hex.
    pub new_hash: String,
}

/// What differs between two trees, by path component. Files only: a directory is told by what lies in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// On the right only.
    pub added: Vec<OneSided>,
    /// On the left only.
    pub removed: Vec<OneSided>,
    /// On both with another content.
    pub modified: Vec<Modified>,
    /// How many are the same.
    pub unchanged: u64,
    /// Whether there was no room for all differences: then what comes later in the order was not looked at.
    pub truncated: bool,
}

impl Changes {
    /// Compares; `shows` says whether a path may be told of.
    pub(super) fn between<T: Sql>(
        tx: &T,
        (left, right): (Tree, Tree),
        limit: usize,
        stop: &long::Stop,
        mut shows: impl FnMut(&str) -> Result<bool, ServiceError>,
    ) -> Result<Self, ServiceError> {
        let mut walk = Walk::new(tx, left, right);
        let (mut changes, mut bytes) = (Self::default(), 0);
        while let Some(met) = walk.next()? {
            stop.look()?;
            if !shows(&met.path)? {
                continue;
            }
            if !is_same(&met) {
                bytes += met.path.len();
                if changes.count() >= limit || bytes > CHANGES_BYTES_MAX {
                    changes.truncated = true;
                    break;
                }
            }
            changes.take(met);
        }
        Ok(changes)
    }

    /// How many differences it names.
    #[must_use]
    pub fn count(&self) -> usize {
        self.added.len() + self.removed.len() + self.modified.len()
    }

    fn take(&mut self, met: Met) {
        let file = |entry: Option<Entry>| entry.and_then(|entry| entry.content.map(|content| (content, entry.size)));
        let path = met.path;
        match (file(met.left), file(met.right)) {
            (None, None) => {}
            (None, Some((_, size))) => self.added.push(OneSided { path, size }),
            (Some((_, size)), None) => self.removed.push(OneSided { path, size }),
            (Some((old, _)), Some((new, _))) if old == new => self.unchanged += 1,
            (Some((old_hash, old_size)), Some((new_hash, new_size))) => {
                self.modified.push(Modified { path, old_size, new_size, old_hash, new_hash });
            }
        }
    }
}

/// Whether both sides have the same file, or none has one.
fn is_same(met: &Met) -> bool {
    fn content(entry: Option<&Entry>) -> Option<&str> {
        entry.and_then(|entry| entry.content.as_deref())
    }
    content(met.left.as_ref()) == content(met.right.as_ref())
}

/// Says which paths below a workspace may be told to the caller: those it may read.
pub(super) fn shown<'a>(
    access: &'a Access<'_, ReadTx<'_>>,
    workspace: &'a Workspace,
) -> impl FnMut(&str) -> Result<bool, ServiceError> + 'a {
    let tenant = workspace.located.tenant().to_owned();
    let all = access.rules(&tenant);
    move |below| {
        if all {
            return Ok(true);
        }
        let path = below.split('/').fold(workspace.located.path.clone(), |path, name| path.child(name));
        let target = Target { path: &path, node: None, tenant: &tenant };
        Ok(access.peek(target, Permission::Read)?.allowed())
    }
}

/// Two snapshots and what differs between them.
#[derive(Debug, Clone)]
pub struct Compared {
    /// The first.
    pub left: SnapshotRow,
    /// The second.
    pub right: SnapshotRow,
    /// What became of the first in the second.
    pub changes: Changes,
}

/// What differs between two snapshots of a workspace; names at most `limit` files.
pub async fn diff(
    call: &Call,
    path: Option<&str>,
    (left, right): (u64, u64),
    limit: usize,
) -> Result<Compared, ServiceError> {
    let path = path_of(path)?;
    if limit == 0 || limit > CHANGES_MAX {
        return Err(ServiceError::InvalidParams(format!("limit must be from 1 to {CHANGES_MAX}")));
    }
    let asked = call.clone();
    long::run(call, move |tx, stop| {
        let access = Access::new(tx, &asked.caller, Some(&asked.caches))?.spending(Budget::edges(EDGES_MAX));
        let workspace = Workspace::find(&access, &path, Permission::Read)?;
        let left = workspace.snapshot(tx, access.caller(), left)?;
        let right = workspace.snapshot(tx, access.caller(), right)?;
        let shows = shown(&access, &workspace);
        let changes = Changes::between(tx, (tree_of(&left), tree_of(&right)), limit, stop, shows)?;
        Ok(Compared { left, right, changes })
    })
    .await
}
