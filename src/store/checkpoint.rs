//! Checkpoints: only the writer makes them, and only between batches.
//!
//! RESTART past the threshold (the log is then begun anew), PASSIVE when idle, TRUNCATE at close.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::StoreError;
use super::backend::sqlite::{self, RwConnection};
use super::fault::FaultPoint;
use super::shared::Shared;

/// Bytes of one page in the log: the page and its frame header.
const FRAME_BYTES: u64 = 4_096 + 24;
/// After a checkpoint that readers have hindered, the next is tried when the log has grown by this share of the
/// threshold.
const RETRY_SHARE: u64 = 16;

/// When to checkpoint.
pub(super) struct Checkpoints {
    shared: Arc<Shared>,
    /// Log size at which the next RESTART is due.
    due_bytes: u64,
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
        Self { shared: Arc::clone(shared), due_bytes: shared.limits.checkpoint_bytes, pending: true, busy: false }
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

    /// After a batch: RESTART if the log is past the threshold.
    pub(super) fn after_batch(&mut self, conn: &RwConnection) {
        let bytes = bytes_in_use(&self.shared);
        if bytes < self.due_bytes {
            return;
        }
        let wait = self.shared.limits.checkpoint_wait;
        let moved = conn.busy_timeout(wait).map_err(|e| StoreError::sql("setting the busy timeout", e));
        let moved = moved.and_then(|()| self.run(conn, Kind::Restart));
        if let Err(error) = conn.busy_timeout(sqlite::BUSY_TIMEOUT) {
            tracing::warn!(%error, "the busy timeout could not be set back");
        }
        match moved {
            Ok(true) => self.due_bytes = self.shared.limits.checkpoint_bytes,
            Ok(false) => {
                // A reader holds an old snapshot; what can be moved is.
                self.report(Kind::Passive, conn);
                self.due_bytes = bytes + self.shared.limits.checkpoint_bytes / RETRY_SHARE;
            }
            Err(error) => {
                tracing::warn!(%error, "a checkpoint failed");
                self.due_bytes = bytes + self.shared.limits.checkpoint_bytes / RETRY_SHARE;
            }
        }
    }

    /// Once a second: PASSIVE if nothing was committed since the last time.
    pub(super) fn tick(&mut self, conn: &RwConnection) {
        if self.pending && !self.busy {
            self.report(Kind::Passive, conn);
        }
        self.busy = false;
    }

    /// At close: the log is moved and cut off.
    pub(super) fn close(&mut self, conn: &RwConnection) -> Result<(), StoreError> {
        self.run(conn, Kind::Truncate).map(|_| ())
    }

    fn report(&mut self, kind: Kind, conn: &RwConnection) {
        if let Err(error) = self.run(conn, kind) {
            tracing::warn!(%error, ?kind, "a checkpoint failed");
        }
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

/// Bytes of the write-ahead log that hold commits of this round.
pub(super) fn bytes_in_use(shared: &Shared) -> u64 {
    shared.gauges.wal_pages.load(Ordering::Relaxed) * FRAME_BYTES
}
