//! The writer messages of the file tree.
//!
//! Owns who may do what to a file or directory. Each message checks in its own transaction, all of it before its first
//! change, with the same `check` that the request has asked its snapshot; what then happens is in `tree`.

use bytes::Bytes;

use crate::auth::Caller;
use crate::model::{ContentHash, NodeKind, NodeRow, VirtualPath};
use crate::service::access::{Access, Permission};
use crate::service::files::tree::{directories_above, growth, make_directory_at, remove_at, remove_tree_at, vanish};
use crate::service::located::Located;
use crate::service::skills::front_matter;
use crate::service::{Call, ServiceError};
use crate::store::{
    INLINE_BYTES_MAX, Origin, Sql, Store, StoreError, WriteOp, WriteTx, contents, nodes, skills, tuples,
};

pub use crate::service::files::tree::{
    FileBody, Written, make_directories_in, own_in, put_at, put_file_in, remove_tree_in,
};

/// Rows of detached directories that one message frees.
const FREE_ROWS_MAX: u64 = 250;
/// What a message weighs in the queue beside its body and its path, bytes.
pub(in crate::service) const MESSAGE_BYTES: usize = 256;
/// What `current` says in a conflict about a file that is not there.
const NO_FILE: &str = "(file does not exist)";

/// Under which conditions a file is written.
#[derive(Debug, Clone, Default)]
pub struct PutOptions {
    /// The etag that the file must have.
    pub if_match: Option<String>,
    /// Whether the file must not be there.
    pub if_none_match: bool,
    /// Neither condition counts.
    pub force: bool,
    /// What must hold of the file, `force` or not.
    pub conditions: Vec<Condition>,
}

/// What must hold of a file that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It is there.
    Exists,
    /// It is not there.
    Absent,
    /// It is there with one of these etags.
    OneOf(Vec<String>),
    /// It is not there with one of these etags.
    NoneOf(Vec<String>),
}

impl Condition {
    /// Whether it holds of a file with this etag; `None` = no file.
    #[must_use]
    pub fn holds(&self, current: Option<&str>) -> bool {
        let among = |etags: &[String]| current.is_some_and(|current| etags.iter().any(|etag| etag == current));
        match self {
            Self::Exists => current.is_some(),
            Self::Absent => current.is_none(),
            Self::OneOf(etags) => among(etags),
            Self::NoneOf(etags) => !among(etags),
        }
    }

    /// What was expected, for people.
    fn expected(&self) -> String {
        match self {
            Self::Exists => "(any)".to_owned(),
            Self::Absent => NO_FILE.to_owned(),
            Self::OneOf(etags) => etags.join(", "),
            Self::NoneOf(etags) => format!("(not {})", etags.join(", ")),
        }
    }
}

/// Writes a file: a new one, or the next version.
#[derive(Debug)]
pub struct PutFile {
    caller: Caller,
    path: VirtualPath,
    body: FileBody,
    options: PutOptions,
}

impl PutFile {
    /// Checks cheaply, hashes the body and stores it if it is large.
    pub async fn prepare(
        call: &Call,
        path: VirtualPath,
        body: Bytes,
        options: PutOptions,
    ) -> Result<Self, ServiceError> {
        let (asked, of, size) = (call.clone(), path.clone(), body.len());
        call.read(move |tx| {
            let located = Located::find(tx, &of)?;
            asked.access(tx)?.require_write(&located)?;
            // Before it is stored; of what goes into the message the writer asks in time.
            if size > INLINE_BYTES_MAX {
                growth(&located, &asked.caller, size as u64).require(tx)?;
            }
            Ok::<_, ServiceError>(())
        })
        .await?;
        let body = FileBody::store(&call.store, &path, body).await?;
        Ok(Self { caller: call.caller.clone(), path, body, options })
    }

    /// A body that is stored already; whether it may be written is decided when it is.
    #[must_use]
    pub fn stored(call: &Call, path: VirtualPath, body: FileBody, options: PutOptions) -> Self {
        Self { caller: call.caller.clone(), path, body, options }
    }
}

impl WriteOp for PutFile {
    const NAME: &'static str = "file_put";
    type Output = Written;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Written, ServiceError> {
        let located = Located::find(tx, &self.path)?;
        let access = Access::in_writer(&*tx, &self.caller)?;
        access.require_write(&located)?;
        let caller = access.caller().clone();
        self.options.check(&self.path, located.node())?;
        put_at(tx, &caller, &located, &self.body, "original", None)
    }

    fn bytes(&self) -> usize {
        self.body.bytes() + self.path.as_str().len() + MESSAGE_BYTES
    }
}

impl PutOptions {
    /// Only over the version with this etag.
    #[must_use]
    pub fn over(etag: Option<String>) -> Self {
        Self { if_match: etag, ..Self::default() }
    }

    /// The refusal of a file that is not as it should be.
    pub(in crate::service) fn check(&self, path: &VirtualPath, node: Option<&NodeRow>) -> Result<(), ServiceError> {
        let current = node.and_then(|n| n.content.as_deref());
        if let Some(failed) = self.conditions.iter().find(|condition| !condition.holds(current)) {
            return Err(ServiceError::Conflict {
                path: path.as_str().to_owned(),
                expected: failed.expected(),
                current: current.unwrap_or(NO_FILE).to_owned(),
            });
        }
        if self.force {
            return Ok(());
        }
        if self.if_none_match && current.is_some() {
            return Err(ServiceError::Exists(format!("File already exists: {path}")));
        }
        match self.if_match.as_deref().filter(|etag| !etag.is_empty()) {
            Some(expected) if current != Some(expected) => Err(ServiceError::Conflict {
                path: path.as_str().to_owned(),
                expected: expected.to_owned(),
                current: current.unwrap_or(NO_FILE).to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

/// Makes a directory.
#[derive(Debug)]
pub struct MakeDirectory {
    /// Who asks.
    pub caller: Caller,
    /// The directory.
    pub path: VirtualPath,
    /// Whether missing directories above are made too.
    pub parents: bool,
    /// Whether a directory that is there is a success.
    pub exist_ok: bool,
    /// The id of the tuple that makes the caller its owner; drawn by the request.
    pub tuple_id: String,
}

impl WriteOp for MakeDirectory {
    const NAME: &'static str = "directory_make";
    type Output = ();
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), ServiceError> {
        let located = Located::find(tx, &self.path)?;
        let access = Access::in_writer(&*tx, &self.caller)?;
        let caller = access.caller().clone();
        self.check(&access, &located)?;
        make_directory_at(tx, &caller, &located, Some(&self.tuple_id))?;
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.path.as_str().len() + MESSAGE_BYTES
    }
}

impl MakeDirectory {
    /// The rights and the rules, for the request and for the writer.
    pub fn check<T: Sql>(&self, access: &Access<'_, T>, located: &Located) -> Result<(), ServiceError> {
        let tolerant = self.exist_ok || self.parents;
        match located.node().map(|n| n.kind) {
            Some(NodeKind::Directory) if tolerant => {
                // Whoever may write into it already gains nothing by hearing that it is there.
                if access.file(located.target(), Permission::Write)?.allowed() {
                    return Ok(());
                }
                access.require_create(located)
            }
            Some(kind) => {
                access.require_create(located)?;
                let what = if kind == NodeKind::File { "File" } else { "Directory" };
                Err(ServiceError::Exists(format!("{what} already exists: {}", self.path)))
            }
            None => {
                access.require_create(located)?;
                located.through_directories()?;
                if located.parent().is_none() && !self.parents {
                    return Err(ServiceError::NotFound(located.parent_path.as_str().to_owned()));
                }
                Ok(())
            }
        }
    }
}

/// Deletes a file, or a directory that is empty.
#[derive(Debug)]
pub struct DeleteFile {
    /// Who asks.
    pub caller: Caller,
    /// The file.
    pub path: VirtualPath,
    /// Under which conditions.
    pub options: PutOptions,
}

impl WriteOp for DeleteFile {
    const NAME: &'static str = "file_delete";
    const GROWS: bool = false;
    type Output = ();
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), ServiceError> {
        let located = Located::find(tx, &self.path)?;
        let node = Self::check(&Access::in_writer(&*tx, &self.caller)?, &located)?.clone();
        self.options.check(&self.path, Some(&node))?;
        remove_at(tx, &located, &node)
    }

    fn bytes(&self) -> usize {
        self.path.as_str().len() + MESSAGE_BYTES
    }
}

impl DeleteFile {
    /// The rights and the rules, for the request and for the writer.
    pub fn check<'l, T: Sql>(access: &Access<'_, T>, located: &'l Located) -> Result<&'l NodeRow, ServiceError> {
        access.require_file(located.target(), Permission::Write)?;
        let node = located.node().ok_or_else(|| access.missing(located, Permission::Write))?;
        access.require_unmounted(&located.path)?;
        access.require_whole_below(&located.path)?;
        if node.kind == NodeKind::Directory && nodes::has_children(access.tx(), node.id)? {
            let path = &located.path;
            return Err(ServiceError::Precondition(format!(
                "[Errno 21] Is a directory: {path}. Use rmdir with recursive=true"
            )));
        }
        Ok(node)
    }
}

/// Moves a file, or a directory with everything below it.
#[derive(Debug)]
pub struct RenameNode {
    /// Who asks.
    pub caller: Caller,
    /// Where it is.
    pub old: VirtualPath,
    /// Where it shall be.
    pub new: VirtualPath,
}

impl WriteOp for RenameNode {
    const NAME: &'static str = "node_rename";
    type Output = ();
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), ServiceError> {
        let (source, goal) = (Located::find(tx, &self.old)?, Located::find(tx, &self.new)?);
        let access = Access::in_writer(&*tx, &self.caller)?;
        let node = self.check(&access, &source, &goal)?.clone();
        let caller = access.caller().clone();
        tuples::rename_subtree(tx, &self.old, &self.new)?;
        let tenant = goal.tenant_of_new(&caller.tenant).to_owned();
        let parent = directories_above(tx, &caller, &goal, &tenant, true, Some(&node))?;
        nodes::relocate(tx, &node, parent, self.new.name())?;
        self.follow_skills(tx, &node)?;
        vanish(tx, source.ancestors(), &source.parent_path)
    }

    fn bytes(&self) -> usize {
        self.old.as_str().len() + self.new.as_str().len() + MESSAGE_BYTES
    }
}

impl RenameNode {
    /// The rights on both ends and the rules, for the request and for the writer.
    pub fn check<'l, T: Sql>(
        &self,
        access: &Access<'_, T>,
        source: &'l Located,
        goal: &Located,
    ) -> Result<&'l NodeRow, ServiceError> {
        access.require_file(source.target(), Permission::Write)?;
        access.require_create(goal)?;
        let node = source.node().ok_or_else(|| access.missing(source, Permission::Write))?;
        access.require_unmounted(&self.old)?;
        if self.old != self.new && self.old.contains(&self.new) {
            let (old, new) = (&self.old, &self.new);
            return Err(ServiceError::Precondition(format!("Cannot move a directory into itself: {old} to {new}")));
        }
        if goal.exact {
            return Err(ServiceError::Exists(format!("Destination path already exists: {}", self.new)));
        }
        goal.through_directories()?;
        access.require_whole_below(&self.old)?;
        let leaves_tenant = self.new.named_tenant().is_some_and(|tenant| tenant != node.tenant);
        if !access.is_instance_admin() && (node.mixed || leaves_tenant) {
            let path = if node.mixed { &self.old } else { &self.new };
            return Err(access.denial(Permission::Write, path, path));
        }
        Ok(node)
    }

    /// A SKILL.md keeps its row under the new path; a file becomes one, or stops to be one, by its name.
    fn follow_skills(&self, tx: &mut WriteTx<'_>, node: &NodeRow) -> Result<(), ServiceError> {
        if node.kind == NodeKind::Directory {
            return Ok(skills::relocate_below(tx, &self.old, &self.new)?);
        }
        match (front_matter::is_skill_file(&self.old), front_matter::is_skill_file(&self.new)) {
            (true, true) => skills::relocate(tx, node.id, &self.new)?,
            (true, false) => skills::remove(tx, node.id)?,
            (false, true) => {
                let hash = node.content.as_deref().and_then(ContentHash::from_hex);
                let content = match hash.map(|hash| contents::get(tx, hash)).transpose() {
                    // A body that cannot be read has no row, as one that cannot be parsed; it can be moved all the same.
                    Err(StoreError::Corrupt { .. }) => None,
                    content => content?.flatten(),
                };
                let body = content.and_then(|c| c.body);
                if let Some(skill) = body.and_then(|body| front_matter::parse(&body).ok()) {
                    skills::put(tx, node.id, &self.new, &skill)?;
                }
            }
            (false, false) => {}
        }
        Ok(())
    }
}

/// Removes a directory.
#[derive(Debug)]
pub struct RemoveDirectory {
    /// Who asks.
    pub caller: Caller,
    /// The directory.
    pub path: VirtualPath,
    /// Whether it may hold anything.
    pub recursive: bool,
}

impl WriteOp for RemoveDirectory {
    const NAME: &'static str = "directory_remove";
    const GROWS: bool = false;
    /// Whether rows are left to be freed with [`FreeDetached`].
    type Output = bool;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<bool, ServiceError> {
        let located = Located::find(tx, &self.path)?;
        let node = self.check(&Access::in_writer(&*tx, &self.caller)?, &located)?.clone();
        let full = nodes::has_children(tx, node.id)?;
        if full {
            remove_tree_at(tx, &located, &node)?;
        } else {
            remove_at(tx, &located, &node)?;
        }
        Ok(full)
    }

    fn bytes(&self) -> usize {
        self.path.as_str().len() + MESSAGE_BYTES
    }
}

impl RemoveDirectory {
    /// The rights and the rules, for the request and for the writer.
    pub fn check<'l, T: Sql>(&self, access: &Access<'_, T>, located: &'l Located) -> Result<&'l NodeRow, ServiceError> {
        access.require_file(located.target(), Permission::Write)?;
        let node = located.node().ok_or_else(|| access.missing(located, Permission::Write))?;
        let path = &self.path;
        if node.kind == NodeKind::File {
            return Err(ServiceError::Precondition(format!("[Errno 20] Not a directory: {path}. Use delete")));
        }
        access.require_unmounted(path)?;
        access.require_whole_below(path)?;
        if !self.recursive && nodes::has_children(access.tx(), node.id)? {
            return Err(ServiceError::Precondition(format!("[Errno 39] Directory not empty: {path}")));
        }
        if node.mixed && !access.is_instance_admin() {
            return Err(access.denial(Permission::Write, path, path));
        }
        Ok(node)
    }
}

/// Frees rows of directories that were removed with everything below them.
#[derive(Debug, Clone, Copy)]
pub struct FreeDetached;

impl WriteOp for FreeDetached {
    const NAME: &'static str = "detached_free";
    const GROWS: bool = false;
    const UNRECORDED: bool = true;
    /// Whether there may be more.
    type Output = bool;
    type Error = StoreError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<bool, StoreError> {
        Ok(nodes::free_detached(tx, FREE_ROWS_MAX)? >= FREE_ROWS_MAX)
    }

    fn bytes(&self) -> usize {
        MESSAGE_BYTES
    }
}

/// Frees what removed directories left behind, message by message. For a task of its own after a removal, and at
/// start.
pub async fn free_detached(store: Store) {
    loop {
        match store.submit(Origin::system(FreeDetached::NAME), FreeDetached).await {
            Ok((true, _)) => {}
            Ok((false, _)) | Err(StoreError::Closed) => return,
            // The rows are out of the tree; the next removal, or the next start, frees them.
            Err(error) => {
                tracing::warn!(%error, "freeing removed directories stopped");
                return;
            }
        }
    }
}
