//! The general evaluator: any name on any object, in three values.
//!
//! A goal is (object, name). All goals that the question depends on are found first, then solved component by
//! component from the bottom: inside a component the least fixpoint, NOT only across components. A tuple set can still
//! close a ring through a NOT; there the two bounds of the alternating fixpoint stay apart and the answer is unknown.
//!
//! Each goal has two bounds: `low` = certainly, `high` = possibly. Unknown is the gap between them.

use rustc_hash::FxHashMap;

use crate::model::EntityId;

use super::condition::{Doubt, Tri};
use super::edge::{Edge, PLAIN, RelId, SetId};
use super::graph::{Graph, Subject};
use super::limits::Budget;
use super::names::TenantId;
use super::schema::{DIRECT_OWNER, Direction, FILE, Name, Node};
use super::{Env, ObjectRef, Verdict, Why, tarjan};

/// An object: an entity, or something no tuple names (`LOCAL` bit and index).
type Object = u64;
const LOCAL: Object = 1 << 32;

type GoalId = u32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Any,
    All,
    Not,
}

/// One goal, expanded: an operator over what is known at once and other goals.
#[derive(Debug)]
struct Goal {
    object: Object,
    name: Option<Name>,
    operator: Operator,
    known: Tri,
    operands: Vec<GoalId>,
    /// Why `known` is unknown.
    doubt: Doubt,
}

impl Goal {
    fn new(object: Object, name: Option<Name>) -> Self {
        Self { object, name, operator: Operator::Any, known: Tri::No, operands: Vec::new(), doubt: Doubt::default() }
    }
}

/// An object without an entity.
#[derive(Debug, Clone, Copy)]
struct Local<'a> {
    tenant: &'a str,
    /// `None` = no entity is of that tenant.
    tenant_id: Option<TenantId>,
    /// The path, if it is a file with parents; else nothing that matters.
    path: Option<&'a str>,
}

/// One question.
pub(super) struct Evaluator<'a, 'b> {
    graph: &'a Graph,
    subject: Subject,
    env: &'b Env,
    budget: &'b mut Budget,
    /// The object of the question and its owner by column.
    leaf: (Object, Option<EntityId>),
    goals: Vec<Goal>,
    index: FxHashMap<(Object, Name), GoalId>,
    locals: Vec<Local<'a>>,
    local_index: FxHashMap<(&'a str, &'a str), Object>,
}

impl Graph {
    /// Decides by the general evaluator.
    pub(super) fn evaluate(
        &self,
        subject: Subject,
        name: Name,
        object: ObjectRef<'_>,
        owner: Option<EntityId>,
        env: &Env,
        budget: &mut Budget,
    ) -> Verdict {
        let evaluator = Evaluator {
            graph: self,
            subject,
            env,
            budget,
            leaf: (LOCAL, owner),
            goals: Vec::new(),
            index: FxHashMap::default(),
            locals: Vec::new(),
            local_index: FxHashMap::default(),
        };
        evaluator.run(name, object)
    }
}

impl<'a> Evaluator<'a, '_> {
    fn run(mut self, name: Name, object: ObjectRef<'a>) -> Verdict {
        let leaf = match self.graph.entity(object) {
            Some(id) => Object::from(id),
            None => {
                let path = (object.kind == "file" && object.id.starts_with('/')).then_some(object.id);
                self.local_object(object.tenant, path)
            }
        };
        self.leaf.0 = leaf;
        let root = self.goal(leaf, name);
        let mut next = 0;
        while next < self.goals.len() {
            if self.expand(next).is_err() {
                if mutant!(LimitUnderNotGrants) {
                    break;
                }
                return Verdict::Unknown(Why::Budget);
            }
            next += 1;
        }
        let (low, high) = self.solve();
        match (low[root as usize], high[root as usize]) {
            (true, _) => Verdict::Allow,
            (false, false) => Verdict::Deny,
            (false, true) => Verdict::Unknown(self.why(root, &low, &high)),
        }
    }

    /// The reasons of all goals that are unknown and make the root so.
    fn why(&self, root: GoalId, low: &[bool], high: &[bool]) -> Why {
        let unknown = |goal: GoalId| low[goal as usize] != high[goal as usize];
        let mut doubt = Doubt::default();
        let mut seen = vec![false; self.goals.len()];
        let mut open = vec![root];
        while let Some(at) = open.pop() {
            if unknown(at) && !std::mem::replace(&mut seen[at as usize], true) {
                let goal = &self.goals[at as usize];
                doubt.add(&goal.doubt);
                open.extend(&goal.operands);
            }
        }
        doubt.why()
    }

    fn goal(&mut self, object: Object, name: Name) -> GoalId {
        let next = GoalId::try_from(self.goals.len()).expect("goals are bounded by the budget");
        let id = *self.index.entry((object, name)).or_insert(next);
        if id == next {
            self.goals.push(Goal::new(object, Some(name)));
        }
        id
    }

    /// A goal that holds as far as a tuple's condition does.
    fn guarded(&mut self, goal: GoalId, condition: Tri, doubt: Doubt) -> GoalId {
        if condition == Tri::Yes {
            return goal;
        }
        let id = GoalId::try_from(self.goals.len()).expect("goals are bounded by the budget");
        let guard =
            Goal { operator: Operator::All, known: condition, operands: vec![goal], doubt, ..Goal::new(LOCAL, None) };
        self.goals.push(guard);
        id
    }

    fn spend(&mut self) -> Result<(), Why> {
        if self.budget.spend(1) { Ok(()) } else { Err(Why::Budget) }
    }

    fn expand(&mut self, at: usize) -> Result<(), Why> {
        let Some(name) = self.goals[at].name else { return Ok(()) };
        let object = self.goals[at].object;
        self.spend()?;
        let names = |evaluator: &mut Self, names: &[Name]| {
            names.iter().map(|name| evaluator.goal(object, *name)).collect::<Vec<_>>()
        };
        let mut goal = Goal::new(object, Some(name));
        match name {
            Name::Broken => {
                goal.known = Tri::Unknown;
                goal.doubt.namespace = true;
            }
            Name::Direct(relation) => self.direct(&mut goal, relation)?,
            Name::Node(node) => match self.graph.schema.node(node) {
                Node::Union(operands) => goal.operands = names(self, operands),
                Node::Intersection(operands) => {
                    (goal.operator, goal.known, goal.operands) = (Operator::All, Tri::Yes, names(self, operands));
                    if mutant!(IntersectionIsUnion) {
                        (goal.operator, goal.known) = (Operator::Any, Tri::No);
                    }
                }
                Node::Exclusion(operand) => {
                    (goal.operator, goal.known, goal.operands) = (Operator::Not, Tri::Yes, names(self, &[*operand]));
                    if mutant!(ExclusionGrantsTheBanned) {
                        (goal.operator, goal.known) = (Operator::Any, Tri::No);
                    }
                }
                Node::Ttu { tupleset, direction, computed } => {
                    if *direction == Direction::Path
                        && let Some(above) = self.above(object)
                    {
                        let name = self.graph.schema.reference(FILE, *computed);
                        goal.operands.push(self.goal(above, name));
                    }
                    if direction.forward() {
                        self.forward(object, *tupleset, *computed, &mut goal.operands)?;
                    }
                    if direction.reverse() {
                        self.reverse(object, *tupleset, *computed, &mut goal.operands)?;
                    }
                }
            },
        }
        self.goals[at] = goal;
        Ok(())
    }

    /// The tuples of one relation on the object: the subject itself, the public, and usersets.
    fn direct(&mut self, goal: &mut Goal, relation: RelId) -> Result<(), Why> {
        let graph = self.graph;
        if let Some(owner) = self.owner(goal.object, relation) {
            goal.known = self.subject.is(owner).into();
        }
        let (Some(id), Some(tenant)) = (entity(goal.object), self.tenant_of(goal.object)) else { return Ok(()) };
        let edges = graph.edges_on(id);
        for subject in self.subject.ids() {
            self.spend()?;
            let found = edges.find(Edge::forward(relation, PLAIN, subject));
            if let Some(edge) = found.filter(|_| graph.admits(relation, subject, tenant)) {
                goal.known = goal.known.max(graph.counts(id, edge, self.env, &mut goal.doubt));
                if mutant!(FailedConditionHidesGroups) && edge.has_meta() && goal.known != Tri::Yes {
                    return Ok(());
                }
            }
        }
        if goal.known == Tri::Yes {
            return Ok(());
        }
        for edge in edges.range(Edge::span(relation, 1..=SetId::MAX)) {
            self.spend()?;
            self.through(id, edge, tenant, edge.middle() - 1, &mut goal.operands);
        }
        Ok(())
    }

    /// The plain subjects of the tupleset's tuples on the object.
    fn reverse(
        &mut self,
        object: Object,
        tupleset: RelId,
        computed: RelId,
        operands: &mut Vec<GoalId>,
    ) -> Result<(), Why> {
        let graph = self.graph;
        if let Some(owner) = self.owner(object, tupleset)
            && let Some(name) = graph.reference(owner, computed)
        {
            operands.push(self.goal(Object::from(owner), name));
        }
        let (Some(id), Some(tenant)) = (entity(object), self.tenant_of(object)) else { return Ok(()) };
        for edge in graph.edges_on(id).range(Edge::span(tupleset, PLAIN..=PLAIN)) {
            self.spend()?;
            self.through(id, edge, tenant, computed, operands);
        }
        Ok(())
    }

    /// Adds "the subject has `relation` on the subject of this edge".
    fn through(&mut self, object: EntityId, edge: Edge, tenant: TenantId, relation: RelId, operands: &mut Vec<GoalId>) {
        let graph = self.graph;
        let via = edge.entity();
        let public = graph.is_public(via) && !mutant!(WildcardMatchesUsersets);
        if public || !graph.admits(edge.head(), via, tenant) {
            return;
        }
        let Some(name) = graph.reference(via, relation) else { return };
        // Most plain subjects are people, on whom there is nothing.
        let nothing_there = graph.edges_on(via).is_empty() && Object::from(via) != self.leaf.0;
        if nothing_there && matches!(name, Name::Direct(_)) {
            return;
        }
        let mut doubt = Doubt::default();
        let condition = graph.counts(object, edge, self.env, &mut doubt);
        if condition != Tri::No {
            let goal = self.goal(Object::from(via), name);
            operands.push(self.guarded(goal, condition, doubt));
        }
    }

    /// The objects of the tupleset's tuples with the object as plain subject.
    fn forward(
        &mut self,
        object: Object,
        tupleset: RelId,
        computed: RelId,
        operands: &mut Vec<GoalId>,
    ) -> Result<(), Why> {
        let graph = self.graph;
        let Some(id) = entity(object) else { return Ok(()) };
        for edge in graph.edges_of(id).range(Edge::span(PLAIN, tupleset..=tupleset)) {
            self.spend()?;
            let holder = edge.entity();
            let Some(tenant) = graph.tenant_of(holder) else { continue };
            if graph.is_public(holder) || !graph.admits(tupleset, id, tenant) {
                continue;
            }
            let Some(name) = graph.reference(holder, computed) else { continue };
            let tuple = Edge::forward(tupleset, PLAIN, id);
            let tuple = if edge.has_meta() { tuple.with_meta() } else { tuple };
            let mut doubt = Doubt::default();
            let condition = graph.counts(holder, tuple, self.env, &mut doubt);
            if condition != Tri::No {
                let goal = self.goal(Object::from(holder), name);
                operands.push(self.guarded(goal, condition, doubt));
            }
        }
        Ok(())
    }

    /// The owner by column, where it is an edge of this relation on this object.
    fn owner(&self, object: Object, relation: RelId) -> Option<EntityId> {
        let here = object == self.leaf.0 || mutant!(OwnerOfEverything);
        let owner = self.leaf.1.filter(|_| here && relation == DIRECT_OWNER)?;
        (mutant!(OwnerOfAnotherTenant) || self.graph.tenant_of(owner) == self.tenant_of(object)).then_some(owner)
    }

    fn local(&self, object: Object) -> Option<Local<'a>> {
        if object < LOCAL { None } else { self.locals.get(usize::try_from(object - LOCAL).ok()?).copied() }
    }

    fn tenant_of(&self, object: Object) -> Option<TenantId> {
        match entity(object) {
            Some(id) => self.graph.tenant_of(id),
            None => self.local(object)?.tenant_id,
        }
    }

    /// The directory of a file.
    fn above(&mut self, object: Object) -> Option<Object> {
        let graph = self.graph;
        let (path, tenant) = match entity(object) {
            Some(id) => {
                let entity = graph.at(id)?;
                (&*entity.name, graph.tenants.name(entity.tenant))
            }
            None => {
                let local = self.local(object)?;
                (local.path?, local.tenant)
            }
        };
        let path = dirname(path).filter(|_| !mutant!(NothingIsInherited))?;
        let known = graph.entity(ObjectRef { tenant, kind: "file", id: path });
        Some(known.map_or_else(|| self.local_object(tenant, Some(path)), Object::from))
    }

    /// The object without an entity, the same for the same path.
    fn local_object(&mut self, tenant: &'a str, path: Option<&'a str>) -> Object {
        let next = LOCAL + self.locals.len() as u64;
        let object = path.map_or(next, |path| *self.local_index.entry((tenant, path)).or_insert(next));
        if object == next {
            self.locals.push(Local { tenant, tenant_id: self.graph.tenants.find(tenant), path });
        }
        object
    }

    /// The bounds of every goal.
    fn solve(&self) -> (Vec<bool>, Vec<bool>) {
        let operands: Vec<Vec<GoalId>> = self.goals.iter().map(|goal| goal.operands.clone()).collect();
        let component = tarjan::components(&operands);
        let mut order: Vec<GoalId> = (0..).take(self.goals.len()).collect();
        order.sort_by_key(|goal| component[*goal as usize]);
        let mut bounds =
            Bounds { goals: &self.goals, low: vec![false; self.goals.len()], high: vec![false; self.goals.len()] };
        for members in order.chunk_by(|a, b| component[*a as usize] == component[*b as usize]) {
            bounds.solve(members, &component);
        }
        (bounds.low, bounds.high)
    }
}

fn entity(object: Object) -> Option<EntityId> {
    EntityId::try_from(object).ok()
}

/// The directory of an absolute path; `/` and opaque ids have none.
pub(super) fn dirname(path: &str) -> Option<&str> {
    if !path.starts_with('/') || path.len() == 1 {
        return None;
    }
    path.rfind('/').map(|at| &path[..at.max(1)])
}

struct Bounds<'g> {
    goals: &'g [Goal],
    low: Vec<bool>,
    high: Vec<bool>,
}

impl Bounds<'_> {
    /// Solves one component; all it depends on is solved.
    fn solve(&mut self, members: &[GoalId], component: &[u32]) {
        let own = component[members[0] as usize];
        let inside = |goal: &GoalId| component[*goal as usize] == own;
        if let [only] = members
            && !self.goals[*only as usize].operands.iter().any(inside)
        {
            self.high[*only as usize] = self.value(*only, true);
            self.low[*only as usize] = self.value(*only, false);
            return;
        }
        let mut dependents: FxHashMap<GoalId, Vec<GoalId>> = FxHashMap::default();
        let mut negated = false;
        for member in members {
            let goal = &self.goals[*member as usize];
            for operand in goal.operands.iter().filter(|o| inside(o)) {
                negated |= goal.operator == Operator::Not;
                dependents.entry(*operand).or_default().push(*member);
            }
        }
        if mutant!(InProgressMeansNo) {
            for member in members {
                self.high[*member as usize] = self.value(*member, true);
                self.low[*member as usize] = self.value(*member, false);
            }
            return;
        }
        loop {
            let before = members.iter().filter(|m| self.low[**m as usize]).count();
            self.least(members, &dependents, true);
            self.least(members, &dependents, false);
            let after = members.iter().filter(|m| self.low[**m as usize]).count();
            // Without a NOT inside, one round is exact; with one, each round brings the bounds closer or ends.
            if !negated || before == after || mutant!(OneRoundThroughRings) {
                return;
            }
        }
    }

    /// The least fixpoint of one bound, the other held.
    fn least(&mut self, members: &[GoalId], dependents: &FxHashMap<GoalId, Vec<GoalId>>, high: bool) {
        for member in members {
            *self.bound(*member, high) = false;
        }
        let mut open = members.to_vec();
        while let Some(goal) = open.pop() {
            let now = self.value(goal, high);
            if now && !std::mem::replace(self.bound(goal, high), true) {
                open.extend(dependents.get(&goal).into_iter().flatten());
            }
        }
    }

    fn bound(&mut self, goal: GoalId, high: bool) -> &mut bool {
        let bounds = if high { &mut self.high } else { &mut self.low };
        &mut bounds[goal as usize]
    }

    fn value(&self, goal: GoalId, high: bool) -> bool {
        let goal = &self.goals[goal as usize];
        let known = if high { goal.known != Tri::No } else { goal.known == Tri::Yes };
        let bound = |bounds: &[bool], goal: &GoalId| bounds[*goal as usize];
        let same = if high { &self.high } else { &self.low };
        let other = if high { &self.low } else { &self.high };
        match goal.operator {
            Operator::Any => known || goal.operands.iter().any(|o| bound(same, o)),
            Operator::All => known && goal.operands.iter().all(|o| bound(same, o)),
            Operator::Not => known && !goal.operands.iter().any(|o| bound(other, o)),
        }
    }
}
