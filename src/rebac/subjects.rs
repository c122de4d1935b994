//! Listing subjects: everybody who has a name on an object, told honestly.
//!
//! All that an answer can depend on is walked once from the object down; the subjects met there are the candidates,
//! and each is decided by [`Graph::check`]. Whoever is not met has the answer of a stranger of his tenant, so the
//! answer "everybody, except these" is exact as well. Invariant: a list that is not whole says so.

use std::collections::BTreeSet;

use rustc_hash::FxHashSet;

use crate::model::EntityId;

use super::condition::{Doubt, Tri};
use super::edge::{Edge, PLAIN, RelId, SetId};
use super::graph::Graph;
use super::limits::Budget;
use super::names::TenantId;
use super::place::Place;
use super::schema::{DIRECT_OWNER, Direction, FILE, Name, Node};
use super::{Env, LeafFacts, ObjectRef, Query, Verdict, Why};

/// The name of a subject that nobody has: no id and no tenant may hold a NUL.
const STRANGER: &str = "\0";
/// The type and the id of the public subject.
const PUBLIC: &str = "*";

/// "Who has `permission` on `object`?"
#[derive(Debug, Clone, Copy)]
pub struct SubjectsQuery<'a> {
    /// A permission or a relation of the object's type.
    pub permission: &'a str,
    /// On what.
    pub object: ObjectRef<'a>,
    /// What the node row says about it.
    pub leaf: LeafFacts,
    /// The type of the subjects; `None` = of any type.
    pub kind: Option<&'a str>,
}

/// A subject with its tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubjectName {
    /// The tenant it lives in.
    pub tenant: String,
    /// e.g. `user`; `*` for the public subject.
    pub kind: String,
    /// The id.
    pub id: String,
}

impl SubjectName {
    pub(super) fn of(name: ObjectRef<'_>) -> Self {
        Self { tenant: name.tenant.to_owned(), kind: name.kind.to_owned(), id: name.id.to_owned() }
    }
    /// As the engine names it.
    #[must_use]
    pub fn name(&self) -> ObjectRef<'_> {
        ObjectRef { tenant: &self.tenant, kind: &self.kind, id: &self.id }
    }
}

/// What every subject of a tenant gets that the lists do not name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Everybody {
    /// The tenant; `None` = all tenants that no other entry names.
    pub tenant: Option<String>,
    /// Theirs.
    pub verdict: Verdict,
    /// Subjects of the tenant that do not get it.
    pub except: Vec<SubjectName>,
}

/// Who has a name on an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subjects {
    /// Those whom tuples name and who have it, in order.
    pub allowed: Vec<SubjectName>,
    /// Whole tenants: where everybody has it, or may have it. Empty if strangers have it nowhere.
    pub everybody: Vec<Everybody>,
    /// Those of whom it cannot be said, and why.
    pub undecided: Vec<(SubjectName, Why)>,
    /// `false`: the budget was spent; there may be others.
    pub complete: bool,
}

impl Subjects {
    /// What the lists say about one subject of the type that was asked for.
    #[must_use]
    pub fn verdict(&self, subject: ObjectRef<'_>) -> Verdict {
        let is = |name: &SubjectName| name.name() == subject;
        if self.allowed.iter().any(is) {
            return Verdict::Allow;
        }
        if let Some((_, why)) = self.undecided.iter().find(|(name, _)| is(name)) {
            return Verdict::Unknown(why.clone());
        }
        let of = |tenant: Option<&str>| self.everybody.iter().find(|e| e.tenant.as_deref() == tenant);
        match of(Some(subject.tenant)).or_else(|| of(None)) {
            Some(everybody) if !everybody.except.iter().any(is) => everybody.verdict.clone(),
            _ => Verdict::Deny,
        }
    }
}

impl Graph {
    /// Everybody who has the permission on the object. Uses no caches: it asks about many who do not ask themselves.
    #[must_use]
    pub fn list_subjects(&self, query: &SubjectsQuery<'_>, env: &Env, budget: &mut Budget) -> Subjects {
        let mut list = Subjects::default();
        let Ok((found, tenants)) = self.subject_candidates(query, env, budget) else { return list };
        let mut names: BTreeSet<_> = found.iter().filter_map(|id| self.name(*id)).map(SubjectName::of).collect();
        // Behind a NOT it may have the name without any tuple that says so.
        if query.kind.is_none_or(|kind| kind == PUBLIC) {
            names.insert(SubjectName::of(ObjectRef { kind: PUBLIC, id: PUBLIC, ..query.object }));
        }
        let mut denied = Vec::new();
        for name in names {
            match self.has(query, name.name(), env, budget) {
                Verdict::Allow => list.allowed.push(name),
                Verdict::Deny => denied.push(name),
                Verdict::Unknown(Why::Budget) => return list,
                Verdict::Unknown(why) => list.undecided.push((name, why)),
            }
        }
        if query.kind != Some(PUBLIC) && self.everybody(query, &tenants, denied, &mut list, env, budget).is_err() {
            return list;
        }
        list.complete = true;
        list
    }

    /// One answer for each tenant that anything in question belongs to, and one for all others.
    fn everybody(
        &self,
        query: &SubjectsQuery<'_>,
        tenants: &BTreeSet<&str>,
        denied: Vec<SubjectName>,
        list: &mut Subjects,
        env: &Env,
        budget: &mut Budget,
    ) -> Result<(), Why> {
        let kind = query.kind.unwrap_or("user");
        let mut classes = Vec::new();
        for tenant in tenants.iter().map(|t| Some(*t)).chain([None]) {
            let stranger = ObjectRef { tenant: tenant.unwrap_or(STRANGER), kind, id: STRANGER };
            let verdict = self.has(query, stranger, env, budget);
            if verdict == Verdict::Unknown(Why::Budget) {
                return Err(Why::Budget);
            }
            classes.push(Everybody { tenant: tenant.map(str::to_owned), verdict, except: Vec::new() });
        }
        let others = classes.last().is_some_and(|others| others.verdict != Verdict::Deny);
        // Where all other tenants have it, one that has not must be named.
        classes.retain(|class| class.verdict != Verdict::Deny || (others && class.tenant.is_some()));
        for name in denied {
            let own = |c: &&mut Everybody| c.tenant.as_ref() == Some(&name.tenant) && c.verdict != Verdict::Deny;
            if name.kind != PUBLIC
                && let Some(class) = classes.iter_mut().find(own)
            {
                class.except.push(name);
            }
        }
        list.everybody = classes;
        Ok(())
    }

    fn has(&self, query: &SubjectsQuery<'_>, subject: ObjectRef<'_>, env: &Env, budget: &mut Budget) -> Verdict {
        let query_one = Query { subject, permission: query.permission, object: query.object };
        self.check(&query_one, query.leaf, env, None, budget)
    }

    /// The subjects of the wanted type that any tuple in question names, and the tenants of all that is in question.
    fn subject_candidates<'a>(
        &'a self,
        query: &SubjectsQuery<'a>,
        env: &Env,
        budget: &mut Budget,
    ) -> Result<(FxHashSet<EntityId>, BTreeSet<&'a str>), Why> {
        let place = self.place(query.object);
        let mut down = Down {
            graph: self,
            env,
            budget,
            leaf: (place, query.leaf.owner),
            seen: FxHashSet::default(),
            open: Vec::new(),
            subjects: FxHashSet::default(),
            tenants: FxHashSet::default(),
        };
        if let Some(name) = self.question(query.object.kind, query.permission) {
            down.goal(place, name);
        }
        while let Some((place, name)) = down.open.pop() {
            down.expand(place, name)?;
        }
        let mut tenants = BTreeSet::from([query.object.tenant]);
        tenants.extend(down.tenants.iter().map(|tenant| self.tenants.name(*tenant)));
        let mut subjects = down.subjects;
        tenants.extend(subjects.iter().filter_map(|id| self.name(*id)).map(|name| name.tenant));
        let of_kind = |name: ObjectRef<'_>| query.kind.is_none_or(|kind| kind == name.kind);
        subjects.retain(|id| !self.is_public(*id) && self.name(*id).is_some_and(of_kind));
        Ok((subjects, tenants))
    }
}

/// The walk from an object down over everything that an answer may depend on.
struct Down<'a, 'b> {
    graph: &'a Graph,
    env: &'b Env,
    budget: &'b mut Budget,
    /// The object of the question and its owner by column.
    leaf: (Place<'a>, Option<EntityId>),
    seen: FxHashSet<(Place<'a>, Name)>,
    open: Vec<(Place<'a>, Name)>,
    subjects: FxHashSet<EntityId>,
    tenants: FxHashSet<TenantId>,
}

impl<'a> Down<'a, '_> {
    fn goal(&mut self, place: Place<'a>, name: Name) {
        if self.seen.insert((place, name)) {
            self.open.push((place, name));
        }
    }

    fn expand(&mut self, place: Place<'a>, name: Name) -> Result<(), Why> {
        self.spend()?;
        let graph = self.graph;
        self.tenants.extend(graph.tenant_at(place));
        let node = match name {
            Name::Broken => return Ok(()),
            Name::Direct(relation) => return self.direct(place, relation),
            Name::Node(node) => node,
        };
        match graph.schema.node(node) {
            Node::Union(names) | Node::Intersection(names) => names.iter().for_each(|name| self.goal(place, *name)),
            Node::Exclusion(name) => self.goal(place, *name),
            Node::Ttu { tupleset, direction, computed } => {
                if *direction == Direction::Path
                    && let Some(above) = graph.above(place)
                {
                    self.goal(above, graph.schema.reference(FILE, *computed));
                }
                if direction.forward() {
                    self.forward(place, *tupleset, *computed)?;
                }
                if direction.reverse() {
                    self.reverse(place, *tupleset, *computed)?;
                }
            }
        }
        Ok(())
    }

    fn direct(&mut self, place: Place<'a>, relation: RelId) -> Result<(), Why> {
        let graph = self.graph;
        self.subjects.extend(self.owner(place, relation));
        let Place::Known(id) = place else { return Ok(()) };
        for edge in graph.edges_on(id).range(Edge::span(relation, PLAIN..=SetId::MAX)) {
            self.spend()?;
            if !self.counts(id, edge) {
                continue;
            }
            match edge.middle() {
                PLAIN => {
                    self.subjects.insert(edge.entity());
                }
                set => self.via(edge.entity(), set - 1),
            }
        }
        Ok(())
    }

    fn reverse(&mut self, place: Place<'a>, tupleset: RelId, computed: RelId) -> Result<(), Why> {
        let graph = self.graph;
        if let Some(owner) = self.owner(place, tupleset) {
            self.via(owner, computed);
        }
        let Place::Known(id) = place else { return Ok(()) };
        for edge in graph.edges_on(id).range(Edge::span(tupleset, PLAIN..=PLAIN)) {
            self.spend()?;
            if self.counts(id, edge) {
                self.via(edge.entity(), computed);
            }
        }
        Ok(())
    }

    fn forward(&mut self, place: Place<'a>, tupleset: RelId, computed: RelId) -> Result<(), Why> {
        let graph = self.graph;
        let Place::Known(id) = place else { return Ok(()) };
        for edge in graph.edges_of(id).range(Edge::span(PLAIN, tupleset..=tupleset)) {
            self.spend()?;
            let tuple = Edge::forward(tupleset, PLAIN, id);
            if self.counts(edge.entity(), if edge.has_meta() { tuple.with_meta() } else { tuple }) {
                self.via(edge.entity(), computed);
            }
        }
        Ok(())
    }

    /// What another entity gives.
    fn via(&mut self, entity: EntityId, relation: RelId) {
        let graph = self.graph;
        if graph.is_public(entity) {
            return;
        }
        if let Some(name) = graph.reference(entity, relation) {
            self.goal(Place::Known(entity), name);
        }
    }

    fn owner(&self, place: Place<'a>, relation: RelId) -> Option<EntityId> {
        let owner = self.leaf.1.filter(|_| place == self.leaf.0 && relation == DIRECT_OWNER)?;
        (self.graph.tenant_of(owner) == self.graph.tenant_at(place)).then_some(owner)
    }

    /// Whether a tuple on `object` may count.
    fn counts(&self, object: EntityId, edge: Edge) -> bool {
        let graph = self.graph;
        let admitted = graph.tenant_of(object).is_some_and(|t| graph.admits(edge.head(), edge.entity(), t));
        admitted && graph.counts(object, edge, self.env, &mut Doubt::default()) != Tri::No
    }

    fn spend(&mut self) -> Result<(), Why> {
        if self.budget.spend(1) { Ok(()) } else { Err(Why::Budget) }
    }
}
