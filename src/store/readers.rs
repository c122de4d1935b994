//! The readers: read-only connections in slots, and the one way to run a read transaction on one.
//!
//! A read transaction begins with `SELECT rev FROM head`, which fixes SQLite's snapshot, and is then handed the
//! published state of exactly that revision. Reads run on the caller's thread and never nest.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use crate::model::time::{SharedClock, monotonic};

use super::StoreError;
use super::backend::{Reader, sqlite};
use super::fault::FaultPoint;
use super::meta;
use super::projection::Published;
use super::publish::Asked;
use super::shared::Shared;
use super::tx::ReadTx;

/// SQLite asks for the deadline after about this many instructions of its virtual machine.
const DEADLINE_EVERY: i32 = 10_000;

/// One read-only connection with the deadline of what runs on it.
pub(super) struct Slot {
    reader: Reader,
    deadline: Arc<Deadline>,
}

/// When the running read must end, as µs after `start`; 0 = never. Or when the writer cuts it.
pub(super) struct Deadline {
    start: Instant,
    after_us: AtomicU64,
    /// The writer's count of cuts, and what it was when the read began.
    cuts: Arc<AtomicU64>,
    cuts_seen: AtomicU64,
}

impl Slot {
    /// Opens a connection for reading.
    pub(super) fn open(shared: &Shared) -> Result<Self, StoreError> {
        let deadline = Arc::new(Deadline {
            start: shared.clock.instant(),
            after_us: AtomicU64::new(0),
            cuts: Arc::clone(&shared.cuts),
            cuts_seen: AtomicU64::new(0),
        });
        #[cfg(feature = "postgres")]
        if let Some(connector) = &shared.connector {
            return Ok(Self { reader: Reader::far(connector)?, deadline });
        }
        let mut conn = sqlite::open_reader(&shared.database, shared.vfs.as_deref())?;
        let (watched, clock) = (Arc::clone(&deadline), Arc::clone(&shared.clock));
        let passed = move || watched.passed(&clock);
        conn.progress_handler(DEADLINE_EVERY, Some(passed)).map_err(|e| StoreError::sql("setting a deadline", e))?;
        Ok(Self { reader: Reader::Lite(conn), deadline })
    }

    /// Runs `f` in one read transaction at one revision.
    pub(super) fn read<R, E: From<StoreError>>(
        &mut self,
        shared: &Shared,
        time: Option<Duration>,
        f: impl FnOnce(&ReadTx<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        let _alone = NotNested::enter();
        self.deadline.begin(&shared.clock, time);
        let published = self.begin(shared).inspect_err(|error| {
            self.end();
            if sqlite::is_busy(error) {
                shared.busy();
            }
        })?;
        let now_us = shared.now_us();
        let (conn, footprint) = (self.reader.conn(), RefCell::default());
        let tx = ReadTx { conn, published: &published, now_us, shared, deadline: &self.deadline, footprint };
        let result = catch_unwind(AssertUnwindSafe(|| f(&tx)));
        self.end();
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Begins a transaction and finds the published state of its revision.
    fn begin(&mut self, shared: &Shared) -> Result<Arc<Published>, StoreError> {
        // A state that left the ring means that this thread slept between two lines: once more, then give up.
        for _ in 0..2 {
            let rev = self.reader.begin(meta::head_rev)?;
            shared.faults.hit(FaultPoint::AfterSnapshotBeforeState);
            match shared.head().at(rev, shared.limits.publish_wait, || shared.publish_lag()) {
                Asked::Here(published) => return Ok(published),
                Asked::Gone => self.reader.end()?,
                Asked::Late => return Err(StoreError::Busy { queue: "the publication of the last commit" }),
            }
        }
        Err(StoreError::Busy { queue: "the ring of published revisions" })
    }

    /// Ends the transaction, if there is one.
    fn end(&self) {
        self.deadline.clear();
        if let Err(error) = self.reader.end() {
            tracing::warn!(%error, "a read transaction could not be ended");
        }
    }
}

impl Deadline {
    fn begin(&self, clock: &SharedClock, time: Option<Duration>) {
        let after = time.map_or(0, |time| {
            let at = clock.instant().saturating_duration_since(self.start) + time;
            u64::try_from(at.as_micros()).unwrap_or(u64::MAX).max(1)
        });
        self.cuts_seen.store(self.cuts.load(Ordering::Relaxed), Ordering::Relaxed);
        self.after_us.store(after, Ordering::Relaxed);
    }
    fn clear(&self) {
        self.after_us.store(0, Ordering::Relaxed);
    }
    /// Whether the read that runs must end.
    pub(super) fn passed(&self, clock: &SharedClock) -> bool {
        let after = self.after_us.load(Ordering::Relaxed);
        if after != 0 && self.cuts.load(Ordering::Relaxed) != self.cuts_seen.load(Ordering::Relaxed) {
            return true;
        }
        after != 0 && clock.instant().saturating_duration_since(self.start).as_micros() >= u128::from(after)
    }
}

thread_local! {
    static READING: Cell<bool> = const { Cell::new(false) };
    static PREFERRED: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Says so, in debug builds, when a read runs inside a read: with as many requests as slots that would be a deadlock.
struct NotNested;

impl NotNested {
    fn enter() -> Self {
        let already = READING.replace(true);
        debug_assert!(!already, "store.read inside store.read: take what you need in one closure");
        Self
    }
}

impl Drop for NotNested {
    fn drop(&mut self) {
        READING.set(false);
    }
}

/// The slots for inline reads.
pub(super) struct Readers {
    slots: Vec<Mutex<Option<Slot>>>,
    next: AtomicUsize,
}

impl Readers {
    /// Opens `count` connections.
    pub(super) fn open(shared: &Shared, count: usize) -> Result<Self, StoreError> {
        let slots = (0..count.max(1)).map(|_| Slot::open(shared).map(|slot| Mutex::new(Some(slot))));
        Ok(Self { slots: slots.collect::<Result<_, _>>()?, next: AtomicUsize::new(0) })
    }

    /// Runs `f` on a free slot, the calling thread's own if it can be.
    pub(super) fn read<R, E: From<StoreError>>(
        &self,
        shared: &Shared,
        f: impl FnOnce(&ReadTx<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        debug_assert!(!READING.get(), "store.read inside store.read: take what you need in one closure");
        let mut guard = self.slot(shared);
        let slot = guard.as_mut().ok_or(StoreError::Closed)?;
        slot.read(shared, Some(shared.limits.read_deadline), f)
    }

    fn slot(&self, shared: &Shared) -> MutexGuard<'_, Option<Slot>> {
        let preferred = PREFERRED.get().unwrap_or_else(|| {
            let mine = self.next.fetch_add(1, Ordering::Relaxed);
            PREFERRED.set(Some(mine));
            mine
        });
        let count = self.slots.len();
        let free = (0..count).find_map(|step| self.slots[(preferred + step) % count].try_lock());
        free.unwrap_or_else(|| {
            let started = monotonic();
            let guard = self.slots[preferred % count].lock();
            shared.metrics.reader_wait_seconds.record(started.elapsed().as_secs_f64());
            guard
        })
    }

    /// Takes the connections out, waiting for what runs on them. Later reads are refused.
    pub(super) fn close(&self) {
        for slot in &self.slots {
            drop(slot.lock().take());
        }
    }
}
