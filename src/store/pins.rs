//! What the collection of bodies must leave alone though no row names it yet: bodies of uploads under way, and
//! everything while a backup, an export or a check walks over the blob files.
//!
//! Invariant: between the moment at which somebody has found, or put, a body under its hash, and the COMMIT of the row
//! that names it, the hash is pinned. Pins are taken with the gate held open by nobody who collects; so whoever has a
//! pin has it since before, or since after, a collection, and what he finds then stays.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock, RwLockWriteGuard};
use rustc_hash::FxHashMap;

use super::{Store, StoreError};
use crate::model::ContentHash;

/// All pins of a store.
#[derive(Debug, Default)]
pub(super) struct Pins {
    /// Held by a collection from its look at the pins until the last file is removed: some milliseconds.
    gate: RwLock<()>,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    hashes: FxHashMap<ContentHash, usize>,
    /// How many hold everything.
    everything: usize,
}

/// Keeps a body, or all of them, from being collected until it is dropped.
#[derive(Debug)]
pub struct Pin {
    pins: Arc<Pins>,
    /// `None` = all.
    hash: Option<ContentHash>,
}

impl Pins {
    /// Keeps the body of this hash, which may come to be after this. Waits for a collection that runs.
    pub(super) fn pin(self: &Arc<Self>, hash: ContentHash) -> Pin {
        let _open = self.gate.read();
        *self.held.lock().hashes.entry(hash).or_default() += 1;
        Pin { pins: Arc::clone(self), hash: Some(hash) }
    }

    /// Keeps every body.
    pub(super) fn hold(self: &Arc<Self>) -> Pin {
        let _open = self.gate.read();
        self.held.lock().everything += 1;
        Pin { pins: Arc::clone(self), hash: None }
    }

    /// Lets nobody pin anything until it is dropped; `None` while somebody keeps everything.
    pub(super) fn collect(&self) -> Option<Collecting<'_>> {
        let gate = self.gate.write();
        let free = self.held.lock().everything == 0;
        free.then_some(Collecting { pins: self, _gate: gate })
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut held = self.pins.held.lock();
        match self.hash {
            None => held.everything -= 1,
            Some(hash) => {
                if let Some(count) = held.hashes.get_mut(&hash) {
                    *count -= 1;
                    if *count == 0 {
                        held.hashes.remove(&hash);
                    }
                }
            }
        }
    }
}

impl Store {
    /// Keeps the body of this hash from being collected.
    pub(super) async fn pin(&self, hash: ContentHash) -> Result<Pin, StoreError> {
        let shared = Arc::clone(&self.inner.shared);
        self.slow(move |_| shared.pins.pin(hash)).await
    }
}

/// A collection that runs.
pub(super) struct Collecting<'a> {
    pins: &'a Pins,
    _gate: RwLockWriteGuard<'a, ()>,
}

impl Collecting<'_> {
    /// Whether somebody needs the body of this hash.
    pub(super) fn is_pinned(&self, hash: ContentHash) -> bool {
        self.pins.held.lock().hashes.contains_key(&hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pinned_is_left_alone_until_the_last_pin_is_gone() {
        let (pins, hash) = (Arc::new(Pins::default()), ContentHash::of(b"a"));
        let (one, two) = (pins.pin(hash), pins.pin(hash));
        assert!(pins.collect().expect("nobody keeps all").is_pinned(hash));
        drop(one);
        assert!(pins.collect().expect("nobody keeps all").is_pinned(hash));
        drop(two);
        assert!(!pins.collect().expect("nobody keeps all").is_pinned(hash));
        let all = pins.hold();
        assert!(pins.collect().is_none());
        drop(all);
        assert!(pins.collect().is_some());
    }
}
