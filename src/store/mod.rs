//! The store: one writer, many readers, one file.
//!
//! Owns the database, the blob files, the lock of the data directory, and the actor through which every mutation
//! goes. The only folder with SQL, `rusqlite` and the actor. Must never know who may do what (operations bring their
//! checks along), nor anything of HTTP, JSON-RPC or a subject's rights. `DESIGN.md` has the reasons.
//!
//! Invariants: at most one read-write connection to a store is open at any time; a write is acknowledged after its
//! COMMIT and after its revision is published; a reader sees data and projections of one revision.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::JoinHandle;

use arc_swap::Guard;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::model::random::SharedRandom;
use crate::model::time::SharedClock;
use crate::model::{ContentHash, Rev};

/// Whether a guarantee is taken out of what `$shared` belongs to; `false` where the feature is not built in.
macro_rules! mutated {
    ($holder:expr, $mutation:ident) => {{
        #[cfg(feature = "faults")]
        let is = $holder.mutation == Some($crate::store::mutation::Mutation::$mutation);
        #[cfg(not(feature = "faults"))]
        let is = false;
        is
    }};
}

mod batch;
mod checkpoint;
mod claim;
mod footprint;
mod glance;
mod maintenance;
mod memory;
mod metrics;
mod notes;
mod pins;
mod places;
mod pool;
mod publish;
mod queue;
mod readers;
mod reading;
mod recover;
mod refusal;
mod retention;
mod shared;
mod stamps;
mod tables;
mod turns;
mod upkeep;
mod writer;

pub mod agents;
pub mod approvals;
pub mod audit;
pub mod backend;
pub mod backup;
pub mod ballast;
pub mod blobs;
pub mod bundle;
pub mod changelog;
pub mod check;
pub mod chunks;
mod collection;
pub mod contents;
pub mod control;
pub mod decisions;
pub mod denials;
pub mod digest;
pub mod download;
pub mod entities;
pub mod error;
pub mod fault;
pub mod files;
mod house;
pub mod idempotency;
pub mod inspect;
pub mod keys;
pub mod lock;
pub mod members;
pub mod memories;
pub mod meta;
pub mod migrate;
pub mod mount_files;
pub mod mounts;
#[cfg(feature = "faults")]
pub mod mutation;
pub mod namespaces;
pub mod nodes;
pub mod note;
pub mod op;
pub mod open;
pub mod options;
pub mod past;
pub mod playbooks;
pub mod projection;
pub mod quotas;
pub mod records;
pub mod relay;
pub mod row;
pub mod sandboxes;
pub mod schema;
pub mod scrub;
pub mod skills;
pub mod snapshots;
pub mod space;
pub mod statements;
pub mod status;
pub mod subscriptions;
pub mod sync_jobs;
pub mod trajectories;
pub mod tuples;
pub mod tx;
pub mod upload;
pub mod versions;
mod ways;
pub mod workspaces;

use reading::Reading;

#[cfg(feature = "postgres")]
pub use backend::postgres::{PostgresUrl, UrlError};
pub use download::Download;
pub use error::{Place, StoreError};
pub use fault::{FaultPoint, Faults};
pub use files::{FileOp, FileWatch, Files, Turn};
pub use footprint::{Footprint, Scope};
pub use glance::Glance;
pub use house::Removed;
#[cfg(feature = "faults")]
pub use mutation::Mutation;
pub use note::{DecisionNote, DenialNote, Note};
pub use op::{Origin, WriteOp};
pub use open::{Builder, DATABASE_FILE, Found, WAL_FILE};
pub use options::{Durability, Engine, Limits, Options};
pub use pins::Pin;
pub use places::Known;
pub use projection::{Projection, Published};
pub use quotas::{OverQuota, Quota};
pub use row::{Row, Val};
pub use status::Status;
pub use tx::{ReadTx, Sql, WriteTx};
pub use upload::{StoredBody, Upload};

/// Bodies up to this size lie in the database; larger ones are blob files, written by the request.
pub const INLINE_BYTES_MAX: usize = 64 * 1024;

/// A handle to the store; clones share it. Dropping the last one closes the store without waiting for it; call
/// [`close`](Self::close) to wait.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<shared::Shared>,
    reading: Reading,
    slow: pool::Pool,
    writer: writer::Handle,
    thread: Mutex<Option<JoinHandle<()>>>,
    closing: AtomicBool,
    /// Held by whoever closes; the others wait for it and find the outcome.
    closed: tokio::sync::Mutex<Option<Result<(), StoreError>>>,
}

impl Store {
    /// Starts to open a store.
    #[must_use]
    pub fn builder(options: Options) -> Builder {
        Builder::new(options)
    }

    fn assemble(
        shared: Arc<shared::Shared>,
        reading: Reading,
        slow: pool::Pool,
        writer: writer::Handle,
        thread: JoinHandle<()>,
    ) -> Self {
        let (thread, closing) = (Mutex::new(Some(thread)), AtomicBool::new(false));
        let closed = tokio::sync::Mutex::new(None);
        Self { inner: Arc::new(Inner { shared, reading, slow, writer, thread, closing, closed }) }
    }

    /// Hands a mutation to the writer. Admission and order are decided **when this is called**, not when the future
    /// is polled; dropping the future cancels nothing.
    pub fn submit<O: WriteOp>(
        &self,
        origin: Origin,
        op: O,
    ) -> impl Future<Output = Result<(O::Output, Rev), O::Error>> + Send + 'static + use<O> {
        let answer = self.inner.send(origin, op);
        async move {
            match answer {
                Ok(answer) => answer.await.unwrap_or_else(|_| Err(StoreError::WriterGone.into())),
                Err(error) => Err(error.into()),
            }
        }
    }

    /// Leaves a record for the second lane. Never waits; drops (and counts) when the lane is full.
    pub fn note(&self, note: Note) {
        let shared = &self.inner.shared;
        if shared.lane.leave(note) == notes::Left::Dropped {
            shared.metrics.notes_dropped.increment(1);
        }
    }

    /// Leaves a record that a key was used, once a minute at most. `noted_us` is kept beside the key by whoever knows it:
    /// when the last record was left.
    pub fn key_used(&self, key_id: &str, at_us: i64, noted_us: &AtomicI64) {
        let lane = &self.inner.shared.lane;
        if lane.is_recent(noted_us.load(Ordering::Relaxed), at_us) {
            return;
        }
        if !lane.recently_used(key_id, at_us) {
            noted_us.store(at_us, Ordering::Relaxed);
            self.note(Note::KeyUsed { key_id: key_id.to_owned(), at_us });
        }
    }

    /// Reads in one transaction at one revision: on SQLite inline on the calling thread at the first poll, on
    /// PostgreSQL on a thread with a connection of its own. Reads never nest.
    pub async fn read<R, E>(&self, f: impl FnOnce(&ReadTx<'_>) -> Result<R, E> + Send + 'static) -> Result<R, E>
    where
        R: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &self.inner.reading {
            Reading::Inline(readers) => readers.read(&self.inner.shared, f),
            #[cfg(feature = "postgres")]
            Reading::Pooled(pool) => {
                let shared = Arc::clone(&self.inner.shared);
                let time = shared.limits.read_deadline;
                let read = pool.run(move |slot: &mut readers::Slot| slot.read(&shared, Some(time), f)).await;
                read.unwrap_or_else(|error| Err(error.into()))
            }
        }
    }

    /// The answer of `f` from the newest published state alone, without a transaction; `None` if `f` asked for a
    /// statement, or only the database can tell which revision is the newest: then it takes a [`read`](Self::read).
    pub fn glance<R>(&self, f: impl FnOnce(&Glance<'_>) -> R) -> Option<R> {
        if self.inner.closing.load(Ordering::SeqCst) || !self.inner.shared.knows_the_newest() {
            return None;
        }
        // Here, and not at a read: whoever looks here wants an answer, and a write begins with a read of its own.
        self.inner.shared.turns.ask();
        let published = self.published();
        Glance::take(&self.inner.shared, &published, f)
    }

    /// As [`read`](Self::read), on the slow lane: for scans, exports and deep trees.
    pub async fn read_slow<R, E>(&self, f: impl FnOnce(&ReadTx<'_>) -> Result<R, E> + Send + 'static) -> Result<R, E>
    where
        R: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let shared = Arc::clone(&self.inner.shared);
        let time = shared.limits.read_deadline;
        self.slow(move |slot: &mut readers::Slot| slot.read(&shared, Some(time), f))
            .await
            .unwrap_or_else(|error| Err(error.into()))
    }

    /// Stores a body over [`INLINE_BYTES_MAX`] as a blob file, or in parts in the database where there is no disk; durable
    /// when it returns. The pin is kept until the row that names it is committed: without it the body may be collected.
    pub async fn put_blob(&self, body: Bytes) -> Result<(ContentHash, Pin), StoreError> {
        if !self.inner.shared.has_disk() {
            return self.put_chunks(body).await;
        }
        let shared = Arc::clone(&self.inner.shared);
        let stored = self.slow(move |_| {
            shared.space.room_for(body.len() as u64, &shared.metrics)?;
            blobs::put(&shared, &body).inspect_err(|error| {
                if matches!(error, StoreError::Full) {
                    shared.space.met_full(&shared.metrics);
                }
            })
        });
        stored.await?.inspect_err(|error| self.inner.count_full(error))
    }

    /// Reads such a body and verifies its hash.
    pub async fn get_blob(&self, hash: ContentHash) -> Result<Bytes, StoreError> {
        if !self.inner.shared.has_disk() {
            return self.read_slow(move |tx| chunks::get(tx, hash).map(Bytes::from)).await;
        }
        let shared = Arc::clone(&self.inner.shared);
        self.slow(move |_| blobs::get(&shared.data_dir, hash).map(Bytes::from)).await?
    }

    /// As [`read_slow`](Self::read_slow), for what takes seconds (a search): whatever else comes to the lane goes first.
    pub async fn read_long<R, E>(&self, f: impl FnOnce(&ReadTx<'_>) -> Result<R, E> + Send + 'static) -> Result<R, E>
    where
        R: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let shared = Arc::clone(&self.inner.shared);
        let time = shared.limits.read_deadline;
        let done = self.inner.slow.run_long(move |slot| slot.read(&shared, Some(time), f)).await;
        self.counted(done).unwrap_or_else(|error| Err(error.into()))
    }

    async fn slow<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut readers::Slot) -> R + Send + 'static,
    ) -> Result<R, StoreError> {
        self.counted(self.inner.slow.run(work).await)
    }

    /// Counts what the slow lane has refused.
    fn counted<R>(&self, done: Result<R, StoreError>) -> Result<R, StoreError> {
        if matches!(done, Err(StoreError::Busy { .. })) {
            self.inner.shared.metrics.slow_refused.increment(1);
        }
        done
    }

    /// The newest published state, for a look before a transaction (who is calling). Not to be kept: it is not counted
    /// who looks, for which all threads would write to one place.
    #[must_use]
    pub fn published(&self) -> Guard<Arc<Published>> {
        self.inner.shared.head().newest()
    }

    /// The newest published revision, and a wake-up for each later one: who waits for changes holds no thread.
    #[must_use]
    pub fn revisions(&self) -> tokio::sync::watch::Receiver<Rev> {
        self.inner.shared.revisions.subscribe()
    }

    /// The state of the store.
    #[must_use]
    pub fn status(&self) -> Status {
        let writer_alive = self.inner.thread.lock().as_ref().is_some_and(|thread| !thread.is_finished());
        Status { writer_alive, slow_lane_waiting: self.inner.slow.waiting(), ..self.inner.shared.status() }
    }

    /// This life of the store: revisions of one incarnation are comparable.
    #[must_use]
    pub fn incarnation(&self) -> &str {
        self.inner.shared.incarnation.get().map_or("", String::as_str)
    }

    /// The injected clock.
    #[must_use]
    pub fn clock(&self) -> &SharedClock {
        &self.inner.shared.clock
    }

    /// The time for a record beside the log: never earlier than that of a change that is visible.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        self.inner.shared.now_us()
    }

    /// The injected random source.
    #[must_use]
    pub fn random(&self) -> &SharedRandom {
        &self.inner.shared.random
    }

    /// For those around the store: a fault point of theirs is reached.
    pub fn reach(&self, point: FaultPoint) {
        self.inner.shared.faults.hit(point);
    }

    /// Whether the data lies in a directory of this machine; on a database server [`data_dir`](Self::data_dir) is empty.
    #[must_use]
    pub fn has_disk(&self) -> bool {
        self.inner.shared.has_disk()
    }

    /// Where the data lies, for people: the data directory, or host, port and name of a database.
    #[must_use]
    pub fn place(&self) -> String {
        let shared = &self.inner.shared;
        if shared.has_disk() { shared.data_dir.display().to_string() } else { shared.database.display().to_string() }
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.inner.shared.data_dir
    }

    /// Drains, checkpoints and closes: no new work, everything accepted answered, no `-wal` left.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.inner.closing.store(true, Ordering::SeqCst);
        let mut closed = self.inner.closed.lock().await;
        if let Some(outcome) = &*closed {
            return outcome.clone();
        }
        self.inner.shared.admission.close().await;
        let (tell, told) = oneshot::channel();
        let inner = Arc::clone(&self.inner);
        // Joins threads and waits for reads that still run: not on a thread that others need.
        let closer = move || {
            // Nobody waits any more: closed all the same.
            let _ = tell.send(inner.close());
        };
        let closer = std::thread::Builder::new().name("nexus-closer".into()).spawn(closer);
        closer.map_err(|e| StoreError::io("closing", self.data_dir(), e))?;
        let outcome = told.await.unwrap_or(Err(StoreError::WriterGone));
        *closed = Some(outcome.clone());
        outcome
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("data_dir", &self.data_dir()).finish_non_exhaustive()
    }
}

impl Inner {
    /// Admits a message and puts it into the mailbox.
    fn send<O: WriteOp>(&self, origin: Origin, op: O) -> Result<oneshot::Receiver<queue::Answer<O>>, StoreError> {
        let shared = &self.shared;
        if self.closing.load(Ordering::SeqCst) {
            return Err(StoreError::Closed);
        }
        if O::GROWS && shared.space.is_low() {
            return Err(StoreError::Full).inspect_err(|error| self.count_full(error));
        }
        let bytes = op.bytes();
        let permit = shared.admission.admit(bytes).inspect_err(|error| {
            if matches!(error, StoreError::Busy { .. }) {
                shared.gauges.refused.fetch_add(1, Ordering::Relaxed);
                shared.metrics.refused.increment(1);
            }
        })?;
        shared.gauges.sent(&shared.clock);
        let (job, answer) = queue::Job::boxed(op);
        let sent = shared.clock.instant();
        self.writer.send(queue::Queued { job, origin, sent, bytes, permit, rev: 0 });
        Ok(answer)
    }

    /// Counts a write that was refused because the disk is full.
    fn count_full(&self, error: &StoreError) {
        if matches!(error, StoreError::Full) {
            self.shared.metrics.refused_full.increment(1);
        }
    }

    /// The readers first, so that the last connection to close is the writer's, which then removes the log.
    fn close(&self) -> Result<(), StoreError> {
        self.slow.close();
        self.slow.join();
        self.reading.close();
        let answer = self.writer.close();
        let outcome = answer.blocking_recv().unwrap_or(Err(StoreError::WriterGone));
        let thread = self.thread.lock().take();
        match thread.map(JoinHandle::join) {
            Some(Err(_)) => Err(StoreError::WriterGone),
            _ => outcome,
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.slow.close();
        self.reading.stop();
        // Nobody waits for it: after a close it is not even read.
        drop(self.writer.close());
    }
}
