//! What readers share: closures, and the paths granted to a subject.
//!
//! Every entry carries the revision it was computed at and is used only where computing it again would give the same.
//! Only readers of published graphs come here; the writer's checks neither read nor fill it. One per store.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::model::EntityId;

use super::closure::{AboveCache, Closure};
use super::limits::{CLOSURE_CACHE_BYTES, REACH_CACHE_BYTES};
use super::visible::{Reach, ReachKey};

/// Bytes that an entry takes beside its content.
const ENTRY_BYTES: usize = 192;
/// For the first allocation of the tables.
const ENTRIES_EXPECTED: usize = 10_000;

/// Closures and lists of granted paths, shared by all readers of one store; entries carry exact stamps.
pub struct Caches {
    pub(super) closures: Cache<EntityId, Arc<Closure>, Bytes>,
    pub(super) above: AboveCache,
    pub(super) reaches: Cache<ReachKey, Arc<Reach>, Bytes>,
}

/// Weighs entries in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes;

impl Weighter<EntityId, Arc<Closure>> for Bytes {
    fn weight(&self, _: &EntityId, closure: &Arc<Closure>) -> u64 {
        (closure.sets.bytes() + ENTRY_BYTES) as u64
    }
}

impl Weighter<ReachKey, Arc<Reach>> for Bytes {
    fn weight(&self, _: &ReachKey, reach: &Arc<Reach>) -> u64 {
        (reach.bytes() + ENTRY_BYTES) as u64
    }
}

impl std::fmt::Debug for Caches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caches").field("closures", &self.closures.len()).field("reaches", &self.reaches.len()).finish()
    }
}

impl Default for Caches {
    fn default() -> Self {
        Self::new()
    }
}

impl Caches {
    /// Empty caches of the default capacity.
    #[must_use]
    pub fn new() -> Self {
        Self {
            closures: Cache::with_weighter(ENTRIES_EXPECTED, CLOSURE_CACHE_BYTES, Bytes),
            above: AboveCache::default(),
            reaches: Cache::with_weighter(ENTRIES_EXPECTED, REACH_CACHE_BYTES, Bytes),
        }
    }

    /// Entries held: closures, lists of granted paths.
    #[must_use]
    pub fn len(&self) -> (usize, usize) {
        (self.closures.len(), self.reaches.len())
    }
}
