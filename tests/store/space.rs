//! Space on the disk, with an injected file system: what is refused, what is taken, when it changes.

use std::ffi::c_int;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nexus_lite::store::space::{Look, Probe};
use nexus_lite::store::{Place, Store, StoreError, WriteOp, WriteTx};
use parking_lot::Mutex;
use rusqlite::ffi;

use super::{Add, Names, Temp, add, names, open_with, options, origin};
use crate::harness::engine::sqlite_only;
use crate::harness::vfs::{self, Disk, File};

const MIB: u64 = 1 << 20;
/// The watermark of these stores: twice the log's limit.
const FLOOR: u64 = 2 * MIB;
const BALLAST: u64 = MIB;
/// Magic number of ext4.
const EXT4: u64 = 0xEF53;

/// A file system as the test wants it.
#[derive(Debug)]
struct Fake(Mutex<Look>);

impl Fake {
    fn new() -> Arc<Self> {
        let look = Look { free: 100 * MIB, total: 200 * MIB, files_free: Some(1_000), kind: EXT4, file_size_max: None };
        Arc::new(Self(Mutex::new(look)))
    }
    fn free(&self, bytes: u64) {
        self.0.lock().free = bytes;
    }
}

impl Probe for Fake {
    fn look(&self, _: &Path) -> std::io::Result<Look> {
        Ok(*self.0.lock())
    }
}

/// Adds an entity, and says that it takes nothing: a delete, as far as the store can tell.
struct Delete(Add);

impl WriteOp for Delete {
    const NAME: &'static str = "test_delete";
    const GROWS: bool = false;
    type Output = u32;
    type Error = StoreError;
    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<u32, StoreError> {
        self.0.apply(tx)
    }
    fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

fn on(fake: &Arc<Fake>) -> Temp {
    open_with(|o| tune(o, fake))
}

fn tune(options: &mut nexus_lite::store::Options, fake: &Arc<Fake>) {
    options.probe = Arc::<Fake>::clone(fake);
    options.limits.wal_bytes = MIB;
    options.limits.free_floor_bytes = 64 << 10;
    options.limits.ballast_bytes = BALLAST;
}

async fn grow(t: &Temp, name: &str) -> Result<(), StoreError> {
    t.store.submit(origin(), add(name)).await.map(drop)
}

async fn delete(t: &Temp, name: &str) -> Result<(), StoreError> {
    t.store.submit(origin(), Delete(add(name))).await.map(drop)
}

#[tokio::test]
async fn below_the_watermark_only_what_frees_space_is_taken() {
    sqlite_only!("space on the disk of the data directory");
    let fake = Fake::new();
    let t = on(&fake);
    grow(&t, "before").await.expect("there is space");
    fake.free(FLOOR - 1);
    t.store.tick().await.expect("ticks");
    let space = t.store.status().space;
    assert_eq!((space.free_bytes, space.floor_bytes, space.kind), (FLOOR - 1, FLOOR, "ext4"));
    let why = space.degraded.expect("degraded");
    assert!(why.contains("storage full") && why.contains("Free space on the disk of"), "{why}");
    assert!(matches!(grow(&t, "refused").await, Err(StoreError::Full)));
    let blob = t.store.put_blob(vec![1; 100_000].into()).await;
    assert!(matches!(blob, Err(StoreError::Full)), "{blob:?}");
    delete(&t, "delete").await.expect("taken");
    assert_eq!(names(&t.store).await.expect("reads go on").1, ["before", "delete"]);

    // A little more is not enough to come back: no going back and forth.
    fake.free(FLOOR + 1);
    t.store.tick().await.expect("ticks");
    assert!(matches!(grow(&t, "refused").await, Err(StoreError::Full)));
    fake.free(FLOOR + FLOOR / 8);
    t.store.tick().await.expect("ticks");
    assert_eq!(t.store.status().space.degraded, None);
    grow(&t, "after").await.expect("without a restart");
    t.store.put_blob(vec![1; 100_000].into()).await.expect("taken");

    // A body that would pass the watermark is refused before the watch would notice.
    fake.free(FLOOR + 99_999);
    assert!(matches!(t.store.put_blob(vec![2; 100_000].into()).await, Err(StoreError::Full)));
    // No more files is a full disk, too.
    fake.0.lock().files_free = Some(3);
    t.store.tick().await.expect("ticks");
    assert!(t.store.status().space.degraded.is_some_and(|why| why.contains("files")));
}

#[tokio::test]
async fn much_is_noticed_before_a_second_has_passed() {
    sqlite_only!("space on the disk of the data directory");
    let fake = Fake::new();
    let t = on(&fake);
    fake.free(FLOOR - 1);
    for n in 0..9 {
        match grow(&t, &format!("{n} {}", "x".repeat(200_000))).await {
            Ok(()) => {}
            Err(StoreError::Full) => return,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("after a megabyte of messages the disk is looked at, tick or not");
}

#[tokio::test]
async fn a_limit_on_the_size_of_files_is_a_full_disk() {
    sqlite_only!("space on the disk of the data directory");
    let fake = Fake::new();
    fake.0.lock().file_size_max = Some(FLOOR + 100_000);
    let t = on(&fake);
    t.store.tick().await.expect("ticks");
    assert!(t.store.status().space.degraded.is_some(), "the database has more than 100,000 bytes");
    assert!(matches!(grow(&t, "refused").await, Err(StoreError::Full)));
    fake.0.lock().file_size_max = Some(1 << 40);
    t.store.tick().await.expect("ticks");
    grow(&t, "raised").await.expect("taken");
}

/// Refuses writes while it is told to.
#[derive(Default)]
struct Wall {
    code: Mutex<Option<c_int>>,
    /// The file that stands for space: with it gone, writes succeed.
    ballast: Mutex<Option<std::path::PathBuf>>,
    /// Whether only the database's own file fails, not its log.
    database_only: Mutex<bool>,
    writes: AtomicU64,
}

impl Wall {
    fn asked(&self, file: &File) -> Result<(), c_int> {
        let Some(code) = *self.code.lock() else { return Ok(()) };
        if self.ballast.lock().as_ref().is_some_and(|ballast| !ballast.exists()) {
            return Ok(());
        }
        let log = file.path.as_ref().is_some_and(|path| path.to_string_lossy().ends_with("-wal"));
        if *self.database_only.lock() && log {
            return Ok(());
        }
        self.writes.fetch_add(1, Ordering::Relaxed);
        Err(code)
    }
}

impl Disk for Wall {
    fn write(&self, file: &File, _: i64, _: &[u8]) -> Result<(), c_int> {
        self.asked(file)
    }
    fn sync(&self, file: &File) -> Result<(), c_int> {
        if *self.code.lock() == Some(ffi::SQLITE_IOERR_FSYNC) { self.asked(file) } else { Ok(()) }
    }
}

#[tokio::test]
async fn the_ballast_is_what_deletes_are_written_on() {
    sqlite_only!("space on the disk of the data directory");
    let wall = Arc::new(Wall::default());
    vfs::register("store-ballast", Arc::<Wall>::clone(&wall));
    let fake = Fake::new();
    let t = open_with(|o| {
        tune(o, &fake);
        o.vfs = Some("store-ballast".into());
    });
    let ballast = t.store.data_dir().join("ballast");
    assert!(!ballast.exists(), "made by the first tick");
    t.store.tick().await.expect("ticks");
    assert_eq!(std::fs::metadata(&ballast).expect("there").len(), BALLAST);
    assert_eq!(t.store.status().space.ballast_bytes, BALLAST);

    // The disk is full until the ballast is gone: a delete meets it, gives it up, and is done.
    *wall.ballast.lock() = Some(ballast.clone());
    *wall.code.lock() = Some(ffi::SQLITE_FULL);
    delete(&t, "first").await.expect("done on the second try, of which nobody hears");
    assert!(wall.writes.load(Ordering::Relaxed) > 0, "the disk was full");
    assert!(!ballast.exists());
    let space = t.store.status().space;
    assert!(space.ballast_bytes == 0 && space.degraded.is_some_and(|why| why.contains("met a full disk")));
    assert!(matches!(grow(&t, "refused").await, Err(StoreError::Full)));
    assert_eq!(names(&t.store).await.expect("reads go on").1, ["first"]);

    // What the file system says is not believed at once; then all goes on, and the ballast is made anew.
    *wall.code.lock() = None;
    let mut ticks = 0;
    while t.store.status().space.degraded.is_some() {
        assert!(matches!(grow(&t, "refused").await, Err(StoreError::Full)), "after {ticks} ticks");
        t.store.tick().await.expect("ticks");
        ticks += 1;
        assert!(ticks < 10, "back without a restart");
    }
    assert_eq!(ticks, 5);
    grow(&t, "after").await.expect("taken");
    assert!(ballast.exists(), "there is space for it again");
    fake.free(4 * BALLAST);
    t.store.close().await.expect("closes");
    let again = Store::builder(options(&t.dir)).project::<Names>().open().expect("opens");
    assert_eq!(names(&again).await.expect("read").1, ["first", "after"]);
}

#[tokio::test]
async fn a_message_that_grows_is_not_written_on_the_ballast() {
    sqlite_only!("space on the disk of the data directory");
    let wall = Arc::new(Wall::default());
    vfs::register("store-ballast-grows", Arc::<Wall>::clone(&wall));
    let fake = Fake::new();
    let t = open_with(|o| {
        tune(o, &fake);
        o.vfs = Some("store-ballast-grows".into());
    });
    t.store.tick().await.expect("ticks");
    let ballast = t.store.data_dir().join("ballast");
    *wall.ballast.lock() = Some(ballast.clone());
    *wall.code.lock() = Some(ffi::SQLITE_FULL);
    assert!(matches!(grow(&t, "refused").await, Err(StoreError::Full)));
    assert!(!ballast.exists(), "given up for what comes next");
    delete(&t, "delete").await.expect("taken");
    assert_eq!(names(&t.store).await.expect("read").1, ["delete"]);
    assert_eq!(t.store.status().read_only, None, "a full disk is not a broken one");
}

#[tokio::test]
async fn the_ballast_needs_four_times_its_size() {
    sqlite_only!("space on the disk of the data directory");
    let fake = Fake::new();
    fake.free(4 * BALLAST);
    let t = on(&fake);
    let ballast = t.store.data_dir().join("ballast");
    t.store.tick().await.expect("ticks");
    assert!(!ballast.exists());
    fake.free(4 * BALLAST + 1);
    t.store.tick().await.expect("ticks");
    assert!(ballast.exists());
    // A tool that opens the directory with other settings leaves it alone.
    t.store.close().await.expect("closes");
    let tool = Store::builder(options(&t.dir)).project::<Names>().open().expect("opens");
    tool.tick().await.expect("ticks");
    tool.close().await.expect("closes");
    assert!(ballast.exists());
}

#[tokio::test]
async fn a_start_on_a_full_disk_gives_the_ballast_up() {
    sqlite_only!("space on the disk of the data directory");
    let fake = Fake::new();
    let t = on(&fake);
    grow(&t, "before").await.expect("there is space");
    t.store.tick().await.expect("ticks");
    t.store.close().await.expect("closes");
    let ballast = t.store.data_dir().join("ballast");
    assert!(ballast.exists());
    fake.free(0);
    let mut options = options(&t.dir);
    tune(&mut options, &fake);
    let store = Store::builder(options).project::<Names>().open().expect("comes up");
    assert!(!ballast.exists() && store.status().space.degraded.is_some());
    let t = Temp { store, dir: t.dir };
    assert!(matches!(grow(&t, "refused").await, Err(StoreError::Full)), "from the first moment");
    delete(&t, "delete").await.expect("taken");
    assert_eq!(names(&t.store).await.expect("read").1, ["before", "delete"]);
    t.store.close().await.expect("closes");
}

#[tokio::test]
async fn a_checkpoint_that_fails_ends_writing() {
    sqlite_only!("space on the disk of the data directory");
    // A sync that failed is never tried again: the system may have forgotten the pages and say yes the second time,
    // and then the log, which still has them, would be begun anew.
    for code in [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_WRITE] {
        let (name, wall) = (format!("store-checkpoint-{code}"), Arc::new(Wall::default()));
        vfs::register(&name, Arc::<Wall>::clone(&wall));
        let t = open_with(|o| o.vfs = Some(name));
        grow(&t, "before").await.expect("written");
        t.store.tick().await.expect("ticks");
        *wall.database_only.lock() = true;
        *wall.code.lock() = Some(code);
        grow(&t, "in the log").await.expect("the log takes it");
        for _ in 0..2 {
            t.store.tick().await.expect("ticks");
        }
        assert!(wall.writes.load(Ordering::Relaxed) > 0, "a checkpoint was tried");
        let seen = wall.writes.load(Ordering::Relaxed);
        let status = t.store.status();
        assert!(status.read_only.is_some() && !status.damaged, "{code}");
        assert!(matches!(grow(&t, "refused").await, Err(StoreError::ReadOnly { .. })));
        t.store.tick().await.expect("ticks");
        assert_eq!(names(&t.store).await.expect("reads go on").1, ["before", "in the log"]);
        t.store.close().await.expect("closes");
        assert_eq!(wall.writes.load(Ordering::Relaxed), seen, "nothing was tried again");
        let again = Store::builder(options(&t.dir)).project::<Names>().open().expect("opens");
        assert_eq!(names(&again).await.expect("read").1, ["before", "in the log"]);
    }
}

#[test]
fn network_file_systems_are_refused_unless_they_are_wanted() {
    sqlite_only!("space on the disk of the data directory");
    for (kind, name) in
        [(0x6969, "nfs"), (0xFF53_4D42, "cifs"), (0x517B, "smb"), (0x0102_1997, "9p"), (0x6573_5546, "fuse")]
    {
        let fake = Fake::new();
        fake.0.lock().kind = kind;
        let dir = tempfile::tempdir().expect("a directory");
        let open = |allowed| {
            let mut options = options(&dir);
            options.probe = Arc::<Fake>::clone(&fake);
            options.allow_network_fs = allowed;
            Store::builder(options).open()
        };
        let Err(StoreError::Unsuitable { place, what, remedy, .. }) = open(false) else { panic!("{name} was opened") };
        assert_eq!(place, Place::Network);
        assert!(what.contains(name) && remedy.contains("--allow-network-fs"), "{what}. {remedy}");
        assert!(!dir.path().join("data/nexus.sqlite").exists(), "refused before anything is made");
        let store = open(true).expect("wanted");
        assert_eq!(store.status().space.kind, name);
    }
}

/// Many small statements in one read, as an export does: SQLite alone would never ask for the deadline.
const ONE: &str = "SELECT COUNT(*) FROM entities";

#[tokio::test]
async fn a_reader_of_an_old_revision_is_cut_when_the_log_is_at_its_limit() {
    sqlite_only!("space on the disk of the data directory");
    use nexus_lite::store::Sql as _;
    let t = open_with(|o| {
        (o.limits.wal_bytes, o.limits.checkpoint_bytes) = (MIB, MIB / 4);
        o.limits.checkpoint_wait = Duration::ZERO;
    });
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (go, may_go) = std::sync::mpsc::channel::<()>();
    let store = t.store.clone();
    let reader = tokio::spawn(async move {
        let read = store.read_slow(move |tx| {
            let first = tx.query_one(ONE, &[], |row| row.int(0))?;
            begun.send(()).expect("the test waits");
            // Holds its snapshot until the test says so, then goes on reading.
            may_go.recv().expect("the test says so");
            // Far longer than it takes the writer to wait for it, and to cut it.
            for _ in 0..1_000_000 {
                assert_eq!(tx.query_one(ONE, &[], |row| row.int(0))?, first);
            }
            Ok::<_, StoreError>(())
        });
        read.await
    });
    has_begun.await.expect("it reads");
    let mut most = 0;
    // Until it is cut, and its snapshot goes when it notices.
    let mut cut = Some((go, reader));
    for n in 0..400 {
        t.store.submit(origin(), add(&format!("{n} {}", "x".repeat(20_000)))).await.expect("writers go on");
        let bytes = t.store.status().wal_bytes_in_use;
        most = most.max(bytes);
        if bytes >= MIB
            && let Some((go, reader)) = cut.take()
        {
            go.send(()).expect("it waits");
            let ended = reader.await.expect("no panic");
            assert!(matches!(ended, Err(StoreError::DeadlineExceeded { .. })), "{ended:?}");
        }
    }
    assert!(cut.is_none(), "the log came to its limit: {most}");
    assert!(most < MIB + MIB / 2, "the log had {most} bytes");
    assert!(t.store.status().wal_bytes_in_use < MIB / 2, "begun anew");
    assert!(t.store.status().wal_bytes <= MIB, "and cut back: {} bytes", t.store.status().wal_bytes);
    // Who begins after the cut is not cut.
    t.store.read_slow(|tx| tx.query_one(ONE, &[], |row| row.int(0))).await.expect("read");
}

#[tokio::test]
async fn a_reader_is_cut_at_its_deadline() {
    use nexus_lite::store::Sql as _;
    let clock = Arc::new(nexus_lite::model::time::ManualClock::new(0));
    let t = open_with(|o| {
        o.clock = Arc::<nexus_lite::model::time::ManualClock>::clone(&clock);
        o.limits.read_deadline = Duration::from_secs(30);
    });
    let read = t.store.read_slow(move |tx| {
        tx.query_one(ONE, &[], |row| row.int(0))?;
        clock.advance(Duration::from_secs(29));
        tx.query_one(ONE, &[], |row| row.int(0))?;
        clock.advance(Duration::from_secs(1));
        tx.query_one(ONE, &[], |row| row.int(0))
    });
    assert!(matches!(read.await, Err(StoreError::DeadlineExceeded { .. })));
}

#[tokio::test]
async fn space_of_deleted_rows_is_given_back_when_nobody_writes() {
    sqlite_only!("space on the disk of the data directory");
    use nexus_lite::store::Sql as _;
    let t = open_with(|o| (o.limits.decisions, o.limits.notes_per_tick) = (1, 100_000));
    let wide = |n: u32| format!("{n} {}", "x".repeat(60_000));
    for n in 0..200 {
        grow(&t, &wide(n)).await.expect("written");
    }
    t.store.submit(origin(), Clear).await.expect("deleted");
    let pages = |pragma: &'static str| {
        let store = t.store.clone();
        async move { store.read(move |tx| tx.query_one(pragma, &[], |row| row.int(0))).await.expect("read").expect("one") }
    };
    let (all, free) = (pages("PRAGMA page_count").await, pages("PRAGMA freelist_count").await);
    assert!(free > 1_024 && free > all / 4, "{free} of {all}");
    let mut ticks = 0;
    while pages("PRAGMA freelist_count").await > 1_024 {
        t.store.tick().await.expect("ticks");
        ticks += 1;
        assert!(ticks < 20, "{} of {} pages are free", pages("PRAGMA freelist_count").await, all);
    }
    assert!(pages("PRAGMA page_count").await < all, "the file is shorter");
}

/// Deletes what the test has written, as no operation of the product does.
struct Clear;

impl WriteOp for Clear {
    const NAME: &'static str = "test_clear";
    const UNRECORDED: bool = true;
    const GROWS: bool = false;
    type Output = ();
    type Error = StoreError;
    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        tx.exec("DELETE FROM changelog WHERE rev > 1", &[])?;
        tx.exec("DELETE FROM entities WHERE id > 1", &[])
    }
    fn bytes(&self) -> usize {
        0
    }
}
