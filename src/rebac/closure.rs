//! The closure of a subject: every set it is in by tuples alone, through any depth of usersets.
//!
//! A set is (entity, relation) on a non-file object; `group:eng#member` is one. Invariant: a set that is in the
//! closure holds the subject, without condition, from `since` until `until`; when membership is flat
//! ([`Shapes`](super::shape::Shapes)) and the closure is not partial, no other set does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{RwLock, RwLockReadGuard};
use rustc_hash::FxHashMap;

use crate::model::{EntityId, Rev};

use super::cache::Caches;
use super::condition::Condition;
use super::edge::{Edge, PLAIN, SetId, set_of};
use super::graph::{Graph, Subject};
use super::limits::{ABOVE_CACHE_BYTES, Budget, EDGES_FOR_OTHERS, SETS_ABOVE_MAX, SETS_EXPECTED, SETS_EXPECTED_ABOVE};
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
        let closure = Arc::new(self.compute_closure(subject, env.now_us, caches, budget)?);
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

    fn compute_closure(
        &self,
        subject: Subject,
        now_us: i64,
        caches: Option<&Caches>,
        budget: &mut Budget,
    ) -> Result<Closure, Why> {
        let (mut bounds, mut sets) = (Bounds::default(), SetTable::default());
        let mut open = Vec::with_capacity(SETS_EXPECTED);
        for id in subject.ids() {
            self.above_one((id, PLAIN), now_us, &mut bounds, budget, |set| open.push(set))?;
        }
        if let Some(caches) = caches {
            self.join_what_is_known(&mut open, now_us, caches, (&mut bounds, &mut sets), budget)?;
        } else {
            open.retain(|(object, set)| sets.insert(*object, *set));
        }
        while let Some(set) = open.pop() {
            self.above_one(set, now_us, &mut bounds, budget, |(object, set)| {
                if sets.insert(object, set) {
                    open.push((object, set));
                }
            })?;
        }
        let Bounds { since_us, until_us, partial } = bounds;
        Ok(Closure { rev: self.rev, since_us, until_us, partial, sets })
    }

    /// Adds the sets in `open` and, from the cache, all that is above them. What is left in `open` has too much above
    /// it to be kept, and is still to be followed.
    fn join_what_is_known(
        &self,
        open: &mut Vec<Set>,
        now_us: i64,
        caches: &Caches,
        (bounds, sets): (&mut Bounds, &mut SetTable),
        budget: &mut Budget,
    ) -> Result<(), Why> {
        let mut join = |above: &Above, bounds: &mut Bounds, sets: &mut SetTable| {
            let Some(known) = above.sets.get() else { return Ok(false) };
            bounds.join(&above.bounds);
            for (object, set) in known {
                if sets.insert(*object, *set) && !budget.spend(1) {
                    return Err(Why::Budget);
                }
            }
            Ok(true)
        };
        sets.reserve(open.len() * SETS_EXPECTED_ABOVE);
        let (mut followed, mut unknown) = (Vec::new(), Vec::new());
        // One lock for all of them.
        let held = caches.above.held();
        for roots in open.chunks(LOOK_AHEAD) {
            // Looking for one does not depend on another: done together, the waits for memory overlap.
            let mut found = [None; LOOK_AHEAD];
            for (slot, root) in found.iter_mut().zip(roots) {
                *slot = held.get(root).filter(|above| above.is_valid(self, now_us));
            }
            for (above, root) in found.into_iter().zip(roots) {
                // One that is in already was above another, and so is what is above it.
                if !sets.insert(root.0, root.1) {
                    continue;
                }
                match above {
                    None => unknown.push(*root),
                    Some(above) if join(above, bounds, sets)? => {}
                    Some(_) => followed.push(*root),
                }
            }
        }
        drop(held);
        if !unknown.is_empty() {
            // What others will use is not charged to this question, which may have just enough for itself.
            let (mut spare, mut found) = (Budget::edges(EDGES_FOR_OTHERS), Vec::with_capacity(unknown.len()));
            for root in unknown {
                match self.sets_above(root, now_us, &mut spare) {
                    Ok(above) => {
                        if !join(&above, bounds, sets)? {
                            followed.push(root);
                        }
                        found.push((root, above));
                    }
                    Err(_) => followed.push(root),
                }
            }
            caches.above.put(found);
        }
        *open = followed;
        Ok(())
    }

    /// All sets above one.
    fn sets_above(&self, root: Set, now_us: i64, budget: &mut Budget) -> Result<Above, Why> {
        let (mut bounds, mut sets, mut open) = (Bounds::default(), SetTable::default(), vec![root]);
        while let Some(next) = open.pop() {
            self.above_one(next, now_us, &mut bounds, budget, |(object, set)| {
                if sets.insert(object, set) {
                    open.push((object, set));
                }
            })?;
            if sets.len() > SETS_ABOVE_MAX {
                break;
            }
        }
        Ok(Above { rev: self.rev, bounds, sets: Kept::new(&sets) })
    }

    /// Gives every set that the members of one are put into by a tuple of it.
    fn above_one(
        &self,
        (member, set): Set,
        now_us: i64,
        bounds: &mut Bounds,
        budget: &mut Budget,
        mut found: impl FnMut(Set),
    ) -> Result<(), Why> {
        let Some(member_entity) = self.at(member) else { return Ok(()) };
        let is_public = self.is_public(member);
        // Of the tuples of one subject most have one relation on one type.
        let mut last = None;
        for edge in self.edges_of(member).range(Edge::span(set, 0..=u16::MAX)) {
            if !budget.spend(1) {
                return Err(Why::Budget);
            }
            let (relation, object) = (edge.middle(), edge.entity());
            // First of all: most edges of a person are grants, and their objects are far away in memory.
            if !self.is_useful(relation) {
                continue;
            }
            let Some(object_entity) = self.at(object) else { continue };
            let public = self.is_public(object) && !mutant!(WildcardMatchesUsersets);
            if object_entity.kind == FILE || public {
                continue;
            }
            let same_tenant = member_entity.tenant == object_entity.tenant;
            if !same_tenant && (is_public || !crosses_tenants(relation)) {
                continue;
            }
            // A relation with a rule does not read its own tuples.
            let place = (object_entity.kind, relation);
            let is_direct = match last {
                Some((seen, is_direct)) if seen == place => is_direct,
                _ => self.schema.reference(object_entity.kind, relation) == Name::Direct(relation),
            };
            last = Some((place, is_direct));
            if !is_direct && !mutant!(ComputedMembershipFlattened) {
                continue;
            }
            if !edge.has_meta() || bounds.crosses(self, object, Edge::forward(relation, set, member), now_us) {
                found((object, set_of(relation)));
            }
        }
        Ok(())
    }

    /// Whether anything can refer to a set of this relation: a userset subject, or a rule.
    fn is_useful(&self, relation: u16) -> bool {
        let has = |set: &RelationSet| set.contains(relation);
        has(&self.used_as_sets) || has(&self.schema.computed_on_files) || has(&self.schema.computed_elsewhere)
    }
}

/// An entity and the relation by which one is in it: `group:eng#member`.
pub(super) type Set = (EntityId, SetId);

/// All sets above one: whoever is in it is in them, by userset tuples alone. Many subjects share what lies above their
/// groups, so that the closure of one more of them costs little.
#[derive(Debug)]
pub(super) struct Above {
    rev: Rev,
    bounds: Bounds,
    sets: Kept,
}

/// The sets above one. Most have few, which lie beside their key: a list elsewhere is one more wait for memory.
#[derive(Debug)]
enum Kept {
    Few(u8, [Set; FEW]),
    Many(Box<[Set]>),
    /// More than [`SETS_ABOVE_MAX`].
    TooMany,
}

/// Sets that are kept in place.
const FEW: usize = 6;
/// Sets that are looked up together.
const LOOK_AHEAD: usize = 16;

impl Kept {
    fn new(sets: &SetTable) -> Self {
        match sets.len() {
            len @ 0..=FEW => {
                let mut few = [(0, PLAIN); FEW];
                few.iter_mut().zip(sets.iter()).for_each(|(slot, set)| *slot = set);
                Self::Few(len as u8, few)
            }
            len if len <= SETS_ABOVE_MAX => Self::Many(sets.iter().collect()),
            _ => Self::TooMany,
        }
    }

    /// The sets, unless they are too many.
    fn get(&self) -> Option<&[Set]> {
        match self {
            Self::Few(len, few) => few.get(..usize::from(*len)),
            Self::Many(many) => Some(many),
            Self::TooMany => None,
        }
    }
}

impl Above {
    /// Whether it is what computing it on `graph` now would give. No plain membership was read, so nothing but nesting
    /// and rules can change it.
    fn is_valid(&self, graph: &Graph, now_us: i64) -> bool {
        let stamp = graph.nest_rev.max(graph.schema_rev);
        stamp <= self.rev && self.rev <= graph.rev && self.bounds.hold(now_us)
    }

    /// Bytes it takes with its place in the table.
    pub(super) fn bytes(&self) -> usize {
        // Tables are half full at the least.
        let elsewhere = if let Kept::Many(sets) = &self.sets { size_of_val(&**sets) } else { 0 };
        2 * size_of::<(Set, Self)>() + elsewhere
    }
}

/// What lies above sets, by set. A closure asks for ten of them: a plain table behind one lock, which it takes once,
/// costs a fraction of as many look-ups in a cache that counts who uses what. Full, it begins anew.
#[derive(Debug, Default)]
pub(super) struct AboveCache {
    pub(super) held: RwLock<FxHashMap<Set, Above>>,
    pub(super) bytes: AtomicUsize,
}

impl AboveCache {
    fn held(&self) -> RwLockReadGuard<'_, FxHashMap<Set, Above>> {
        self.held.read()
    }

    fn put(&self, found: Vec<(Set, Above)>) {
        let added = found.iter().map(|(_, above)| above.bytes()).sum();
        let mut held = self.held.write();
        let full = self.bytes.fetch_add(added, Ordering::Relaxed) + added > ABOVE_CACHE_BYTES;
        // Freed when others may go on.
        let _old = full.then(|| {
            self.bytes.store(added, Ordering::Relaxed);
            std::mem::take(&mut *held)
        });
        for (root, above) in found {
            if let Some(replaced) = held.insert(root, above) {
                self.bytes.fetch_sub(replaced.bytes(), Ordering::Relaxed);
            }
        }
        drop(held);
    }
}

/// When, and for whom, the memberships that were met count as they did.
#[derive(Debug)]
struct Bounds {
    since_us: i64,
    until_us: i64,
    partial: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { since_us: i64::MIN, until_us: i64::MAX, partial: false }
    }
}

impl Bounds {
    fn hold(&self, now_us: i64) -> bool {
        self.since_us <= now_us && now_us < self.until_us
    }

    fn join(&mut self, other: &Self) {
        self.since_us = self.since_us.max(other.since_us);
        self.until_us = self.until_us.min(other.until_us);
        self.partial |= other.partial;
    }

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

/// A set of (entity, relation). Most questions are answered "no" by its first cache line, a filter with two bits a
/// member; the table behind it is probed in the open and at most seven eighths full.
#[derive(Debug, Default)]
pub(super) struct SetTable {
    filter: [u64; 8],
    slots: Vec<u64>,
    len: usize,
}

/// No set has this key: relation ids end below it.
const FREE: u64 = u64::MAX;

impl SetTable {
    fn key(entity: EntityId, set: SetId) -> u64 {
        u64::from(entity) << 16 | u64::from(set)
    }

    fn hash(key: u64) -> u64 {
        key.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }

    /// The word and the two bits in it by which the filter knows a key.
    fn mark(key: u64) -> (usize, u64) {
        let hash = Self::hash(key);
        ((hash >> 61) as usize, 1 << (hash >> 55 & 63) | 1 << (hash >> 49 & 63))
    }

    fn slot(&self, key: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = (Self::hash(key) >> 32) as usize & mask;
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
        let key = Self::key(entity, set);
        let (word, bits) = Self::mark(key);
        self.filter[word] & bits == bits && self.slots[self.slot(key)] != FREE
    }

    /// Makes room for `sets` in an empty table.
    fn reserve(&mut self, sets: usize) {
        if self.len == 0 && sets > 0 {
            self.slots = vec![FREE; (sets * 2).next_power_of_two().max(8)];
        }
    }

    /// Tells whether it is new.
    fn insert(&mut self, entity: EntityId, set: SetId) -> bool {
        if (self.len + 1) * 8 > self.slots.len() * 7 {
            self.resize((self.slots.len() * 2).max(16));
        }
        let key = Self::key(entity, set);
        let at = self.slot(key);
        let is_new = self.slots[at] == FREE;
        self.slots[at] = key;
        self.len += usize::from(is_new);
        let (word, bits) = Self::mark(key);
        self.filter[word] |= bits;
        is_new
    }

    fn resize(&mut self, slots: usize) {
        for key in std::mem::replace(&mut self.slots, vec![FREE; slots]).into_iter().filter(|key| *key != FREE) {
            let at = self.slot(key);
            self.slots[at] = key;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Set> + '_ {
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

    #[test]
    fn few_and_many_sets_are_the_same_sets_and_too_many_are_none() {
        for count in [0, 1, FEW, FEW + 1, SETS_ABOVE_MAX, SETS_ABOVE_MAX + 1] {
            let mut table = SetTable::default();
            (0..count as u32).for_each(|n| assert!(table.insert(n, 1)));
            let kept = Kept::new(&table);
            let wanted = (count <= SETS_ABOVE_MAX).then(|| (0..count as u32).map(|n| (n, 1)).collect::<Vec<_>>());
            let mut found = kept.get().map(<[Set]>::to_vec);
            found.iter_mut().for_each(|sets| sets.sort_unstable());
            assert_eq!(found, wanted, "{count}");
        }
    }
}
