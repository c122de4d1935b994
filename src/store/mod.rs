//! The store: one writer, many readers, one file.
//!
//! Owns the database, the blob files, the lock of the data directory, and the actor through which every mutation
//! goes. The only folder with SQL, `rusqlite` and the actor. Must never know who may do what (operations bring their
//! checks along), nor anything of HTTP, JSON-RPC or a subject's rights. `DESIGN.md` has the reasons.
//!
//! Invariants: at most one read-write connection to a store is open at any time; a write is acknowledged after its
//! COMMIT and after its revision is published; a reader sees data and projections of one revision.

pub mod agents;
pub mod backend;
pub mod contents;
pub mod entities;
pub mod error;
pub mod fault;
pub mod keys;
pub mod mounts;
pub mod namespaces;
pub mod nodes;
pub mod op;
pub mod projection;
pub mod sandboxes;
pub mod skills;
pub mod tuples;
pub mod tx;
pub mod versions;
pub mod workspaces;

pub use error::StoreError;
pub use fault::{FaultPoint, Faults};
pub use op::{Origin, WriteOp};
pub use projection::{Projection, Published};
pub use tx::{ReadTx, Row, Sql, Val, WriteTx};


use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::model::time::SharedClock;
use crate::model::random::SharedRandom;
use crate::model::{ContentHash, Rev};

/// Bodies up to this size lie in the database; larger ones are blob files, written by the request.
pub const INLINE_BYTES_MAX: usize = 64 * 1024;

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// A power cut (`synchronous=FULL`).
    #[default]
    Full,
    /// A crash of the process; a power cut may take the newest commits (`synchronous=NORMAL`).
    Relaxed,
}

/// How to open a store.
#[derive(Clone)]
pub struct Options {
    /// The data directory; made with mode 0700 if absent.
    pub data_dir: PathBuf,
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// Time.
    pub clock: SharedClock,
    /// Chance.
    pub random: SharedRandom,
    /// Named fault points that a test has armed.
    pub faults: Faults,
    /// Read-only connections for inline reads: worker threads + 2.
    pub reader_slots: usize,
}

impl Options {
    /// The defaults for `data_dir`: full durability, the machine's clock and randomness, one slot per core + 2.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        todo!("store helper")
    }
}

/// Collects the projections of a store before it is opened.
pub struct Builder { /* store helper */ }

impl Builder {
    /// Adds a projection; it is loaded at open and follows every commit.
    #[must_use]
    pub fn project<P: Projection>(self) -> Self { todo!() }
    /// Opens the store: takes the lock, migrates, loads the projections, starts the writer.
    pub fn open(self) -> Result<Store, StoreError> { todo!() }
}

/// A record that nobody waits for: it goes through the second lane and may be dropped.
#[derive(Debug, Clone)]
pub enum Note {
    /// A decision that was asked for and computed.
    Decision(DecisionNote),
    /// A key was used at this time (µs).
    KeyUsed { /// The key. 
        key_id: String, /// Unix time, µs. 
        at_us: i64 },
}

/// A row of `permission_cache`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionNote {
    /// The object's tenant.
    pub tenant: String,
    /// Who.
    pub subject_type: String,
    /// Who.
    pub subject_id: String,
    /// What.
    pub permission: String,
    /// On what.
    pub object_type: String,
    /// On what.
    pub object_id: String,
    /// Allow or deny.
    pub allowed: bool,
    /// The revision it was computed at.
    pub rev: Rev,
    /// Version of the engine's semantics.
    pub engine: u32,
}

/// A handle to the store; clones share it.
#[derive(Clone)]
pub struct Store { /* store helper */ }

impl Store {
    /// Starts to open a store.
    pub fn builder(options: Options) -> Builder { todo!() }

    /// Hands a mutation to the writer. Admission and order are decided **when this is called**, not when the future
    /// is polled; dropping the future cancels nothing.
    pub fn submit<O: WriteOp>(&self, origin: Origin, op: O) -> impl Future<Output = Result<(O::Output, Rev), O::Error>> + Send + 'static {
        async { todo!() }
    }

    /// Leaves a record for the second lane. Never waits; drops (and counts) when the lane is full.
    pub fn note(&self, note: Note) { todo!() }

    /// Reads, inline on the calling thread at the first poll, in one transaction at one revision. Reads never nest.
    pub async fn read<R, E>(&self, f: impl FnOnce(&ReadTx<'_>) -> Result<R, E> + Send + 'static) -> Result<R, E>
    where R: Send + 'static, E: From<StoreError> + Send + 'static { todo!() }

    /// As [`read`](Self::read), on the slow lane: for scans, exports and deep trees.
    pub async fn read_slow<R, E>(&self, f: impl FnOnce(&ReadTx<'_>) -> Result<R, E> + Send + 'static) -> Result<R, E>
    where R: Send + 'static, E: From<StoreError> + Send + 'static { todo!() }

    /// Stores a body over [`INLINE_BYTES_MAX`] as a blob file; durable when it returns.
    pub async fn put_blob(&self, body: Bytes) -> Result<ContentHash, StoreError> { todo!() }

    /// Reads a blob file and verifies its hash.
    pub async fn get_blob(&self, hash: ContentHash) -> Result<Bytes, StoreError> { todo!() }

    /// The newest published state, for a look before a transaction (who is calling).
    #[must_use]
    pub fn published(&self) -> Arc<Published> { todo!() }

    /// The injected clock.
    #[must_use]
    pub fn clock(&self) -> &SharedClock { todo!() }

    /// The injected random source.
    #[must_use]
    pub fn random(&self) -> &SharedRandom { todo!() }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> &std::path::Path { todo!() }

    /// Does now what the writer does once a second.
    pub async fn tick(&self) -> Result<(), StoreError> { todo!() }

    /// Drains, checkpoints and closes: no new work, everything accepted answered, no `-wal` left.
    pub async fn close(&self) -> Result<(), StoreError> { todo!() }
}
