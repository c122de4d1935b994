//! Checkpoints: only the writer makes them, and only between batches.
//!
//! RESTART past the threshold (the log is then begun anew), PASSIVE when idle, TRUNCATE at close.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::StoreError;
use super::backend::Trouble;
use super::backend::sqlite::{self, RwConnection};
use super::fault::FaultPoint;
use super::shared::Shared;

/// Bytes of one page in the log: the page and its frame header.
const FRAME_BYTES: u64 = 4_096 + 24;
/// After a checkpoint that readers have hindered, the next is tried when the log has grown by this share of the
/// threshold.
const RETRY_SHARE: u64 = 16;
/// After a cut the next one is due when the log has grown by this share of its limit.
const CUT_SHARE: u64 = 4;

/// When to checkpoint.
pub(super) struct Checkpoints {
    shared: Arc<Shared>,
    /// Log size at which the next RESTART is due.
    due_bytes: u64,
    /// Log size at which readers that hinder it are cut.
    cut_bytes: u64,
    /// Commits since the last checkpoint.
    pending: bool,
    /// Commits since the last tick.
    busy: bool,
}

/// How much of the log a checkpoint has to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Passive,
    Restart,
    Truncate,
}

impl Checkpoints {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        // A log that a crash has left is moved at the first idle second.
        let (due_bytes, cut_bytes) = (shared.limits.checkpoint_bytes, shared.limits.wal_bytes);
        Self { shared: Arc::clone(shared), due_bytes, cut_bytes, pending: true, busy: false }
    }

    /// Follows the size of the log through `conn`.
    pub(super) fn watch(&self, conn: &mut RwConnection) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        conn.on_wal(move |pages| shared.gauges.wal_pages.store(pages, Ordering::Relaxed))
    }

    /// A commit was made.
    pub(super) fn committed(&mut self) {
        self.pending = true;
        self.busy = true;
    }

    /// After a batch: RESTART if the log is past the threshold. An error means that the disk failed.
    pub(super) fn after_batch(&mut self, conn: &RwConnection) -> Result<(), StoreError> {
        let bytes = bytes_in_use(&self.shared);
        if bytes < self.due_bytes {
            return Ok(());
        }
        let wait = self.shared.limits.checkpoint_wait;
        let moved = conn.busy_timeout(wait).map_err(|e| StoreError::sql("setting the busy timeout", e));
        let moved = moved.and_then(|()| self.run(conn, Kind::Restart));
        if let Err(error) = conn.busy_timeout(sqlite::BUSY_TIMEOUT) {
            tracing::warn!(%error, "the busy timeout could not be set back");
        }
        match moved {
            Ok(true) => {
                self.due_bytes = self.shared.limits.checkpoint_bytes;
                self.cut_bytes = self.shared.limits.wal_bytes;
                Ok(())
            }
            Ok(false) => {
                // A reader holds an old snapshot; what can be moved is.
                self.due_bytes = bytes + self.shared.limits.checkpoint_bytes / RETRY_SHARE;
                if bytes >= self.cut_bytes {
                    self.cut_reads(bytes);
                }
                self.report(Kind::Passive, conn)
            }
            Err(error) => {
                self.due_bytes = bytes + self.shared.limits.checkpoint_bytes / RETRY_SHARE;
                hurt(error, Kind::Restart)
            }
        }
    }

    /// Ends the reads that have begun: the log is at its limit and they keep it from being begun anew. Those that begin
    /// now see a newer snapshot and do not. Once for each further quarter of the limit: what holds the log may be a
    /// copy for a backup, which is not cut.
    fn cut_reads(&mut self, bytes: u64) {
        self.cut_bytes = bytes + self.shared.limits.wal_bytes / CUT_SHARE;
        self.shared.cuts.fetch_add(1, Ordering::Relaxed);
        self.shared.metrics.reads_cut.increment(1);
        tracing::warn!(bytes, "the write-ahead log is at its limit: reads of older revisions are cut");
    }

    /// Once a second: PASSIVE if nothing was committed since the last time; whether that was so. On a full disk
    /// TRUNCATE, which gives the log's space back. An error means that the disk failed.
    pub(super) fn tick(&mut self, conn: &RwConnection) -> Result<bool, StoreError> {
        let idle = !self.busy;
        self.busy = false;
        if self.pending && self.shared.space.is_low() {
            self.give_back(conn)?;
        } else if self.pending && idle {
            self.report(Kind::Passive, conn)?;
        }
        Ok(idle)
    }

    /// Moves the log and gives its space back, as far as readers let it.
    pub(super) fn give_back(&mut self, conn: &RwConnection) -> Result<(), StoreError> {
        self.quickly(conn, Kind::Truncate)
    }

    /// Checkpoints without waiting long for readers.
    fn quickly(&mut self, conn: &RwConnection, kind: Kind) -> Result<(), StoreError> {
        let wait = |time| conn.busy_timeout(time).map_err(|e| StoreError::sql("setting the busy timeout", e));
        wait(self.shared.limits.checkpoint_wait)?;
        let moved = self.report(kind, conn);
        wait(sqlite::BUSY_TIMEOUT)?;
        moved
    }

    /// At close: the log is moved and cut off.
    pub(super) fn close(&mut self, conn: &RwConnection) -> Result<(), StoreError> {
        self.run(conn, Kind::Truncate).map(|_| ())
    }

    fn report(&mut self, kind: Kind, conn: &RwConnection) -> Result<(), StoreError> {
        self.run(conn, kind).map(|_| ()).or_else(|error| hurt(error, kind))
    }

    /// Checkpoints; whether the log could be moved whole and, for RESTART, begun anew.
    fn run(&mut self, conn: &RwConnection, kind: Kind) -> Result<bool, StoreError> {
        self.shared.faults.hit(FaultPoint::MidCheckpoint);
        let sql = match kind {
            Kind::Passive => "PRAGMA wal_checkpoint(PASSIVE)",
            Kind::Restart => "PRAGMA wal_checkpoint(RESTART)",
            Kind::Truncate => "PRAGMA wal_checkpoint(TRUNCATE)",
        };
        let row = conn.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let (busy, log, moved): (i64, i64, i64) = row.map_err(|e| StoreError::sql("checkpointing", e))?;
        self.shared.faults.hit(FaultPoint::CheckpointMoved);
        let whole = busy == 0 && log == moved;
        if whole {
            self.pending = false;
            if kind != Kind::Passive {
                self.shared.gauges.wal_pages.store(0, Ordering::Relaxed);
            }
        }
        Ok(whole)
    }
}

/// A checkpoint that failed: an error of the disk is the writer's business, anything else is tried again.
fn hurt(error: StoreError, kind: Kind) -> Result<(), StoreError> {
    tracing::warn!(%error, ?kind, "a checkpoint failed");
    if Trouble::of(&error).is_some() { Err(error) } else { Ok(()) }
}

/// Bytes of the write-ahead log that hold commits of this round.
pub(super) fn bytes_in_use(shared: &Shared) -> u64 {
    shared.gauges.wal_pages.load(Ordering::Relaxed) * FRAME_BYTES
}
