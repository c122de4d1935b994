//! From a subject to what it may have: facts derived over tuples and rules the other way round.
//!
//! Gives *candidates*, never answers. Invariant: where a name is not surely false on an object, either the object is
//! among the candidates or the name may hold without any fact about the subject ([`Relevant::is_vacuous`]). To keep
//! that simple, AND counts as any of its operands and a condition as true.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::model::EntityId;

use super::condition::{Doubt, Tri};
use super::edge::{Edge, PLAIN, RelId, set_of};
use super::graph::{Graph, Subject};
use super::limits::Budget;
use super::names::{KindId, TenantId};
use super::schema::{DIRECT_OWNER, Direction, FILE, Name, Node, NodeId, Schema};
use super::visible::{is_at_or_below, tree_order};
use super::{Env, Why};

/// All types without a namespace: names mean the same on each of them.
const PLAIN_KIND: KindId = KindId::MAX;

/// Entities that are looked at, one after the other, in the time that an edge takes.
const ENTITIES_PER_EDGE: u64 = 16;

/// A tupleset rule: `node` on an object of type `kind` reads `computed` where `tupleset` leads.
#[derive(Debug, Clone, Copy)]
struct Lead {
    kind: KindId,
    node: NodeId,
    tupleset: RelId,
    direction: Direction,
    computed: RelId,
}

/// The rules of all types, by what they read.
#[derive(Debug, Clone, Default)]
pub(super) struct Reverse {
    /// The unions and intersections that read a name on the same object.
    here: FxHashMap<(KindId, Name), Vec<NodeId>>,
    leads: Vec<Lead>,
    /// Under which relation others refer to a rule.
    called: FxHashMap<NodeId, RelId>,
}

impl Reverse {
    /// Turns the rules round.
    pub(super) fn of(schema: &Schema) -> Self {
        let mut reverse = Self::default();
        let mut seen = FxHashSet::default();
        for (kind, relation, name) in schema.each_name() {
            let Name::Node(node) = name else { continue };
            if schema.reference(kind, relation) == name {
                reverse.called.insert(node, relation);
            }
            let mut open = vec![node];
            while let Some(node) = open.pop() {
                if seen.insert(node) {
                    reverse.add(schema, kind, node, &mut open);
                }
            }
        }
        reverse
    }

    fn add(&mut self, schema: &Schema, kind: KindId, at: NodeId, open: &mut Vec<NodeId>) {
        let names: &[Name] = match schema.node(at) {
            Node::Union(names) | Node::Intersection(names) => {
                for name in names {
                    self.here.entry((kind, *name)).or_default().push(at);
                }
                names
            }
            Node::Exclusion(name) => std::slice::from_ref(name),
            Node::Ttu { tupleset, direction, computed } => {
                let (tupleset, direction, computed) = (*tupleset, *direction, *computed);
                self.leads.push(Lead { kind, node: at, tupleset, direction, computed });
                &[]
            }
        };
        open.extend(names.iter().filter_map(|name| if let Name::Node(node) = name { Some(*node) } else { None }));
    }

    /// The relation by which a userset or a tupleset refers to what `name` is on this type.
    fn called(&self, schema: &Schema, kind: KindId, name: Name) -> Option<RelId> {
        match name {
            Name::Direct(relation) => (schema.reference(kind, relation) == name).then_some(relation),
            Name::Node(node) => self.called.get(&node).copied(),
            Name::Broken => None,
        }
    }
}

/// What a name on a type depends on, as far as the tuples there are can lead to it.
pub(super) struct Relevant {
    names: FxHashSet<(KindId, Name)>,
    vacuous: FxHashSet<(KindId, Name)>,
}

impl Graph {
    /// The type, or the one that stands for all without a namespace.
    fn bucket(&self, kind: KindId) -> KindId {
        if self.schema.has_namespace(kind) { kind } else { PLAIN_KIND }
    }

    /// What `name` on objects of `kind` depends on.
    pub(super) fn relevant(&self, kind: KindId, name: Name) -> Relevant {
        let mut relevant = Relevant { names: FxHashSet::default(), vacuous: FxHashSet::default() };
        let mut operands: FxHashMap<(KindId, Name), Vec<(KindId, Name)>> = FxHashMap::default();
        let mut open = vec![(self.bucket(kind), name)];
        while let Some(at) = open.pop() {
            if relevant.names.insert(at) {
                let reads = self.reads(at);
                open.extend(&reads);
                operands.insert(at, reads);
            }
        }
        loop {
            let before = relevant.vacuous.len();
            for (at, reads) in &operands {
                let mut vacuous = reads.iter().map(|read| relevant.vacuous.contains(read));
                let holds = match at.1 {
                    Name::Broken => true,
                    Name::Node(node) => match self.schema.node(node) {
                        Node::Exclusion(_) => true,
                        Node::Intersection(_) => vacuous.all(|v| v),
                        Node::Union(_) | Node::Ttu { .. } => vacuous.any(|v| v),
                    },
                    Name::Direct(_) => vacuous.any(|v| v),
                };
                if holds {
                    relevant.vacuous.insert(*at);
                }
            }
            if relevant.vacuous.len() == before {
                return relevant;
            }
        }
    }

    /// The names that a name reads, as far as tuples of some shape could lead there. What a NOT reads is left out:
    /// a fact there makes nothing true.
    fn reads(&self, (kind, name): (KindId, Name)) -> Vec<(KindId, Name)> {
        let on_file = kind == FILE;
        match name {
            Name::Broken => Vec::new(),
            Name::Direct(_) => {
                let sets = self.shapes.iter().filter(|shape| shape.on_file == on_file && shape.set != PLAIN);
                sets.map(|s| (self.bucket(s.subject_kind), self.schema.reference(s.subject_kind, s.set - 1))).collect()
            }
            Name::Node(node) => match self.schema.node(node) {
                Node::Union(names) | Node::Intersection(names) => names.iter().map(|name| (kind, *name)).collect(),
                Node::Exclusion(_) => Vec::new(),
                Node::Ttu { direction: Direction::Path, computed, .. } => {
                    vec![(FILE, self.schema.reference(FILE, *computed))]
                }
                Node::Ttu { direction, computed, .. } => {
                    let there = |via: KindId| {
                        let plain = |on_file, subject| {
                            self.shapes.iter().any(|s| (s.on_file, s.subject_kind, s.set) == (on_file, subject, PLAIN))
                        };
                        (direction.reverse() && plain(on_file, via))
                            || (direction.forward() && (via != FILE || plain(true, kind)))
                    };
                    let named = self.schema.kinds().filter(|via| there(*via));
                    let name = |via| (via, self.schema.reference(via, *computed));
                    named.map(name).chain([(PLAIN_KIND, Name::Direct(*computed))]).collect()
                }
            },
        }
    }
}

impl Relevant {
    /// Whether the name may hold on an object without any fact about the subject: behind a NOT, or where a stored
    /// namespace cannot be read.
    pub(super) fn is_vacuous(&self, graph: &Graph, kind: KindId, name: Name) -> bool {
        self.vacuous.contains(&(graph.bucket(kind), name))
    }
}

/// The search for all objects of one type and tenant on which a name may hold.
pub(super) struct Chain<'a> {
    graph: &'a Graph,
    env: &'a Env,
    budget: &'a mut Budget,
    relevant: &'a Relevant,
    target: (TenantId, KindId, Name),
    found: Vec<EntityId>,
    /// Files of the target's tenant with any fact, and entities whose owning a file would be one.
    files_met: Vec<EntityId>,
    owners: Vec<EntityId>,
    seen: FxHashSet<(EntityId, Name)>,
    /// Facts whose consequences are not drawn yet; whether those below a directory are.
    open: Vec<(EntityId, Name, bool)>,
    /// The rules that read a name elsewhere, as they are asked for.
    leads: FxHashMap<(KindId, Name), Vec<Lead>>,
    /// All files that have tuples, in tree order, once they are needed.
    files: Option<Vec<EntityId>>,
}

/// What [`Chain::run`] found, in no order.
pub(super) struct Reached {
    /// The objects of the type and tenant on which the name may hold, as far as tuples name them.
    pub(super) objects: Vec<EntityId>,
    /// Files of that tenant on which anything that the name depends on may hold, but for those that only inherit it.
    pub(super) files: Vec<EntityId>,
    /// Entities by whose owning a file anything on it may hold.
    pub(super) owners: Vec<EntityId>,
}

impl<'a> Chain<'a> {
    /// `Err` = the budget was spent.
    pub(super) fn run(
        graph: &'a Graph,
        subject: Subject,
        relevant: &'a Relevant,
        target: (TenantId, KindId, Name),
        env: &'a Env,
        budget: &'a mut Budget,
    ) -> Result<Reached, Why> {
        let mut chain = Self {
            graph,
            env,
            budget,
            relevant,
            target,
            found: Vec::new(),
            files_met: Vec::new(),
            owners: Vec::new(),
            seen: FxHashSet::default(),
            open: Vec::new(),
            leads: FxHashMap::default(),
            files: None,
        };
        chain.begin(subject)?;
        while let Some((entity, name, swept)) = chain.open.pop() {
            chain.follow(entity, name, swept)?;
        }
        // A file below a granted directory may have nothing but tuples that have ended.
        let mut objects = Vec::with_capacity(chain.found.len());
        for id in chain.found {
            if graph.has_live_tuple(id, chain.env, chain.budget)? {
                objects.push(id);
            }
        }
        Ok(Reached { objects, files: chain.files_met, owners: chain.owners })
    }

    /// The tuples that name the subject.
    fn begin(&mut self, subject: Subject) -> Result<(), Why> {
        let graph = self.graph;
        let direct = |(_, name): &(KindId, Name)| if let Name::Direct(r) = name { Some(*r) } else { None };
        let relations: FxHashSet<RelId> = self.relevant.names.iter().filter_map(direct).collect();
        if self.relevant.names.contains(&(FILE, Name::Direct(DIRECT_OWNER))) {
            self.owners.extend(subject.id);
        }
        for id in subject.ids() {
            for relation in &relations {
                for edge in graph.edges_of(id).range(Edge::span(PLAIN, *relation..=*relation)) {
                    self.tuple(edge, Edge::forward(*relation, PLAIN, id), Name::Direct(*relation))?;
                }
            }
        }
        Ok(())
    }

    /// A tuple seen from its subject, which may give `name` on its object.
    fn tuple(&mut self, edge: Edge, forward: Edge, name: Name) -> Result<(), Why> {
        self.spend(1)?;
        let graph = self.graph;
        let object = edge.entity();
        let forward = if edge.has_meta() { forward.with_meta() } else { forward };
        let Some(tenant) = graph.tenant_of(object) else { return Ok(()) };
        let admitted = graph.admits(forward.head(), forward.entity(), tenant);
        if admitted && graph.counts(object, forward, self.env, &mut Doubt::default()) != Tri::No {
            self.add(object, name, false);
        }
        Ok(())
    }

    fn add(&mut self, entity: EntityId, name: Name, swept: bool) {
        let Some(at) = self.graph.at(entity) else { return };
        if !self.relevant.names.contains(&(self.graph.bucket(at.kind), name)) || !self.seen.insert((entity, name)) {
            return;
        }
        if (at.tenant, at.kind, name) == self.target {
            self.found.push(entity);
        }
        if at.kind == FILE && at.tenant == self.target.0 && !swept {
            self.files_met.push(entity);
        }
        self.open.push((entity, name, swept));
    }

    /// What follows from `name` holding on `entity`.
    fn follow(&mut self, entity: EntityId, name: Name, swept: bool) -> Result<(), Why> {
        let graph = self.graph;
        let (schema, reverse) = (&graph.schema, graph.schema.reverse());
        let Some(at) = graph.at(entity) else { return Ok(()) };
        for node in reverse.here.get(&(at.kind, name)).into_iter().flatten() {
            self.spend(1)?;
            self.add(entity, Name::Node(*node), swept);
        }
        if graph.is_public(entity) {
            return Ok(());
        }
        if let Some(relation) = reverse.called(schema, at.kind, name) {
            let set = set_of(relation);
            for edge in graph.edges_of(entity).range(Edge::span(set, 0..=RelId::MAX)) {
                let given = edge.middle();
                self.tuple(edge, Edge::forward(given, set, entity), Name::Direct(given))?;
            }
        }
        for lead in self.leads(at.kind, name) {
            let Lead { kind, node, tupleset, direction, .. } = lead;
            if direction == Direction::Path {
                if at.kind == FILE && !swept {
                    self.below(entity, Name::Node(node))?;
                }
                continue;
            }
            if direction.reverse() {
                if kind == FILE && tupleset == DIRECT_OWNER {
                    self.owners.push(entity);
                }
                for edge in graph.edges_of(entity).range(Edge::span(PLAIN, tupleset..=tupleset)) {
                    if graph.kind_of(edge.entity()) == Some(kind) {
                        self.tuple(edge, Edge::forward(tupleset, PLAIN, entity), Name::Node(node))?;
                    }
                }
            }
            if direction.forward() {
                for edge in graph.edges_on(entity).range(Edge::span(tupleset, PLAIN..=PLAIN)) {
                    self.spend(1)?;
                    let holds = graph.counts(entity, edge, self.env, &mut Doubt::default()) != Tri::No;
                    let admitted = graph.admits(tupleset, edge.entity(), at.tenant);
                    if holds && admitted && graph.kind_of(edge.entity()) == Some(kind) {
                        self.add(edge.entity(), Name::Node(node), false);
                    }
                }
            }
        }
        Ok(())
    }

    /// The rules that read `name` on an entity of this type from elsewhere.
    fn leads(&mut self, kind: KindId, name: Name) -> Vec<Lead> {
        let (graph, relevant) = (self.graph, self.relevant);
        let key = (graph.bucket(kind), name);
        let find = || {
            let reads = |lead: &&Lead| {
                relevant.names.contains(&(lead.kind, Name::Node(lead.node)))
                    && graph.schema.reference(kind, lead.computed) == name
            };
            graph.schema.reverse().leads.iter().filter(reads).copied().collect()
        };
        self.leads.entry(key).or_insert_with(find).clone()
    }

    /// `name` and all that follows from it by rules alone, on every file below a directory that has tuples. A
    /// directory in between may have none, so level by level would lose the way.
    fn below(&mut self, directory: EntityId, name: Name) -> Result<(), Why> {
        let graph = self.graph;
        let Some(top) = graph.at(directory).filter(|top| top.name.starts_with('/')) else { return Ok(()) };
        let mut names = Vec::new();
        let mut open = vec![name];
        while let Some(name) = open.pop() {
            if names.contains(&name) || !self.relevant.names.contains(&(FILE, name)) {
                continue;
            }
            names.push(name);
            open.extend(graph.schema.reverse().here.get(&(FILE, name)).into_iter().flatten().map(|n| Name::Node(*n)));
            let leads = self.leads(FILE, name);
            open.extend(leads.iter().filter(|l| l.direction == Direction::Path).map(|l| Name::Node(l.node)));
        }
        let files = match self.files.take() {
            Some(files) => files,
            None => self.files()?,
        };
        let path = |id: &EntityId| graph.at(*id).map_or("", |file| &*file.name);
        let from = files.partition_point(|id| tree_order(path(id), &top.name).is_le());
        for id in files[from..].iter().take_while(|id| is_at_or_below(path(id), &top.name)) {
            self.spend(1)?;
            if graph.tenant_of(*id) == Some(top.tenant) {
                names.iter().for_each(|name| self.add(*id, *name, true));
            }
        }
        self.files = Some(files);
        Ok(())
    }

    fn files(&mut self) -> Result<Vec<EntityId>, Why> {
        let graph = self.graph;
        self.spend(scan(graph))?;
        let mut files: Vec<(&str, EntityId)> = Vec::new();
        for id in 0..graph.entities.bound() {
            let Some(file) = graph.at(id).filter(|e| e.kind == FILE && e.name.starts_with('/')) else { continue };
            if !graph.edges_on(id).is_empty() || !graph.edges_of(id).is_empty() {
                files.push((&file.name, id));
            }
        }
        files.sort_unstable_by(|a, b| tree_order(a.0, b.0).then(a.1.cmp(&b.1)));
        Ok(files.into_iter().map(|(_, id)| id).collect())
    }

    fn spend(&mut self, edges: u64) -> Result<(), Why> {
        if self.budget.spend(edges) { Ok(()) } else { Err(Why::Budget) }
    }
}

/// What it costs to look at every entity, in edges.
fn scan(graph: &Graph) -> u64 {
    u64::from(graph.entities.bound()) / ENTITIES_PER_EDGE
}

impl Graph {
    /// All entities of one type and tenant that a live tuple names. `Err` = the budget was spent.
    pub(super) fn with_live_tuples(
        &self,
        tenant: TenantId,
        kind: KindId,
        env: &Env,
        budget: &mut Budget,
    ) -> Result<Vec<EntityId>, Why> {
        if !budget.spend(scan(self)) {
            return Err(Why::Budget);
        }
        let mut found = Vec::new();
        for id in 0..self.entities.bound() {
            let wanted = self.at(id).is_some_and(|e| e.tenant == tenant && e.kind == kind) && !self.is_public(id);
            if wanted && self.has_live_tuple(id, env, budget)? {
                found.push(id);
            }
        }
        Ok(found)
    }

    /// Whether a tuple that has not ended names the entity.
    pub(super) fn has_live_tuple(&self, id: EntityId, env: &Env, budget: &mut Budget) -> Result<bool, Why> {
        let live = |object: EntityId, forward: Edge| {
            self.meta(object, forward).is_none_or(|m| m.expires_at_us.is_none_or(|at| env.now_us < at))
        };
        for edge in self.edges_on(id).iter() {
            if !budget.spend(1) {
                return Err(Why::Budget);
            }
            if live(id, edge) {
                return Ok(true);
            }
        }
        for edge in self.edges_of(id).iter() {
            if !budget.spend(1) {
                return Err(Why::Budget);
            }
            let forward = Edge::forward(edge.middle(), edge.head(), id);
            if live(edge.entity(), if edge.has_meta() { forward.with_meta() } else { forward }) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
