//! Snapshots, taken and deleted. Taking one is one row, however large the directory is.
//!
//! What is counted is counted by a reader before the message, at the revision that then is the snapshot's; a directory
//! too large to be counted within the deadline of the request has a snapshot without counts.

use crate::auth::Caller;
use crate::model::{Rev, SnapshotRow, VirtualPath};
use crate::service::access::{Access, Permission};
use crate::service::workspaces::long;
use crate::service::workspaces::snapshots::{Workspace, path_of};
use crate::service::workspaces::trees::{Tree, Walk, When};
use crate::service::{Call, ServiceError};
use crate::store::{Sql, StoreError, WriteOp, WriteTx, snapshots};

/// Longest description, bytes.
const DESCRIPTION_BYTES_MAX: usize = 8 * 1024;
/// Most tags of a snapshot.
const TAGS_MAX: usize = 64;
/// Longest tag, bytes.
const TAG_BYTES_MAX: usize = 255;
/// Longest name of a user, bytes.
const USER_BYTES_MAX: usize = 255;

/// What a snapshot is to say of itself.
#[derive(Debug, Clone, Default)]
pub struct SnapshotRequest {
    /// The workspace.
    pub path: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// In whose name; heeded for admins.
    pub created_by: Option<String>,
}

impl SnapshotRequest {
    fn check(&self) -> Result<(), ServiceError> {
        let bounded = |what: &str, text: &str, limit: usize| match text.len() > limit || text.contains('\0') {
            true => Err(ServiceError::InvalidParams(format!("{what} is longer than {limit} bytes, or holds NUL"))),
            false => Ok(()),
        };
        bounded("description", self.description.as_deref().unwrap_or_default(), DESCRIPTION_BYTES_MAX)?;
        bounded("created_by", self.created_by.as_deref().unwrap_or_default(), USER_BYTES_MAX)?;
        if self.tags.len() > TAGS_MAX {
            return Err(ServiceError::InvalidParams(format!("at most {TAGS_MAX} tags, not {}", self.tags.len())));
        }
        self.tags.iter().try_for_each(|tag| bounded("a tag", tag, TAG_BYTES_MAX))
    }
}

/// What a directory held at a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Counted {
    node: u64,
    rev: Rev,
    files: u64,
    bytes: u64,
    hash: String,
}

/// Takes a snapshot of the workspace at a path.
pub async fn take(call: &Call, request: SnapshotRequest) -> Result<SnapshotRow, ServiceError> {
    request.check()?;
    let path = path_of(request.path.as_deref())?;
    let (asked, of) = (call.clone(), path.clone());
    call.read(move |tx| Workspace::find(&asked.access(tx)?, &of, Permission::Write).map(|_| ())).await?;
    let (asked, of) = (call.clone(), path.clone());
    let counted = long::run(call, move |tx, stop| {
        let access = Access::new(tx, &asked.caller, Some(&asked.caches))?;
        let workspace = Workspace::find(&access, &of, Permission::Write)?;
        count(tx, workspace.now(), stop)
    });
    let counted = match counted.await {
        // The snapshot itself does not depend on how large the directory is.
        Err(ServiceError::Store(StoreError::DeadlineExceeded { .. })) => None,
        counted => counted?,
    };
    let op = TakeSnapshot {
        caller: call.caller.clone(),
        path,
        snapshot_id: call.store.random().uuid(),
        description: request.description,
        tags: serde_json::to_string(&request.tags).expect("a list of texts is JSON"),
        created_by: request.created_by,
        counted,
    };
    call.submit(op).await
}

/// Counts the files of a tree; `None` if there is none.
fn count(tx: &impl Sql, tree: Tree, stop: &long::Stop) -> Result<Option<Counted>, ServiceError> {
    let Some(node) = tree.directory else { return Ok(None) };
    let (mut files, mut bytes, mut hasher) = (0, 0, blake3::Hasher::new());
    let mut walk = Walk::new(tx, Tree { directory: None, when: When::Now }, tree);
    while let Some(met) = walk.next()? {
        stop.look()?;
        let Some(entry) = met.right else { continue };
        hasher.update(met.path.as_bytes()).update(&[0]);
        if let Some(content) = &entry.content {
            hasher.update(content.as_bytes());
            (files, bytes) = (files + 1, bytes + entry.size);
        }
        hasher.update(&[0]);
    }
    Ok(Some(Counted { node, rev: tx.rev(), files, bytes, hash: hasher.finalize().to_hex().to_string() }))
}

/// Takes a snapshot.
#[derive(Debug)]
pub struct TakeSnapshot {
    caller: Caller,
    path: VirtualPath,
    snapshot_id: String,
    description: Option<String>,
    tags: String,
    created_by: Option<String>,
    counted: Option<Counted>,
}

impl WriteOp for TakeSnapshot {
    const NAME: &'static str = "snapshot_take";
    type Output = SnapshotRow;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<SnapshotRow, ServiceError> {
        let access = Access::in_writer(&*tx, &self.caller)?;
        let workspace = Workspace::find(&access, &self.path, Permission::Write)?;
        let caller = access.caller().clone();
        let Some(node) = workspace.located.node() else {
            return Err(access.missing(&workspace.located, Permission::Write));
        };
        let number = snapshots::next_number(tx, workspace.of())?;
        // Another directory lies here by now: what was counted is not what is kept.
        let counted = self.counted.as_ref().filter(|counted| counted.node == node.id);
        let in_name_of = self.created_by.clone().filter(|_| caller.administers(&node.tenant));
        let row = SnapshotRow {
            snapshot_id: self.snapshot_id.clone(),
            number,
            path: self.path.as_str().to_owned(),
            tenant: node.tenant.clone(),
            node: node.id,
            rev: Some(counted.map_or(tx.rev(), |counted| counted.rev)),
            description: self.description.clone(),
            tags: self.tags.clone(),
            created_by: in_name_of.unwrap_or_else(|| caller.user.clone()),
            created_at_us: tx.now_us(),
            file_count: counted.map(|counted| counted.files),
            total_size: counted.map(|counted| counted.bytes),
            manifest_hash: counted.map(|counted| counted.hash.clone()),
        };
        Ok(snapshots::insert(tx, row)?)
    }

    fn bytes(&self) -> usize {
        let description = self.description.as_ref().map_or(0, String::len);
        size_of::<Self>() + self.path.as_str().len() + description + self.tags.len()
    }
}

/// Deletes a snapshot: what it alone needed may then be collected.
pub async fn delete(call: &Call, path: Option<&str>, number: u64) -> Result<SnapshotRow, ServiceError> {
    let path = path_of(path)?;
    call.submit(DeleteSnapshot { caller: call.caller.clone(), path, number }).await
}

/// Deletes a snapshot.
#[derive(Debug)]
pub struct DeleteSnapshot {
    /// Who asks.
    pub caller: Caller,
    /// The workspace.
    pub path: VirtualPath,
    /// Which.
    pub number: u64,
}

impl WriteOp for DeleteSnapshot {
    const NAME: &'static str = "snapshot_delete";
    const GROWS: bool = false;
    type Output = SnapshotRow;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<SnapshotRow, ServiceError> {
        let row = {
            let access = Access::in_writer(&*tx, &self.caller)?;
            let workspace = Workspace::find(&access, &self.path, Permission::Write)?;
            workspace.snapshot(tx, access.caller(), self.number)?
        };
        snapshots::delete(tx, &row)?;
        Ok(row)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.path.as_str().len()
    }
}
