//! A data directory of each earlier schema, kept in `fixtures`: migrated with a copy before, whatever cuts that short;
//! and a directory of a newer program is refused untouched.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use nexus_lite::model::ContentHash;
use nexus_lite::store::blobs;
use nexus_lite::store::{DATABASE_FILE, FaultPoint};
use rustix::process::Signal;
use serde_json::Value;

use super::{consistent, directory, read_text};
use crate::harness::client::Client;
use crate::harness::process::{Process, program, soak};

/// The database that the server of schema 1 had left, as SQL.
const DUMP: &str = include_str!("fixtures/schema-1.sql");
/// What that server had answered: who asks, what, and the result.
const ANSWERS: &str = include_str!("fixtures/schema-1.answers.json");
/// The secret that its keys are hashed with.
const SECRET: &str = include_str!("fixtures/schema-1.secret");
/// The key of its admin.
const ADMIN: &str = "sk-default_admin_0123abcd_0123456789abcdef0123456789abcdef";
/// The key of one of its users.
const ALICE: &str = "sk-default_alice_196ae0ae_5bfd7f5cf6d208cb438f73b104b802a14efc2fb571451a4bed2fc5b758acc214";
/// The copy that a migration from schema 1 makes.
const COPY: &str = "nexus.before-migration-1.sqlite";
/// Rows of the tables that the copy is compared by.
const COUNTS: &str = "SELECT (SELECT COUNT(*) FROM nodes), (SELECT COUNT(*) FROM versions), \
    (SELECT COUNT(*) FROM tuples), (SELECT COUNT(*) FROM api_keys), (SELECT rev FROM head)";
/// How often the migration dies at each point.
const ROUNDS: u64 = 3;

/// The body of its one blob file.
fn blob() -> String {
    (0..7000).map(|n| format!("line {n}\n")).collect()
}

#[expect(clippy::disallowed_methods, reason = "the database of a stopped server")]
fn open(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Makes the directory of schema 1.
fn schema_1(data: &Path) {
    std::fs::create_dir(data).expect("made");
    open(&data.join(DATABASE_FILE)).execute_batch(DUMP).expect("the dump is SQL");
    secret_and_blob(data);
}

fn secret_and_blob(data: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let secret = data.join("server.secret");
    std::fs::write(&secret, SECRET).expect("written");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).expect("set");
    let path = blobs::path(data, ContentHash::of(blob().as_bytes()));
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(path, blob()).expect("written");
}

fn number(conn: &rusqlite::Connection, pragma: &str) -> i64 {
    conn.pragma_query_value(None, pragma, |row| row.get(0)).expect(pragma)
}

/// Every answer of the old server is in that of the new one.
fn answers_as_before(server: &Process) {
    let recorded: Vec<Value> = serde_json::from_str(ANSWERS).expect("JSON");
    assert!(recorded.len() > 20);
    for asked in recorded {
        let key = if asked["who"] == "alice" { ALICE } else { ADMIN };
        let mut client = Client::new(server.address(), Some(key));
        let answer = client.rpc(asked["method"].as_str().expect("a name"), &asked["params"]);
        let answer = answer.unwrap_or_else(|e| panic!("{asked}: {e:?}"));
        assert!(
            holds(&answer, &asked["result"]),
            "{}({}): {answer}\nwas {}",
            asked["method"],
            asked["params"],
            asked["result"]
        );
    }
    let mut client = Client::new(server.address(), Some(ADMIN));
    assert_eq!(read_text(&mut client, "/docs/big.txt"), Some(blob()));
}

/// Whether `new` has everything that `old` has; it may have more fields.
fn holds(new: &Value, old: &Value) -> bool {
    match (new, old) {
        (Value::Object(new), Value::Object(old)) => {
            // Asking uses a key.
            let mut kept = old.iter().filter(|(name, _)| *name != "last_used_at");
            kept.all(|(name, old)| new.get(name).is_some_and(|new| holds(new, old)))
        }
        (Value::Array(new), Value::Array(old)) => {
            new.len() == old.len() && new.iter().zip(old).all(|(new, old)| holds(new, old))
        }
        _ => new == old,
    }
}

/// The copy is a whole database of schema 1 with the rows of before.
fn is_the_copy_of_before(copy: &Path) {
    let (dir, conn) = (directory(), open(copy));
    schema_1(&dir.path().join("before"));
    let before = open(&dir.path().join("before").join(DATABASE_FILE));
    let counts = |conn: &rusqlite::Connection| -> Vec<i64> {
        conn.query_row(COUNTS, [], |row| (0..5).map(|at| row.get(at)).collect()).expect("counted")
    };
    assert_eq!((number(&conn, "user_version"), counts(&conn)), (1, counts(&before)));
    let whole: String = conn.pragma_query_value(None, "integrity_check", |row| row.get(0)).expect("checked");
    assert_eq!(whole, "ok");
}

#[test]
fn a_directory_of_schema_1_is_migrated_and_reads_as_before() {
    let dir = directory();
    let data = dir.path().join("data");
    schema_1(&data);
    let conn = open(&data.join(DATABASE_FILE));
    let pragmas = ["user_version", "application_id", "auto_vacuum", "page_size"].map(|pragma| number(&conn, pragma));
    assert_eq!(pragmas, [1, 0x4e78_4c74, 2, 4096], "the fixture is what the server of before had left");
    drop(conn);

    let mut server = Process::start(&data);
    let log = server.log();
    assert!(log.contains("backed up before migrating") && log.contains(COPY), "{log}");
    assert!(log.contains("migrated") && log.contains("0002_idempotency_and_denials.sql"), "{log}");
    answers_as_before(&server);
    let mut client = Client::new(server.address(), Some(ADMIN));
    super::points::write(&mut client, "/docs/new.txt", "written by the new one").expect("it takes writes");
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    consistent(&data);
    is_the_copy_of_before(&data.join(COPY));
    assert!(number(&open(&data.join(DATABASE_FILE)), "user_version") > 1);

    // The copy is the way back: alone in a directory it is that of before.
    let back = dir.path().join("back");
    std::fs::create_dir(&back).expect("made");
    std::fs::copy(data.join(COPY), back.join(DATABASE_FILE)).expect("copied");
    secret_and_blob(&back);
    answers_as_before(&Process::start(&back));
}

#[test]
fn a_migration_that_dies_leaves_the_old_schema_or_the_new_one() {
    use FaultPoint::{MigrationAfterCommit, MigrationBackedUp, MigrationBeforeCommit, MigrationCopied};
    let dir = directory();
    for round in 1..=ROUNDS * soak() {
        for (point, has_copy, version) in [
            (MigrationCopied, false, 1),
            (MigrationBackedUp, true, 1),
            (MigrationBeforeCommit, true, 1),
            (MigrationAfterCommit, true, 2),
        ] {
            let at = format!("{}-{round}", point.name());
            let data = dir.path().join(&at);
            schema_1(&data);
            // From the second round on it dies twice, where it comes by twice.
            let twice = round > 1 && matches!(point, MigrationCopied | MigrationBeforeCommit);
            for _ in 0..if twice { 2 } else { 1 } {
                let armed = format!("{}:exit", point.name());
                match Process::try_start(&data, &armed, &[]) {
                    Err(died) => assert_eq!(died.status.signal(), Some(Signal::KILL.as_raw()), "{at}: {}", died.log),
                    Ok(_) => panic!("{at}: not reached"),
                }
            }
            assert_eq!(data.join(COPY).exists(), has_copy, "{at}");
            if has_copy {
                is_the_copy_of_before(&data.join(COPY));
            }
            let conn = open(&data.join(DATABASE_FILE));
            let tables: i64 = conn
                .query_row("SELECT COUNT(*) FROM sqlite_schema WHERE name IN ('idempotency', 'denials')", [], |row| {
                    row.get(0)
                })
                .expect("counted");
            assert_eq!(number(&conn, "user_version"), version, "{at}");
            assert_eq!(tables, if version == 1 { 0 } else { 2 }, "{at}: half a migration");
            drop(conn);
            let server = Process::start(&data);
            answers_as_before(&server);
            drop(server);
            is_the_copy_of_before(&data.join(COPY));
            assert!(!data.join("nexus.migration-backup.partial").exists(), "{at}");
            consistent(&data);
            std::fs::remove_dir_all(&data).expect("removed");
        }
    }
}

/// Every file below `dir` but the lock, which says who tried last.
fn bytes(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).expect("listed").map(|entry| entry.expect("listed")) {
        let name = entry.file_name().to_string_lossy().into_owned();
        match entry.file_type().expect("known").is_dir() {
            true => found.extend(bytes(&entry.path()).into_iter().map(|(below, b)| (format!("{name}/{below}"), b))),
            false if name == "LOCK" => {}
            false => drop(found.insert(name, std::fs::read(entry.path()).expect("read"))),
        }
    }
    found
}

#[test]
fn an_older_program_refuses_a_newer_directory_and_changes_nothing() {
    let dir = directory();
    for in_the_log in [false, true] {
        let made = dir.path().join(format!("made-{in_the_log}"));
        schema_1(&made);
        // Closing the connection would move the log into the database.
        let conn = open(&made.join(DATABASE_FILE));
        conn.pragma_update(None, "user_version", 99).expect("a version that nobody has");
        let data = dir.path().join(format!("data-{in_the_log}"));
        if in_the_log {
            super::copy_dir(&made, &data);
            std::fs::remove_file(data.join(format!("{DATABASE_FILE}-shm"))).expect("it is made anew");
            drop(conn);
        } else {
            drop(conn);
            super::copy_dir(&made, &data);
        }
        assert_eq!(data.join(format!("{DATABASE_FILE}-wal")).exists(), in_the_log);
        let before = bytes(&data);
        for command in [&["serve", "--port", "0"][..], &["check"], &["backup", "now"], &["key", "list"]] {
            let refused = program("").args(command).arg("--data-dir").arg(&data).output().expect("it runs");
            let said = String::from_utf8_lossy(&refused.stderr);
            assert_eq!(refused.status.code(), Some(65), "{command:?}: {said}");
            assert!(said.contains("version 99") && said.contains("Nothing was changed"), "{command:?}: {said}");
            let mut after = bytes(&data);
            // An index of the log, which is no data: whoever looks into the log makes it.
            after.remove(&format!("{DATABASE_FILE}-shm"));
            let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&after), names(&before), "{command:?}");
            assert!(after == before, "{command:?} has changed a file");
        }
    }
}
