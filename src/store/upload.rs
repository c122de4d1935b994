//! A body that is stored while it arrives: never whole in memory.
//!
//! Owns the way of a body of any size to where it lies. Must never know which file it is for. Invariants: what is given
//! up leaves nothing behind; a body is durable, under its hash, before anybody learns that.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::model::ContentHash;

use super::blobs::Partial;
use super::chunks::{DropChunks, NameChunks, PART_BYTES, PARTS_PER_MESSAGE, PutChunks};
use super::{INLINE_BYTES_MAX, Origin, Pin, Store, StoreError};

/// What is stored at once, bytes: whole parts.
const PIECE_BYTES: usize = PARTS_PER_MESSAGE * PART_BYTES;
/// Parts that one message names or drops.
const PARTS_MAX: usize = 512;
/// Bytes that are kept for a look at what a body is.
const HEAD_BYTES: usize = 512;
/// What the log says of the messages.
const WHAT: &str = "a body in pieces";
/// How long a piece of a body waits for room in the slow lane.
const LANE_WAIT: Duration = Duration::from_secs(10);
/// How often it looks.
const LANE_LOOK: Duration = Duration::from_millis(5);

/// A body that is stored, or small enough to go into a row.
#[derive(Debug, Clone)]
pub struct StoredBody {
    /// Its hash.
    pub hash: ContentHash,
    /// Bytes.
    pub size: u64,
    /// The body, if it goes into the row; `None` = it is stored and durable.
    pub inline: Option<Bytes>,
    /// Its first bytes, for those who want to know what it is.
    pub head: Bytes,
    /// Keeps it from being collected until the row that names it is committed.
    pub pin: Option<Arc<Pin>>,
}

/// A body that arrives.
pub struct Upload {
    store: Store,
    pending: BytesMut,
    size: u64,
    head: Bytes,
    spool: Spool,
}

/// Where the pieces go.
enum Spool {
    /// Nowhere yet.
    None,
    File(Box<Partial>),
    Parts(Box<Parts>),
}

/// Parts under a name of their own: the hash is known at the end only.
struct Parts {
    store: Store,
    name: ContentHash,
    count: usize,
    hasher: blake3::Hasher,
}

impl Upload {
    /// A body of which nothing has come yet.
    #[must_use]
    pub fn new(store: &Store) -> Self {
        Self { store: store.clone(), pending: BytesMut::new(), size: 0, head: Bytes::new(), spool: Spool::None }
    }

    /// Refuses a body of `bytes` that there is no room for.
    pub fn expect(&self, bytes: u64) -> Result<(), StoreError> {
        let inner = &self.store.inner;
        if !inner.shared.has_disk() {
            return Ok(());
        }
        let room = inner.shared.space.room_for(bytes, &inner.shared.metrics);
        room.inspect_err(|error| inner.count_full(error))
    }

    /// Bytes so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next bytes.
    pub async fn push(&mut self, mut bytes: &[u8]) -> Result<(), StoreError> {
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE_BYTES - self.pending.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
            if self.pending.len() == PIECE_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// That was all.
    pub async fn finish(mut self) -> Result<StoredBody, StoreError> {
        if matches!(self.spool, Spool::None) && self.pending.len() <= INLINE_BYTES_MAX {
            let body = self.pending.freeze();
            let head = body.slice(..body.len().min(HEAD_BYTES));
            return Ok(StoredBody {
                hash: ContentHash::of(&body),
                size: self.size,
                inline: Some(body),
                head,
                pin: None,
            });
        }
        if !self.pending.is_empty() {
            self.flush().await?;
        }
        let (hash, pin) = match std::mem::replace(&mut self.spool, Spool::None) {
            Spool::File(partial) => {
                let shared = Arc::clone(&self.store.inner.shared);
                self.in_lane(move || partial.finish(&shared)).await?
            }
            Spool::Parts(parts) => parts.finish().await?,
            Spool::None => unreachable!("a piece was stored"),
        };
        Ok(StoredBody { hash, size: self.size, inline: None, head: self.head, pin: Some(Arc::new(pin)) })
    }

    /// Stores what is pending.
    async fn flush(&mut self) -> Result<(), StoreError> {
        let piece = self.pending.split().freeze();
        if self.head.is_empty() {
            self.head = Bytes::copy_from_slice(&piece[..piece.len().min(HEAD_BYTES)]);
        }
        let shared = Arc::clone(&self.store.inner.shared);
        if !shared.has_disk() {
            if let Spool::None = self.spool {
                self.spool = Spool::Parts(Box::new(Parts::new(&self.store)));
            }
            let Spool::Parts(parts) = &mut self.spool else { unreachable!("there are no files without a disk") };
            return parts.put(piece).await;
        }
        let spool = std::mem::replace(&mut self.spool, Spool::None);
        let stored = self.in_lane(move || {
            shared.space.room_for(piece.len() as u64, &shared.metrics)?;
            let mut partial = match spool {
                Spool::File(partial) => partial,
                _ => Box::new(Partial::create(&shared)?),
            };
            partial.add(&piece)?;
            Ok(partial)
        });
        self.spool = Spool::File(stored.await?);
        Ok(())
    }

    /// Does `work` on the slow lane, when there is room in it.
    async fn in_lane<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        self.store.room_in_lane().await;
        let shared = Arc::clone(&self.store.inner.shared);
        let done = self.store.slow(move |_| {
            work().inspect_err(|error| {
                if matches!(error, StoreError::Full) {
                    shared.space.met_full(&shared.metrics);
                }
            })
        });
        done.await?.inspect_err(|error| self.store.inner.count_full(error))
    }
}

impl Store {
    /// Waits, a while, until the slow lane has room: who reads or writes piece by piece is not to fail in the middle.
    pub(super) async fn room_in_lane(&self) {
        let shared = &self.inner.shared;
        let until = shared.clock.instant() + LANE_WAIT;
        while self.inner.slow.waiting() * 2 >= shared.limits.slow_queue && shared.clock.instant() < until {
            tokio::time::sleep(LANE_LOOK).await;
        }
    }
}

impl Parts {
    fn new(store: &Store) -> Self {
        let mut name = [0; 32];
        store.random().fill(&mut name);
        let (name, hasher) = (ContentHash::from_bytes(name), blake3::Hasher::new());
        Self { store: store.clone(), name, count: 0, hasher }
    }

    async fn put(&mut self, piece: Bytes) -> Result<(), StoreError> {
        self.hasher.update(&piece);
        let first = self.count;
        // Counted before they are there: whoever gives up in between removes them.
        self.count += piece.len().div_ceil(PART_BYTES);
        let put = PutChunks { hash: self.name, first, bytes: piece };
        self.store.submit(Origin::system(WHAT), put).await.map(|_| ())
    }

    /// Gives the parts the name of the whole. Of a body that is there already they go with this.
    async fn finish(self) -> Result<(ContentHash, Pin), StoreError> {
        let hash = ContentHash::from_bytes(*self.hasher.finalize().as_bytes());
        let pin = self.store.pin(hash).await?;
        for first in (0..self.count).step_by(PARTS_MAX) {
            let give = NameChunks { from: self.name, to: hash, first, count: PARTS_MAX };
            self.store.submit(Origin::system(WHAT), give).await?;
        }
        Ok((hash, pin))
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        for first in (0..self.count).step_by(PARTS_MAX) {
            // Sent now. Nobody waits for it; what it does not remove goes at the next start.
            drop(self.store.submit(Origin::system(WHAT), DropChunks { hash: self.name, first, count: PARTS_MAX }));
        }
    }
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("size", &self.size).finish_non_exhaustive()
    }
}
