//! Where paths lead, remembered: of the deepest node on the way what permissions depend on.
//!
//! Owns a bounded cache, filled by readers, and the stamps by which an entry is known to be exact. An entry names the
//! revision it was read at and every name that was looked up on the way; a state of the store takes it if the entry is
//! not newer than the state and none of those names has begun to lead elsewhere since. What the rows say of content is
//! not remembered. Invariant: an entry that is taken is what the tables of that state's revision would say.

use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use rustc_hash::FxHasher;

use super::nodes::Place;
use super::projection::Projection;
use super::{Sql, StoreError};
use crate::model::{Change, NodeId, NodeRow, Rev};

/// Stamps that are copied together when one of them changes.
const PAGE: usize = 64;
/// Pages: a new node copies one of them and the list of all.
const PAGES: usize = 64;
/// Bytes of all entries.
const CACHE_BYTES: u64 = 8 << 20;
/// Bytes that an entry takes beside its texts.
const ENTRY_BYTES: usize = 160;
/// For the first allocation of the table.
const ENTRIES_EXPECTED: usize = 4_000;

/// Which stamp belongs to a name in a directory. Many names share one; that costs a look into the tables, no more.
type Slot = u16;

fn slot(parent: NodeId, name: &str) -> Slot {
    let mut hasher = FxHasher::default();
    (parent, name).hash(&mut hasher);
    // The upper bits are the mixed ones.
    let slot = (hasher.finish() >> 32) % (PAGE * PAGES) as u64;
    u16::try_from(slot).expect("there are fewer stamps than that")
}

/// By groups of names: the last revision at which one of them began to lead elsewhere, or to somebody else's node. A
/// clone costs a pointer.
#[derive(Debug, Clone)]
pub(super) struct NameStamps(Arc<[Arc<[Rev; PAGE]>; PAGES]>);

impl NameStamps {
    fn at(&self, slot: Slot) -> Rev {
        let slot = usize::from(slot);
        self.0[slot / PAGE][slot % PAGE]
    }

    fn stamp(&mut self, row: &NodeRow, rev: Rev) {
        let slot = usize::from(slot(row.parent, &row.name));
        Arc::make_mut(&mut Arc::make_mut(&mut self.0)[slot / PAGE])[slot % PAGE] = rev;
    }
}

impl Projection for NameStamps {
    const NAME: &'static str = "names";

    /// What was remembered of an earlier revision than that of the tables is not known to be exact.
    fn load(tx: &impl Sql) -> Result<Self, StoreError> {
        let page = Arc::new([tx.rev(); PAGE]);
        Ok(Self(Arc::new(std::array::from_fn(|_| Arc::clone(&page)))))
    }

    fn apply(&mut self, change: &Change, rev: Rev) {
        let Change::Node(delta) = change else { return };
        if let (Some(before), Some(after)) = (&delta.before, &delta.after)
            && leads_alike(before, after)
        {
            return;
        }
        for row in [&delta.before, &delta.after].into_iter().flatten() {
            self.stamp(row, rev);
        }
    }

    fn publish(&mut self, _: Rev) {}
}

/// Whether a change of a row is none for those who only ask where a path leads.
fn leads_alike(before: &NodeRow, after: &NodeRow) -> bool {
    let facts = |row: &NodeRow| (row.parent, row.id, row.kind, row.owner);
    facts(before) == facts(after) && before.name == after.name && before.tenant == after.tenant
}

/// A place as it was at a revision.
struct Entry {
    place: Place,
    rev: Rev,
    /// Of all names on the way, the one that is missing included, and of the node's own.
    names: Box<[Slot]>,
}

/// The names that a walk looks up.
#[derive(Clone, Default)]
pub(super) struct Walked(Vec<Slot>);

impl Walked {
    pub(super) fn name(&mut self, parent: NodeId, name: &str) {
        self.0.push(slot(parent, name));
    }
}

/// Weighs entries in bytes.
#[derive(Debug, Clone, Copy)]
struct Bytes;

impl Weighter<Box<str>, Arc<Entry>> for Bytes {
    fn weight(&self, path: &Box<str>, entry: &Arc<Entry>) -> u64 {
        (path.len() + entry.place.tenant.len() + size_of_val(&*entry.names) + ENTRY_BYTES) as u64
    }
}

/// What the readers of one store remember.
pub(super) struct Places(Cache<Box<str>, Arc<Entry>, Bytes>);

impl Places {
    pub(super) fn new() -> Self {
        Self(Cache::with_weighter(ENTRIES_EXPECTED, CACHE_BYTES, Bytes))
    }

    /// What is remembered of `path`, if it is exact at revision `rev`, whose stamps these are.
    fn get(&self, path: &str, rev: Rev, stamps: &NameStamps) -> Option<Arc<Entry>> {
        let entry = self.0.get(path)?;
        let exact = entry.rev <= rev && entry.names.iter().all(|name| stamps.at(*name) <= entry.rev);
        exact.then_some(entry)
    }

    /// Remembers what a walk in the tables of revision `rev` has found.
    fn put(&self, path: &str, rev: Rev, walked: &Walked, place: Place) {
        self.0.insert(path.into(), Arc::new(Entry { place, rev, names: walked.0.as_slice().into() }));
    }
}

/// What a transaction may take from what is remembered, and leave.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    pub(super) places: &'a Places,
    pub(super) stamps: &'a NameStamps,
    /// Of the stamps.
    pub(super) rev: Rev,
}

impl Known<'_> {
    /// Where `path` leads; `None` if that is not remembered.
    pub(super) fn get(&self, path: &str) -> Option<Place> {
        self.places.get(path, self.rev, self.stamps).map(|entry| entry.place.clone())
    }
    /// The same, with the names on the way.
    pub(super) fn with_names(&self, path: &str) -> Option<(Place, Walked)> {
        let entry = self.places.get(path, self.rev, self.stamps)?;
        Some((entry.place.clone(), Walked(entry.names.to_vec())))
    }
    /// Remembers what a walk in the tables of this revision has found.
    pub(super) fn put(&self, path: &str, walked: &Walked, place: Place) {
        self.places.put(path, self.rev, walked, place);
    }
}

impl std::fmt::Debug for Known<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("rev", &self.rev).finish_non_exhaustive()
    }
}
