//! Expanding a name on an object: the tree of its rules with the tuples that each of them reads.
//!
//! For people who want to see what a rule does; it decides nothing. Usersets stay leaves, and what a rule reads on the
//! directories above stands side by side, nearest first, so that the tree is as deep as the rules and not as the path.
//! Invariant: whatever is left out is marked.

use rustc_hash::FxHashSet;

use crate::model::EntityId;

use super::condition::Condition;
use super::edge::{Edge, PLAIN, RelId, SetId};
use super::graph::Graph;
use super::limits::{Budget, EXPAND_DEPTH_MAX, EXPAND_NODES_MAX, EXPAND_TUPLES_MAX};
use super::place::Place;
use super::schema::{DIRECT_OWNER, Direction, FILE, Name, Node, NodeId};
use super::subjects::SubjectName;
use super::{Env, LeafFacts, ObjectRef};

/// A name on an object and what it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expanded {
    /// The object.
    pub object: SubjectName,
    /// The relation, or where the rule stands, e.g. `permissions.read`, `relations.viewer.union[1]`.
    pub name: String,
    /// What it is made of.
    pub operation: Operation,
}

/// What a name is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// The live tuples of one relation on the object.
    Direct {
        /// Their subjects, in the order of the graph.
        subjects: Vec<Grantee>,
        /// There are more.
        truncated: bool,
    },
    /// At least one of these.
    Union(Vec<Expanded>),
    /// All of these.
    Intersection(Vec<Expanded>),
    /// Everybody but these.
    Exclusion(Box<Expanded>),
    /// What the directories above give, nearest first.
    Inherited(Vec<Expanded>),
    /// Whoever has a relation on one of the entities that a tupleset leads to.
    Through {
        /// The tupleset.
        tupleset: String,
        /// The entities, each as a userset of the relation that counts.
        sets: Vec<Grantee>,
        /// There are more.
        truncated: bool,
    },
    /// The same rule again, one directory up: it is the next entry of the enclosing [`Inherited`](Self::Inherited).
    Above,
    /// A rule that is shown in another place of the tree.
    Repeated,
    /// Left out: the tree is too deep or too large, or the budget was spent.
    Truncated,
    /// The stored namespace of the type cannot be read.
    Unreadable,
}

/// The subject of a tuple and what the tuple says beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grantee {
    /// Who, or whose set.
    pub subject: SubjectName,
    /// For a userset: the relation.
    pub relation: Option<String>,
    /// When the tuple ends, µs.
    pub expires_at_us: Option<i64>,
    /// Whether it counts only under a condition.
    pub conditional: bool,
    /// Whether it is no tuple but the owner column of a file.
    pub is_owner: bool,
}

impl Graph {
    /// The tree of `permission` on `object`. Expired tuples are left out.
    #[must_use]
    pub fn expand(
        &self,
        permission: &str,
        object: ObjectRef<'_>,
        leaf: LeafFacts,
        env: &Env,
        budget: &mut Budget,
    ) -> Expanded {
        let place = self.place(object);
        let mut expander = Expander {
            graph: self,
            env,
            budget,
            object,
            leaf: (place, leaf.owner),
            seen: FxHashSet::default(),
            inheriting: Vec::new(),
            depth: 0,
            nodes_left: EXPAND_NODES_MAX,
        };
        match self.question(object.kind, permission) {
            Some(name) => expander.name(place, name),
            None => {
                let operation = Operation::Direct { subjects: Vec::new(), truncated: false };
                Expanded { object: expander.label(place), name: permission.to_owned(), operation }
            }
        }
    }
}

struct Expander<'a, 'b> {
    graph: &'a Graph,
    env: &'b Env,
    budget: &'b mut Budget,
    object: ObjectRef<'a>,
    /// The object of the question and its owner by column.
    leaf: (Place<'a>, Option<EntityId>),
    seen: FxHashSet<(Place<'a>, Name)>,
    /// The rules that are being followed upwards, and whether each was met again on the last directory.
    inheriting: Vec<(NodeId, bool)>,
    depth: usize,
    nodes_left: usize,
}

impl<'a> Expander<'a, '_> {
    fn name(&mut self, place: Place<'a>, name: Name) -> Expanded {
        let object = self.label(place);
        let text = self.text(place, name);
        self.depth += 1;
        let operation = self.operation(place, name);
        self.depth -= 1;
        Expanded { object, name: text, operation }
    }

    fn operation(&mut self, place: Place<'a>, name: Name) -> Operation {
        if let Some((_, again)) = self.inheriting.iter_mut().find(|(node, _)| name == Name::Node(*node)) {
            *again = true;
            return Operation::Above;
        }
        if self.depth > EXPAND_DEPTH_MAX || self.nodes_left == 0 || !self.budget.spend(1) {
            return Operation::Truncated;
        }
        self.nodes_left -= 1;
        if matches!(name, Name::Node(_)) && !self.seen.insert((place, name)) {
            return Operation::Repeated;
        }
        let graph = self.graph;
        let node = match name {
            Name::Broken => return Operation::Unreadable,
            Name::Direct(relation) => {
                let (subjects, truncated) = self.tuples(place, relation, PLAIN..=SetId::MAX);
                return Operation::Direct { subjects, truncated };
            }
            Name::Node(node) => node,
        };
        match graph.schema.node(node) {
            Node::Union(names) => Operation::Union(names.iter().map(|name| self.name(place, *name)).collect()),
            Node::Intersection(names) => {
                Operation::Intersection(names.iter().map(|name| self.name(place, *name)).collect())
            }
            Node::Exclusion(name) => Operation::Exclusion(Box::new(self.name(place, *name))),
            Node::Ttu { direction: Direction::Path, computed, .. } => {
                Operation::Inherited(self.inherited(place, node, *computed))
            }
            Node::Ttu { tupleset, direction, computed } => {
                let (mut sets, mut truncated) = (Vec::new(), false);
                if direction.forward() {
                    let (holders, more) = self.holders(place, *tupleset);
                    sets.extend(holders);
                    truncated |= more;
                }
                if direction.reverse() {
                    let (subjects, more) = self.tuples(place, *tupleset, PLAIN..=PLAIN);
                    sets.extend(subjects.into_iter().filter(|g| g.subject.kind != "*"));
                    truncated |= more;
                }
                let computed = graph.relations.name(u32::from(*computed));
                sets.iter_mut().for_each(|set| set.relation = Some(computed.to_owned()));
                let tupleset = graph.relations.name(u32::from(*tupleset)).to_owned();
                Operation::Through { tupleset, sets, truncated }
            }
        }
    }

    /// What each directory above gives, as long as the rule goes on there.
    fn inherited(&mut self, place: Place<'a>, node: NodeId, computed: RelId) -> Vec<Expanded> {
        let name = self.graph.schema.reference(FILE, computed);
        let (mut levels, mut at) = (Vec::new(), place);
        while let Some(above) = self.graph.above(at) {
            self.inheriting.push((node, false));
            levels.push(self.name(above, name));
            if !self.inheriting.pop().is_some_and(|(_, again)| again) {
                break;
            }
            at = above;
        }
        levels
    }

    /// The live tuples of a relation on the object, and whether there are more than fit.
    fn tuples(
        &mut self,
        place: Place<'a>,
        relation: RelId,
        sets: std::ops::RangeInclusive<SetId>,
    ) -> (Vec<Grantee>, bool) {
        let graph = self.graph;
        let mut found = Vec::new();
        let is_owned = place == self.leaf.0 && relation == DIRECT_OWNER;
        let owner = self.leaf.1.filter(|o| is_owned && graph.tenant_of(*o) == graph.tenant_at(place));
        if let Some(name) = owner.and_then(|owner| graph.name(owner)) {
            let subject = SubjectName::of(name);
            found.push(Grantee { subject, relation: None, expires_at_us: None, conditional: false, is_owner: true });
        }
        let Place::Known(id) = place else { return (found, false) };
        for edge in graph.edges_on(id).range(Edge::span(relation, sets)) {
            if found.len() >= EXPAND_TUPLES_MAX || !self.budget.spend(1) {
                return (found, true);
            }
            found.extend(self.grantee(id, edge, edge.entity()));
        }
        (found, false)
    }

    /// The objects of the tupleset's tuples with the object as plain subject.
    fn holders(&mut self, place: Place<'a>, tupleset: RelId) -> (Vec<Grantee>, bool) {
        let graph = self.graph;
        let mut found = Vec::new();
        let Place::Known(id) = place else { return (found, false) };
        for edge in graph.edges_of(id).range(Edge::span(PLAIN, tupleset..=tupleset)) {
            if found.len() >= EXPAND_TUPLES_MAX || !self.budget.spend(1) {
                return (found, true);
            }
            let tuple = Edge::forward(tupleset, PLAIN, id);
            let tuple = if edge.has_meta() { tuple.with_meta() } else { tuple };
            found.extend(self.grantee(edge.entity(), tuple, edge.entity()));
        }
        (found, false)
    }

    /// The tuple on `object`, told about `who`, if it is live and may count.
    fn grantee(&self, object: EntityId, edge: Edge, who: EntityId) -> Option<Grantee> {
        let graph = self.graph;
        let meta = graph.meta(object, edge);
        let expires_at_us = meta.and_then(|meta| meta.expires_at_us);
        if expires_at_us.is_some_and(|at| self.env.now_us >= at)
            || !graph.admits(edge.head(), edge.entity(), graph.tenant_of(object)?)
        {
            return None;
        }
        Some(Grantee {
            subject: SubjectName::of(graph.name(who)?),
            relation: edge.middle().checked_sub(1).map(|set| graph.relations.name(u32::from(set)).to_owned()),
            expires_at_us,
            conditional: meta.is_some_and(|meta| meta.condition != Condition::Always),
            is_owner: false,
        })
    }

    fn label(&self, place: Place<'_>) -> SubjectName {
        SubjectName::of(match place {
            Place::Known(id) => self.graph.name(id).unwrap_or(self.object),
            Place::Path(tenant, path) => ObjectRef { tenant, kind: "file", id: path },
            Place::Nothing => self.object,
        })
    }

    fn text(&self, place: Place<'_>, name: Name) -> String {
        match name {
            Name::Direct(relation) => self.graph.relations.name(u32::from(relation)).to_owned(),
            Name::Node(node) => {
                let kind = self.label(place).kind;
                let place = self.graph.schema.place(node);
                place.strip_prefix(&kind).map_or(place, str::trim_start).to_owned()
            }
            Name::Broken => self.label(place).kind,
        }
    }
}
