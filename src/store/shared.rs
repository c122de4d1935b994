//! What the writer, the readers and the handle share: settings, the published states, gauges.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::model::random::SharedRandom;
use crate::model::time::SharedClock;

use super::backend::sqlite::RwCount;
use super::fault::Faults;
use super::files::Files;
use super::metrics::Metrics;
use super::notes::Lane;
use super::options::{Durability, Limits};
use super::pins::Pins;
use super::places::Places;
use super::publish::Head;
use super::queue::Admission;
use super::space::Space;
use super::turns::Turns;

/// The shared part of one open store.
pub(super) struct Shared {
    /// Empty where the engine has none.
    pub(super) data_dir: PathBuf,
    /// The file; of a database server host, port and name, for messages.
    pub(super) database: PathBuf,
    /// The way to the database server, if there is one.
    #[cfg(feature = "postgres")]
    pub(super) connector: Option<super::backend::postgres::Connector>,
    pub(super) vfs: Option<String>,
    pub(super) files: Files,
    #[cfg(feature = "faults")]
    pub(super) mutation: Option<super::mutation::Mutation>,
    pub(super) durability: Durability,
    pub(super) clock: SharedClock,
    pub(super) random: SharedRandom,
    pub(super) faults: Faults,
    pub(super) limits: Limits,
    pub(super) metrics: Metrics,
    pub(super) lane: Lane,
    pub(super) admission: Admission,
    pub(super) space: Space,
    /// Grows when all reads that have begun are to end: they keep the log from being begun anew.
    pub(super) cuts: Arc<AtomicU64>,
    pub(super) compile_options_ok: AtomicBool,
    pub(super) rw_count: Arc<RwCount>,
    /// Set once, before anything can read.
    pub(super) head: OnceLock<Head>,
    /// The newest published revision, for who waits for the next one.
    pub(super) revisions: tokio::sync::watch::Sender<crate::model::Rev>,
    /// The version of a database server.
    pub(super) engine_version: OnceLock<String>,
    /// This life of the store.
    pub(super) incarnation: OnceLock<String>,
    pub(super) gauges: Gauges,
    /// When the writer offers its processor.
    pub(super) turns: Turns,
    /// Bodies that were found to be what was stored.
    pub(super) verified: super::download::Verified,
    /// Where paths lead, as readers have found it.
    pub(super) places: Places,
    /// Bodies that must not be collected.
    pub(super) pins: Arc<Pins>,
    /// Why the store takes no writes, once an input/output error has made it so. Each look at the published state asks,
    /// which must not write as a lock does.
    pub(super) read_only: OnceLock<String>,
    /// Whether that error was damage of the database itself.
    pub(super) damaged: AtomicBool,
    /// Why the database server could not be reached when the writer last tried.
    pub(super) away: Mutex<Option<String>>,
}

/// Numbers for `status` and the metrics.
#[derive(Default)]
pub(super) struct Gauges {
    /// The newest time given to a batch, µs.
    pub(super) time_floor_us: AtomicI64,
    /// Pages in the write-ahead log after the last commit.
    pub(super) wal_pages: AtomicU64,
    /// States of the past that were thrown away.
    pub(super) states_dropped: AtomicU64,
    /// Bodies that were collected.
    pub(super) bodies_collected: AtomicU64,
    /// Their bytes.
    pub(super) bytes_collected: AtomicU64,
    /// Blob files without a row that were removed.
    pub(super) files_swept: AtomicU64,
    /// Times that SQLite said busy.
    pub(super) busy: AtomicU64,
    /// Reads that waited for a publish.
    pub(super) publish_lag: AtomicU64,
    /// At most this many rows in `permission_cache`.
    pub(super) note_rows: AtomicU64,
    /// Transactions committed.
    pub(super) commits: AtomicU64,
    /// Messages refused.
    pub(super) refused: AtomicU64,
    /// When the oldest message not yet answered was sent, µs after `start`; 0 = none.
    pub(super) oldest_us: AtomicU64,
    /// The moment from which `oldest_us` counts: the first look at it.
    pub(super) start: OnceLock<std::time::Instant>,
}

impl Shared {
    /// Whether the data lies on a disk of this machine.
    pub(super) fn has_disk(&self) -> bool {
        !self.data_dir.as_os_str().is_empty()
    }

    /// The published states.
    pub(super) fn head(&self) -> &Head {
        self.head.get().expect("the head is set before the store is handed out")
    }

    /// Makes `state` the newest, and wakes who waits for one.
    pub(super) fn publish(&self, state: Arc<super::projection::Published>) {
        let rev = state.rev;
        self.head().publish(state);
        self.revisions.send_replace(rev);
    }

    /// Whether no write can be in the database whose publish this process has not done or is not about to do: nobody
    /// else writes, and the outcome of every write is known.
    pub(super) fn knows_the_newest(&self) -> bool {
        // The lock of a data directory is ours until the process ends. That of a database server goes with its
        // connection, and then another process may write.
        #[cfg(feature = "postgres")]
        if self.connector.is_some() {
            return false;
        }
        self.read_only.get().is_none()
    }

    /// The time for a transaction: never earlier than that of an earlier revision.
    pub(super) fn now_us(&self) -> i64 {
        self.clock.now_us().max(self.gauges.time_floor_us.load(Ordering::Acquire))
    }

    /// A read waits for a publish.
    pub(super) fn publish_lag(&self) {
        self.gauges.publish_lag.fetch_add(1, Ordering::Relaxed);
        self.metrics.publish_lag.increment(1);
    }

    /// SQLite said busy.
    pub(super) fn busy(&self) {
        self.gauges.busy.fetch_add(1, Ordering::Relaxed);
        self.metrics.busy.increment(1);
    }
}
