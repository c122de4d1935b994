//! B5: files that are damaged, cut, empty, foreign or missing, about a hundred of them.
//!
//! What must hold: never a panic; a start is refused with the path, the cause and the command to type, exit 65, and the
//! files stay as they were found; or it serves, and what cannot be read is an integrity error of that file alone.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use nexus_lite::auth::AuthIndex;
use nexus_lite::model::random::SeededRandom;
use nexus_lite::model::{ContentHash, RandomSource};
use nexus_lite::rebac::Graph;
use nexus_lite::store::{DATABASE_FILE, Options, Store, StoreError, WAL_FILE, blobs};
use serde_json::{Value, json};

use super::launch::{Refused, Server};
use crate::harness::client::{Client, Failure};
use crate::harness::process;

/// The sizes to which the database is cut.
const CUTS: u64 = 20;
/// Bits that are turned, in each of: the header, pages of the tree, the log.
const FLIPS: u64 = 16;
/// Pages that are made zero.
const ZEROS: u64 = 10;
/// Files in the directory.
const FILES: usize = 40;
/// A body that is a blob file.
const BLOB: usize = 100_000;

/// A directory with a server's data: closed cleanly, or killed and with a log.
struct Made {
    dir: tempfile::TempDir,
    key: String,
    bodies: BTreeMap<String, String>,
}

impl Made {
    fn path(&self) -> PathBuf {
        self.dir.path().join("data")
    }
}

fn make(killed: bool) -> Made {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let server = Server::start(&[], &data, &["--ballast", "0"]);
    let key = std::fs::read_to_string(data.join("admin.key")).expect("the first key").trim().to_owned();
    let mut client = server.client(&key);
    let mut bodies = BTreeMap::new();
    for n in 0..FILES {
        let size = [40, 9_000, BLOB + n][n % 3];
        let (path, text) = (format!("/corrupt/{n}.txt"), format!("{n} {}", "y".repeat(size)));
        client.rpc("write", &json!({"path": path, "content": text})).expect("written");
        bodies.insert(path, text);
    }
    if killed {
        server.kill();
    } else {
        assert_eq!(server.stop().0, Some(0));
    }
    Made { dir, key, bodies }
}

/// Copies the directory, all of it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("readable") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// The database and its log, byte for byte. A log without a byte is none: looking makes one.
fn bytes(data: &Path) -> [Option<Vec<u8>>; 2] {
    [DATABASE_FILE, WAL_FILE].map(|name| std::fs::read(data.join(name)).ok().filter(|bytes| !bytes.is_empty()))
}

/// How a damaged directory was met.
#[derive(Debug, Default)]
struct Tally {
    refused: u64,
    served: u64,
    damage_found: u64,
}

/// Opens a damaged directory in this process: refused in the right words and untouched, or served and each file is
/// what was written or an error of integrity.
fn meet(case: &str, made: &Made, damage: impl FnOnce(&Path), tally: &mut Tally) {
    let scratch = tempfile::tempdir().expect("a directory");
    let data = scratch.path().join("data");
    copy(&made.path(), &data);
    damage(&data);
    let before = bytes(&data);
    let opened = Store::builder(Options::new(&data)).project::<Graph>().project::<AuthIndex>().open();
    let store = match opened {
        Err(StoreError::Unusable { path, what, remedy }) => {
            assert!(path.ends_with(DATABASE_FILE) && !what.is_empty(), "{case}: {path}: {what}");
            let says = ["Nothing was changed", "nexus-lite restore", "--data-dir"];
            let command = says[1..].iter().all(|word| remedy.contains(word));
            assert!(remedy.contains(says[0]) && (command || remedy.contains("another --data-dir")), "{case}: {remedy}");
            assert!(bytes(&data) == before, "{case}: refused, and changed");
            tally.refused += 1;
            return;
        }
        Err(other) => panic!("{case}: {other:?}"),
        Ok(store) => store,
    };
    tally.served += 1;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match runtime.block_on(store.check()) {
        Ok(report) if report.violations.is_empty() => {}
        Ok(_) => tally.damage_found += 1,
        Err(error) => {
            assert!(error.is_damage(), "{case}: {error:?}");
            tally.damage_found += 1;
        }
    }
    // Closing writes, and may meet the damage.
    if let Err(error) = runtime.block_on(store.close()) {
        assert!(error.is_damage() || matches!(error, StoreError::ReadOnly { .. }), "{case}: {error:?}");
    }
}

fn cut(path: &Path, size: u64) {
    std::fs::OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(size)).expect("cut");
}

fn flip(path: &Path, bit: u64) {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).expect("there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, bit / 8).expect("there");
    file.write_all_at(&[byte[0] ^ (1 << (bit % 8))], bit / 8).expect("written");
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).expect("there").len()
}

struct Chance(SeededRandom);

impl Chance {
    fn new() -> Self {
        Self(SeededRandom::new(process::seed()))
    }
    fn below(&self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % end
    }
}

#[test]
fn a_damaged_database_is_refused_or_its_damage_is_an_error() {
    let (clean, killed, chance) = (make(false), make(true), Chance::new());
    let mut tally = Tally::default();
    let database = clean.path().join(DATABASE_FILE);
    let (whole, page) = (size(&database), 4_096);
    for n in 1..=CUTS {
        let to = whole * n / (CUTS + 1);
        meet(&format!("cut to {to}"), &clean, |data| cut(&data.join(DATABASE_FILE), to), &mut tally);
    }
    assert_eq!((tally.refused, tally.served), (CUTS, 0), "a database that is too short is noticed at once");
    for _ in 0..FLIPS {
        let bit = chance.below(100 * 8);
        meet(&format!("header bit {bit}"), &clean, |data| flip(&data.join(DATABASE_FILE), bit), &mut tally);
        let bit = (page + chance.below(whole - page)) * 8 + chance.below(8);
        meet(&format!("page bit {bit}"), &clean, |data| flip(&data.join(DATABASE_FILE), bit), &mut tally);
        let log = size(&killed.path().join(WAL_FILE));
        let bit = chance.below(log * 8);
        meet(&format!("log bit {bit}"), &killed, |data| flip(&data.join(WAL_FILE), bit), &mut tally);
    }
    for _ in 0..ZEROS {
        let at = chance.below(whole / page) * page;
        let zero = |data: &Path| {
            let file = std::fs::OpenOptions::new().write(true).open(data.join(DATABASE_FILE)).expect("there");
            file.write_all_at(&[0; 4_096], at).expect("written");
        };
        meet(&format!("page at {at} zero"), &clean, zero, &mut tally);
    }
    println!("{tally:?}");
    assert!(tally.damage_found > 0, "a zeroed page or a turned bit is found by the check: {tally:?}");
}

#[test]
fn foreign_empty_and_missing_files_are_refused() {
    let (clean, killed) = (make(false), make(true));
    let mut tally = Tally::default();
    let mut refused = |case: &str, made: &Made, damage: &dyn Fn(&Path)| {
        let before = tally.refused;
        meet(case, made, damage, &mut tally);
        assert_eq!(tally.refused, before + 1, "{case} was served");
    };
    let write = |data: &Path, text: &[u8]| std::fs::write(data.join(DATABASE_FILE), text).expect("written");
    refused("empty", &clean, &|data| write(data, b""));
    refused("one byte", &clean, &|data| write(data, b"S"));
    refused("text", &clean, &|data| write(data, "Dear diary, ".repeat(500).as_bytes()));
    refused("zeros", &clean, &|data| write(data, &[0; 40_960]));
    refused("empty, with a log", &killed, &|data| write(data, b""));
    refused("missing, with a log", &killed, &|data| std::fs::remove_file(data.join(DATABASE_FILE)).expect("there"));
    // The log of an unclean end is gone: what was in it is lost, and that is said; the rest is whole.
    let removed = |data: &Path| std::fs::remove_file(data.join(WAL_FILE)).expect("there");
    meet("the log is missing", &killed, removed, &mut tally);
    // A log of zeros, or cut, is what a power cut may leave: the commits before it count.
    for share in 1..=6 {
        let log = size(&killed.path().join(WAL_FILE));
        meet(&format!("log cut at {share}/7"), &killed, |data| cut(&data.join(WAL_FILE), log * share / 7), &mut tally);
    }
    println!("{tally:?}");
}

#[test]
fn the_program_refuses_with_65_and_says_what_to_type() {
    let made = make(false);
    let data = made.path();
    let backup = {
        let server = Server::start(&[], &data, &["--ballast", "0"]);
        let made = server.client(&made.key).rpc("admin_create_backup", &json!({})).expect("made");
        server.stop();
        made["path"].as_str().expect("a path").to_owned()
    };
    cut(&data.join(DATABASE_FILE), 10_000);
    let before = bytes(&data);
    let Err(Refused { code, log }) = Server::try_start(&[], &data, &[]) else { panic!("it serves") };
    assert_eq!(code, Some(65), "{log}");
    let command = format!("nexus-lite restore {backup} --data-dir {}", data.display());
    assert!(log.contains(DATABASE_FILE) && log.contains("damaged") && log.contains(&command), "{log}");
    assert!(bytes(&data) == before);

    // What it says to type works.
    let words: Vec<_> = command.split(' ').skip(1).collect();
    let done = std::process::Command::new(super::launch::PROGRAM).args(words).output().expect("it runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let server = Server::start(&[], &data, &[]);
    let mut client = server.client(&made.key);
    for (path, text) in &made.bodies {
        assert_eq!(read(&mut client, path).as_deref(), Ok(text.as_str()), "{path}");
    }
}

/// The text of a file, or the code of its error.
fn read(client: &mut Client, path: &str) -> Result<String, i64> {
    use base64::Engine as _;
    let found = client.rpc("read", &json!({"path": path})).map_err(|Failure { code, .. }| code)?;
    let data = found["data"].as_str().or_else(|| found.as_str()).unwrap_or_else(|| panic!("{path}: {found}"));
    let bytes = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
    Ok(String::from_utf8(bytes).expect("UTF-8"))
}

#[test]
fn a_damaged_blob_is_an_error_of_its_file_alone() {
    let made = make(false);
    let chance = Chance::new();
    let server = Server::start(&[], &made.path(), &["--ballast", "0"]);
    let mut client = server.client(&made.key);
    let large: Vec<_> = made.bodies.iter().filter(|(_, text)| text.len() > 64 * 1024).collect();
    let mut hurt = BTreeMap::new();
    for (n, (path, text)) in large.iter().enumerate() {
        let blob = blobs::path(&made.path(), ContentHash::of(text.as_bytes()));
        match n % 5 {
            0 => flip(&blob, chance.below(size(&blob) * 8)),
            1 => cut(&blob, chance.below(size(&blob))),
            2 => std::fs::remove_file(&blob).expect("there"),
            3 => std::fs::write(&blob, "something else").expect("written"),
            _ => continue,
        }
        hurt.insert((*path).clone(), std::fs::read(&blob).ok());
    }
    assert!(hurt.len() > 8 && hurt.len() < large.len());
    for (path, text) in &made.bodies {
        let found = read(&mut client, path);
        match hurt.contains_key(path) {
            true => assert_eq!(found, Err(-32020), "{path}"),
            false => assert_eq!(found.as_deref(), Ok(text.as_str()), "{path}"),
        }
        let blob = blobs::path(&made.path(), ContentHash::of(text.as_bytes()));
        if let Some(before) = hurt.get(path) {
            assert_eq!(std::fs::read(&blob).ok(), *before, "{path}: read, and changed");
        }
    }
    let hint = client.rpc("read", &json!({"path": hurt.keys().next()})).expect_err("damaged").data["hint"].clone();
    assert!(hint.as_str().is_some_and(|hint| hint.contains("backup")), "{hint}");
    // Writing the same body again mends it.
    let (path, _) = hurt.iter().next().expect("one");
    let _: Value = client.rpc("write", &json!({"path": path, "content": made.bodies[path]})).expect("written");
    assert_eq!(read(&mut client, path).as_deref(), Ok(made.bodies[path].as_str()));
    let (code, log) = server.stop();
    assert!(code == Some(0) && !log.contains("panicked"), "{code:?} {log}");
}
