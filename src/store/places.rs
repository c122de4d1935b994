//! Where paths lead, remembered: of the deepest node on the way what permissions depend on.
//!
//! Owns a bounded cache, filled by readers. An entry names the revision it was read at and every name that was looked up
//! on the way; a state of the store takes it if the entry is not newer than the state and none of those names has begun to
//! lead elsewhere since (`stamps.rs`). What the rows say of content is not remembered. Invariant: an entry that is taken is
//! what the tables of that state's revision would say.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::footprint::Footprint;
use super::nodes::Place;
use super::stamps::{Slot, Stamps, slot_of_name};
use crate::model::{NodeId, Rev};

/// Bytes of all entries: at least, at most, and for each node of the tree in between. With twenty files in a directory
/// every directory of ten million files fits in, and looking one up in the tables costs a listing four pages of them.
const CACHE_BYTES: RangeInclusive<u64> = 8 << 20..=128 << 20;
const NODE_BYTES: u64 = 16;
/// Bytes that an entry takes beside its path and the names.
const ENTRY_BYTES: usize = 176;
/// For the first allocation of the table.
const ENTRIES_EXPECTED: usize = 4_000;

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
        self.0.push(slot_of_name(parent, name));
    }
}

/// Weighs entries in bytes.
#[derive(Debug, Clone, Copy)]
struct Bytes;

impl Weighter<Box<str>, Arc<Entry>> for Bytes {
    fn weight(&self, path: &Box<str>, entry: &Arc<Entry>) -> u64 {
        (path.len() + size_of_val(&*entry.names) + ENTRY_BYTES) as u64
    }
}

/// What the readers of one store remember.
pub(super) struct Places(Cache<Box<str>, Arc<Entry>, Bytes>);

impl Places {
    pub(super) fn new() -> Self {
        Self(Cache::with_weighter(ENTRIES_EXPECTED, *CACHE_BYTES.start(), Bytes))
    }

    /// Makes room for what there is to remember of a tree in which so many nodes were made. Never takes it back.
    pub(super) fn fit(&self, nodes: u64) {
        let bytes = nodes.saturating_mul(NODE_BYTES).clamp(*CACHE_BYTES.start(), *CACHE_BYTES.end());
        if bytes > self.0.capacity() {
            self.0.set_capacity(bytes);
        }
    }

    /// What is remembered of `path`, if it is exact at revision `rev`, whose stamps these are.
    fn get(&self, path: &str, rev: Rev, stamps: &Stamps) -> Option<Arc<Entry>> {
        let entry = self.0.get(path)?;
        let exact = entry.rev <= rev && entry.names.iter().all(|name| stamps.of_name(*name) <= entry.rev);
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
    pub(super) stamps: &'a Stamps,
    /// Of the stamps.
    pub(super) rev: Rev,
    /// Where it is told which names an answer depends on.
    pub(super) footprint: Option<&'a RefCell<Footprint>>,
}

impl Known<'_> {
    /// Where `path` leads; `None` if that is not remembered.
    pub(super) fn get(&self, path: &str) -> Option<Place> {
        self.entry(path).map(|entry| entry.place.clone())
    }
    /// The same, with the names on the way.
    pub(super) fn with_names(&self, path: &str) -> Option<(Place, Walked)> {
        let entry = self.entry(path)?;
        Some((entry.place.clone(), Walked(entry.names.to_vec())))
    }
    fn entry(&self, path: &str) -> Option<Arc<Entry>> {
        let entry = self.places.get(path, self.rev, self.stamps)?;
        if let Some(footprint) = self.footprint {
            footprint.borrow_mut().add_names(&entry.names);
        }
        Some(entry)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_tree_has_more_of_it_remembered() {
        let places = Places::new();
        let room = |nodes| {
            places.fit(nodes);
            places.0.capacity()
        };
        let least = room(0);
        assert!((8 << 20..9 << 20).contains(&least), "{least}");
        let more = room(1_000_000);
        assert!((16_000_000..17_000_000).contains(&more), "{more}");
        assert_eq!(room(10), more, "what there is room for stays");
        assert!((128 << 20..129 << 20).contains(&room(u64::MAX)), "and has a bound");
    }
}
