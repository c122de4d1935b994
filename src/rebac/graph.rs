//! The graph itself: who is called what, and who has which relation on whom.
//!
//! Copy-on-write throughout: a clone is a dozen pointers and never changes. Owns lookups and stamps; how it changes is
//! [`apply`](super::apply), what it means is everything else here.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{EntityId, Rev};

use super::ObjectRef;
use super::condition::{Condition, Doubt, Tri};
use super::edge::{Edge, Edges, PLAIN, RelId, SetId};
use super::hash::{NameHash, Seed};
use super::index::Index;
use super::moments::Moments;
use super::names::{KindId, Names, RelationSet, TenantId};
use super::namespace::Namespace;
use super::pvec::PVec;
use super::schema::{FILE, KINDS, Name, PUBLIC_KIND, RELATIONS, Schema, crosses_tenants};
use super::{Env, shape::Shapes};

/// Who is called what.
#[derive(Debug, Clone)]
pub(super) struct Entity {
    pub(super) tenant: TenantId,
    pub(super) kind: KindId,
    pub(super) name: Arc<str>,
}

/// What is looked at together: who an entity is, and the edges on it.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    pub(super) entity: Option<Entity>,
    /// The edges on it as object.
    pub(super) forward: Edges,
}

/// What a tuple says beside who, what and on whom.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Meta {
    pub(super) expires_at_us: Option<i64>,
    pub(super) condition: Condition,
}

/// The copy-on-write permission graph of one revision. A clone costs a dozen pointers.
#[derive(Clone)]
pub struct Graph {
    /// The revision it is published as.
    pub(super) rev: Rev,
    /// The last change that may decide any permission.
    pub(super) perm_rev: Rev,
    /// The last change of a tuple on a non-file object whose subject is a userset.
    pub(super) nest_rev: Rev,
    /// The last change of a namespace.
    pub(super) schema_rev: Rev,
    pub(super) seed: Seed,
    /// By hash of (tenant, type, name).
    pub(super) ids: Index,
    /// Each entity with the edges on it. Both are read by every probe of a path: neighbours save it a cache line.
    pub(super) entities: PVec<Row, 16>,
    /// The edges of each subject.
    pub(super) reverse: PVec<Edges, 16>,
    /// The last change of a tuple on the entity, or of its name.
    pub(super) cell_rev: PVec<Rev, 64>,
    /// The last change of a tuple on a non-file object with the entity as plain subject.
    pub(super) member_rev: PVec<Rev, 64>,
    /// By object and forward edge without its flag; only of edges that carry the flag.
    pub(super) meta: imbl::HashMap<(EntityId, Edge), Arc<Meta>>,
    /// When those end.
    pub(super) moments: Moments,
    pub(super) tenants: Names,
    pub(super) kinds: Names,
    pub(super) relations: Names,
    /// What kinds of subjects tuples have.
    pub(super) shapes: Shapes,
    /// Relations that were ever used as the relation of a userset subject.
    pub(super) used_as_sets: Arc<RelationSet>,
    /// The namespaces in force by type; `None` = what is stored cannot be read.
    pub(super) namespaces: Arc<BTreeMap<String, Option<Namespace>>>,
    pub(super) schema: Arc<Schema>,
    /// A tuple was refused a relation number, which admission prevents: no answer can be given any more.
    pub(super) overflowed: bool,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph").field("rev", &self.rev).field("perm_rev", &self.perm_rev).finish_non_exhaustive()
    }
}

impl Default for Graph {
    fn default() -> Self {
        Self::new()
    }
}

impl Graph {
    /// The graph of the empty store: the default namespaces and nobody.
    #[must_use]
    pub fn new() -> Self {
        let mut graph = Self {
            rev: 0,
            perm_rev: 0,
            nest_rev: 0,
            schema_rev: 0,
            seed: Seed::random(),
            ids: Index::default(),
            entities: PVec::new(),
            reverse: PVec::new(),
            cell_rev: PVec::new(),
            member_rev: PVec::new(),
            meta: imbl::HashMap::new(),
            moments: Moments::default(),
            tenants: Names::default(),
            kinds: Names::with(KINDS),
            relations: Names::with(RELATIONS),
            shapes: Shapes::default(),
            used_as_sets: Arc::default(),
            namespaces: Arc::new(super::apply::defaults_in_force()),
            schema: Arc::default(),
            overflowed: false,
        };
        graph.compile();
        graph
    }

    /// The id of an entity, if it has one.
    #[must_use]
    pub fn entity(&self, object: ObjectRef<'_>) -> Option<EntityId> {
        if mutant!(JoinedNamesCollide) && object.kind != "file" {
            let key = self.key_of(object.tenant, object.kind, object.id);
            return self.ids.find(key, |_| true);
        }
        let key = NameHash::new(self.seed, object.tenant, object.kind).name(object.id).key();
        self.by_key(key, |entity| {
            *entity.name == *object.id
                && self.kinds.name(entity.kind) == object.kind
                && self.tenants.name(entity.tenant) == object.tenant
        })
    }

    /// The name of an entity. A retired one keeps the name it had.
    #[must_use]
    pub fn name(&self, id: EntityId) -> Option<ObjectRef<'_>> {
        let entity = self.at(id)?;
        let (tenant, kind) = (self.tenants.name(entity.tenant), self.kinds.name(entity.kind));
        Some(ObjectRef { tenant, kind, id: &entity.name })
    }

    /// The revision of the last change that may decide a permission.
    #[must_use]
    pub fn perm_rev(&self) -> Rev {
        self.perm_rev
    }

    /// The revision of the last change of a tuple on the entity, or of its name.
    #[must_use]
    pub fn cell_rev(&self, id: EntityId) -> Rev {
        self.cell_rev.get(id).copied().unwrap_or(0)
    }

    pub(super) fn by_key(&self, key: u64, is_it: impl Fn(&Entity) -> bool) -> Option<EntityId> {
        self.ids.find(key, |id| self.at(id).is_some_and(&is_it))
    }

    /// The file entity of a tenant by the hash of its path.
    pub(super) fn file_by_key(&self, key: u64, tenant: TenantId, path: &str) -> Option<EntityId> {
        self.by_key(key, |entity| entity.kind == FILE && entity.tenant == tenant && *entity.name == *path)
    }

    /// An entity that may have this hash, not compared with any name yet; `None` = there is none.
    pub(super) fn candidate(&self, key: u64) -> Option<EntityId> {
        self.ids.find(key, |_| true)
    }

    /// What [`file_by_key`](Self::file_by_key) gives, if there is a candidate.
    pub(super) fn file_from(&self, candidate: EntityId, key: u64, tenant: TenantId, path: &str) -> Option<EntityId> {
        let is_it = |e: &Entity| e.kind == FILE && e.tenant == tenant && *e.name == *path;
        if self.at(candidate).is_some_and(is_it) { Some(candidate) } else { self.by_key(key, is_it) }
    }

    pub(super) fn at(&self, id: EntityId) -> Option<&Entity> {
        self.entities.get(id)?.entity.as_ref()
    }

    pub(super) fn kind_of(&self, id: EntityId) -> Option<KindId> {
        self.at(id).map(|entity| entity.kind)
    }

    pub(super) fn tenant_of(&self, id: EntityId) -> Option<TenantId> {
        self.at(id).map(|entity| entity.tenant)
    }

    /// Whether it is the public subject of its tenant.
    pub(super) fn is_public(&self, id: EntityId) -> bool {
        self.at(id).is_some_and(|entity| entity.kind == PUBLIC_KIND && &*entity.name == "*")
    }

    pub(super) fn edges_on(&self, object: EntityId) -> &Edges {
        self.entities.get(object).map_or(&Edges::None, |row| &row.forward)
    }

    pub(super) fn edges_on_mut(&mut self, object: EntityId) -> &mut Edges {
        &mut self.entities.get_mut(object).forward
    }

    pub(super) fn edges_of(&self, subject: EntityId) -> &Edges {
        self.reverse.get(subject).unwrap_or(&Edges::None)
    }

    pub(super) fn member_rev(&self, id: EntityId) -> Rev {
        self.member_rev.get(id).copied().unwrap_or(0)
    }

    /// What a name means as the relation of a userset, or behind a tupleset, on this entity.
    pub(super) fn reference(&self, entity: EntityId, relation: RelId) -> Option<Name> {
        Some(self.schema.reference(self.kind_of(entity)?, relation))
    }

    /// Whether a tuple may count at all: subject and object of one tenant, or a share. The public subject never
    /// crosses tenants.
    pub(super) fn admits(&self, relation: RelId, subject: EntityId, object_tenant: TenantId) -> bool {
        let Some(entity) = self.at(subject) else { return false };
        if mutant!(PublicOfEveryTenant) && self.is_public(subject) {
            return true;
        }
        entity.tenant == object_tenant || (crosses_tenants(relation) && !self.is_public(subject))
    }

    /// Until when, µs, exclusive, every decision of `now_us` stands if nothing is written; `now_us` if that is not known.
    #[must_use]
    pub fn stands_until(&self, now_us: i64) -> i64 {
        self.moments.stands_until(now_us)
    }

    /// Keeps what a tuple says beside its ends, in the place of what it said before.
    pub(super) fn set_meta(&mut self, object: EntityId, edge: Edge, meta: Option<Arc<Meta>>) {
        if let Some(meta) = &meta {
            self.moments.add(meta);
        }
        let before = match meta {
            Some(meta) => self.meta.insert((object, edge), meta),
            None => self.meta.remove(&(object, edge)),
        };
        if let Some(before) = before {
            self.moments.remove(&before);
        }
    }

    pub(super) fn meta(&self, object: EntityId, edge: Edge) -> Option<&Meta> {
        if edge.has_meta() { self.meta.get(&(object, edge.bare())).map(|meta| &**meta) } else { None }
    }

    /// Whether a tuple on `object` is live and its condition holds.
    pub(super) fn counts(&self, object: EntityId, edge: Edge, env: &Env, doubt: &mut Doubt) -> Tri {
        let Some(meta) = self.meta(object, edge) else { return Tri::Yes };
        let expired = |at: i64| match env.now_us.cmp(&at) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => !mutant!(LiveAtItsExpiry),
            std::cmp::Ordering::Greater => true,
        };
        if mutant!(ConditionsIgnored) && meta.condition != Condition::Always {
            return Tri::Yes;
        }
        if meta.expires_at_us.is_some_and(|at| expired(at) && !mutant!(ExpiredKept)) {
            Tri::No
        } else {
            meta.condition.holds(env, doubt)
        }
    }

    /// Resolves the subject of a question.
    pub(super) fn subject(&self, subject: ObjectRef<'_>) -> Subject {
        let is_public = subject.kind == "*" && subject.id == "*";
        let public = ObjectRef { tenant: subject.tenant, kind: "*", id: "*" };
        Subject {
            id: self.entity(subject),
            public: if is_public || mutant!(PublicIgnored) { None } else { self.entity(public) },
        }
    }
}

/// The subject of a question, as far as the graph knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject {
    /// Its entity.
    pub(super) id: Option<EntityId>,
    /// The public subject of its tenant, which a concrete subject is too.
    pub(super) public: Option<EntityId>,
}

impl Subject {
    pub(super) fn is(self, id: EntityId) -> bool {
        self.id == Some(id) || self.public == Some(id)
    }

    pub(super) fn ids(self) -> impl Iterator<Item = EntityId> {
        self.id.into_iter().chain(self.public)
    }
}

/// A tuple as the graph keeps it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) object: EntityId,
    pub(super) relation: RelId,
    pub(super) set: SetId,
    pub(super) subject: EntityId,
}

impl Ends {
    pub(super) fn forward(self) -> Edge {
        Edge::forward(self.relation, self.set, self.subject)
    }

    pub(super) fn reverse(self) -> Edge {
        Edge::reverse(self.set, self.relation, self.object)
    }

    pub(super) fn is_userset(self) -> bool {
        self.set != PLAIN
    }
}
