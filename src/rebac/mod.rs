//! The permission engine: relationship-based access control over one in-memory graph.
//!
//! Owns namespaces, the graph, closures and the one decision function. Does no I/O and reads no clock; must never
//! know of admins, keys or agents (they are decided around it, in `service::access`). Why it is built this way is in
//! `DESIGN.md` beside this file.

#[macro_use]
mod mutant;

mod apply;
mod builder;
mod cache;
pub mod cases;
mod check;
mod closure;
mod condition;
mod defaults;
mod edge;
mod eval;
mod expand;
pub mod explain;
mod filter;
mod graph;
mod hash;
mod index;
pub mod limits;
mod lint;
mod load;
mod moments;
mod names;
mod namespace;
mod objects;
mod orphans;
mod place;
mod pvec;
mod reverse;
mod schema;
pub mod scratch;
mod shape;
mod stratify;
mod subjects;
mod tarjan;
mod visible;
mod walk;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::model::EntityId;

pub use builder::GraphBuilder;
pub use cache::Caches;
pub use condition::is_readable_condition;
pub use defaults::{default_namespace, default_namespaces};
pub use expand::{Expanded, Grantee, Operation};
pub use filter::Filter;
pub use graph::Graph;
pub use limits::Budget;
pub use lint::{Warning, WarningKind};
pub use namespace::{NamespaceError, validate};
pub use objects::{FileRoots, ObjectCandidates, ObjectPage, ObjectsQuery};
pub use orphans::{InUse, Losing, Uses};
pub use subjects::{Everybody, SubjectName, Subjects, SubjectsQuery};
pub use visible::{CandidatePaths, Candidates, tree_order};

/// Version of the engine's semantics, written into `permission_cache` rows.
pub const ENGINE_VERSION: u32 = 1;

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
    /// `nodes.owner` of a *file* (never of a directory): one extra `direct_owner` edge on the leaf, if it is of the
    /// object's tenant.
    pub owner: Option<EntityId>,
}

/// What a decision depends on beside the graph.
#[derive(Debug, Clone, Default)]
pub struct Env {
    /// The time of the decision, µs.
    pub now_us: i64,
    /// Context for conditions (`ip`, `device`, `time`, attributes); absent keys make a condition unknown, but for
    /// `time`, which is the time of the decision (UTC) unless given.
    pub context: Option<Arc<serde_json::Map<String, serde_json::Value>>>,
}

/// Why a decision is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// A condition lacks these context keys, or they are malformed.
    MissingContext(Vec<String>),
    /// A stored condition cannot be read.
    CorruptCondition,
    /// The stored namespace of a type involved cannot be read.
    CorruptNamespace,
    /// Tuples close a ring through an exclusion: whether the subject has it depends on its not having it.
    NegativeCycle,
    /// The work budget was spent.
    Budget,
    /// More relation names are stored than the graph can tell apart.
    TooManyRelations,
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
    pub fn allowed(&self) -> bool {
        matches!(self, Self::Allow)
    }
}

/// How a name on a type is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A file without tuples has its directory's answer, and grants only add: a directory is decided once.
    Homogeneous,
    /// Object by object.
    General,
}
