//! The program dies at each of its fault points, one after the other.
//!
//! What must hold at every one: the old state or the new one and never between, no half file under its final name, the
//! next start or the next run needs no help, and what was cut short is cleared. Every point of `FaultPoint::ALL`
//! belongs to a story here (or, for migrations of an older directory, in `upgrade`).

use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};

use nexus_lite::store::FaultPoint::{self, *};
use nexus_lite::store::backup::{self, BACKUPS_DIR};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{consistent, copy_dir, directory, read_text};
use crate::harness::client::{Client, call_bytes};
use crate::harness::process::{Process, program, soak};

/// How often the program dies at each point; the n-th time it reaches it, where it reaches it more than once.
const ROUNDS: u64 = 3;
/// Writes that are tried until the program is dead.
const WRITES: u64 = 20;
/// Bytes of a body that is a blob file.
const BLOB: usize = 70_000;

/// Points that every write reaches, or every large one, or every read.
const WRITING: &[FaultPoint] = &[
    BeforeCommit,
    AfterCommitBeforePublish,
    AfterPublishBeforeReply,
    AfterSnapshotBeforeState,
    BlobWritten,
    BlobSynced,
    BlobRenamed,
    BlobDurable,
];
/// Points of an end.
const ENDING: &[FaultPoint] =
    &[ShutdownDoorsClosed, ShutdownDrained, ShutdownMarked, ShutdownCheckpointed, MidCheckpoint, CheckpointMoved];
/// Points of every start.
const STARTING: &[FaultPoint] = &[StartLocked, StartBeforeCommit, StartCommitted, StartServing];
/// Points of the first start.
const STARTING_FIRST: &[FaultPoint] = &[StartKeyWritten, StartKeyStored, MigrationBeforeCommit, MigrationAfterCommit];
/// Points of a backup.
const BACKING_UP: &[FaultPoint] = &[BackupBegun, BackupCopied, BackupFilled, BackupDescribed, BackupNamed];
/// Points of a restore; whether what was restored is in place then.
const RESTORING: &[(FaultPoint, bool)] =
    &[(RestoreBegun, false), (RestoreStaged, false), (RestoreInPlace, true), (RestoreKept, true)];
/// Points of a search.
const SEARCHING: &[FaultPoint] = &[SearchNextFile, SearchAbandoned];
/// Points of a walk over the tree of a workspace.
const WALKING: &[FaultPoint] = &[TreeNextEntry, TreeAbandoned];
/// Points of the migration of an older directory, in `upgrade`.
const MIGRATING: &[FaultPoint] = &[MigrationCopied, MigrationBackedUp];

#[test]
fn every_point_has_its_story() {
    let told = [WRITING, ENDING, STARTING, STARTING_FIRST, BACKING_UP, SEARCHING, WALKING, MIGRATING].concat();
    let staged = RESTORING.iter().chain(super::moving::IMPORTING);
    let restoring: Vec<_> = staged.map(|(point, _)| *point).collect();
    for point in FaultPoint::ALL {
        assert!(told.contains(point) || restoring.contains(point), "nothing dies at {}", point.name());
    }
}

/// A directory that a server has made and left, to be copied.
struct Base {
    dir: tempfile::TempDir,
    key: String,
}

impl Base {
    fn new() -> Self {
        let dir = directory();
        let mut server = Process::start(&dir.path().join("base"));
        let key = server.admin_key();
        let mut client = Client::new(server.address(), Some(&key));
        for (path, body) in kept() {
            write(&mut client, path, &body).expect("written");
        }
        server.signal(Signal::TERM);
        assert!(server.wait().success());
        Self { dir, key }
    }

    fn copy(&self, name: &str) -> PathBuf {
        let to = self.dir.path().join(name);
        copy_dir(&self.dir.path().join("base"), &to);
        to
    }

    /// Starts the server on `data` with a point armed and does `work` while it lives; it must die at the point.
    fn dies(&self, data: &Path, point: FaultPoint, nth: u64, work: impl FnOnce(&mut Process, &mut Client)) {
        let armed = format!("{}:{nth}:exit", point.name());
        let status = match Process::try_start(data, &armed, &[]) {
            Err(ended) => ended.status,
            Ok(mut server) => {
                let mut client = Client::new(server.address(), Some(&self.key));
                work(&mut server, &mut client);
                server.wait()
            }
        };
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "{armed} was not reached");
    }

    /// The server starts again without help, and has all that it had.
    fn rises(&self, data: &Path) -> (Process, Client) {
        let server = Process::start(data);
        let mut client = Client::new(server.address(), Some(&self.key));
        for (path, body) in kept() {
            assert_eq!(read_text(&mut client, path).as_ref(), Some(&body), "{path}");
        }
        let partial = data.join("blobs/partial");
        assert_eq!(names(&partial), Vec::<String>::new(), "what was cut short is cleared at a start");
        (server, client)
    }
}

/// What is in every base: one body in the database, one in a blob file.
fn kept() -> [(&'static str, String); 2] {
    [("/kept/a.txt", "small".into()), ("/kept/big.bin", "k".repeat(BLOB))]
}

pub(super) fn write(client: &mut Client, path: &str, body: &str) -> std::io::Result<Value> {
    let answer = client.call("write", &json!({"path": path, "content": body}))?;
    Ok(answer.rpc().unwrap_or_else(|e| panic!("{path}: {e:?}")))
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|e| e.expect("listed").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn rounds() -> impl Iterator<Item = u64> {
    1..=ROUNDS * soak()
}

#[test]
fn a_write_that_dies_is_there_or_not() {
    let base = Base::new();
    for round in rounds() {
        for point in WRITING {
            let at = format!("{}-{round}", point.name());
            let data = base.copy(&at);
            let body = |n: u64| format!("{n}{}", "b".repeat(if n.is_multiple_of(2) { BLOB } else { 10 }));
            let path = |n: u64| format!("/new/{n}.bin");
            let mut acknowledged = 0;
            base.dies(&data, *point, 1 + (round - 1) % ROUNDS, |_, client| {
                while acknowledged < WRITES && write(client, &path(acknowledged), &body(acknowledged)).is_ok() {
                    acknowledged += 1;
                }
            });
            let (mut server, mut client) = base.rises(&data);
            for n in 0..acknowledged {
                assert_eq!(read_text(&mut client, &path(n)), Some(body(n)), "{at}: {n} was acknowledged");
            }
            let open = read_text(&mut client, &path(acknowledged));
            assert!(open.is_none() || open == Some(body(acknowledged)), "{at}: half of a write is there");
            // Whatever became of it, it can be done again.
            write(&mut client, &path(acknowledged), &body(acknowledged)).expect("written");
            server.kill();
            consistent(&data);
            std::fs::remove_dir_all(&data).expect("removed");
        }
    }
}

#[test]
fn an_end_that_is_cut_short_loses_nothing() {
    let base = Base::new();
    for round in rounds() {
        for point in ENDING {
            let at = format!("{}-{round}", point.name());
            let data = base.copy(&at);
            let mut acknowledged = false;
            base.dies(&data, *point, 1, |server, client| {
                acknowledged = write(client, "/last.txt", &at).is_ok();
                server.signal(Signal::TERM);
            });
            let (mut server, mut client) = base.rises(&data);
            if acknowledged {
                assert_eq!(read_text(&mut client, "/last.txt"), Some(at));
            }
            server.kill();
            consistent(&data);
            std::fs::remove_dir_all(&data).expect("removed");
        }
    }
}

#[test]
fn a_start_that_is_cut_short_is_begun_anew() {
    let base = Base::new();
    for round in rounds() {
        for point in STARTING {
            let data = base.copy(&format!("{}-{round}", point.name()));
            base.dies(&data, *point, 1, |_, _| {});
            let (server, _) = base.rises(&data);
            drop(server);
            consistent(&data);
            std::fs::remove_dir_all(&data).expect("removed");
        }
        for point in [STARTING, STARTING_FIRST].concat() {
            // A migration is reached more than once when all of them are applied.
            let nth = if MigrationBeforeCommit == point || MigrationAfterCommit == point { 1 + round % 2 } else { 1 };
            let data = base.dir.path().join(format!("first-{}-{round}", point.name()));
            base.dies(&data, point, nth, |_, _| {});
            let server = Process::start(&data);
            let mut client = Client::new(server.address(), Some(&server.admin_key()));
            write(&mut client, "/first.txt", "first").expect("whoever has the data directory has the key");
            assert_eq!(
                client.rpc("admin_list_keys", &json!({})).expect("listed")["keys"].as_array().map(Vec::len),
                Some(1)
            );
            drop(server);
            consistent(&data);
            std::fs::remove_dir_all(&data).expect("removed");
        }
    }
}

#[test]
fn a_backup_that_dies_has_no_name_or_is_whole() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let base = Base::new();
    for round in rounds() {
        for point in BACKING_UP {
            let at = format!("{}-{round}", point.name());
            let data = base.copy(&at);
            base.dies(&data, *point, 1, |_, client| {
                client.call("admin_create_backup", &json!({})).expect_err("it dies");
            });
            let backups = data.join(BACKUPS_DIR);
            let named: Vec<_> = names(&backups).into_iter().filter(|name| !name.starts_with('.')).collect();
            assert_eq!(named.len(), usize::from(*point == BackupNamed), "{at}: {named:?}");
            for name in &named {
                assert!(runtime.block_on(backup::verify(&backups.join(name))).expect("a backup").is_good(), "{at}");
            }
            let (mut server, mut client) = base.rises(&data);
            assert_eq!(names(&backups), named, "{at}: a start clears what has no name");
            let made = client.rpc("admin_create_backup", &json!({})).expect("the next one");
            let made = Path::new(made["path"].as_str().expect("a path")).to_owned();
            server.kill();
            assert!(runtime.block_on(backup::verify(&made)).expect("a backup").is_good(), "{at}");
            std::fs::remove_dir_all(&data).expect("removed");
        }
    }
}

#[test]
fn a_backup_that_dies_elsewhere_is_cleared_by_the_next_one_and_one_under_way_is_not() {
    let base = Base::new();
    let data = base.copy("elsewhere");
    base.dies(&data, BackupFilled, 1, |_, client| {
        client.call("admin_create_backup", &json!({})).expect_err("it dies");
    });
    let backups = data.join(BACKUPS_DIR);
    let left = names(&backups);
    assert!(left.len() == 1 && left[0].starts_with(".partial-"), "{left:?}");
    // Not ours: a name that we do not give, a file.
    std::fs::create_dir(backups.join(".partial-of-somebody")).expect("made");
    let mut server = Process::start_with(&data, "backup_filled:pause", &[]);
    let mut client = Client::new(server.address(), Some(&base.key));
    let (address, key) = (server.address(), base.key.clone());
    let paused = std::thread::spawn(move || {
        Client::new(address, Some(&key)).rpc("admin_create_backup", &json!({})).expect("the slow one")
    });
    assert_eq!(server.paused(), "backup_filled");
    let fast = client.rpc("admin_create_backup", &json!({})).expect("a second one beside it");
    assert!(!names(&backups).contains(&left[0]), "what a dead process left is cleared");
    server.go_on("backup_filled");
    let slow = paused.join().expect("no panic");
    let both = [&fast, &slow].map(|made| Path::new(made["path"].as_str().expect("a path")).exists());
    assert_eq!(both, [true, true], "what is under way is nobody's leftover");
    assert!(names(&backups).contains(&".partial-of-somebody".to_owned()));
}

#[test]
fn a_search_that_dies_has_touched_nothing() {
    let base = Base::new();
    let data = base.copy("search");
    let grep = json!({"pattern": "small", "path": "/kept"});
    base.dies(&data, SearchNextFile, 2, |_, client| {
        client.call("grep", &grep).expect_err("it dies");
    });
    drop(base.rises(&data));
    // Whoever asked hangs up while the search stands still; that is noticed, and it dies of that.
    let mut server = Process::start_with(&data, "search_next_file:pause,search_abandoned:exit", &[]);
    let mut asking = std::net::TcpStream::connect(server.address()).expect("connected");
    asking.write_all(&call_bytes(1, Some(&base.key), None, "grep", &grep)).expect("sent");
    assert_eq!(server.paused(), "search_next_file");
    drop(asking);
    assert_eq!(server.wait().signal(), Some(Signal::KILL.as_raw()), "nobody noticed");
    drop(base.rises(&data));
    consistent(&data);
}

#[test]
fn a_walk_over_a_workspace_that_dies_has_touched_nothing() {
    let base = Base::new();
    let data = base.copy("walk");
    let take = json!({"workspace_path": "/kept"});
    base.dies(&data, TreeNextEntry, 2, |_, client| {
        client.rpc("register_workspace", &json!({"path": "/kept"})).expect("registered");
        client.call("workspace_snapshot", &take).expect_err("it dies");
    });
    drop(base.rises(&data));
    // Whoever asked hangs up while the walk stands still; that is noticed, and it dies of that.
    let mut server = Process::start_with(&data, "tree_next_entry:pause,tree_abandoned:exit", &[]);
    let mut asking = std::net::TcpStream::connect(server.address()).expect("connected");
    asking.write_all(&call_bytes(1, Some(&base.key), None, "workspace_snapshot", &take)).expect("sent");
    assert_eq!(server.paused(), "tree_next_entry");
    drop(asking);
    assert_eq!(server.wait().signal(), Some(Signal::KILL.as_raw()), "nobody noticed");
    let (server, mut client) = base.rises(&data);
    assert_eq!(client.rpc("workspace_log", &take).expect("told"), json!([]), "no snapshot without its reply");
    drop(server);
    consistent(&data);
}

#[test]
fn a_restore_that_dies_leaves_the_old_directory_or_the_new_one() {
    let mut base = Base::new();
    // The base gets a backup outside of it, and then a file that the backup does not have.
    let data = base.dir.path().join("base");
    let mut server = Process::start(&data);
    let mut client = Client::new(server.address(), Some(&base.key));
    let made = client.rpc("admin_create_backup", &json!({})).expect("a backup");
    write(&mut client, "/later.txt", "later").expect("written");
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    let outside = base.dir.path().join("backup");
    std::fs::rename(made["path"].as_str().expect("a path"), &outside).expect("moved");
    base.key = server.admin_key();

    let restore = |data: &Path, armed: &str| {
        let mut command = program(armed);
        command.arg("restore").arg(&outside).arg("--data-dir").arg(data);
        command.output().expect("the program runs")
    };
    for round in rounds() {
        for (point, is_new) in RESTORING {
            let at = format!("{}-{round}", point.name());
            let data = base.copy(&at);
            let died = restore(&data, &format!("{}:exit", point.name()));
            assert_eq!(died.status.signal(), Some(Signal::KILL.as_raw()), "{at}: not reached");
            if round % 2 == 1 {
                // A server is started, as if nobody knew of the restore.
                let (mut server, mut client) = base.rises(&data);
                assert_eq!(read_text(&mut client, "/later.txt").is_none(), *is_new, "{at}");
                server.kill();
                consistent(&data);
                assert!(!beside(&data).iter().any(|name| name.ends_with(".restoring")), "{at}: {:?}", beside(&data));
            }
            let again = restore(&data, "");
            assert!(again.status.success(), "{at}: {}", String::from_utf8_lossy(&again.stderr));
            let (server, mut client) = base.rises(&data);
            assert_eq!(read_text(&mut client, "/later.txt"), None, "{at}: restored");
            drop(server);
            let found = beside(&data);
            let kept: Vec<_> = found.iter().filter(|name| name.contains(".before-restore-")).collect();
            assert_eq!(kept.len(), 1 + usize::from(*is_new), "{at}: {found:?}");
            assert_eq!(found.len(), kept.len() + 1, "{at}: nothing else is left: {found:?}");
            // The directory of before, with what only it has, is one of those that are kept.
            let old = kept.iter().filter(|name| {
                let dir = base.dir.path().join(name);
                assert!(!dir.join("REPLACED").exists(), "{at}: {name}");
                let (_server, mut client) = base.rises(&dir);
                read_text(&mut client, "/later.txt").is_some()
            });
            assert_eq!(old.count(), 1, "{at}");
            for name in found {
                std::fs::remove_dir_all(base.dir.path().join(name)).expect("removed");
            }
        }
    }
}

/// What has the name of `data` or begins with it.
fn beside(data: &Path) -> Vec<String> {
    let name = data.file_name().expect("a name").to_string_lossy().into_owned();
    names(data.parent().expect("a parent")).into_iter().filter(|other| other.starts_with(&name)).collect()
}

#[test]
fn what_cannot_be_armed_is_refused() {
    for (armed, said) in [
        ("before_comit:exit", "did you mean `before_commit`"),
        ("before_commit:leave", "names no known action"),
        ("before_commit:0:exit", "does not count"),
    ] {
        for command in ["serve", "check"] {
            let dir = tempfile::tempdir().expect("a directory");
            let refused = program(armed).arg(command).arg("--data-dir").arg(dir.path()).output().expect("it runs");
            let text = String::from_utf8_lossy(&refused.stderr);
            assert_eq!(refused.status.code(), Some(78), "{text}");
            assert!(text.contains(said), "{text}");
            assert_eq!(names(dir.path()).len(), 0, "nothing was begun");
        }
    }
}
