//! How to open a store: where, how durable, and every limit with its unit.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::model::random::SharedRandom;
use crate::model::time::SharedClock;
use crate::model::{OsRandom, SystemClock};

use super::fault::Faults;
use super::files::Files;
use super::quotas::Quota;
use super::space::{Machine, SharedProbe};

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// A power cut (`synchronous=FULL`).
    #[default]
    Full,
    /// A crash of the process; a power cut may take the newest commits (`synchronous=NORMAL`).
    Relaxed,
}

impl Durability {
    /// `full` or `relaxed`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Relaxed => "relaxed",
        }
    }
}

/// The limits of a store. The defaults are those of production; tests shrink them.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Messages admitted to the writer and not yet answered.
    pub queue_messages: usize,
    /// Bytes of those messages.
    pub queue_bytes: usize,
    /// Messages in one transaction.
    pub batch_messages: usize,
    /// Bytes of the messages in one transaction.
    pub batch_bytes: usize,
    /// Size of the write-ahead log past which the writer checkpoints.
    pub checkpoint_bytes: u64,
    /// Size that the log should not pass: readers that keep it from being begun anew are cut, and its file is cut back
    /// to it. Bytes.
    pub wal_bytes: u64,
    /// Space held back on the disk for the day when it is full, bytes; 0 = none. A server's is as
    /// large as the log may become.
    pub ballast_bytes: u64,
    /// Free space on the disk below which only what frees space is taken, bytes; at least twice `wal_bytes` are kept.
    pub free_floor_bytes: u64,
    /// How long a checkpoint may wait for readers.
    pub checkpoint_wait: Duration,
    /// How often the writer looks after itself: notes, idle checkpoint, gauges.
    pub tick: Duration,
    /// Published states that are kept for readers of older snapshots.
    pub published: usize,
    /// How long a reader waits for the publish of a revision that is already committed.
    pub publish_wait: Duration,
    /// How long one read transaction may run.
    pub read_deadline: Duration,
    /// Threads, and connections, of the slow lane.
    pub slow_threads: usize,
    /// Jobs waiting for the slow lane.
    pub slow_queue: usize,
    /// Threads, and connections, for ordinary reads of a database server.
    pub read_threads: usize,
    /// Reads waiting for one of them.
    pub read_queue: usize,
    /// Records waiting in the second lane; 0 drops every record.
    pub notes: usize,
    /// Records taken along with a batch.
    pub notes_per_batch: usize,
    /// Records written by a tick, in a transaction of their own.
    pub notes_per_tick: usize,
    /// Rows of `permission_cache` that are kept.
    pub decisions: u64,
    /// Rows of `denials` that are kept.
    pub denials: u64,
    /// What a tenant without a quota of its own may have.
    pub quota: Quota,
    /// Versions of each file that are kept, the newest.
    pub keep_versions: u64,
    /// Days for which everything that has ended is kept; 0 = for ever.
    pub keep_days: u64,
    /// How long a body stays that nothing names any more.
    pub keep_bodies: Duration,
    /// How often the store looks through the past and the bodies for what is not kept.
    pub house_every: Duration,
    /// The use of one key is recorded this often at most.
    pub key_used_every: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_messages: 1_024,
            queue_bytes: 64 << 20,
            batch_messages: 512,
            batch_bytes: 4 << 20,
            checkpoint_bytes: 16 << 20,
            wal_bytes: 64 << 20,
            ballast_bytes: 0,
            free_floor_bytes: 64 << 20,
            checkpoint_wait: Duration::from_millis(50),
            tick: Duration::from_secs(1),
            published: 64,
            publish_wait: Duration::from_secs(2),
            read_deadline: Duration::from_secs(30),
            slow_threads: cores(),
            slow_queue: 64,
            read_threads: 16,
            read_queue: 4_096,
            notes: 4_096,
            notes_per_batch: 64,
            notes_per_tick: 512,
            decisions: 100_000,
            denials: 100_000,
            quota: Quota::default(),
            keep_versions: 100,
            keep_days: 30,
            keep_bodies: Duration::from_secs(24 * 60 * 60),
            house_every: Duration::from_secs(60 * 60),
            key_used_every: Duration::from_secs(60),
        }
    }
}

/// Which engine holds the data.
#[derive(Debug, Clone, Default)]
pub enum Engine {
    /// One file in the data directory.
    #[default]
    Sqlite,
    /// A database server; nothing is written to this machine's disk.
    #[cfg(feature = "postgres")]
    Postgres(super::PostgresUrl),
}

/// How to open a store.
#[derive(Clone)]
pub struct Options {
    /// Which engine holds the data.
    pub engine: Engine,
    /// The data directory; made with mode 0700 if absent. Empty where the engine has none.
    pub data_dir: PathBuf,
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// Time.
    pub clock: SharedClock,
    /// Chance.
    pub random: SharedRandom,
    /// Named fault points that a test has armed.
    pub faults: Faults,
    /// What the file system of the data directory is, and how much space it has.
    pub probe: SharedProbe,
    /// Whether a network file system is accepted.
    pub allow_network_fs: bool,
    /// Read-only connections for inline reads: worker threads + 2.
    pub reader_slots: usize,
    /// Every other bound.
    pub limits: Limits,
    /// The SQLite VFS to open through; `None` = the default one. For tests that record or fail disk operations.
    pub vfs: Option<String>,
    /// The way to the disk for files outside the database. For tests that record or fail operations on them.
    pub files: Files,
    /// The guarantee that a test has taken out.
    #[cfg(feature = "faults")]
    pub mutation: Option<super::mutation::Mutation>,
}

impl Options {
    /// The defaults for `data_dir`: full durability, the machine's clock and randomness, one slot per core + 2.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            engine: Engine::default(),
            data_dir: data_dir.into(),
            durability: Durability::default(),
            clock: Arc::new(SystemClock),
            random: Arc::new(OsRandom),
            faults: Faults::default(),
            probe: Arc::new(Machine),
            allow_network_fs: false,
            reader_slots: cores() + 2,
            limits: Limits::default(),
            vfs: None,
            files: Files::default(),
            #[cfg(feature = "faults")]
            mutation: None,
        }
    }

    /// The defaults for a database server.
    #[cfg(feature = "postgres")]
    #[must_use]
    pub fn postgres(url: super::PostgresUrl) -> Self {
        Self { engine: Engine::Postgres(url), ..Self::new("") }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("engine", &self.engine)
            .field("data_dir", &self.data_dir)
            .field("durability", &self.durability)
            .field("reader_slots", &self.reader_slots)
            .field("limits", &self.limits)
            .field("probe", &self.probe)
            .field("vfs", &self.vfs)
            .finish_non_exhaustive()
    }
}

/// The cores of this machine, as far as this process may use them.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
}
