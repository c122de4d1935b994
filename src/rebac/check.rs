//! The one decision function, and the forms of it that serve listings.

use super::condition::Tri;
use super::edge::Edge;
use super::graph::{Graph, Subject};
use super::hash::NameHash;
use super::limits::{Budget, EDGES_PER_WARM_UP};
use super::names::KindId;
use super::schema::{Name, Plan};
use super::walk::{Found, Prober};
use super::{Caches, Class, Env, LeafFacts, ObjectRef, Query, Verdict, Why};

impl Graph {
    /// The one decision function. A file's parent is its path's dirname; stored `parent` tuples of files are not read.
    ///
    /// The tenant of the query's object decides: only tuples on objects of that tenant count. Pass caches only for a
    /// published graph, never inside a write transaction.
    pub fn check(
        &self,
        query: &Query<'_>,
        leaf: LeafFacts,
        env: &Env,
        caches: Option<&Caches>,
        budget: &mut Budget,
    ) -> Verdict {
        if self.overflowed {
            return Verdict::Unknown(Why::TooManyRelations);
        }
        let Some(name) = self.question(query.object.kind, query.permission) else { return Verdict::Deny };
        let subject = self.subject(query.subject);
        let prober = match self.prober(subject, name, query.object, env, caches, budget) {
            Ok(prober) => prober,
            Err(why) => return Verdict::Unknown(why),
        };
        let Some(prober) = prober else { return self.evaluate(subject, name, query.object, leaf.owner, env, budget) };
        let mut found = Found::default();
        if let Err(why) = prober.object(query.object, leaf, env, &mut found, budget) {
            if mutant!(BudgetCountedAsNo) {
                return Verdict::Deny;
            }
            return Verdict::Unknown(why);
        }
        match found.answer {
            Tri::Yes => Verdict::Allow,
            _ if !prober.exact => self.evaluate(subject, name, query.object, leaf.owner, env, budget),
            _ => found.verdict(),
        }
    }

    /// The same decision by the general evaluator alone, for the comparison of the two.
    pub fn check_general(&self, query: &Query<'_>, leaf: LeafFacts, env: &Env, budget: &mut Budget) -> Verdict {
        if self.overflowed {
            return Verdict::Unknown(Why::TooManyRelations);
        }
        let Some(name) = self.question(query.object.kind, query.permission) else { return Verdict::Deny };
        self.evaluate(self.subject(query.subject), name, query.object, leaf.owner, env, budget)
    }

    /// Fills a subject's closure, if it is known. For the start, before the first request asks.
    pub fn warm(&self, caches: &Caches, subject: ObjectRef<'_>, env: &Env) {
        let subject = self.subject(subject);
        if subject.id.is_some() {
            // Too large a closure is left to the request that needs it.
            let _ = self.closure(subject, env, Some(caches), &mut Budget::edges(EDGES_PER_WARM_UP));
        }
    }

    /// How `name` is decided on files or other objects of type `kind`.
    #[must_use]
    pub fn classify(&self, kind: &str, name: &str) -> Class {
        let inherits = self.question(kind, name).is_some_and(|name| self.schema.plan(name).inherits());
        if inherits { Class::Homogeneous } else { Class::General }
    }

    /// Whether the namespace of `kind` names `name` as a permission or a relation.
    #[must_use]
    pub fn defines(&self, kind: &str, name: &str) -> bool {
        let ids = self.kinds.find(kind).zip(self.relation(name));
        ids.is_some_and(|(kind, name)| self.schema.defines(kind, name))
    }

    /// Whether objects of `kind` have a namespace, stored or default.
    #[must_use]
    pub fn has_namespace(&self, kind: &str) -> bool {
        self.kinds.find(kind).is_some_and(|kind| self.schema.has_namespace(kind))
    }

    /// Whether a tuple with a *subject* of type `kind` and this relation can open its subject: some rule of the
    /// subject's type follows it. Writing it needs the right to manage the subject too. Never so for files.
    #[must_use]
    pub fn reads_forward(&self, kind: &str, relation: &str) -> bool {
        let ids = self.kinds.find(kind).zip(self.relation(relation));
        ids.is_some_and(|(kind, relation)| self.schema.reads_forward(kind, relation))
    }

    /// Whether any tuple ever had this relation, or any rule names it.
    #[must_use]
    pub fn knows_relation(&self, relation: &str) -> bool {
        self.relation(relation).is_some()
    }

    /// Whether any tuple with this relation is on the object, live or not, whatever its condition.
    #[must_use]
    pub fn has_relation_on(&self, object: ObjectRef<'_>, relation: &str) -> bool {
        let found = self.relation(relation).zip(self.entity(object));
        found.is_some_and(|(relation, id)| self.edges_on(id).range(Edge::span(relation, 0..=u16::MAX)).next().is_some())
    }

    fn relation(&self, name: &str) -> Option<u16> {
        self.relations.find(name).and_then(|id| u16::try_from(id).ok())
    }

    /// What is asked; `None` = a name that nothing in the graph has, so no tuple either.
    pub(super) fn question(&self, kind: &str, permission: &str) -> Option<Name> {
        let kind = self.kinds.find(kind);
        let Some(name) = self.relation(permission) else {
            let broken = kind.is_some_and(|kind| self.schema.is_broken(kind));
            return broken.then_some(Name::Broken);
        };
        Some(kind.map_or(Name::Direct(name), |kind| self.schema.question(kind, name)))
    }

    /// What decides a walkable name on objects of this tenant and type; `None` = only the general evaluator can.
    pub(super) fn prober<'g>(
        &'g self,
        subject: Subject,
        name: Name,
        object: ObjectRef<'_>,
        env: &Env,
        caches: Option<&Caches>,
        budget: &mut Budget,
    ) -> Result<Option<Prober<'g>>, Why> {
        let plan = self.schema.plan(name);
        if matches!(plan, Plan::General) {
            return Ok(None);
        }
        let closure = self.closure(subject, env, caches, budget)?;
        let kind: Option<KindId> = self.kinds.find(object.kind);
        let exact =
            (!closure.partial || mutant!(PartialClosureDenies)) && kind.is_none_or(|kind| self.shapes.is_flat(kind));
        // An unknown tenant has no entity, so nothing of this number will be found.
        let tenant = self.tenants.find(object.tenant).unwrap_or(u32::MAX);
        Ok(Some(Prober { graph: self, plan, subject, tenant, closure, exact }))
    }
}

impl Prober<'_> {
    /// Adds what is granted on the object, and on its directories where the name inherits.
    fn object(
        &self,
        object: ObjectRef<'_>,
        leaf: LeafFacts,
        env: &Env,
        found: &mut Found,
        budget: &mut Budget,
    ) -> Result<(), Why> {
        if let Some(owner) = leaf.owner {
            self.owner(owner, found);
            if found.answer == Tri::Yes {
                return Ok(());
            }
        }
        if self.plan.inherits() && object.id.starts_with('/') {
            let start = NameHash::new(self.graph.seed, object.tenant, object.kind);
            return self.path(start, object.id, env, found, budget);
        }
        match self.graph.entity(object) {
            Some(id) => self.cell(id, env, found, budget),
            None => Ok(()),
        }
    }
}

impl Found {
    pub(super) fn verdict(self) -> Verdict {
        match self.answer {
            Tri::Yes => Verdict::Allow,
            Tri::No => Verdict::Deny,
            Tri::Unknown => Verdict::Unknown(self.doubt.why()),
        }
    }
}
