//! `doctor`: it finds what is wrong, says what to do, and changes nothing.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Running, Said, address, arg, run};
use crate::harness::client::Client;
use crate::harness::process::Process;

/// A body in the database that can be found in the file.
const INLINE: &str = "the quick brown body that somebody will damage";
/// Bytes of a body that is a blob file.
const BLOB: usize = 100_000;

/// Every file below `dir`: mode and content.
fn snapshot(dir: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(path) = todo.pop() {
        let about = std::fs::metadata(&path).expect("readable");
        let body = if about.is_dir() {
            todo.extend(std::fs::read_dir(&path).expect("listed").map(|entry| entry.expect("an entry").path()));
            Vec::new()
        } else {
            std::fs::read(&path).expect("readable")
        };
        found.insert(path, (about.permissions().mode(), body));
    }
    found
}

/// Runs `doctor` and proves that it has changed nothing.
fn doctor(dir: &Path, more: &[&str]) -> Said {
    let before = dir.exists().then(|| snapshot(dir));
    let args = ["doctor", "--data-dir", arg(dir)];
    let said = run(args.iter().chain(more));
    let after = dir.exists().then(|| snapshot(dir));
    assert!(before == after, "doctor has changed something: {}{}", said.out, said.err);
    said
}

/// A directory with two small files and a big one, of a server that was stopped.
fn filled(dir: &Path) -> String {
    let mut server = Running::serve(dir, &[]);
    let address = address(&server.url());
    let key = std::fs::read_to_string(dir.join("admin.key")).expect("the first key").trim().to_owned();
    let mut client = Client::new(address, Some(&key));
    let big = "b".repeat(BLOB);
    for (path, body) in [("/docs/a.txt", INLINE), ("/docs/b.txt", "another"), ("/docs/big.bin", &big)] {
        client.rpc("write", &json!({"path": path, "content": body})).expect(path);
    }
    assert_eq!(server.stop().0, 0);
    key
}

fn blob_file(dir: &Path) -> PathBuf {
    let files = snapshot(&dir.join("blobs"));
    files.into_iter().find(|(_, (_, body))| body.len() == BLOB).expect("a blob").0
}

/// Changes one bit of `path` at `at`.
fn flip(path: &Path, at: usize) {
    let mut body = std::fs::read(path).expect("a file");
    body[at] ^= 1;
    std::fs::write(path, body).expect("written");
}

#[test]
fn a_healthy_directory_is_well_and_stays_as_it_is() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = root.path().join("data");
    filled(&dir);
    let well = doctor(&dir, &["--scrub"]);
    assert_eq!(well.code, 0, "{}{}", well.out, well.err);
    for said in ["no server runs here", "the last run ended as it should", "quick_check", "contents 3", "MiB free"] {
        assert!(well.out.contains(said), "{said}: {}", well.out);
    }
    assert!(well.out.contains("2 in the database") && well.out.contains("1 blob files (100000 bytes)"), "{}", well.out);
    let report: Value = serde_json::from_str(&doctor(&dir, &["--json", "--scrub"]).out).expect("JSON");
    assert_eq!((&report["verdict"], &report["scrub"]["damaged_count"]), (&json!("note"), &json!(0)), "{report}");
    let lines = report["lines"].as_array().expect("lines");
    assert!(lines.iter().filter(|line| line["level"] != "ok").all(|line| line["remedy"].is_string()), "{report}");

    // A running server does not notice, and nothing appears in its directory.
    let mut server = Running::serve(&dir, &[]);
    server.url();
    let names = |dir: &Path| snapshot(dir).into_keys().collect::<Vec<_>>();
    let before = names(&dir);
    let running = run(["doctor", "--data-dir", arg(&dir), "--scrub"]);
    assert_eq!(running.code, 0, "{}{}", running.out, running.err);
    assert!(running.out.contains(&format!("a server runs here: pid {}", server.pid())), "{}", running.out);
    assert_eq!(names(&dir), before);
    assert_eq!(server.stop().0, 0);
}

#[test]
fn after_a_kill_the_log_is_read_and_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Process::start(dir.path());
    let mut client = Client::new(server.address(), Some(&server.admin_key()));
    for number in 0..20 {
        let path = format!("/f{number}.txt");
        client.rpc("write", &json!({"path": path, "content": format!("body {number}")})).expect("written");
    }
    server.kill();
    let rev = |said: &Said| {
        let report: Value = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {}{}", said.out, said.err));
        assert_eq!(report["scrub"]["damaged_count"], json!(0), "{report}");
        report["found"]["state"]["readable"]["rev"].as_u64().expect("a revision")
    };
    let with_log = rev(&doctor(dir.path(), &["--json", "--scrub"]));
    assert!(with_log >= 21, "the newest commits are in the log: revision {with_log}");
    // A copy of a directory may lack it; the answer is the same.
    std::fs::remove_file(dir.path().join("nexus.sqlite-shm")).expect("removed");
    assert_eq!(rev(&doctor(dir.path(), &["--json", "--scrub"])), with_log);
    server.restart();
    let rev = Client::new(server.address(), Some(&server.admin_key())).rpc("exists", &json!({"path": "/f19.txt"}));
    assert_eq!(rev.expect("answered")["exists"], json!(true));
}

#[test]
fn what_is_missing_foreign_newer_or_damaged_is_told_with_its_remedy() {
    let root = tempfile::tempdir().expect("a directory");
    let missing = root.path().join("nothing");
    let said = doctor(&missing, &[]);
    assert!(said.code == 1 && said.out.contains("is not there") && said.out.contains("-> name the directory"));
    assert!(!missing.exists(), "and it was not made");

    let whole = root.path().join("whole");
    filled(&whole);
    let database = std::fs::read(whole.join("nexus.sqlite")).expect("a database");
    let cases: [(&str, Vec<u8>, &str, i32); 6] = [
        (
            "text",
            b"hello, this is no database at all, but long enough to have a header of one hundred bytes, as some have"
                .into(),
            "not a SQLite database",
            2,
        ),
        ("empty", Vec::new(), "cut short", 1),
        ("foreign", patched(&database, 68, &[0, 0, 0, 7]), "another program", 2),
        ("newer", patched(&database, 60, &[0, 0, 0, 99]), "schema is version 99", 2),
        ("short", database[..database.len() / 2].to_vec(), "it", 2),
        (
            "zeroes",
            {
                let mut d = database.clone();
                d[4096..12288].fill(0);
                d
            },
            "it",
            2,
        ),
    ];
    for (case, bytes, wanted, code) in cases {
        let dir = root.path().join(case);
        std::fs::create_dir(&dir).expect("made");
        std::fs::write(dir.join("nexus.sqlite"), bytes).expect("written");
        let said = doctor(&dir, &["--scrub"]);
        assert_eq!(said.code, code, "{case}: {}{}", said.out, said.err);
        assert!(said.out.contains(wanted) && said.out.contains("->"), "{case}: {}", said.out);
    }
}

fn patched(bytes: &[u8], at: usize, with: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

#[test]
fn doors_that_stand_open_are_warned_of() {
    let dir = tempfile::tempdir().expect("a directory");
    filled(dir.path());
    let chmod = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("changed");
    };
    chmod(dir.path(), 0o755);
    let open =
        doctor(dir.path(), &["--host", "0.0.0.0", "--cors-origins", "http://example.org", "--durability", "relaxed"]);
    assert_eq!(open.code, 1, "{}", open.out);
    for said in ["mode 0755", "chmod 700", "not encrypted", "--host", "example.org", "power cut"] {
        assert!(open.out.contains(said), "{said}: {}", open.out);
    }
    chmod(dir.path(), 0o700);
    chmod(&dir.path().join("server.secret"), 0o644);
    let open = doctor(dir.path(), &[]);
    assert!(open.code == 2 && open.out.contains("server.secret has mode 0644"), "{}", open.out);
    let refused = doctor(dir.path(), &["--open-access", "--host", "0.0.0.0"]);
    assert!(refused.code == 2 && refused.out.contains("serve refuses them"), "{}", refused.out);
}

#[test]
fn a_flipped_bit_is_one_file_s_error_and_the_scrub_names_it() {
    let root = tempfile::tempdir().expect("a directory");
    let dir = root.path().join("data");
    let key = filled(&dir);
    let database = dir.join("nexus.sqlite");
    let bytes = std::fs::read(&database).expect("a database");
    let places: Vec<usize> =
        bytes.windows(INLINE.len()).enumerate().filter(|(_, w)| *w == INLINE.as_bytes()).map(|(at, _)| at).collect();
    assert_eq!(places.len(), 1, "the body is there once");
    flip(&database, places[0] + 4);
    flip(&blob_file(&dir), BLOB / 2);
    let orphan = dir.join("blobs/00/00").join("0".repeat(64));
    std::fs::create_dir_all(orphan.parent().expect("a folder")).expect("made");
    std::fs::write(&orphan, "nobody's").expect("written");

    let found = doctor(&dir, &["--scrub"]);
    assert_eq!(found.code, 2, "{}{}", found.out, found.err);
    for said in ["version 1 of /docs/a.txt: the body in the database", "version 1 of /docs/big.bin: the blob"] {
        assert!(found.out.contains(said), "{said}: {}", found.out);
    }
    assert!(found.out.contains("1 blob files that no row names, 8 bytes") && !found.out.contains("/docs/b.txt"));
    assert!(orphan.exists(), "it is told, never removed");
    assert_eq!(doctor(&dir, &[]).code, 0, "SQLite itself does not notice");

    let mut server = Running::serve(&dir, &[]);
    let mut client = Client::new(address(&server.url()), Some(&key));
    for path in ["/docs/a.txt", "/docs/big.bin"] {
        let error = client.rpc("read", &json!({"path": path})).expect_err(path);
        assert_eq!((error.code, &error.data["path"]), (-32020, &json!(path)), "{error:?}");
        let text = format!("{error:?}");
        assert!(text.contains("backup") && !text.contains(arg(&dir)), "a remedy, and nothing of the machine: {text}");
    }
    client.rpc("read", &json!({"path": "/docs/b.txt"})).expect("its neighbour is whole");
    let metrics = client.get("/metrics").expect("answered");
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(metrics.contains("integrity_errors_total 2"), "{metrics}");
    // Written anew it is whole again: the path is not lost.
    client.rpc("write", &json!({"path": "/docs/a.txt", "content": "new"})).expect("written");
    client.rpc("read", &json!({"path": "/docs/a.txt"})).expect("read");
    assert_eq!(server.stop().0, 0);
}
