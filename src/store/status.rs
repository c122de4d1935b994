//! What the store says about itself.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::model::Rev;
use crate::model::time::SharedClock;

use super::StoreError;
use super::backend::sqlite;
use super::checkpoint;
use super::shared::{Gauges, Shared};
use super::space::SpaceStatus;

/// The state of an open store.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// `sqlite` or `postgresql`.
    pub engine: &'static str,
    /// `full` or `relaxed`.
    pub durability: &'static str,
    /// The newest published revision.
    pub rev: Rev,
    /// This life of the store.
    pub incarnation: String,
    /// Size of the write-ahead log's file, bytes.
    pub wal_bytes: u64,
    /// Bytes of the log that hold commits of this round.
    pub wal_bytes_in_use: u64,
    /// Messages admitted to the writer and not yet answered.
    pub writer_queue_depth: usize,
    /// Age of the oldest of them.
    pub oldest_queued: Option<Duration>,
    /// Messages refused because the queue was full.
    pub writer_refused: u64,
    /// Whether the writer's thread is there.
    pub writer_alive: bool,
    /// Why no writes are taken, after an input/output error.
    pub read_only: Option<String>,
    /// Whether that error was damage of the database itself: a restart does not mend it.
    pub damaged: bool,
    /// Why the database server cannot be reached; the writer tries again every second.
    pub away: Option<String>,
    /// The disk: what is free, what is held back, why nothing that grows is taken.
    pub space: SpaceStatus,
    /// Transactions committed since the store was opened.
    pub commits: u64,
    /// The version of the engine.
    pub engine_version: String,
    /// Whether SQLite was compiled as the design wants it.
    pub compile_options_ok: bool,
    /// Read-write connections opened since the store was opened: 1 in a run without faults.
    pub rw_connections_opened: u64,
    /// Read-write connections open at the same time, at most: 1.
    pub rw_connections_max: u64,
    /// Times that SQLite said busy.
    pub busy_count: u64,
    /// Reads that waited for the publish of their revision.
    pub publish_lag_count: u64,
    /// Rows in `permission_cache`, at most.
    pub note_rows: u64,
    /// Records waiting in the second lane.
    pub notes_waiting: usize,
    /// Records dropped.
    pub notes_dropped: u64,
    /// States of the past thrown away since the store was opened.
    pub states_dropped: u64,
    /// Bodies collected that nothing named any more.
    pub bodies_collected: u64,
    /// Their bytes.
    pub bytes_collected: u64,
    /// Blob files without a row that were removed.
    pub files_swept: u64,
    /// Jobs waiting for the slow lane.
    pub slow_lane_waiting: usize,
}

impl Shared {
    /// Everything but what only the handle knows.
    pub(super) fn status(&self) -> Status {
        let wal = self.database.with_file_name(super::WAL_FILE);
        let read_only = self.read_only.get().cloned();
        let gauges = &self.gauges;
        Status {
            engine: if self.has_disk() { "sqlite" } else { "postgresql" },
            durability: self.durability.as_str(),
            rev: self.head().newest().rev,
            incarnation: self.incarnation.get().cloned().unwrap_or_default(),
            wal_bytes: std::fs::metadata(wal).map_or(0, |file| file.len()),
            wal_bytes_in_use: checkpoint::bytes_in_use(self),
            writer_queue_depth: self.admission.under_way(),
            oldest_queued: gauges.oldest(&self.clock),
            writer_refused: gauges.refused.load(Ordering::Relaxed),
            writer_alive: true,
            read_only,
            damaged: self.damaged.load(Ordering::Relaxed),
            away: self.away.lock().clone(),
            space: self.space.status(),
            commits: gauges.commits.load(Ordering::Relaxed),
            engine_version: self.engine_version.get().cloned().unwrap_or_else(|| rusqlite::version().to_owned()),
            compile_options_ok: self.compile_options_ok.load(Ordering::Relaxed),
            rw_connections_opened: self.rw_count.opened(),
            rw_connections_max: self.rw_count.open_max(),
            busy_count: gauges.busy.load(Ordering::Relaxed),
            publish_lag_count: gauges.publish_lag.load(Ordering::Relaxed),
            note_rows: gauges.note_rows.load(Ordering::Relaxed),
            notes_waiting: self.lane.waiting(),
            notes_dropped: self.lane.dropped(),
            states_dropped: gauges.states_dropped.load(Ordering::Relaxed),
            bodies_collected: gauges.bodies_collected.load(Ordering::Relaxed),
            bytes_collected: gauges.bytes_collected.load(Ordering::Relaxed),
            files_swept: gauges.files_swept.load(Ordering::Relaxed),
            slow_lane_waiting: 0,
        }
    }

    /// Brings the gauges of the metrics up to date.
    pub(super) fn report_gauges(&self) {
        self.metrics.queue_depth.set(self.admission.under_way() as f64);
        let oldest = self.gauges.oldest(&self.clock).unwrap_or_default();
        self.metrics.queue_oldest_seconds.set(oldest.as_secs_f64());
        self.metrics.wal_bytes.set(checkpoint::bytes_in_use(self) as f64);
    }
}

impl Gauges {
    /// The batch that runs now began with a message sent at `sent`.
    pub(super) fn set_oldest(&self, clock: &SharedClock, sent: Instant) {
        let age = clock.instant().saturating_duration_since(sent);
        let at = self.elapsed_us(clock).saturating_sub(u64::try_from(age.as_micros()).unwrap_or(u64::MAX));
        self.oldest_us.store(at.max(1), Ordering::Relaxed);
    }

    /// A message was sent now; it is the oldest if none is under way.
    pub(super) fn sent(&self, clock: &SharedClock) {
        let at = self.elapsed_us(clock).max(1);
        // Failing means that an older one is known.
        let _ = self.oldest_us.compare_exchange(0, at, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn oldest(&self, clock: &SharedClock) -> Option<Duration> {
        match self.oldest_us.load(Ordering::Relaxed) {
            0 => None,
            at => Some(Duration::from_micros(self.elapsed_us(clock).saturating_sub(at))),
        }
    }

    fn elapsed_us(&self, clock: &SharedClock) -> u64 {
        let start = *self.start.get_or_init(|| clock.instant());
        u64::try_from(clock.instant().saturating_duration_since(start).as_micros()).unwrap_or(u64::MAX)
    }
}

/// The compile options that the design counts on and this SQLite was not built with.
pub(super) fn missing_options(conn: &rusqlite::Connection) -> Result<Vec<&'static str>, StoreError> {
    let mut have = Vec::new();
    sqlite::each(conn, "PRAGMA compile_options", &[], |row| {
        have.push(row.string(0)?);
        Ok(std::ops::ControlFlow::Continue(()))
    })?;
    Ok(sqlite::COMPILE_OPTIONS.iter().copied().filter(|want| !have.iter().any(|o| o == want)).collect())
}

/// Whether SQLite was compiled as the design wants it; says what is missing.
pub(super) fn compile_options_ok(conn: &rusqlite::Connection) -> bool {
    let missing = match missing_options(conn) {
        Ok(missing) => missing,
        Err(error) => {
            tracing::warn!(%error, "the compile options of SQLite could not be read");
            return false;
        }
    };
    if !missing.is_empty() {
        tracing::warn!(
            ?missing,
            "SQLite was compiled without options that this server counts on; it will be slower. \
            Build inside the checkout, whose .cargo/config.toml sets them"
        );
    }
    missing.is_empty()
}
