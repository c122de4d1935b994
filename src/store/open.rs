//! Opening a store: lock, look, migrate, first start, projections, readers, writer; in this order.
//!
//! A database that is not ours, or newer than this program, is refused before anything is written to it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::backend::Link;
use super::backend::sqlite::{self, RwConnection};
use super::batch::Core;
use super::blobs;
use super::checkpoint::Checkpoints;
use super::fault::FaultPoint;
use super::house::House;
use super::lock::LockFile;
use super::metrics::Metrics;
use super::migrate::{self, MIGRATIONS};
use super::mounts::Mounted;
use super::notes::{Lane, Rows};
use super::options::{Durability, Engine, Options};
use super::places::Places;
use super::pool::Pool;
use super::projection::{Projection, Slot, TypedSlot, Working};
use super::publish::Head;
use super::queue::Admission;
use super::quotas::Quotas;
use super::readers::Readers;
use super::shared::{Gauges, Shared};
use super::space::Space;
use super::stamps::Stamps;
use super::turns::Turns;
use super::tx::Loader;
use super::{
    Reading, Store, StoreError, backup, bundle, decisions, denials, idempotency, meta, refusal, status, writer,
};

/// The database's name in the data directory.
pub const DATABASE_FILE: &str = "nexus.sqlite";
/// The name of its write-ahead log.
pub const WAL_FILE: &str = "nexus.sqlite-wal";

/// What a look has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No store: whoever opens it makes a new one.
    Nothing,
    /// A store.
    Store {
        /// The fact of its `meta` that was asked for; not read in a data directory.
        fact: Option<String>,
    },
}

/// Collects the projections of a store before it is opened.
pub struct Builder {
    options: Options,
    slots: Vec<Box<dyn Slot>>,
}

impl Builder {
    pub(super) fn new(options: Options) -> Self {
        Self { options, slots: Vec::new() }.project::<Stamps>().project::<Mounted>().project::<Quotas>()
    }

    /// Adds a projection; it is loaded at open and follows every commit.
    #[must_use]
    pub fn project<P: Projection>(mut self) -> Self {
        self.slots.push(TypedSlot::<P>::boxed());
        self
    }

    /// Opens the store: takes the lock, migrates, loads the projections, starts the writer. Blocks; needs no runtime.
    pub fn open(self) -> Result<Store, StoreError> {
        #[cfg(feature = "postgres")]
        if let Engine::Postgres(url) = &self.options.engine {
            let url = url.clone();
            return self.open_far(url);
        }
        let (dir, probe) = (self.options.data_dir.clone(), Arc::clone(&self.options.probe));
        self.open_here().map_err(|error| refusal::place(&dir, &*probe, error))
    }

    /// Looks whether there is a store, before anything is made, migrated or opened for writing. A database of another
    /// program is an error.
    pub fn look(&self, fact: &'static str) -> Result<Found, StoreError> {
        match &self.options.engine {
            Engine::Sqlite => {
                // Nobody needs it: what a directory holds beside the database is a file.
                let _ = fact;
                let there = self.options.data_dir.join(DATABASE_FILE).exists();
                Ok(if there { Found::Store { fact: None } } else { Found::Nothing })
            }
            #[cfg(feature = "postgres")]
            Engine::Postgres(url) => look_far(url.clone(), &self.options, fact),
        }
    }

    fn open_here(self) -> Result<Store, StoreError> {
        let (slots, network) = (self.options.reader_slots, self.options.allow_network_fs);
        let dir = &self.options.data_dir;
        self.options.files.make_path(dir).map_err(|e| StoreError::io("making", dir, e))?;
        let lock = Arc::new(LockFile::take(dir)?);
        assert_version();
        let shared = Arc::new(share(self.options, None));
        shared.faults.hit(FaultPoint::StartLocked);
        shared.space.start(network)?;
        look(&shared.database)?;
        let damaged = |error| refusal::damaged(&shared.database, error);
        let log_missing = shared.database.exists() && !shared.database.with_file_name(WAL_FILE).exists();
        let conn = open_database(&shared).map_err(damaged)?;
        bundle::refuse_unfinished((&conn).into(), &shared.data_dir.display().to_string()).map_err(damaged)?;
        blobs::clear_partial(&shared.files, &shared.data_dir)?;
        backup::clear_leftovers(&shared.files, &shared.data_dir);
        let core = start_core(&shared, Link::Lite(conn), Working::new(self.slots), log_missing).map_err(damaged)?;
        let readers = Readers::open(&shared, slots).map_err(damaged)?;
        let slow = Pool::slow(&shared, Some(&lock))?;
        // From here on the last connection to close puts the log away.
        if let Some(conn) = core.link.lite() {
            move_log_on_close(conn, true)?;
        }
        shared.space.look_again(&shared.metrics);
        let (writer, thread) = writer::start(core, Some(lock))?;
        let rev = shared.head().newest().rev;
        tracing::info!(dir = %shared.data_dir.display(), rev, sqlite = rusqlite::version(), "store opened");
        Ok(Store::assemble(shared, Reading::Inline(readers), slow, writer, thread))
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("options", &self.options).field("projections", &self.slots.len()).finish()
    }
}

/// A version with the WAL-reset race must not touch a database.
fn assert_version() {
    let version = rusqlite::version_number();
    assert!(version >= sqlite::VERSION_MIN, "SQLite {} is older than 3.51.3 and unsafe here", rusqlite::version());
}

/// What the connections of a store share. `far`: the way to the database server that holds it.
pub(super) fn share(mut options: Options, far: Option<Far>) -> Shared {
    mutate(&mut options);
    #[cfg(feature = "faults")]
    let mutation = options.mutation;
    let Options { data_dir, durability, clock, random, faults, limits, vfs, files, probe, .. } = options;
    let database = far.as_ref().map_or_else(|| data_dir.join(DATABASE_FILE), far_place);
    let large = [database.clone(), data_dir.join(WAL_FILE)];
    Shared {
        space: Space::new(probe, &files, &data_dir, large, &limits),
        database,
        #[cfg(feature = "postgres")]
        connector: far,
        data_dir,
        vfs,
        files,
        #[cfg(feature = "faults")]
        mutation,
        durability,
        clock,
        random,
        faults,
        metrics: Metrics::register(),
        lane: Lane::new(limits.notes, limits.key_used_every),
        admission: Admission::new(limits.queue_messages, limits.queue_bytes),
        cuts: Arc::default(),
        compile_options_ok: AtomicBool::new(false),
        rw_count: Arc::default(),
        head: OnceLock::new(),
        revisions: tokio::sync::watch::Sender::new(0),
        engine_version: OnceLock::new(),
        incarnation: OnceLock::new(),
        gauges: Gauges::default(),
        turns: Turns::default(),
        verified: super::download::Verified::default(),
        places: Places::new(),
        pins: Arc::default(),
        read_only: OnceLock::new(),
        damaged: AtomicBool::new(false),
        away: Mutex::new(None),
        limits,
    }
}

/// Takes out what can be taken out by a setting.
fn mutate(options: &mut Options) {
    if mutated!(options, NormalInsteadOfFull) {
        options.durability = Durability::Relaxed;
    }
    if mutated!(options, NoDirectorySync) {
        options.files = options.files.clone().without_directory_syncs();
    }
    if mutated!(options, RingOfOne) {
        options.limits.published = 1;
    }
}

/// Looks at the file's header, before SQLite does: a file that is not ours is not touched.
pub(super) fn look(database: &Path) -> Result<(), StoreError> {
    // Holding the directory's lock, so no connection of this process can lose its locks by our closing the file.
    let mut header = Vec::new();
    match File::open(database).and_then(|file| file.take(100).read_to_end(&mut header)) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return refusal::lost_database(database, false),
        Err(e) => return Err(StoreError::io("reading", database, e)),
        Ok(0) => return refusal::lost_database(database, true),
        Ok(_) => {}
    }
    // A creation that was cut short is rolled back by SQLite itself.
    if database.with_file_name(format!("{DATABASE_FILE}-journal")).exists() {
        return Ok(());
    }
    let number = |at: usize| header.get(at..at + 4).map_or(0, |b| i32::from_be_bytes([b[0], b[1], b[2], b[3]]));
    let (version, application) = (number(60), number(68));
    let foreign = |what: &str| StoreError::Unusable {
        path: database.display().to_string(),
        what: what.into(),
        remedy: "Give another --data-dir, or move the file away. Nothing was changed".into(),
    };
    if header.len() < 100 || !header.starts_with(b"SQLite format 3\0") {
        return Err(foreign("it is not a SQLite database"));
    }
    if application != sqlite::APPLICATION_ID {
        return Err(foreign("it is a SQLite database of another program"));
    }
    if !refusal::knows_format(&header) {
        let damage = StoreError::Corrupt { what: "its header names a format that does not exist".into() };
        return Err(refusal::damaged(database, damage));
    }
    let (have, know) = (u64::try_from(version).unwrap_or(0), MIGRATIONS.len() as u64);
    if have > know { Err(migrate::newer(&database.display().to_string(), have, know)) } else { Ok(()) }
}

#[cfg(feature = "postgres")]
type Far = super::backend::postgres::Connector;
/// No engine but SQLite is built in.
#[cfg(not(feature = "postgres"))]
type Far = std::convert::Infallible;

/// The name of a database server in messages.
#[cfg(feature = "postgres")]
fn far_place(far: &Far) -> PathBuf {
    PathBuf::from(far.place())
}
#[cfg(not(feature = "postgres"))]
fn far_place(far: &Far) -> PathBuf {
    match *far {}
}

#[cfg(feature = "postgres")]
impl Builder {
    /// Opens a store on a database server: connect, take the database, migrate, load, start. Nothing is written here.
    fn open_far(self, url: super::PostgresUrl) -> Result<Store, StoreError> {
        use super::backend::Conn;
        use super::backend::postgres::{self, Connector, Writer};
        let (durability, time) = (self.options.durability, self.options.limits.read_deadline);
        let connector = Connector::start(url, durability, time)?;
        let shared = Arc::new(share(self.options, Some(connector.clone())));
        shared.faults.hit(FaultPoint::StartLocked);
        let place = connector.place();
        let writer = Writer::open(connector)?;
        let _first = shared.engine_version.set(writer.version()?);
        let now_us = shared.clock.now_us();
        postgres::migrate::run(writer.session(), &shared.faults, &place, MIGRATIONS, now_us)?;
        bundle::refuse_unfinished(Conn::Pg(writer.session()), &place)?;
        shared.compile_options_ok.store(true, Ordering::Relaxed);
        writer.session().limit(None)?;
        super::chunks::sweep(Conn::Pg(writer.session()))?;
        let core = start_core(&shared, Link::Pg(writer), Working::new(self.slots), false)?;
        if let Link::Pg(writer) = &core.link {
            writer.session().limit(Some(time))?;
        }
        let limits = &shared.limits;
        let reads = Pool::start(&shared, None, "read", limits.read_threads, limits.read_queue)?;
        let slow = Pool::slow(&shared, None)?;
        let (writer, thread) = writer::start(core, None)?;
        let rev = shared.head().newest().rev;
        tracing::info!(place, rev, "store opened on PostgreSQL");
        Ok(Store::assemble(shared, Reading::Pooled(reads), slow, writer, thread))
    }
}

#[cfg(feature = "postgres")]
fn look_far(url: super::PostgresUrl, options: &Options, fact: &str) -> Result<Found, StoreError> {
    use super::backend::Conn;
    use super::backend::postgres::{Connector, migrate};
    let connector = Connector::start(url, options.durability, options.limits.read_deadline)?;
    let session = connector.session()?;
    if migrate::version(&session, &connector.place())? == 0 {
        return Ok(Found::Nothing);
    }
    let mut value = None;
    Conn::Pg(&session).each(meta::META_GET, crate::params![fact], |row| {
        value = Some(row.string(0)?);
        Ok(std::ops::ControlFlow::Break(()))
    })?;
    Ok(Found::Store { fact: value })
}

/// Opens the read-write connection and brings the schema up to date.
pub(super) fn open_database(shared: &Shared) -> Result<RwConnection, StoreError> {
    let (vfs, log) = (shared.vfs.as_deref(), shared.limits.wal_bytes);
    let conn = RwConnection::open(&shared.database, vfs, shared.durability, log, &shared.rw_count)?;
    shared.compile_options_ok.store(status::compile_options_ok(&conn), Ordering::Relaxed);
    // What is refused from here on (a version that stands in the log alone, damage) keeps its log as it is.
    move_log_on_close(&conn, false)?;
    let (now_us, database) = (shared.clock.now_us(), &shared.database);
    migrate::run(&conn, &shared.files, &shared.faults, database, MIGRATIONS, now_us)?;
    // The names in the directory, and its own. At every start: an earlier one may have been stopped before it came to
    // this, and a journal of the creation whose removal is not durable would take everything back.
    let (dir, parent) = (&shared.data_dir, shared.data_dir.parent().unwrap_or(Path::new("/")));
    shared.files.sync_dir(dir).map_err(|e| StoreError::io("syncing", dir, e))?;
    match shared.files.sync_dir(parent) {
        // Made for us in a directory that is not ours to read.
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {}
        synced => synced.map_err(|e| StoreError::io("syncing", parent, e))?,
    }
    Ok(conn)
}

/// Whether closing the last connection moves the log into the database.
pub(super) fn move_log_on_close(conn: &RwConnection, on: bool) -> Result<(), StoreError> {
    let no_checkpoint = rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    conn.set_db_config(no_checkpoint, !on).map(|_| ()).map_err(|e| StoreError::sql("opening the database", e))
}

/// The first start's rows, this life's name, the projections, the first published state.
fn start_core(
    shared: &Arc<Shared>,
    mut link: Link,
    mut working: Working,
    log_missing: bool,
) -> Result<Core, StoreError> {
    let conn = link.conn();
    match &link {
        Link::Lite(_) => conn.control("beginning the start", "BEGIN IMMEDIATE")?,
        #[cfg(feature = "postgres")]
        Link::Pg(_) => conn.control("beginning the start", "BEGIN")?,
    }
    let now_us = shared.clock.now_us();
    let loader = Loader { conn, rev: 0, now_us };
    if meta::head(&loader)?.is_none() {
        meta::seed(conn, now_us)?;
    }
    if log_missing && meta::get(&loader, meta::CLEAN_SHUTDOWN)?.as_deref() == Some("0") {
        tracing::warn!(
            "the last run did not end cleanly and its write-ahead log ({WAL_FILE}) is not there: if somebody has \
             removed it, the newest writes are gone with it"
        );
    }
    let incarnation = incarnation(shared, &loader)?;
    let floor = meta::time_floor(&loader)?;
    meta::put_raw(conn, meta::INCARNATION, &incarnation)?;
    meta::put_raw(conn, meta::DURABILITY, shared.durability.as_str())?;
    meta::put_raw(conn, meta::CLEAN_SHUTDOWN, "0")?;
    decisions::forget_others(conn, &incarnation)?;
    let rows = Rows::new(decisions::count(conn)?, shared.limits.decisions, denials::last(conn)?);
    let replies = idempotency::load(&loader)?;
    let counters = meta::head(&loader)?.ok_or_else(|| StoreError::Corrupt { what: "head has no row".into() })?;
    working.set_default_quota(shared.limits.quota);
    working.load(&Loader { conn, rev: counters.rev, now_us: now_us.max(floor) })?;
    shared.faults.hit(FaultPoint::StartBeforeCommit);
    conn.control("committing the start", "COMMIT")?;
    shared.faults.hit(FaultPoint::StartCommitted);

    shared.places.fit(counters.next_id);
    shared.gauges.time_floor_us.store(floor, Ordering::Release);
    shared.gauges.note_rows.store(rows.at_most(), Ordering::Relaxed);
    let _first = shared.incarnation.set(incarnation);
    let _first = shared.head.set(Head::new(working.publish(counters.rev), shared.limits.published));
    shared.revisions.send_replace(counters.rev);
    let checkpoints = Checkpoints::new(shared);
    match &mut link {
        Link::Lite(conn) => checkpoints.watch(conn)?,
        #[cfg(feature = "postgres")]
        Link::Pg(_) => {}
    }
    let shared = Arc::clone(shared);
    Ok(Core {
        link,
        working,
        counters,
        shared,
        rows,
        replies,
        checkpoints,
        house: House::default(),
        unseen_bytes: 0,
        #[cfg(feature = "postgres")]
        unsure: false,
    })
}

/// The name of this life: a new one at the first start, and after a power cut could have taken revisions that are
/// given again (durability relaxed, no clean shutdown).
fn incarnation(shared: &Shared, tx: &Loader<'_>) -> Result<String, StoreError> {
    let kept = meta::get(tx, meta::INCARNATION)?;
    let clean = meta::get(tx, meta::CLEAN_SHUTDOWN)?.as_deref() == Some("1");
    let relaxed = meta::get(tx, meta::DURABILITY)?.as_deref() == Some(Durability::Relaxed.as_str());
    match kept {
        Some(kept) if clean || !relaxed => Ok(kept),
        _ => Ok(shared.random.hex(8)),
    }
}
