//! Opening, locking, refusing, the first start, closing.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nexus_lite::store::{DATABASE_FILE, Durability, FaultPoint, Sql, Store, StoreError, WAL_FILE, migrate};

use super::{Gate, Names, add, names, open, open_with, options, origin};
use crate::harness::engine::{self, sqlite_only};

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let t = open();
    t.store.submit(origin(), add("alice")).await.expect("written");
    t.store.close().await.expect("closes");
    let again = Store::builder(options(&t.dir)).project::<Names>().open().expect("opens again");
    assert_eq!(names(&again).await.expect("read"), (1, vec!["alice".to_owned()]));
    assert_eq!(again.submit(origin(), add("bob")).await.expect("written"), (2, 2));
}

#[tokio::test]
async fn the_first_start_makes_a_store_that_holds_its_rules() {
    let t = open();
    if !engine::is_postgres() {
        let mode = std::fs::metadata(t.store.data_dir()).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
    let report = t.store.check().await.expect("checked");
    // Three of the twenty-five are SQLite's own checks of its file.
    let rules = if engine::is_postgres() { 22 } else { 25 };
    assert_eq!((report.violations, report.rules), (Vec::new(), rules));
    let root = |tx: &nexus_lite::store::ReadTx<'_>| {
        tx.query("SELECT id, parent, name, tenant FROM nodes", &[], |row| {
            Ok((row.id(0)?, row.id(1)?, row.string(2)?, row.string(3)?))
        })
    };
    assert_eq!(t.store.read(root).await.expect("read"), [(1, 0, String::new(), "default".to_owned())]);
    let status = t.store.status();
    let engine = if engine::is_postgres() { "postgresql" } else { "sqlite" };
    assert!(status.compile_options_ok, "built with the options of .cargo/config.toml");
    assert_eq!((status.engine, status.durability, status.rev), (engine, "full", 0));
    assert!(!status.incarnation.is_empty() && status.writer_alive);
}

#[tokio::test]
async fn a_second_handle_is_refused_with_the_pid() {
    let t = open();
    let refused = Store::builder(options(&t.dir)).open();
    let pid = std::process::id().to_string();
    match refused.expect_err("it is taken") {
        StoreError::Locked { pid: told, .. } => assert_eq!(told, pid),
        StoreError::Occupied { who, .. } if engine::is_postgres() => {
            assert!(who.starts_with(&format!("nexus-lite pid {pid}, session ")), "{who}");
        }
        other => panic!("{other}"),
    }
    t.store.close().await.expect("closes");
    Store::builder(options(&t.dir)).open().expect("free again when closed");
}

/// Every file of the folder but the lock, with its bytes.
fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(dir).expect("there").map(|entry| entry.expect("readable").path());
    let named = files.map(|path| (path.file_name().expect("named").to_string_lossy().into_owned(), path));
    let mut all: Vec<_> = named
        .filter(|(name, _)| name != nexus_lite::store::lock::LOCK_FILE)
        .map(|(name, path)| (name, std::fs::read(path).unwrap_or_default()))
        .collect();
    all.sort();
    all
}

#[expect(clippy::disallowed_methods, reason = "a database of another program is made by hand")]
fn raw(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).expect("opens")
}

#[test]
fn a_foreign_or_newer_database_is_refused_and_not_touched() {
    sqlite_only!("its file is spoiled");
    type Make = fn(&Path);
    let cases: [(&str, Make, &str); 4] = [
        (
            "text",
            |path| std::fs::write(path, "a letter to mother, of more than a hundred bytes. ".repeat(9)).expect("ok"),
            "not a SQLite database",
        ),
        ("short", |path| std::fs::write(path, "SQLite format 3\0").expect("ok"), "not a SQLite database"),
        ("other", |path| raw(path).execute_batch("CREATE TABLE notes (a)").expect("ok"), "of another program"),
        (
            "newer",
            |path| {
                raw(path)
                    .execute_batch("PRAGMA application_id = 1316506740; PRAGMA user_version = 99; CREATE TABLE t (a)")
                    .expect("ok")
            },
            "version 99",
        ),
    ];
    for (name, make, says) in cases {
        let dir = tempfile::tempdir().expect("a directory");
        make(&dir.path().join(DATABASE_FILE));
        let before = contents(dir.path());
        let refused = Store::builder(nexus_lite::store::Options::new(dir.path())).open();
        let StoreError::Unusable { what, remedy, .. } = refused.expect_err(name) else { panic!("{name}") };
        assert!(what.contains(says) && remedy.contains("Nothing was changed"), "{name}: {what}. {remedy}");
        assert_eq!(contents(dir.path()), before, "{name} was not touched");
    }
}

#[tokio::test]
async fn a_schema_made_by_other_migrations_is_refused() {
    sqlite_only!("its file is spoiled");
    let t = open();
    t.store.close().await.expect("closes");
    let file = t.store.data_dir().join(DATABASE_FILE);
    raw(&file).execute("UPDATE migrations SET checksum = 'x'", []).expect("changed");
    let refused = Store::builder(options(&t.dir)).open();
    assert!(matches!(refused, Err(StoreError::Unusable { what, .. }) if what.contains("0001_initial.sql")));
}

#[tokio::test]
async fn a_damaged_database_is_refused_with_what_to_do() {
    sqlite_only!("its file is spoiled");
    let t = open();
    t.store.close().await.expect("closes");
    let file = t.store.data_dir().join(DATABASE_FILE);
    let mut bytes = std::fs::read(&file).expect("there");
    bytes[100..4_096].fill(0xff);
    std::fs::write(&file, bytes).expect("damaged");
    let refused = Store::builder(options(&t.dir)).open();
    assert!(matches!(refused, Err(StoreError::Unusable { remedy, .. }) if remedy.contains("Restore a backup")));
}

#[test]
fn the_schema_is_the_sum_of_the_migrations() {
    let schema = |texts: &[&str]| {
        let conn = rusqlite::Connection::open_in_memory().expect("opens");
        for text in texts {
            conn.execute_batch(text).expect("runs");
        }
        let mut statement =
            conn.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name").expect("ok");
        let rows = statement.query_map([], |r| {
            Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?, r.get::<_, String>(2)?, r.get::<_, Option<String>>(3)?))
        });
        rows.expect("runs").collect::<Result<Vec<_>, _>>().expect("reads")
    };
    let whole = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schema.sql")).expect("there");
    let steps: Vec<&str> = migrate::MIGRATIONS.iter().map(|m| m.sql).collect();
    assert_eq!(schema(&[&whole]), schema(&steps));
}

#[tokio::test]
async fn pragmas_are_what_the_design_says() {
    sqlite_only!("its pragmas");
    let t = open();
    let value = |name: &'static str| {
        t.store.read(move |tx| tx.query_one(name, &[], |row| row.int(0)).map(|v| v.expect("a value")))
    };
    for (pragma, wanted) in [
        ("PRAGMA foreign_keys", 1),
        ("PRAGMA trusted_schema", 0),
        ("PRAGMA cell_size_check", 1),
        ("PRAGMA mmap_size", 0),
        ("PRAGMA query_only", 1),
        ("PRAGMA auto_vacuum", 2),
        ("PRAGMA busy_timeout", 5_000),
        ("PRAGMA wal_autocheckpoint", 0),
        ("PRAGMA application_id", 0x4e78_4c74),
        ("PRAGMA user_version", 10),
    ] {
        assert_eq!(value(pragma).await.expect("read"), wanted, "{pragma}");
    }
    let mode = t.store.read(|tx| tx.query_one("PRAGMA journal_mode", &[], |row| row.string(0))).await;
    assert_eq!(mode.expect("read").as_deref(), Some("wal"));
}

/// Copies a store as a crash would leave it: nobody writes, nobody has closed.
fn crash(t: &super::Temp) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    std::fs::create_dir(&data).expect("made");
    for name in [DATABASE_FILE, WAL_FILE] {
        std::fs::copy(t.store.data_dir().join(name), data.join(name)).expect("copied");
    }
    dir
}

#[tokio::test]
async fn a_new_life_begins_where_revisions_may_be_given_again() {
    sqlite_only!("a power cut is played with copies of its files");
    for (durability, clean, same) in [
        (Durability::Full, true, true),
        (Durability::Full, false, true),
        (Durability::Relaxed, true, true),
        (Durability::Relaxed, false, false),
    ] {
        let t = open_with(|o| o.durability = durability);
        t.store.submit(origin(), add("x")).await.expect("written");
        let first = t.store.incarnation().to_owned();
        let (dir, second);
        if clean {
            t.store.close().await.expect("closes");
            second = Store::builder(options(&t.dir)).project::<Names>().open().expect("opens");
        } else {
            dir = crash(&t);
            second = Store::builder(options(&dir)).project::<Names>().open().expect("opens");
        }
        assert_eq!(second.incarnation() == first, same, "{durability:?}, clean: {clean}");
        assert_eq!(names(&second).await.expect("read").0, 1, "what was acknowledged is there");
        assert_eq!(second.check().await.expect("checked").violations, []);
    }
}

#[tokio::test]
async fn close_answers_everything_that_was_accepted() {
    let gate = Gate::new(FaultPoint::BeforeCommit);
    let t = open_with(|o| o.faults = gate.faults());
    gate.shut();
    let answers: Vec<_> = (0..500).map(|n| t.store.submit(origin(), add(&format!("n{n}")))).collect();
    gate.wait_arrived();
    let mut closing = Box::pin(t.store.close());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(closing.as_mut().poll(&mut context).is_pending(), "it waits for the 500");
    let refused = t.store.submit(origin(), add("too late")).await;
    assert!(matches!(refused, Err(StoreError::Closed)), "{refused:?}");
    gate.open();
    closing.await.expect("closes");
    for answer in answers {
        answer.await.expect("answered ok");
    }
    if t.store.has_disk() {
        let data = t.store.data_dir();
        assert!(data.join(DATABASE_FILE).exists() && !data.join(WAL_FILE).exists(), "no log is left");
    }
    assert!(matches!(names(&t.store).await, Err(StoreError::Closed)));
    assert!(matches!(t.store.read_slow(|_| Ok::<_, StoreError>(())).await, Err(StoreError::Closed)));
    assert!(matches!(t.store.tick().await, Err(StoreError::Closed)));
    t.store.close().await.expect("closing twice is closing once");

    let again = Store::builder(options(&t.dir)).project::<Names>().open().expect("opens");
    assert_eq!(names(&again).await.expect("read").0, 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_races_with_close_is_answered_or_refused() {
    let t = open();
    let (begun, has_begun) = std::sync::mpsc::channel();
    let racers: Vec<_> = (0..4)
        .map(|racer| {
            let (store, begun) = (t.store.clone(), begun.clone());
            tokio::spawn(async move {
                for n in 0.. {
                    match store.submit(origin(), add(&format!("{racer} {n}"))).await {
                        // Only the first is listened to.
                        Ok(_) if n == 20 => drop(begun.send(())),
                        Ok(_) => {}
                        Err(StoreError::Closed) => return n,
                        Err(error) => panic!("{error}"),
                    }
                }
                0
            })
        })
        .collect();
    tokio::task::spawn_blocking(move || has_begun.recv().expect("they run")).await.expect("no panic");
    t.store.close().await.expect("closes");
    let mut acknowledged = 0;
    for racer in racers {
        acknowledged += racer.await.expect("answered or refused, nothing else");
    }
    let again = Store::builder(options(&t.dir)).project::<Names>().open().expect("opens");
    assert_eq!(names(&again).await.expect("read").0, acknowledged);
}

#[tokio::test]
async fn dropping_the_last_handle_closes_without_waiting() {
    let t = open();
    let answer = t.store.submit(origin(), add("x"));
    let super::Temp { store, dir } = t;
    drop(store);
    answer.await.expect("accepted, so written");
    // The writer's thread gives the lock back when it is done; until then the refusal is the right answer.
    let again = loop {
        match Store::builder(options(&dir)).project::<Names>().open() {
            Err(StoreError::Locked { .. } | StoreError::Occupied { .. }) => tokio::task::yield_now().await,
            opened => break opened.expect("opens"),
        }
    };
    assert_eq!(names(&again).await.expect("read").0, 1);
}

#[test]
fn the_store_outlives_the_system_beside_it_and_works_from_any_runtime() {
    let t = open();
    actix::System::new().block_on(async {
        t.store.submit(origin(), add("from a System")).await.expect("written");
        names(&t.store).await.expect("read");
    });
    for threads in [1, 2] {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).build().expect("a runtime");
        let store = t.store.clone();
        let write = runtime.spawn(async move { store.submit(origin(), add(&format!("from {threads}"))).await });
        runtime.block_on(write).expect("no panic").expect("written");
    }
    // Admitted here, where there is no runtime at all; waited for elsewhere.
    let answer = t.store.submit(origin(), add("from nowhere"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    assert_eq!(runtime.block_on(answer).expect("written").1, 4);
    runtime.block_on(t.store.close()).expect("closes");
}

#[test]
fn every_series_is_there_before_anything_happens() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let t = metrics::with_local_recorder(&recorder, open);
    let text = recorder.handle().render();
    for series in ["sqlite_busy_total 0", "writer_refused_total 0", "notes_dropped_total 0", "writer_queue_depth 0"] {
        assert!(text.lines().any(|line| line == series), "{series} in\n{text}");
    }
    drop(t);
}
