//! How the graph changes: loading, and one change after the other.
//!
//! The same code for live operations, replay, dry runs and (with inverted changes) the way back in time. Cannot fail:
//! what could was checked before the change was recorded; what slips through makes answers unknown, never wider.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Change, Delta, EntityId, EntityRow, NamespaceRow, Rev, TupleRow};
use crate::store::{Projection, Sql, StoreError};

use super::defaults::{default_namespace, default_namespaces};
use super::edge::{Edge, PLAIN, RelId, SetId, set_of};
use super::graph::{Ends, Entity, Graph};
use super::hash::NameHash;
use super::limits::RELATIONS_MAX;
use super::lint::{Warning, lint};
use super::load::{load, meta_of};
use super::names::{KindId, TenantId};
use super::namespace::{Namespace, NamespaceError};
use super::schema::{FILE, KINDS, PARENT, PUBLIC_KIND, Schema, relation_id};
use super::shape::{NO_KIND, Shape};
use super::stratify;

/// The default namespaces, read.
pub(super) fn defaults_in_force() -> BTreeMap<String, Option<Namespace>> {
    default_namespaces().map(|(kind, config)| (kind.to_owned(), Namespace::parse(config).ok())).collect()
}

impl Projection for Graph {
    const NAME: &'static str = "graph";

    fn load(tx: &impl Sql) -> Result<Self, StoreError> {
        load(tx)
    }

    fn apply(&mut self, change: &Change, rev: Rev) {
        self.rev = self.rev.max(rev);
        if change.decides_permissions() {
            self.perm_rev = rev;
        }
        match change {
            Change::Entity(delta) => self.apply_entity(delta, rev),
            Change::Tuple(delta) => self.apply_tuple(delta, rev),
            Change::Namespace(delta) => self.apply_namespace(delta, rev),
            // The owner of a node comes with the question.
            Change::Node(_) | Change::Key(_) | Change::Agent(_) => {}
            Change::Workspace(_) | Change::Mount(_) | Change::Sandbox(_) | Change::Snapshot(_) => {}
            Change::Memory(_)
            | Change::Trajectory(_)
            | Change::TrajectoryNote(_)
            | Change::Playbook(_)
            | Change::Quota(_)
            | Change::Subscription(_) => {}
            Change::Approval(_) => {}
        }
    }

    fn publish(&mut self, rev: Rev) {
        self.rev = rev;
    }
}

impl Graph {
    fn apply_entity(&mut self, delta: &Delta<EntityRow>, rev: Rev) {
        if let Some(before) = &delta.before {
            self.forget_name(before);
        }
        if let Some(after) = &delta.after {
            self.name_entity(after);
        }
        if let Some(row) = delta.after.as_ref().or(delta.before.as_ref()) {
            *self.cell_rev.get_mut(row.id) = rev;
            // Every closure holds the sets of the public subject, and finds the stamp of those by its name.
            if row.kind == KINDS[PUBLIC_KIND as usize] {
                self.nest_rev = rev;
            }
            // The stamp of a subject goes with its last tuple.
            if mutant!(StampsDieWithTheirName) && delta.after.is_none() {
                *self.member_rev.get_mut(row.id) = 0;
            }
        }
    }

    fn key(&self, row: &EntityRow) -> u64 {
        self.key_of(&row.tenant, &row.kind, &row.name)
    }

    pub(super) fn key_of(&self, tenant: &str, kind: &str, name: &str) -> u64 {
        if mutant!(JoinedNamesCollide) && kind != "file" {
            return NameHash::new(self.seed, "", "").name(&format!("{tenant}:{kind}:{name}")).key();
        }
        NameHash::new(self.seed, tenant, kind).name(name).key()
    }

    /// Makes the id findable under its name. The name's former holder, if any, is about to be renamed or retired.
    pub(super) fn name_entity(&mut self, row: &EntityRow) {
        let (tenant, kind) = (self.tenants.intern(&row.tenant), self.kinds.intern(&row.kind));
        self.name_as(row.id, tenant, kind, &row.name);
    }

    /// See [`name_entity`](Self::name_entity).
    pub(super) fn name_as(&mut self, id: EntityId, tenant: TenantId, kind: KindId, name: &str) {
        let key = self.key_of(self.tenants.name(tenant), self.kinds.name(kind), name);
        let entity = Entity { tenant, kind, name: name.into() };
        let same_name = |e: &Entity| (e.tenant, e.kind, &e.name) == (entity.tenant, entity.kind, &entity.name);
        match self.by_key(key, same_name) {
            Some(holder) if holder == id => {}
            holder => {
                if let Some(holder) = holder {
                    self.ids.remove(key, holder);
                }
                self.ids.insert(key, id);
            }
        }
        self.entities.get_mut(id).entity = Some(entity);
    }

    /// The name no longer leads to the id; the id keeps its stamps and what still refers to it.
    fn forget_name(&mut self, row: &EntityRow) {
        let key = self.key(row);
        if !mutant!(OldNameStillLeads) {
            self.ids.remove(key, row.id);
        }
    }

    fn apply_tuple(&mut self, delta: &Delta<TupleRow>, rev: Rev) {
        if mutant!(RegrantIgnored) && delta.before.is_some() && delta.after.is_some() {
            return;
        }
        if mutant!(RevokeIgnored) && delta.after.is_none() {
            return;
        }
        if let Some(before) = &delta.before {
            self.remove_tuple(before, rev);
        }
        if let Some(after) = &delta.after {
            self.put_tuple(after, rev);
            #[cfg(test)]
            if mutant!(ShareOpensEveryTenant) && after.relation.starts_with("shared-") {
                for twin in self.twins(after.object) {
                    self.put_tuple(&TupleRow { object: twin, ..after.clone() }, rev);
                }
            }
        }
    }

    /// The same name in every tenant.
    #[cfg(test)]
    fn twins(&self, id: EntityId) -> Vec<EntityId> {
        let named = (0_u32..).zip(0..self.tenants.len()).filter_map(|(tenant, _)| {
            let name = self.name(id)?;
            self.entity(super::ObjectRef { tenant: self.tenants.name(tenant), ..name })
        });
        named.collect()
    }

    /// The tuple as the graph keeps it, or `None` if it is one that nobody reads: a stored `parent` of a file.
    pub(super) fn ends(&mut self, row: &TupleRow) -> Option<Ends> {
        let relation = relation_id(&mut self.relations, &row.relation);
        let set = row.subject_relation.as_deref().map_or(Some(PLAIN), |name| self.set_id(name));
        self.ends_of(row.object, relation, set, row.subject)
    }

    /// The number of the userset of a relation; `None` = there is none left.
    pub(super) fn set_id(&mut self, relation: &str) -> Option<SetId> {
        let relation = if mutant!(UsersetRelationIgnored) { "member" } else { relation };
        relation_id(&mut self.relations, relation).map(set_of)
    }

    /// See [`ends`](Self::ends); what got no number makes every answer unknown.
    pub(super) fn ends_of(
        &mut self,
        object: EntityId,
        relation: Option<RelId>,
        set: Option<SetId>,
        subject: EntityId,
    ) -> Option<Ends> {
        let (Some(relation), Some(set)) = (relation, set) else {
            self.overflowed = true;
            return None;
        };
        let of_file = relation == PARENT && self.kind_of(subject) == Some(FILE);
        (!of_file || mutant!(StoredParentOfFileRead)).then_some(Ends { object, relation, set, subject })
    }

    pub(super) fn shape(&self, ends: Ends) -> Shape {
        let subject_kind = self.kind_of(ends.subject).unwrap_or(NO_KIND);
        Shape { on_file: self.kind_of(ends.object) == Some(FILE), subject_kind, set: ends.set }
    }

    fn put_tuple(&mut self, row: &TupleRow, rev: Rev) {
        let Some(ends) = self.ends(row) else { return };
        let meta = meta_of(row.expires_at_us, row.condition.as_deref());
        let flag = |edge: Edge| if meta.is_some() { edge.with_meta() } else { edge };
        let is_new = self.edges_on(ends.object).find(ends.forward()).is_none();
        self.edges_on_mut(ends.object).insert(flag(ends.forward()));
        self.reverse.get_mut(ends.subject).insert(flag(ends.reverse()));
        self.set_meta(ends.object, ends.forward(), meta.map(Arc::new));
        if is_new {
            let shape = self.shape(ends);
            self.shapes.add(shape, &self.schema);
        }
        if is_new || !mutant!(NewTermsNotStamped) {
            self.stamp(ends, rev);
        }
    }

    fn remove_tuple(&mut self, row: &TupleRow, rev: Rev) {
        let Some(ends) = self.ends(row) else { return };
        if self.edges_on_mut(ends.object).remove(ends.forward()) {
            let shape = self.shape(ends);
            self.shapes.remove(shape, &self.schema);
        }
        self.reverse.get_mut(ends.subject).remove(ends.reverse());
        self.set_meta(ends.object, ends.forward(), None);
        self.stamp(ends, rev);
    }

    fn stamp(&mut self, ends: Ends, rev: Rev) {
        *self.cell_rev.get_mut(ends.object) = rev;
        let on_file = self.kind_of(ends.object) == Some(FILE);
        if !on_file && ends.is_userset() && !mutant!(NestingNotStamped) {
            self.nest_rev = rev;
        }
        if !on_file && !ends.is_userset() {
            *self.member_rev.get_mut(ends.subject) = rev;
        }
        self.use_as_set(ends, rev);
    }

    /// Closures leave out sets that nothing refers to, so the first reference changes them.
    pub(super) fn use_as_set(&mut self, ends: Ends, rev: Rev) {
        if ends.is_userset() && !self.used_as_sets.contains(ends.set - 1) {
            Arc::make_mut(&mut self.used_as_sets).insert(ends.set - 1);
            if !mutant!(FirstUseAsSetNotStamped) {
                self.nest_rev = rev;
            }
        }
    }

    fn apply_namespace(&mut self, delta: &Delta<NamespaceRow>, rev: Rev) {
        let (before, after) = (delta.before.as_ref(), delta.after.as_ref());
        if let Some(gone) = before.filter(|row| after.is_none_or(|a| a.object_type != row.object_type)) {
            self.put_namespace(&gone.object_type, None);
        }
        if let Some(row) = after {
            self.put_namespace(&row.object_type, Some(&row.config));
        }
        self.compile();
        if !mutant!(OtherNamespacesNotStamped) || after.is_some_and(|row| row.object_type == "file") {
            self.schema_rev = rev;
        }
    }

    /// Puts the rules of a type in force, or its default again.
    pub(super) fn put_namespace(&mut self, kind: &str, config: Option<&str>) {
        let namespaces = Arc::make_mut(&mut self.namespaces);
        match (config, default_namespace(kind)) {
            (Some(config), _) => namespaces.insert(kind.to_owned(), Namespace::parse_text(config).ok()),
            (None, Some(_)) if mutant!(DefaultDoesNotComeBack) => namespaces.remove(kind),
            (None, Some(default)) => namespaces.insert(kind.to_owned(), Namespace::parse(default).ok()),
            (None, None) => namespaces.remove(kind),
        };
    }

    pub(super) fn compile(&mut self) {
        self.schema = Arc::new(Schema::compile(&self.namespaces, &mut self.kinds, &mut self.relations));
        self.shapes.decide(&self.schema);
    }

    /// Whether `config` may become the namespace of `kind` beside those of the other types, and what in it is hardly
    /// meant. To be asked before it is stored.
    pub fn validate_namespace(&self, kind: &str, config: &serde_json::Value) -> Result<Vec<Warning>, NamespaceError> {
        let namespace = Namespace::parse(config)?;
        let mut namespaces = (*self.namespaces).clone();
        namespaces.insert(kind.to_owned(), Some(namespace.clone()));
        let (mut kinds, mut relations) = (self.kinds.clone(), self.relations.clone());
        let schema = Schema::compile(&namespaces, &mut kinds, &mut relations);
        if kinds.find(kind).is_some_and(|kind| schema.is_broken(kind)) {
            return Err(NamespaceError::TooManyRelations);
        }
        stratify::check(&schema)?;
        Ok(lint(kind, config, &namespace, &namespaces))
    }

    /// Whether a tuple may use this relation name: it is known, or there is room for one more.
    #[must_use]
    pub fn can_intern_relation(&self, name: &str) -> bool {
        self.relations.find(name).is_some() || self.relations.len() < RELATIONS_MAX
    }
}
