//! Everything that an answer depends on, as a graph of AND, OR and NOT over tuples, the ones that are missing included.
//!
//! Follows the rules as [`eval`](super::super::eval) does and keeps what that drops: which tuple leads where, expired
//! tuples, and for each cell that is read the tuple of the subject that is *not* there. Decides nothing: the answer is
//! that of [`Graph::check`], and what follows from a trace is verified against it. Bounded by the budget and by
//! [`EXPLAIN_FAN_OUT`](super::super::limits) per cell, the sets that the subject is in first; where it stopped, a node is closed.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::model::EntityId;

use super::super::closure::Closure;
use super::super::condition::{Doubt, Tri};
use super::super::edge::{Edge, PLAIN, RelId, SetId, set_of};
use super::super::eval::dirname;
use super::super::graph::{Graph, Subject};
use super::super::limits::Budget;
use super::super::names::KindId;
use super::super::schema::{DIRECT_OWNER, Direction, FILE, Name, Node as RuleNode, PARENT, crosses_tenants};
use super::super::{Env, LeafFacts, ObjectRef, Query};
use super::invent::is_person;

/// Edges looked at for each that is followed: most lead nowhere.
const SCANNED_PER_EDGE: usize = 16;

/// A node of a trace.
pub(super) type At = u32;

/// An object or subject: an entity, or something that nothing in the graph names (`LOCAL` bit and index).
pub(super) type Spot = u64;
const LOCAL: Spot = 1 << 32;

/// The tuple `subject[#set] relation object`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Ends {
    pub(super) subject: Spot,
    pub(super) set: SetId,
    pub(super) relation: RelId,
    pub(super) object: Spot,
}

/// How a node follows from its operands.
#[derive(Debug)]
pub(super) enum Form {
    Any(Vec<At>),
    All(Vec<At>),
    Not([At; 1]),
    Leaf(Tri),
    /// Not looked into.
    Closed,
}

impl Form {
    pub(super) fn operands(&self) -> &[At] {
        match self {
            Self::Any(operands) | Self::All(operands) => operands,
            Self::Not(operand) => operand,
            Self::Leaf(_) | Self::Closed => &[],
        }
    }
}

/// What a node stands for.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    /// The subject has this name on this object.
    Goal(Spot, Name),
    /// A stored tuple counts.
    Tuple(Ends),
    /// A tuple that is not there.
    Missing(Ends),
    /// The owner column leads to this entity.
    Owner(EntityId),
    /// A leaf and what it leads to: `[leaf, goal]`.
    Link,
}

#[derive(Debug)]
pub(super) struct TraceNode {
    pub(super) what: What,
    pub(super) form: Form,
}

/// Something without an entity.
#[derive(Debug, Clone)]
pub(super) struct Local {
    pub(super) tenant: String,
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) invented: bool,
}

/// See the module.
pub(super) struct Trace<'g> {
    pub(super) graph: &'g Graph,
    pub(super) env: &'g Env,
    pub(super) nodes: Vec<TraceNode>,
    pub(super) locals: Vec<Local>,
    /// Who asks.
    pub(super) asker: Spot,
    /// The object of the question and its owner by column.
    pub(super) leaf: (Spot, Option<EntityId>),
    /// The object and all whose rights it inherits, with their distance.
    pub(super) above: FxHashMap<Spot, u32>,
    /// Something was left out.
    pub(super) partial: bool,
    /// Also links that could be made.
    pub(super) invent: bool,
    pub(super) closure: Option<Arc<Closure>>,
    subject: Subject,
    fan_out: usize,
    index: FxHashMap<(Spot, Name), At>,
    local_index: FxHashMap<(String, String, String), Spot>,
}

/// How far a trace goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    pub(super) fan_out: usize,
    pub(super) invent: bool,
}

impl<'g> Trace<'g> {
    /// The trace of a question; node 0 is the question. `None` = nothing has that name.
    pub(super) fn of(
        graph: &'g Graph,
        query: &Query<'_>,
        leaf: LeafFacts,
        env: &'g Env,
        closure: Option<Arc<Closure>>,
        reach: Reach,
        budget: &mut Budget,
    ) -> Option<Self> {
        let name = graph.question(query.object.kind, query.permission)?;
        let mut trace = Self {
            graph,
            env,
            nodes: Vec::new(),
            locals: Vec::new(),
            asker: LOCAL,
            leaf: (LOCAL, leaf.owner),
            above: FxHashMap::default(),
            partial: false,
            invent: reach.invent,
            closure,
            subject: graph.subject(query.subject),
            fan_out: reach.fan_out,
            index: FxHashMap::default(),
            local_index: FxHashMap::default(),
        };
        trace.asker = trace.spot(query.subject);
        trace.leaf.0 = trace.spot(query.object);
        trace.above.insert(trace.leaf.0, 0);
        trace.goal(trace.leaf.0, name);
        let mut next = 0;
        while next < trace.nodes.len() {
            if let What::Goal(object, name) = trace.nodes[next].what {
                trace.partial |= !trace.expand(next, object, name, budget);
            }
            next += 1;
        }
        Some(trace)
    }

    /// The entity of this name, or a stand-in.
    pub(super) fn spot(&mut self, name: ObjectRef<'_>) -> Spot {
        match self.graph.entity(name) {
            Some(id) => Spot::from(id),
            None => self.local(name, false),
        }
    }

    pub(super) fn local(&mut self, name: ObjectRef<'_>, invented: bool) -> Spot {
        let next = LOCAL + self.locals.len() as u64;
        let key = (name.tenant.to_owned(), name.kind.to_owned(), name.id.to_owned());
        let spot = *self.local_index.entry(key).or_insert(next);
        if spot == next {
            let (tenant, kind, id) = (name.tenant.to_owned(), name.kind.to_owned(), name.id.to_owned());
            self.locals.push(Local { tenant, kind, id, invented });
        }
        spot
    }

    pub(super) fn name(&self, spot: Spot) -> ObjectRef<'_> {
        let local = |spot: Spot| &self.locals[usize::try_from(spot - LOCAL).expect("an index")];
        match entity(spot) {
            Some(id) => self.graph.name(id).unwrap_or(ObjectRef { tenant: "", kind: "", id: "" }),
            None => {
                let local = local(spot);
                ObjectRef { tenant: &local.tenant, kind: &local.kind, id: &local.id }
            }
        }
    }

    pub(super) fn is_invented(&self, spot: Spot) -> bool {
        spot.checked_sub(LOCAL).is_some_and(|at| self.locals[usize::try_from(at).expect("an index")].invented)
    }

    pub(super) fn kind(&self, spot: Spot) -> Option<KindId> {
        self.graph.kinds.find(self.name(spot).kind)
    }

    pub(super) fn reference(&self, spot: Spot, relation: RelId) -> Name {
        self.kind(spot).map_or(Name::Direct(relation), |kind| self.graph.schema.reference(kind, relation))
    }

    fn is_public(&self, spot: Spot) -> bool {
        let name = self.name(spot);
        name.kind == "*" && name.id == "*"
    }

    /// Whether a tuple of these ends would count, and may be written.
    pub(super) fn may_add(&self, ends: Ends) -> bool {
        let (subject, object) = (self.name(ends.subject), self.name(ends.object));
        let shared = crosses_tenants(ends.relation) && !self.is_public(ends.subject);
        let admitted = subject.tenant == object.tenant || shared;
        let unread = ends.relation == PARENT && subject.kind == "file";
        let public_set = ends.set != PLAIN && self.is_public(ends.subject);
        let member_of_person = is_person(object.kind) && self.graph.relations.name(ends.relation.into()) == "member";
        admitted && !unread && !public_set && !member_of_person && !self.is_public(ends.object)
    }

    pub(super) fn push(&mut self, what: What, form: Form) -> At {
        let at = At::try_from(self.nodes.len()).expect("nodes are bounded by the budget");
        self.nodes.push(TraceNode { what, form });
        at
    }

    pub(super) fn goal(&mut self, object: Spot, name: Name) -> At {
        if let Some(at) = self.index.get(&(object, name)) {
            return *at;
        }
        let at = self.push(What::Goal(object, name), Form::Closed);
        self.index.insert((object, name), at);
        at
    }

    /// A stored tuple, and how far it counts.
    fn tuple(&mut self, ends: Ends, stored: (EntityId, Edge)) -> At {
        let counts = self.graph.counts(stored.0, stored.1, self.env, &mut Doubt::default());
        self.push(What::Tuple(ends), Form::Leaf(counts))
    }

    pub(super) fn missing(&mut self, ends: Ends) -> At {
        self.push(What::Missing(ends), Form::Leaf(Tri::No))
    }

    pub(super) fn link(&mut self, leaf: At, object: Spot, name: Name) -> At {
        let goal = self.goal(object, name);
        self.push(What::Link, Form::All(vec![leaf, goal]))
    }

    /// `false` = something was left out.
    fn expand(&mut self, at: usize, object: Spot, name: Name, budget: &mut Budget) -> bool {
        if !budget.spend(1) {
            return false;
        }
        let mut whole = true;
        let graph = self.graph;
        let form = match name {
            Name::Broken => Form::Leaf(Tri::Unknown),
            Name::Direct(relation) => Form::Any(self.direct(object, relation, budget, &mut whole)),
            Name::Node(node) => match graph.schema.node(node) {
                RuleNode::Union(names) => Form::Any(names.iter().map(|name| self.goal(object, *name)).collect()),
                RuleNode::Intersection(names) => Form::All(names.iter().map(|name| self.goal(object, *name)).collect()),
                RuleNode::Exclusion(name) => Form::Not([self.goal(object, *name)]),
                RuleNode::Ttu { tupleset, direction, computed } => {
                    let mut operands = Vec::new();
                    if *direction == Direction::Path {
                        operands.extend(self.directory(object, *computed));
                    }
                    if direction.forward() {
                        self.forward(object, *tupleset, *computed, &mut operands, budget, &mut whole);
                    }
                    if direction.reverse() {
                        self.reverse(object, *tupleset, *computed, &mut operands, budget, &mut whole);
                    }
                    if self.invent {
                        self.invent_links(object, *tupleset, *direction, *computed, &mut operands);
                    }
                    Form::Any(operands)
                }
            },
        };
        self.nodes[at].form = form;
        whole
    }

    /// The tuples of one relation on the object: the subject's own, that of everybody, those of sets.
    fn direct(&mut self, object: Spot, relation: RelId, budget: &mut Budget, whole: &mut bool) -> Vec<At> {
        let graph = self.graph;
        let mut operands = Vec::new();
        if let Some(owner) = self.owner(object, relation)
            && self.subject.is(owner)
        {
            operands.push(self.push(What::Owner(owner), Form::Leaf(Tri::Yes)));
        }
        let own = Ends { subject: self.asker, set: PLAIN, relation, object };
        let mut stored = false;
        if let (Some(id), Some(tenant)) = (entity(object), entity(object).and_then(|id| graph.tenant_of(id))) {
            for subject in self.subject.ids() {
                *whole &= budget.spend(1);
                let found = graph.edges_on(id).find(Edge::forward(relation, PLAIN, subject));
                if let Some(edge) = found.filter(|_| graph.admits(relation, subject, tenant)) {
                    let ends = Ends { subject: subject.into(), ..own };
                    operands.push(self.tuple(ends, (id, edge)));
                    stored |= ends == own;
                }
            }
            for edge in self.sets_on(id, relation, budget, whole) {
                let (via, set) = (edge.entity(), edge.middle());
                if !graph.is_public(via) && graph.admits(relation, via, tenant) {
                    let leaf = self.tuple(Ends { subject: via.into(), set, relation, object }, (id, edge));
                    let name = self.reference(via.into(), set - 1);
                    operands.push(self.link(leaf, via.into(), name));
                }
            }
        }
        if !stored && self.may_add(own) {
            operands.push(self.missing(own));
        }
        if self.invent {
            self.invent_sets(object, relation, &mut operands);
        }
        operands
    }

    /// The usersets with this relation on an object, those with the subject in them first.
    fn sets_on(&mut self, id: EntityId, relation: RelId, budget: &mut Budget, whole: &mut bool) -> Vec<Edge> {
        let edges = self.graph.edges_on(id);
        let all = edges.range(Edge::span(relation, 1..=SetId::MAX));
        let own = |closure: &Closure| {
            let sets = closure.sets.iter().filter_map(|(entity, set)| edges.find(Edge::forward(relation, set, entity)));
            sets.collect()
        };
        self.pick(all, |_| true, own, budget, whole)
    }

    /// Up to the fan-out of those of `all` that lead somewhere; if there are more, those that `own` finds from the
    /// subject's sets too.
    fn pick(
        &self,
        mut all: impl Iterator<Item = Edge>,
        leads: impl Fn(&Edge) -> bool,
        own: impl FnOnce(&Closure) -> Vec<Edge>,
        budget: &mut Budget,
        whole: &mut bool,
    ) -> Vec<Edge> {
        let scanned = all.by_ref().take(self.fan_out.saturating_mul(SCANNED_PER_EDGE));
        let mut picked: Vec<Edge> = scanned.filter(leads).take(self.fan_out).collect();
        if all.next().is_some() {
            *whole = false;
            let known: FxHashSet<Edge> = picked.iter().copied().collect();
            let own = self.closure.as_deref().map(own).unwrap_or_default();
            picked.extend(own.into_iter().filter(|edge| !known.contains(edge)));
        }
        if !budget.spend(picked.len() as u64) {
            *whole = false;
            picked.clear();
        }
        picked
    }

    /// The directory's answer.
    fn directory(&mut self, object: Spot, computed: RelId) -> Option<At> {
        let name = self.name(object);
        if name.kind != "file" {
            return None;
        }
        let (tenant, path) = (name.tenant.to_owned(), dirname(name.id)?.to_owned());
        let above = self.spot(ObjectRef { tenant: &tenant, kind: "file", id: &path });
        self.is_above(object, above);
        let name = self.graph.schema.reference(FILE, computed);
        Some(self.goal(above, name))
    }

    /// Remembers that rights on `above` are inherited by `object`.
    fn is_above(&mut self, object: Spot, above: Spot) {
        if let Some(distance) = self.above.get(&object).copied() {
            self.above.entry(above).or_insert(distance + 1);
        }
    }

    /// The objects of the tupleset's tuples with the object as plain subject.
    fn forward(
        &mut self,
        object: Spot,
        tupleset: RelId,
        computed: RelId,
        operands: &mut Vec<At>,
        budget: &mut Budget,
        whole: &mut bool,
    ) {
        let graph = self.graph;
        let Some(id) = entity(object) else { return };
        let edges = graph.edges_of(id);
        let all = edges.range(Edge::span(PLAIN, tupleset..=tupleset));
        let wanted = set_of(computed);
        let own = |closure: &Closure| {
            let holders = closure.sets.iter().filter(|(_, set)| *set == wanted);
            holders.filter_map(|(entity, _)| edges.find(Edge::reverse(PLAIN, tupleset, entity))).collect()
        };
        for edge in self.pick(all, |_| true, own, budget, whole) {
            let holder = edge.entity();
            let Some(tenant) = graph.tenant_of(holder) else { continue };
            if graph.is_public(holder) || !graph.admits(tupleset, id, tenant) {
                continue;
            }
            let tuple = Edge::forward(tupleset, PLAIN, id);
            let tuple = if edge.has_meta() { tuple.with_meta() } else { tuple };
            let ends = Ends { subject: object, set: PLAIN, relation: tupleset, object: holder.into() };
            let leaf = self.tuple(ends, (holder, tuple));
            self.is_above(object, holder.into());
            let name = self.reference(holder.into(), computed);
            operands.push(self.link(leaf, holder.into(), name));
        }
    }

    /// The plain subjects of the tupleset's tuples on the object.
    fn reverse(
        &mut self,
        object: Spot,
        tupleset: RelId,
        computed: RelId,
        operands: &mut Vec<At>,
        budget: &mut Budget,
        whole: &mut bool,
    ) {
        let graph = self.graph;
        if let Some(owner) = self.owner(object, tupleset) {
            let leaf = self.push(What::Owner(owner), Form::Leaf(Tri::Yes));
            let name = self.reference(owner.into(), computed);
            operands.push(self.link(leaf, owner.into(), name));
        }
        let (Some(id), Some(tenant)) = (entity(object), entity(object).and_then(|id| graph.tenant_of(id))) else {
            return;
        };
        let edges = graph.edges_on(id);
        // Most plain subjects are people, on whom there is nothing.
        let leads = |edge: &Edge| {
            let person = graph.name(edge.entity()).is_some_and(|name| is_person(name.kind));
            !(person && graph.edges_on(edge.entity()).is_empty())
        };
        let all = edges.range(Edge::span(tupleset, PLAIN..=PLAIN));
        let wanted = set_of(computed);
        let own = |closure: &Closure| {
            let holders = closure.sets.iter().filter(|(_, set)| *set == wanted);
            holders.filter_map(|(entity, _)| edges.find(Edge::forward(tupleset, PLAIN, entity))).collect()
        };
        for edge in self.pick(all, leads, own, budget, whole) {
            let via = edge.entity();
            if graph.is_public(via) || !graph.admits(tupleset, via, tenant) {
                continue;
            }
            let leaf = self.tuple(Ends { subject: via.into(), set: PLAIN, relation: tupleset, object }, (id, edge));
            let name = self.reference(via.into(), computed);
            operands.push(self.link(leaf, via.into(), name));
        }
    }

    /// The owner by column, where it is an edge of this relation on this object.
    fn owner(&self, object: Spot, relation: RelId) -> Option<EntityId> {
        let owner = self.leaf.1.filter(|_| object == self.leaf.0 && relation == DIRECT_OWNER)?;
        (self.graph.name(owner)?.tenant == self.name(object).tenant).then_some(owner)
    }
}

/// The entity behind a spot.
pub(super) fn entity(spot: Spot) -> Option<EntityId> {
    EntityId::try_from(spot).ok()
}
