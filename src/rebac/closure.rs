//! The closure of a subject: every set it is in by tuples alone, through any depth of usersets.
//!
//! A set is (entity, relation) on a non-file object; `group:eng#member` is one. Invariant: a set that is in the
//! closure holds the subject, without condition, from `since` until `until`; when membership is flat
//! ([`Shapes`](super::shape::Shapes)) and the closure is not partial, no other set does.

use std::sync::Arc;

use crate::model::{EntityId, Rev};

use super::cache::Caches;
use super::condition::Condition;
use super::edge::{Edge, PLAIN, SetId, set_of};
use super::graph::{Graph, Subject};
use super::limits::Budget;
use super::names::RelationSet;
use super::schema::{FILE, Name, crosses_tenants};
use super::{Env, Why};

/// See the module.
#[derive(Debug)]
pub(super) struct Closure {
    /// The revision of the graph it was computed on.
    pub(super) rev: Rev,
    /// Exact from the latest expiry that it saw passed …
    pub(super) since_us: i64,
    /// … to the earliest that it saw coming.
    pub(super) until_us: i64,
    /// A membership with a condition was met: there may be more sets.
    pub(super) partial: bool,
    pub(super) sets: SetTable,
}

impl Closure {
    /// Whether it is what computing it on `graph` now would give.
    fn is_valid(&self, graph: &Graph, subject: Subject, now_us: i64) -> bool {
        let public = |id: &EntityId| mutant!(PublicMembershipNotLookedAt) && graph.is_public(*id);
        let members = subject.ids().filter(|id| !public(id)).map(|id| graph.member_rev(id)).max().unwrap_or(0);
        let members = if mutant!(StaleAfterGrantOrRevoke) { 0 } else { members };
        let nested = if mutant!(StaleAfterNesting) { 0 } else { graph.nest_rev };
        let stamp = members.max(nested).max(graph.schema_rev);
        let older = mutant!(ReaderOlderThanEntry) || self.rev <= graph.rev;
        let since = mutant!(ClockMayGoBack) || self.since_us <= now_us;
        let until = mutant!(ClosureOutlivesExpiry) || now_us < self.until_us;
        stamp <= self.rev && older && since && until
    }
}

impl Graph {
    /// The closure of `subject`, from the cache if it is exact there. `Err` = the budget was spent.
    pub(super) fn closure(
        &self,
        subject: Subject,
        env: &Env,
        caches: Option<&Caches>,
        budget: &mut Budget,
    ) -> Result<Arc<Closure>, Why> {
        let slot = caches.zip(subject.id);
        if let Some((caches, id)) = slot
            && let Some(found) = caches.closures.get(&id)
            && found.is_valid(self, subject, env.now_us)
        {
            return Ok(found);
        }
        pause!();
        let closure = Arc::new(self.compute_closure(subject, env.now_us, budget)?);
        pause!();
        if let Some((caches, id)) = slot {
            caches.closures.insert(id, Arc::clone(&closure));
        }
        Ok(closure)
    }

    /// Whether the closure of `subject` is in the cache and exact here.
    pub(super) fn has_closure(&self, subject: Subject, env: &Env, caches: Option<&Caches>) -> bool {
        let slot = caches.zip(subject.id);
        let found = slot.and_then(|(caches, id)| caches.closures.peek(&id));
        found.is_some_and(|found| found.is_valid(self, subject, env.now_us))
    }

    fn compute_closure(&self, subject: Subject, now_us: i64, budget: &mut Budget) -> Result<Closure, Why> {
        let mut closure = Closure {
            rev: self.rev,
            since_us: i64::MIN,
            until_us: i64::MAX,
            partial: false,
            sets: SetTable::default(),
        };
        let mut open: Vec<(EntityId, SetId)> = subject.ids().map(|id| (id, PLAIN)).collect();
        while let Some((member, set)) = open.pop() {
            let Some(member_entity) = self.at(member) else { continue };
            let is_public = self.is_public(member);
            for edge in self.edges_of(member).range(Edge::span(set, 0..=u16::MAX)) {
                if !budget.spend(1) {
                    return Err(Why::Budget);
                }
                let (relation, object) = (edge.middle(), edge.entity());
                let Some(object_entity) = self.at(object) else { continue };
                let public = self.is_public(object) && !mutant!(WildcardMatchesUsersets);
                if object_entity.kind == FILE || !self.is_useful(relation) || public {
                    continue;
                }
                let same_tenant = member_entity.tenant == object_entity.tenant;
                if !same_tenant && (is_public || !crosses_tenants(relation)) {
                    continue;
                }
                // A relation with a rule does not read its own tuples.
                let flattened = mutant!(ComputedMembershipFlattened);
                if !flattened && self.schema.reference(object_entity.kind, relation) != Name::Direct(relation) {
                    continue;
                }
                if edge.has_meta() && !closure.crosses(self, object, Edge::forward(relation, set, member), now_us) {
                    continue;
                }
                if closure.sets.insert(object, set_of(relation)) {
                    open.push((object, set_of(relation)));
                }
            }
        }
        Ok(closure)
    }

    /// Whether anything can refer to a set of this relation: a userset subject, or a rule.
    fn is_useful(&self, relation: u16) -> bool {
        let has = |set: &RelationSet| set.contains(relation);
        has(&self.used_as_sets) || has(&self.schema.computed_on_files) || has(&self.schema.computed_elsewhere)
    }
}

impl Closure {
    /// Whether the membership counts for everybody who asks now; remembers until when.
    fn crosses(&mut self, graph: &Graph, object: EntityId, edge: Edge, now_us: i64) -> bool {
        let Some(meta) = graph.meta(object, edge.with_meta()) else { return true };
        if let Some(expires) = meta.expires_at_us {
            if expires < now_us || (expires == now_us && !mutant!(LiveAtItsExpiry)) {
                self.since_us = self.since_us.max(expires);
                return false;
            }
            self.until_us = self.until_us.min(expires);
        }
        let always = meta.condition == Condition::Always || mutant!(ConditionOfMembershipIgnored);
        self.partial |= !always && !mutant!(ConditionalMembershipForgotten);
        always
    }
}

/// A set of (entity, relation) with one probe per question: open addressing, at most half full.
#[derive(Debug, Default)]
pub(super) struct SetTable {
    slots: Vec<u64>,
    len: usize,
}

/// No set has this key: relation ids end below it.
const FREE: u64 = u64::MAX;

impl SetTable {
    fn key(entity: EntityId, set: SetId) -> u64 {
        u64::from(entity) << 16 | u64::from(set)
    }

    fn slot(&self, key: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize & mask;
        while self.slots[at] != FREE && self.slots[at] != key {
            at = (at + 1) & mask;
        }
        at
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.slots.len() * size_of::<u64>()
    }

    pub(super) fn contains(&self, entity: EntityId, set: SetId) -> bool {
        self.len != 0 && self.slots[self.slot(Self::key(entity, set))] != FREE
    }

    /// Tells whether it is new.
    fn insert(&mut self, entity: EntityId, set: SetId) -> bool {
        if (self.len + 1) * 2 > self.slots.len() {
            let grown = vec![FREE; (self.slots.len() * 2).max(8)];
            for key in std::mem::replace(&mut self.slots, grown).into_iter().filter(|key| *key != FREE) {
                let at = self.slot(key);
                self.slots[at] = key;
            }
        }
        let key = Self::key(entity, set);
        let at = self.slot(key);
        let is_new = self.slots[at] == FREE;
        self.slots[at] = key;
        self.len += usize::from(is_new);
        is_new
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (EntityId, SetId)> + '_ {
        self.slots.iter().filter(|key| **key != FREE).map(|key| ((key >> 16) as EntityId, *key as SetId))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_a_set() {
        let mut table = SetTable::default();
        assert!(!table.contains(0, 0));
        for i in 0..5_000_u32 {
            assert!(table.insert(i * 64, (i % 7) as SetId));
            assert!(!table.insert(i * 64, (i % 7) as SetId));
        }
        assert!((0..5_000).all(|i| table.contains(i * 64, (i % 7) as SetId) && !table.contains(i * 64, 8)));
        let mut all: Vec<_> = table.iter().collect();
        all.sort_unstable();
        assert!(all.into_iter().eq((0..5_000).map(|i| (i * 64, (i % 7) as SetId))));
        assert_eq!(table.len(), 5_000);
    }
}
