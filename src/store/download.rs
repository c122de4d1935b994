//! A stored body that is read as it is wanted: never whole in memory.
//!
//! Owns the way of a body back from where it lies. Invariants: a body that is read whole is verified before its last
//! piece is handed out; a range is handed out only of a body that was verified as a whole a short time ago.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::model::ContentHash;

use super::chunks::PART_BYTES;
use super::shared::Shared;
use super::{Store, StoreError, blobs, chunks};

/// What is read at once, bytes: whole parts.
const PIECE_BYTES: u64 = 4 * PART_BYTES as u64;
/// How long a body counts as verified.
const VERIFIED_FOR: Duration = Duration::from_secs(600);
/// How many of them are remembered.
const VERIFIED_MAX: usize = 1_024;

/// Bodies that were verified as a whole, and when.
#[derive(Debug, Default)]
pub(super) struct Verified(Mutex<HashMap<ContentHash, Instant>>);

impl Verified {
    fn holds(&self, hash: ContentHash, now: Instant) -> bool {
        self.0.lock().get(&hash).is_some_and(|at| now.saturating_duration_since(*at) < VERIFIED_FOR)
    }

    fn add(&self, hash: ContentHash, now: Instant) {
        let mut all = self.0.lock();
        if all.len() >= VERIFIED_MAX {
            all.clear();
        }
        all.insert(hash, now);
    }
}

/// A body, or a part of one, that is read.
#[derive(Debug)]
pub struct Download {
    store: Store,
    hash: ContentHash,
    /// Bytes of the whole body.
    size: u64,
    /// What is still to come.
    left: Range<u64>,
    /// Over what was handed out, if it is to be the whole body.
    hasher: Option<Box<blake3::Hasher>>,
}

impl Download {
    /// The bytes `range` of the body of `hash`, which has `size`, and which is no inline one.
    pub async fn open(store: &Store, hash: ContentHash, size: u64, range: Range<u64>) -> Result<Self, StoreError> {
        let left = range.start.min(size)..range.end.min(size);
        if left == (0..size) {
            return Ok(Self { store: store.clone(), hash, size, left, hasher: Some(Box::default()) });
        }
        let shared = &store.inner.shared;
        if !shared.verified.holds(hash, shared.clock.instant()) {
            Self::verify(store, hash, size).await?;
        }
        Ok(Self { store: store.clone(), hash, size, left, hasher: None })
    }

    /// Bytes that are still to come.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left.end.saturating_sub(self.left.start)
    }

    async fn verify(store: &Store, hash: ContentHash, size: u64) -> Result<(), StoreError> {
        let shared = Arc::clone(&store.inner.shared);
        if shared.has_disk() {
            store.room_in_lane().await;
            let verified = store.slow(move |_| {
                blobs::verify(&shared.data_dir, hash)?;
                shared.verified.add(hash, shared.clock.instant());
                Ok(())
            });
            return verified.await?;
        }
        let mut whole = Self { store: store.clone(), hash, size, left: 0..size, hasher: Some(Box::default()) };
        while whole.next().await?.is_some() {}
        Ok(())
    }

    /// The next bytes; `None` = that was all.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.left() == 0 {
            return Ok(None);
        }
        let (hash, at) = (self.hash, self.left.start);
        // Pieces end where parts do.
        let to = (at / PIECE_BYTES + 1).saturating_mul(PIECE_BYTES).min(self.left.end);
        let wanted = usize::try_from(to - at).unwrap_or(usize::MAX);
        let (hasher, last) = (self.hasher.take(), to == self.size);
        self.store.room_in_lane().await;
        let shared = Arc::clone(&self.store.inner.shared);
        let look = move |bytes: Bytes| look(&shared, hash, bytes, wanted, hasher, last);
        let (bytes, hasher) = if self.store.inner.shared.has_disk() {
            let shared = Arc::clone(&self.store.inner.shared);
            self.store.slow(move |_| look(blobs::part(&shared.data_dir, hash, at, wanted)?.into())).await??
        } else {
            self.store.read_slow(move |tx| look(chunks::part(tx, hash, at, wanted)?.into())).await?
        };
        self.hasher = hasher;
        self.left.start = to;
        Ok(Some(bytes))
    }
}

/// Refuses bytes that are too few, or, at the end of a whole body, not those that were stored.
fn look(
    shared: &Shared,
    hash: ContentHash,
    bytes: Bytes,
    wanted: usize,
    mut hasher: Option<Box<blake3::Hasher>>,
    last: bool,
) -> Result<(Bytes, Option<Box<blake3::Hasher>>), StoreError> {
    if let Some(hasher) = &mut hasher {
        hasher.update(&bytes);
    }
    let whole = hasher.as_ref().filter(|_| last);
    let right = whole.is_none_or(|hasher| hasher.finalize().as_bytes() == hash.as_bytes());
    if bytes.len() != wanted || !right {
        let what = format!("the body {hash} holds something else than was stored");
        return Err(StoreError::Corrupt { what });
    }
    if whole.is_some() {
        shared.verified.add(hash, shared.clock.instant());
    }
    Ok((bytes, hasher))
}
