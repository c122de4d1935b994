//! The writer messages of the file tree, and the plain functions over a write transaction that other messages use.
//!
//! Owns the rules of what may become of a file or directory. Each message checks in its own transaction, all of it
//! before its first change; the `*_in` functions check nothing and leave that to their caller.
//!
//! Invariants: an implicit directory has a child and no grant; what is gone has no grant, no skill and no open
//! version; a directory with nodes of several tenants is marked, up to the root.

use bytes::Bytes;

use crate::auth::Caller;
use crate::model::{ContentHash, EntityId, NodeKind, NodeRow, TupleRow, VirtualPath};
use crate::rebac::{Graph, ObjectRef};
use crate::store::skills::SkillRow;
use crate::store::{
    INLINE_BYTES_MAX, Origin, Sql, Store, StoreError, WriteOp, WriteTx, contents, entities, nodes, skills, tuples,
};

use super::access::{Access, FILE, Permission, USER};
use super::front_matter;
use super::located::Located;
use super::{Call, ServiceError};

/// Rows of detached directories that one message frees.
const FREE_ROWS_MAX: u64 = 1_000;
/// What a message weighs in the queue beside its body and its path, bytes.
const MESSAGE_BYTES: usize = 256;
/// What `current` says in a conflict about a file that is not there.
const NO_FILE: &str = "(file does not exist)";

/// A body that is ready for the writer: hashed, stored if it is large, looked into if it is a skill.
#[derive(Debug, Clone)]
pub struct FileBody {
    hash: ContentHash,
    size: u64,
    /// `None` = a blob file.
    inline: Option<Bytes>,
    skill: Option<SkillRow>,
}

impl FileBody {
    /// A body of at most [`INLINE_BYTES_MAX`] for the file at `path`.
    ///
    /// # Panics
    /// If it is larger: an error of the program.
    #[must_use]
    pub fn inline(path: &VirtualPath, body: Bytes) -> Self {
        assert!(body.len() <= INLINE_BYTES_MAX, "a large body is stored as a blob file first");
        let skill = front_matter::is_skill_file(path).then(|| front_matter::parse(&body).ok()).flatten();
        Self { hash: ContentHash::of(&body), size: body.len() as u64, inline: Some(body), skill }
    }

    /// A body of any size for the file at `path`: a large one is stored and durable when this returns.
    pub async fn store(store: &Store, path: &VirtualPath, body: Bytes) -> Result<Self, StoreError> {
        if body.len() <= INLINE_BYTES_MAX {
            return Ok(Self::inline(path, body));
        }
        let size = body.len() as u64;
        Ok(Self { hash: store.put_blob(body).await?, size, inline: None, skill: None })
    }

    fn bytes(&self) -> usize {
        self.inline.as_ref().map_or(0, Bytes::len)
    }
}

/// Under which conditions a file is written.
#[derive(Debug, Clone, Default)]
pub struct PutOptions {
    /// The etag that the file must have.
    pub if_match: Option<String>,
    /// Whether the file must not be there.
    pub if_none_match: bool,
    /// Neither condition counts.
    pub force: bool,
}

/// What a write made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// BLAKE3 of the body, hex.
    pub etag: String,
    /// The new version, from 1.
    pub version: u64,
    /// Unix time, µs.
    pub modified_at_us: i64,
    /// Bytes.
    pub size: u64,
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
        let (asked, of) = (call.clone(), path.clone());
        call.read(move |tx| asked.access(tx)?.require_write(&Located::find(tx, &of)?)).await?;
        let body = FileBody::store(&call.store, &path, body).await?;
        Ok(Self { caller: call.caller.clone(), path, body, options })
    }
}

impl WriteOp for PutFile {
    const NAME: &'static str = "file_put";
    type Output = Written;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<Written, ServiceError> {
        let located = Located::find(tx, &self.path)?;
        let access = Access::new(&*tx, &self.caller, None)?;
        access.require_write(&located)?;
        let caller = access.caller().clone();
        self.preconditions(located.node())?;
        put_at(tx, &caller, &located, &self.body, "original", None)
    }

    fn bytes(&self) -> usize {
        self.body.bytes() + self.path.as_str().len() + MESSAGE_BYTES
    }
}

impl PutFile {
    fn preconditions(&self, node: Option<&NodeRow>) -> Result<(), ServiceError> {
        if self.options.force {
            return Ok(());
        }
        let current = node.and_then(|n| n.content.as_deref());
        if self.options.if_none_match && current.is_some() {
            return Err(ServiceError::Exists(format!("File already exists: {}", self.path)));
        }
        match self.options.if_match.as_deref().filter(|etag| !etag.is_empty()) {
            Some(expected) if current != Some(expected) => Err(ServiceError::Conflict {
                path: self.path.as_str().to_owned(),
                expected: expected.to_owned(),
                current: current.unwrap_or(NO_FILE).to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

/// Writes the file at `path` with its missing directories, as `caller`. The caller of this has checked the right.
pub fn put_file_in(
    tx: &mut WriteTx<'_>,
    caller: &Caller,
    path: &VirtualPath,
    body: &FileBody,
) -> Result<Written, ServiceError> {
    let located = Located::find(tx, path)?;
    put_at(tx, caller, &located, body, "original", None)
}

/// As [`put_file_in`], where the path is looked up already; `source` and `reason` go into the version.
pub fn put_at(
    tx: &mut WriteTx<'_>,
    caller: &Caller,
    located: &Located,
    body: &FileBody,
    source: &str,
    reason: Option<&str>,
) -> Result<Written, ServiceError> {
    located.through_directories()?;
    if located.node().is_some_and(|n| n.kind == NodeKind::Directory) {
        return Err(ServiceError::Precondition(format!("[Errno 21] Is a directory: {}", located.path)));
    }
    contents::put(tx, body.hash, body.size, body.inline.as_deref())?;
    let now = tx.now_us();
    let row = match located.node() {
        Some(before) => {
            let after = NodeRow {
                content: Some(body.hash.to_hex()),
                size: body.size,
                version: before.version + 1,
                modified_at_us: now,
                created_by: caller.writer(),
                ..before.clone()
            };
            nodes::update(tx, before, after, source, reason)?
        }
        None => {
            let tenant = located.tenant_of_new(&caller.tenant).to_owned();
            let parent = directories_above(tx, caller, located, &tenant, true, None)?;
            let row = NodeRow {
                id: tx.next_id(),
                parent,
                name: located.path.name().to_owned(),
                tenant,
                kind: NodeKind::File,
                owner: Some(user_entity(tx, caller)?),
                implicit: false,
                mixed: false,
                content: Some(body.hash.to_hex()),
                size: body.size,
                version: 1,
                mime: None,
                created_at_us: now,
                modified_at_us: now,
                created_by: caller.writer(),
            };
            nodes::insert(tx, row)?
        }
    };
    if front_matter::is_skill_file(&located.path) {
        match &body.skill {
            Some(skill) => skills::put(tx, row.id, &located.path, skill)?,
            None => skills::remove(tx, row.id)?,
        }
    }
    let etag = row.content.unwrap_or_default();
    Ok(Written { etag, version: row.version, modified_at_us: now, size: row.size })
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
        let access = Access::new(&*tx, &self.caller, None)?;
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

/// Makes the directory at `path` and those above it, as far as they are missing; all of them stay when they are
/// empty. With `owner_tuple`, the id of a tuple, a directory that is made here becomes the caller's; one that was
/// there keeps its owners (see [`own_in`]). The caller of this has checked the right.
pub fn make_directories_in(
    tx: &mut WriteTx<'_>,
    caller: &Caller,
    path: &VirtualPath,
    owner_tuple: Option<&str>,
) -> Result<NodeRow, ServiceError> {
    let located = Located::find(tx, path)?;
    make_directory_at(tx, caller, &located, owner_tuple)
}

fn make_directory_at(
    tx: &mut WriteTx<'_>,
    caller: &Caller,
    located: &Located,
    owner_tuple: Option<&str>,
) -> Result<NodeRow, ServiceError> {
    located.through_directories()?;
    if let Some(node) = located.node() {
        if node.kind == NodeKind::File {
            return Err(ServiceError::Exists(format!("File already exists: {}", located.path)));
        }
        nodes::make_explicit(tx, &located.path)?;
        return Ok(NodeRow { implicit: false, ..node.clone() });
    }
    let tenant = located.tenant_of_new(&caller.tenant).to_owned();
    let parent = directories_above(tx, caller, located, &tenant, false, None)?;
    let owner = user_entity(tx, caller)?;
    let row = directory(tx, caller, parent, located.path.name(), &tenant);
    let row = nodes::insert(tx, NodeRow { owner: Some(owner), ..row })?;
    if let Some(tuple_id) = owner_tuple {
        own_in(tx, caller, &located.path, &tenant, tuple_id)?;
    }
    Ok(row)
}

/// Makes the caller's user the `direct_owner` of the directory at `path`, a node of `tenant`. Nothing where the two
/// are of different tenants: such a tuple would grant nothing.
pub fn own_in(
    tx: &mut WriteTx<'_>,
    caller: &Caller,
    path: &VirtualPath,
    tenant: &str,
    tuple_id: &str,
) -> Result<(), ServiceError> {
    if caller.tenant != tenant {
        return Ok(());
    }
    let tuple = TupleRow {
        tuple_id: tuple_id.to_owned(),
        object: entities::intern(tx, tenant, FILE, path.as_str())?,
        relation: "direct_owner".into(),
        subject: user_entity(tx, caller)?,
        subject_relation: None,
        created_at_us: tx.now_us(),
        expires_at_us: None,
        condition: None,
        created_by: caller.actor(),
        rev: tx.rev(),
    };
    nodes::make_explicit(tx, path)?;
    tuples::put(tx, tuple)?;
    Ok(())
}

/// Deletes a file, or a directory that is empty.
#[derive(Debug)]
pub struct DeleteFile {
    /// Who asks.
    pub caller: Caller,
    /// The file.
    pub path: VirtualPath,
}

impl WriteOp for DeleteFile {
    const NAME: &'static str = "file_delete";
    type Output = ();
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), ServiceError> {
        let located = Located::find(tx, &self.path)?;
        let node = Self::check(&Access::new(&*tx, &self.caller, None)?, &located)?.clone();
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
        let access = Access::new(&*tx, &self.caller, None)?;
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
        if self.old != self.new && self.old.contains(&self.new) {
            let (old, new) = (&self.old, &self.new);
            return Err(ServiceError::Precondition(format!("Cannot move a directory into itself: {old} to {new}")));
        }
        if goal.exact {
            return Err(ServiceError::Exists(format!("Destination path already exists: {}", self.new)));
        }
        goal.through_directories()?;
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
                let content = hash.map(|hash| contents::get(tx, hash)).transpose()?.flatten();
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
    /// Whether rows are left to be freed with [`FreeDetached`].
    type Output = bool;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<bool, ServiceError> {
        let located = Located::find(tx, &self.path)?;
        let node = self.check(&Access::new(&*tx, &self.caller, None)?, &located)?.clone();
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
        if !self.recursive && nodes::has_children(access.tx(), node.id)? {
            return Err(ServiceError::Precondition(format!("[Errno 39] Directory not empty: {path}")));
        }
        if node.mixed && !access.is_instance_admin() {
            return Err(access.denial(Permission::Write, path, path));
        }
        Ok(node)
    }
}

/// Removes the directory at `path` with everything below it, if it is there. Returns whether rows are left to be
/// freed ([`free_detached`]). The caller of this has checked the right.
pub fn remove_tree_in(tx: &mut WriteTx<'_>, path: &VirtualPath) -> Result<bool, ServiceError> {
    let located = Located::find(tx, path)?;
    let Some(node) = located.node().cloned() else { return Ok(false) };
    let full = node.kind == NodeKind::Directory && nodes::has_children(tx, node.id)?;
    if full {
        remove_tree_at(tx, &located, &node)?;
    } else {
        remove_at(tx, &located, &node)?;
    }
    Ok(full)
}

/// Frees rows of directories that were removed with everything below them.
#[derive(Debug, Clone, Copy)]
pub struct FreeDetached;

impl WriteOp for FreeDetached {
    const NAME: &'static str = "detached_free";
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
            Ok((false, _)) => return,
            // The rows are out of the tree; the next removal, or the next start, frees them.
            Err(error) => {
                tracing::warn!(%error, "freeing removed directories stopped");
                return;
            }
        }
    }
}

/// Ends the file or empty directory of a path, with its grants and its skill, and the implicit directories above.
fn remove_at(tx: &mut WriteTx<'_>, located: &Located, node: &NodeRow) -> Result<(), ServiceError> {
    tuples::remove_subtree(tx, &located.path)?;
    if front_matter::is_skill_file(&located.path) {
        skills::remove(tx, node.id)?;
    }
    nodes::remove(tx, node)?;
    vanish(tx, located.ancestors(), &located.parent_path)
}

/// Takes a directory out of the tree, with all grants and skills below it, and the implicit directories above.
fn remove_tree_at(tx: &mut WriteTx<'_>, located: &Located, node: &NodeRow) -> Result<(), ServiceError> {
    tuples::remove_subtree(tx, &located.path)?;
    skills::remove_below(tx, &located.path)?;
    nodes::detach(tx, node)?;
    vanish(tx, located.ancestors(), &located.parent_path)
}

/// Ends the implicit directories that lost their last child, from the lowest up; `lowest` is the path of the last.
fn vanish(tx: &mut WriteTx<'_>, ancestors: &[NodeRow], lowest: &VirtualPath) -> Result<(), ServiceError> {
    let mut path = lowest.clone();
    for known in ancestors.iter().rev().take_while(|a| a.implicit) {
        // Read again: this very message may have marked it.
        let Some(node) = nodes::get(tx, known.id)? else { return Ok(()) };
        let kept = nodes::has_children(tx, node.id)? || tuples::has_on(tx, &node.tenant, FILE, path.as_str())?;
        if kept {
            return Ok(());
        }
        tuples::remove_subtree(tx, &path)?;
        nodes::remove(tx, &node)?;
        path = path.parent().unwrap_or_else(VirtualPath::root);
    }
    Ok(())
}

/// Makes the missing directories above a path for a new node, marks those that become mixed, and returns the id of
/// the lowest. They belong to `tenant`, as the new node does, unless one that was `moved` comes there; `vanishing`
/// ones go with their last child.
fn directories_above(
    tx: &mut WriteTx<'_>,
    caller: &Caller,
    located: &Located,
    tenant: &str,
    vanishing: bool,
    moved: Option<&NodeRow>,
) -> Result<u64, ServiceError> {
    let existing = located.ancestors().len() - 1;
    let names: Vec<&str> = located.parent_path.components().collect();
    let makes = moved.is_none() || existing < names.len();
    let brings = |above: &str| moved.is_some_and(|m| m.mixed || m.tenant != above);
    nodes::mark_mixed(tx, located.ancestors(), |a| brings(&a.tenant) || (makes && a.tenant != tenant))?;
    let mut parent = located.nearest().id;
    let mut path = names[..existing].iter().fold(VirtualPath::root(), |path, name| path.child(name));
    for name in &names[existing..] {
        path = path.child(name);
        let row = directory(tx, caller, parent, name, tenant);
        // Something may be granted on a path before it exists; then it stays when it is empty.
        let implicit = vanishing && !tuples::has_on(tx, tenant, FILE, path.as_str())?;
        parent = nodes::insert(tx, NodeRow { implicit, mixed: brings(tenant), ..row })?.id;
    }
    Ok(parent)
}

/// An explicit directory of nobody.
fn directory(tx: &mut WriteTx<'_>, caller: &Caller, parent: u64, name: &str, tenant: &str) -> NodeRow {
    let now = tx.now_us();
    NodeRow {
        id: tx.next_id(),
        parent,
        name: name.to_owned(),
        tenant: tenant.to_owned(),
        kind: NodeKind::Directory,
        owner: None,
        implicit: false,
        mixed: false,
        content: None,
        size: 0,
        version: 0,
        mime: None,
        created_at_us: now,
        modified_at_us: now,
        created_by: caller.writer(),
    }
}

/// The entity of the caller's user, whom a new node belongs to even when an agent made it.
fn user_entity(tx: &mut WriteTx<'_>, caller: &Caller) -> Result<EntityId, StoreError> {
    let user = ObjectRef { tenant: &caller.tenant, kind: USER, id: &caller.user };
    match tx.view::<Graph>().entity(user) {
        Some(known) => Ok(known),
        None => entities::intern(tx, &caller.tenant, USER, &caller.user),
    }
}
