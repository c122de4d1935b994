//! The permission engine: relationship-based access control over one in-memory graph.
//!
//! Owns namespaces, the graph, closures and the one decision function. Does no I/O and reads no clock; must never
//! know of admins, keys or agents (they are decided around it, in `service::access`).

use std::sync::Arc;

use crate::model::{Change, EntityId, Rev};
use crate::store::{Projection, Sql, StoreError};

/// Version of the engine's semantics, written into `permission_cache` rows.
pub const ENGINE_VERSION: u32 = 1;

/// The copy-on-write permission graph of one revision. A clone costs a dozen pointers.
#[derive(Clone)]
pub struct Graph { /* rebac helper */ }

impl Projection for Graph {
    const NAME: &'static str = "graph";
    fn load(tx: &impl Sql) -> Result<Self, StoreError> { todo!() }
    fn apply(&mut self, change: &Change, rev: Rev) { todo!() }
    fn publish(&mut self, rev: Rev) { todo!() }
}

/// A typed name within a tenant: who or what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObjectRef<'a> {
    /// The tenant: of an object, the one it belongs to; of a subject, the one it lives in.
    pub tenant: &'a str,
    /// e.g. `file`, `user`, `group`.
    pub kind: &'a str,
    /// The id; of a file its normalised path.
    pub id: &'a str,
}

/// "May `subject` `permission` `object`?"
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// Who; `("*","*")` asks whether it is public.
    pub subject: ObjectRef<'a>,
    /// A permission or a relation of the object's type.
    pub permission: &'a str,
    /// On what.
    pub object: ObjectRef<'a>,
}

/// What the node row says about the file that is asked about.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeafFacts {
    /// `nodes.owner` of a *file* (never of a directory): one extra `direct_owner` edge on the leaf, if it is of the object's tenant.
    pub owner: Option<EntityId>,
}

/// What a decision depends on beside the graph.
#[derive(Debug, Clone, Default)]
pub struct Env {
    /// The time of the decision, µs.
    pub now_us: i64,
    /// Context for conditions (`ip`, `device`, `time`, attributes); absent keys make a condition unknown.
    pub context: Option<Arc<serde_json::Map<String, serde_json::Value>>>,
}

/// Why a decision is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// A condition lacks these context keys.
    MissingContext(Vec<String>),
    /// A stored condition cannot be read.
    CorruptCondition,
    /// The work budget was spent.
    Budget,
}

/// The answer. For callers who know only yes and no, `Unknown` is no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Allow,
    /// No.
    Deny,
    /// Not decidable; never inverted, never cached.
    Unknown(Why),
}

impl Verdict {
    /// Whether it is [`Verdict::Allow`].
    #[must_use]
    pub fn allowed(&self) -> bool { matches!(self, Self::Allow) }
}

/// Work that one request may spend, in edges visited.
#[derive(Debug, Clone)]
pub struct Budget { /* rebac helper: edges_left */ }

impl Budget {
    /// The budget of an ordinary request.
    #[must_use]
    pub fn request() -> Self { todo!() }
    /// A budget of `edges`.
    #[must_use]
    pub fn edges(edges: u64) -> Self { todo!() }
}

/// Closures and ancestor sets shared by all readers; entries carry exact stamps. Only readers fill it.
pub struct Caches { /* rebac helper */ }

impl Caches {
    /// Empty caches of the default capacity.
    #[must_use]
    pub fn new() -> Self { todo!() }
}

impl Graph {
    /// The one decision function. A file's parent is its path's dirname; stored `parent` tuples of files are not read.
    pub fn check(&self, query: &Query<'_>, leaf: LeafFacts, env: &Env, caches: Option<&Caches>, budget: &mut Budget) -> Verdict { todo!() }

    /// Prepares to decide `permission` for one subject on many files of one tenant (listings): a directory is decided
    /// once where the namespace is homogeneous.
    pub fn filter<'g>(&'g self, subject: ObjectRef<'g>, permission: &'g str, tenant: &'g str, env: &'g Env, caches: Option<&'g Caches>) -> Filter<'g> { todo!() }

    /// For a homogeneous namespace: whether `subject` may `permission` something at or below `path` by a tuple, as
    /// far as the graph knows (granted paths, existing as nodes or not). `None` = the graph cannot tell without a search.
    pub fn grants_below(&self, subject: ObjectRef<'_>, permission: &str, tenant: &str, path: &str, env: &Env, caches: Option<&Caches>, budget: &mut Budget) -> Option<Vec<String>> { todo!() }

    /// The id of an entity, if it has one.
    #[must_use]
    pub fn entity(&self, object: ObjectRef<'_>) -> Option<EntityId> { todo!() }

    /// The revision of the last change that may decide a permission.
    #[must_use]
    pub fn perm_rev(&self) -> Rev { todo!() }
}

/// Decides one permission for one subject on many files.
pub struct Filter<'g> { _marker: std::marker::PhantomData<&'g ()> }

impl Filter<'_> {
    /// The decision on the file or directory at `path` (normalised), remembering that of its directory.
    pub fn check(&mut self, path: &str, leaf: LeafFacts, budget: &mut Budget) -> Verdict { todo!() }
}
