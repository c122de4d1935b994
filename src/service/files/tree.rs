//! What may become of the file tree, as plain functions over a write transaction.
//!
//! Owns the invariants of the tree: an implicit directory has a child and no grant; what is gone has no grant, no
//! skill and no open version; a directory with nodes of several tenants is marked, up to the root. Checks no rights:
//! the messages that call this do (`ops` and those of other nouns).

use std::sync::Arc;

use bytes::Bytes;

use crate::auth::Caller;
use crate::model::{ContentHash, EntityId, NodeKind, NodeRow, TupleRow, VirtualPath, mime};
use crate::rebac::{Graph, ObjectRef};
use crate::service::ServiceError;
use crate::service::access::{FILE, USER};
use crate::service::located::Located;
use crate::service::skills::front_matter;
use crate::store::quotas::Growth;
use crate::store::skills::SkillRow;
use crate::store::{
    INLINE_BYTES_MAX, Pin, Sql, Store, StoreError, StoredBody, WriteTx, contents, entities, nodes, skills, tuples,
};

/// A body that is ready for the writer: hashed, stored if it is large, looked into if it is a skill.
#[derive(Debug, Clone)]
pub struct FileBody {
    hash: ContentHash,
    size: u64,
    /// `None` = a blob file.
    inline: Option<Bytes>,
    mime: &'static str,
    skill: Option<SkillRow>,
    /// Keeps a blob until the row that names it is committed.
    _pin: Option<Arc<Pin>>,
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
        let mime = mime::of(path.name(), &body);
        Self { hash: ContentHash::of(&body), size: body.len() as u64, inline: Some(body), mime, skill, _pin: None }
    }

    /// A body of any size for the file at `path`: a large one is stored and durable when this returns.
    pub async fn store(store: &Store, path: &VirtualPath, body: Bytes) -> Result<Self, StoreError> {
        if body.len() <= INLINE_BYTES_MAX {
            return Ok(Self::inline(path, body));
        }
        let (size, mime) = (body.len() as u64, mime::of(path.name(), &body));
        let (hash, pin) = store.put_blob(body).await?;
        Ok(Self { hash, size, inline: None, mime, skill: None, _pin: Some(Arc::new(pin)) })
    }

    /// A body that has arrived in pieces, for the file at `path`.
    #[must_use]
    pub fn arrived(path: &VirtualPath, body: StoredBody) -> Self {
        let StoredBody { hash, size, inline, head, pin } = body;
        match inline {
            Some(body) => Self::inline(path, body),
            None => Self { hash, size, inline: None, mime: mime::of(path.name(), &head), skill: None, _pin: pin },
        }
    }

    /// The body of this hash, which is stored already, for another file; `inline` is the body if it lies in the
    /// database and can be read.
    pub(in crate::service) fn stored(path: &VirtualPath, hash: ContentHash, size: u64, inline: Option<&[u8]>) -> Self {
        let mime = mime::of(path.name(), inline.unwrap_or_default());
        let body = inline.filter(|_| front_matter::is_skill_file(path));
        Self { hash, size, inline: None, mime, skill: body.and_then(|body| front_matter::parse(body).ok()), _pin: None }
    }

    pub(in crate::service) fn size(&self) -> u64 {
        self.size
    }

    pub(in crate::service) fn bytes(&self) -> usize {
        self.inline.as_ref().map_or(0, Bytes::len)
    }
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
    growth(located, caller, body.size).require(tx)?;
    contents::put(tx, body.hash, body.size, body.inline.as_deref())?;
    let now = tx.now_us();
    let row = match located.node() {
        Some(before) => {
            let after = NodeRow {
                content: Some(body.hash.to_hex()),
                size: body.size,
                version: before.version + 1,
                mime: Some(body.mime.to_owned()),
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
                mime: Some(body.mime.to_owned()),
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

/// By what a file of `size` bytes at a path makes its tenant larger.
pub(in crate::service) fn growth(located: &Located, caller: &Caller, size: u64) -> Growth {
    match located.node() {
        Some(node) => Growth::of_file(&node.tenant, Some(node.size), size),
        None => Growth::of_file(located.tenant_of_new(&caller.tenant), None, size),
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

pub(in crate::service) fn make_directory_at(
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
        created_by: caller.actor().to_owned(),
        rev: tx.rev(),
    };
    nodes::make_explicit(tx, path)?;
    tuples::put(tx, tuple)?;
    Ok(())
}

/// Removes the directory at `path` with everything below it, if it is there. Returns whether rows are left to be
/// freed ([`crate::service::files::ops::free_detached`]). The caller of this has checked the right.
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

/// Ends the file or empty directory of a path, with its grants and its skill, and the implicit directories above.
pub(in crate::service) fn remove_at(
    tx: &mut WriteTx<'_>,
    located: &Located,
    node: &NodeRow,
) -> Result<(), ServiceError> {
    tuples::remove_subtree(tx, &located.path)?;
    if front_matter::is_skill_file(&located.path) {
        skills::remove(tx, node.id)?;
    }
    nodes::remove(tx, node)?;
    vanish(tx, located.ancestors(), &located.parent_path)
}

/// Takes a directory out of the tree, with all grants and skills below it, and the implicit directories above.
pub(in crate::service) fn remove_tree_at(
    tx: &mut WriteTx<'_>,
    located: &Located,
    node: &NodeRow,
) -> Result<(), ServiceError> {
    tuples::remove_subtree(tx, &located.path)?;
    skills::remove_below(tx, &located.path)?;
    nodes::detach(tx, node)?;
    vanish(tx, located.ancestors(), &located.parent_path)
}

/// Ends the implicit directories that lost their last child, from the lowest up; `lowest` is the path of the last.
pub(in crate::service) fn vanish(
    tx: &mut WriteTx<'_>,
    ancestors: &[NodeRow],
    lowest: &VirtualPath,
) -> Result<(), ServiceError> {
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
pub(in crate::service) fn directories_above(
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
pub(in crate::service) fn user_entity(tx: &mut WriteTx<'_>, caller: &Caller) -> Result<EntityId, StoreError> {
    let user = ObjectRef { tenant: &caller.tenant, kind: USER, id: &caller.user };
    match tx.view::<Graph>().entity(user) {
        Some(known) => Ok(known),
        None => entities::intern(tx, &caller.tenant, USER, &caller.user),
    }
}
