//! B1 and B2: the disk fills up under the real program, on a small file system of its own; and a limit on the size of
//! its files.
//!
//! What must hold: a write that finds no room is refused as such, never with a 500 and never without an answer; reads
//! and deletes go on; `/ready` says why; with space again all goes on without a restart; what was acknowledged is there.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::launch::{Server, SmallDisk, fill};
use crate::harness::client::{Client, Failure};

/// The log's limit of these servers: a file system of 16 MiB is small.
const SETTINGS: &[&str] = &["--wal-limit", "1MiB", "--ballast", "2MiB", "--free-floor", "64KiB"];
/// What the watermark is by them, bytes: twice the log.
const FLOOR: u64 = 2 << 20;
/// Writes after which a disk of 16 MiB must be full.
const WRITES_MAX: u64 = 2_000;
/// The code of a full disk.
const STORAGE_FULL: i64 = -32011;
/// Sizes of bodies: inline, inline and large, a blob file.
const BODIES: [usize; 3] = [700, 60_000, 400_000];

/// What was acknowledged: path and body's length and first character.
type Ledger = BTreeMap<String, Option<String>>;

fn body(n: u64) -> String {
    let size = BODIES[usize::try_from(n).expect("small") % BODIES.len()];
    let mut text = format!("{n} ");
    text.extend((0..size).map(|at| char::from(b'a' + u8::try_from((at as u64 * 7 + n) % 26).expect("small"))));
    text
}

/// Writes until something small is refused (of a large body there is another copy on the way, so it is refused
/// sooner); how many were taken.
fn write_until_full(client: &mut Client, ledger: &mut Ledger, from: u64) -> u64 {
    let mut taken = 0;
    for n in from..from + WRITES_MAX {
        let (path, text) = (format!("/full/{n}.txt"), body(n));
        let answer = client.call("write", &json!({"path": path, "content": text})).expect("always an answer");
        match answer.rpc() {
            Ok(_) => {
                taken += 1;
                ledger.insert(path, Some(text));
            }
            Err(Failure { code: STORAGE_FULL, data, .. }) => {
                assert_eq!(answer.status, 507);
                assert!(data["hint"].as_str().is_some_and(|hint| hint.contains("reads and deletes")), "{data}");
                if text.len() < 64 * 1024 {
                    return taken;
                }
            }
            Err(other) => panic!("write {n}: {} {other:?}", answer.status),
        }
    }
    panic!("{WRITES_MAX} writes and the disk is not full");
}

/// Every acknowledged file is there, and what was deleted is not.
fn verify(client: &mut Client, ledger: &Ledger) {
    use base64::Engine as _;
    for (path, want) in ledger {
        let found = client.rpc("read", &json!({"path": path}));
        match (want, found) {
            (Some(text), Ok(found)) => {
                let data =
                    found["data"].as_str().or_else(|| found.as_str()).unwrap_or_else(|| panic!("{path}: {found}"));
                let decoded = base64::engine::general_purpose::STANDARD.decode(data);
                assert!(decoded.is_ok_and(|bytes| bytes == text.as_bytes()), "{path} is not what was written");
            }
            (None, Err(Failure { code: -32000, .. })) => {}
            (want, found) => panic!("{path}: wanted {:?}, found {found:?}", want.is_some()),
        }
    }
}

/// Deletes some of what is there.
fn delete_some(client: &mut Client, ledger: &mut Ledger, count: usize) {
    let there: Vec<_> = ledger.iter().filter(|(_, body)| body.is_some()).map(|(path, _)| path.clone()).collect();
    for path in there.into_iter().take(count) {
        client.rpc("delete", &json!({"path": path})).unwrap_or_else(|e| panic!("delete {path}: {e:?}"));
        ledger.insert(path, None);
    }
}

/// The whole story on one disk.
#[expect(clippy::print_stdout, reason = "what a run showed")]
fn on(disk: &SmallDisk, dir: &Path) {
    let (data, seen) = (dir.join("data"), disk.seen().join("data"));
    let server = Server::start(&disk.enter(), &data, SETTINGS);
    let key = std::fs::read_to_string(seen.join("admin.key")).expect("the first key").trim().to_owned();
    let mut client = server.client(&key);
    let mut ledger = Ledger::new();
    assert_eq!(server.ready(), (200, "ready".into(), String::new()));

    // By our own writes, down to the watermark.
    let taken = write_until_full(&mut client, &mut ledger, 0);
    assert!(taken > 20, "{taken} writes on a new disk");
    let reason = server.wait_until("degraded");
    assert!(reason.contains("storage full") && reason.contains("Free space"), "{reason}");
    assert!(disk.free() > FLOOR / 4, "{} bytes are left: it stopped before the end", disk.free());
    verify(&mut client, &ledger);
    delete_some(&mut client, &mut ledger, 5);

    // By somebody else, to the last byte: the ballast is what deletes are written on now.
    let other = disk.seen().join("other.bin");
    fill(&other, disk, 0);
    assert_eq!(disk.free(), 0);
    delete_some(&mut client, &mut ledger, 10);
    assert_eq!(write_until_full(&mut client, &mut ledger, 10_000), 0, "still refused");
    verify(&mut client, &ledger);

    // A start on the full disk, after a kill: it comes up, for reads and deletes.
    server.kill();
    fill(&disk.seen().join("more.bin"), disk, 0);
    let server = match Server::try_start(&disk.enter(), &data, SETTINGS) {
        Ok(server) => server,
        Err(no) => {
            // Without a ballast there may be no room for the start itself: then it says so.
            assert!(no.code == Some(74) && no.log.contains("no space is left to start"), "{:?} {}", no.code, no.log);
            std::fs::remove_file(disk.seen().join("more.bin")).expect("there");
            Server::start(&disk.enter(), &data, SETTINGS)
        }
    };
    let mut client = server.client(&key);
    server.wait_until("degraded");
    verify(&mut client, &ledger);
    assert_eq!(write_until_full(&mut client, &mut ledger, 20_000), 0, "still refused");

    // Space again: all goes on by itself.
    let _ = std::fs::remove_file(disk.seen().join("more.bin"));
    std::fs::remove_file(&other).expect("there");
    let makes_room = disk.free() < FLOOR + FLOOR / 4;
    if makes_room {
        delete_some(&mut client, &mut ledger, 5);
        // What was written stays in the history of the files: only a larger disk, or fewer other files, help.
        println!("{} bytes free without the other files; the database keeps versions", disk.free());
    } else {
        server.wait_until("ready");
        assert!(write_until_full(&mut client, &mut ledger, 30_000) > 0, "taken again");
    }
    verify(&mut client, &ledger);
    let log = server.log();
    let degraded = log.lines().filter(|line| line.contains("\"degraded\"")).count();
    assert!((1..=3).contains(&degraded), "said {degraded} times, once for each change:\n{log}");
    assert!(!log.contains("panicked"), "{log}");
    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");

    let server = Server::start(&disk.enter(), &data, SETTINGS);
    verify(&mut server.client(&key), &ledger);
    let acknowledged = ledger.len();
    println!("{acknowledged} acknowledged files, none lost");
}

#[test]
fn a_full_tmpfs_is_survived() {
    let dir = tempfile::tempdir().expect("a directory");
    let mount = dir.path().join("disk");
    if let Some(disk) = SmallDisk::mount(&mount, "mount -t tmpfs -o size=16m,mode=0755 none \"$1\"") {
        on(&disk, &mount);
    }
}

#[test]
fn a_full_ext4_is_survived() {
    let dir = tempfile::tempdir().expect("a directory");
    let mount = dir.path().join("disk");
    let image = "truncate -s 24m \"$1.img\" && mkfs.ext4 -q -m 0 \"$1.img\" && mount -o loop \"$1.img\" \"$1\"";
    if let Some(disk) = SmallDisk::mount(&mount, image) {
        on(&disk, &mount);
    }
}

#[test]
fn a_limit_on_the_size_of_files_kills_nobody() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let limit = ["prlimit", "--fsize=6291456", "--"].map(str::to_owned);
    let server = Server::start(&limit, &data, SETTINGS);
    let key = std::fs::read_to_string(data.join("admin.key")).expect("the first key").trim().to_owned();
    let (mut client, mut ledger) = (server.client(&key), Ledger::new());
    // As a full disk: the database may not become larger.
    let taken = write_until_full(&mut client, &mut ledger, 0);
    assert!(taken > 20, "{taken}");
    server.wait_until("degraded");
    delete_some(&mut client, &mut ledger, 5);
    verify(&mut client, &ledger);

    let (code, log) = server.stop();
    assert_eq!(code, Some(0), "{log}");

    let server = Server::start(&[], &data, SETTINGS);
    let mut client = server.client(&key);
    verify(&mut client, &ledger);
    assert!(server.ready().1 == "ready");
    // One byte: the next write of the log fails in the middle of things. Rarely the watch is faster; then once more.
    for n in 0.. {
        assert!(n < 10, "the watch is always faster");
        let pid = server.pid().to_string();
        let set = |size: &str| {
            let done =
                std::process::Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={size}:")]).status();
            assert!(done.expect("it runs").success(), "our own child");
        };
        set("1");
        let answer = client.call("write", &json!({"path": "/full/last.txt", "content": "x"})).expect("an answer");
        let error = answer.rpc().expect_err("it cannot be written");
        if error.code == STORAGE_FULL {
            set("unlimited");
            server.wait_until("ready");
            continue;
        }
        // R7: nobody knows what is on the disk until the next start has looked.
        assert_eq!((answer.status, error.code), (503, -32018), "{error:?}");
        break;
    }
    // Its log is a file, which the limit keeps from growing as well: only the code is left to tell.
    let (code, _) = server.wait();
    assert_eq!(code, Some(74));
    let server = Server::start(&[], &data, SETTINGS);
    verify(&mut server.client(&key), &ledger);
}

/// B7: a directory on which nobody can write, in the ways that hold for root, too.
#[test]
fn a_directory_that_cannot_be_used_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let refused = |case: &str, before: &[String], data: &Path, code: i32, says: &[&str]| {
        let Err(no) = Server::try_start(before, data, &[]) else { panic!("{case}: it serves") };
        assert_eq!(no.code, Some(code), "{case}: {}", no.log);
        assert!(says.iter().all(|word| no.log.contains(word)), "{case}: {}", no.log);
        assert!(!no.log.contains("panicked"), "{case}: {}", no.log);
    };
    // A file where the directory should be, or above it.
    let file = dir.path().join("file");
    std::fs::write(&file, "a letter").expect("written");
    refused("a file", &[], &file, 73, &["it cannot be a directory", "another --data-dir"]);
    refused("below a file", &[], &file.join("data"), 73, &["it cannot be a directory", "another --data-dir"]);
    assert_eq!(std::fs::read_to_string(&file).expect("there"), "a letter");

    // Mounted for reading only.
    let mount = dir.path().join("read-only");
    if let Some(disk) = SmallDisk::mount(&mount, "mount -t tmpfs -o ro,size=1m none \"$1\"") {
        refused("read-only", &disk.enter(), &mount, 77, &["it cannot be written to", "Make it writable"]);
    }
    // Not even the lock, the index of the log and the rows of a start find room.
    let mount = dir.path().join("tiny");
    if let Some(disk) = SmallDisk::mount(&mount, "mount -t tmpfs -o size=64k none \"$1\"") {
        refused("tiny", &disk.enter(), &mount.join("data"), 74, &["no space is left to start", "at least 1 MiB"]);
    }
    // Nobody may add a file to it, not even its owner.
    let sealed = dir.path().join("sealed");
    std::fs::create_dir(&sealed).expect("made");
    let chattr = |flag: &str| {
        let done = std::process::Command::new("chattr").arg(flag).arg(&sealed).output();
        done.is_ok_and(|done| done.status.success())
    };
    if chattr("+i") {
        let started = std::panic::catch_unwind(|| {
            refused("sealed", &[], &sealed, 77, &["it cannot be written to", "attributes"]);
        });
        assert!(chattr("-i") && started.is_ok(), "refused in other words");
    } else {
        println!("skipped: this machine cannot make a directory immutable");
    }
}
