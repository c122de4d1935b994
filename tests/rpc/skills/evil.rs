//! Archives that mean harm: each is refused with its reason, before more is inflated than the limits allow.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nexus_lite::service::skills::archive::{
    ArchiveError, ENTRIES_MAX, FILE_BYTES_MAX, Meter, RATIO_FREE_BYTES, RATIO_MAX, TOTAL_BYTES_MAX, read,
};
use serde_json::json;

use super::super::*;
use crate::harness::client::Client;
use crate::harness::growth::Growth;
use crate::harness::process::{FAR_KEY, Process};

/// What may be inflated past a limit before that is seen, bytes.
const PIECE: u64 = 16 * 1024;
/// What the memory of the server may grow by, whatever the archive holds, KiB: the largest of these requests is 12 MiB of
/// text, and took 60 MiB of the unoptimised program. What they would inflate to is 300 MiB.
const GROWTH_MAX_KB: u64 = 100 * 1024;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
const FILE: u32 = 0o100_644;

/// An entry as its headers say it, and its bytes as they lie there.
struct Entry {
    name: Vec<u8>,
    flags: u16,
    method: u16,
    mode: u32,
    body: Vec<u8>,
    /// What it says to be when inflated.
    size: u32,
    crc: u32,
}

fn entry(name: &str, body: &[u8]) -> Entry {
    let size = u32::try_from(body.len()).expect("small");
    Entry { name: name.into(), flags: 0, method: STORED, mode: FILE, body: body.to_vec(), size, crc: crc(body) }
}

fn skill_file() -> Entry {
    entry("s/SKILL.md", b"---\nname: s\ndescription: d\n---\n")
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |mut crc, byte| {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
        crc
    })
}

/// The archive with these entries; `said` is how many it says there are.
fn archive(entries: &[Entry], said: u16) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for e in entries {
        let at = u32::try_from(bytes.len()).expect("small");
        let (packed, name) = (u32::try_from(e.body.len()).expect("small"), u16::try_from(e.name.len()).expect("short"));
        let mut common = Vec::new();
        for word in [20, e.flags, e.method, 0, 0x21] {
            common.extend(word.to_le_bytes());
        }
        for number in [e.crc, packed, e.size] {
            common.extend(number.to_le_bytes());
        }
        common.extend(name.to_le_bytes());
        common.extend([0, 0]);
        bytes.extend(b"PK\x03\x04".iter().chain(&common).chain(&e.name).chain(&e.body));
        directory.extend(b"PK\x01\x02\x14\x03".iter().chain(&common));
        directory.extend([0; 6]);
        directory.extend((e.mode << 16).to_le_bytes());
        directory.extend(at.to_le_bytes());
        directory.extend(&e.name);
    }
    let (at, size) = (bytes.len(), directory.len());
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(said.to_le_bytes().iter().chain(&said.to_le_bytes()));
    bytes.extend(u32::try_from(size).expect("small").to_le_bytes());
    bytes.extend(u32::try_from(at).expect("small").to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

fn honest(entries: &[Entry]) -> Vec<u8> {
    archive(entries, u16::try_from(entries.len()).expect("few"))
}

/// What becomes of an archive, and how much was inflated.
fn refused_for(bytes: &[u8]) -> (ArchiveError, u64) {
    let mut meter = Meter::default();
    let error = read(bytes, &mut meter).expect_err("it means harm");
    (error, meter.inflated)
}

/// `size` zeros, packed as tightly as can be.
fn zeros(name: &str, size: usize) -> Entry {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    writer.start_file(name, options.compression_method(zip::CompressionMethod::Deflated)).expect("started");
    writer.write_all(&vec![0; size]).expect("written");
    let packed = writer.finish().expect("finished").into_inner();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(packed)).expect("an archive");
    let (body, crc) = {
        let mut raw = archive.by_index_raw(0).expect("one");
        let mut body = Vec::new();
        std::io::Read::read_to_end(&mut raw, &mut body).expect("read");
        (body, raw.crc32())
    };
    Entry {
        name: name.into(),
        flags: 0,
        method: DEFLATED,
        mode: FILE,
        body,
        size: u32::try_from(size).expect("small"),
        crc,
    }
}

#[test]
fn the_tool_makes_archives_that_are_read() {
    let mut meter = Meter::default();
    let members = read(&honest(&[skill_file(), zeros("s/zeros", 1_000)]), &mut meter).expect("an honest archive");
    assert_eq!((members.len(), members[1].body.len()), (2, 1_000));
    assert_eq!(meter.inflated, 1_000 + members[0].body.len() as u64);
}

#[test]
fn names_that_lead_elsewhere() {
    let names = [
        "../x",
        "s/../../x",
        "/etc/passwd",
        "C:/x",
        "s\\x",
        "..\\x",
        "s//x",
        "./s/x",
        "s/./x",
        "",
        "s/\n",
        "s/a\0b",
        "a/b/c/d/e/f/g/h/i",
    ];
    for name in names {
        let (error, inflated) = refused_for(&honest(&[skill_file(), entry(name, b"x")]));
        assert!(matches!(error, ArchiveError::Name { .. }), "{name:?}: {error}");
        assert_eq!(inflated, 0, "{name:?}: the names come first");
    }
    let mut bad = entry("s/x", b"x");
    bad.name = vec![b's', b'/', 0xff];
    assert!(matches!(refused_for(&honest(&[bad])).0, ArchiveError::Name { .. }));
}

#[test]
fn things_that_are_no_files() {
    for mode in [0o120_777, 0o020_644, 0o060_644, 0o010_644, 0o140_644] {
        let link = Entry { mode, ..entry("s/link", b"/etc/passwd") };
        let (error, inflated) = refused_for(&honest(&[skill_file(), link]));
        assert_eq!((error, inflated), (ArchiveError::NotAFile("s/link".into()), 0), "{mode:o}");
    }
    let encrypted = Entry { flags: 1, ..entry("s/x", b"x") };
    assert_eq!(refused_for(&honest(&[encrypted])).0, ArchiveError::Encrypted("s/x".into()));
    let other = Entry { method: 12, ..entry("s/x", b"x") };
    assert_eq!(refused_for(&honest(&[other])).0, ArchiveError::Method("s/x".into()));
}

#[test]
fn one_thing_twice() {
    for (one, other) in [("s/a", "s/a"), ("s/a", "S/A"), ("s/ß", "s/SS"), ("s/d/", "s/D/")] {
        let (error, inflated) = refused_for(&honest(&[entry(one, b""), entry(other, b"")]));
        let is_twice = matches!(error, ArchiveError::Twice(_));
        // A directory is told by its slash, and by its mode.
        assert!(is_twice || matches!(error, ArchiveError::NotAFile(_)), "{one} {other}: {error}");
        assert_eq!(inflated, 0);
    }
    for pair in [["s/a", "s/a/b"], ["s/a/b", "S/A"]] {
        let (error, _) = refused_for(&honest(&pair.map(|name| entry(name, b"x"))));
        assert!(matches!(error, ArchiveError::FileAndDirectory(_)), "{pair:?}: {error}");
    }
}

#[test]
fn more_entries_than_anybody_needs() {
    let many: Vec<Entry> = (0..100_000).map(|number| entry(&format!("s/{number}"), b"")).collect();
    for said in [34_464, u16::MAX, 5] {
        let (error, inflated) = refused_for(&archive(&many, said));
        assert_eq!((error, inflated), (ArchiveError::Entries, 0), "it says {said}");
    }
    let few: Vec<Entry> = (0..ENTRIES_MAX + 1).map(|number| entry(&format!("s/{number}"), b"")).collect();
    assert_eq!(refused_for(&honest(&few)).0, ArchiveError::Entries);
    assert!(read(&honest(&few[..ENTRIES_MAX]), &mut Meter::default()).is_ok(), "as many as may be");
    // It says another number than there are.
    assert!(matches!(refused_for(&archive(&few[..3], 2)).0, ArchiveError::Unreadable(_)));
    let mut wide = honest(&[skill_file()]);
    let end = wide.len() - 22;
    wide.splice(end..end, b"PK\x06\x07".iter().copied().chain([0; 16]));
    assert_eq!(refused_for(&wide).0, ArchiveError::Wide);
}

#[test]
fn bombs() {
    let bomb = zeros("s/bomb", 15 << 20);
    let packed = bomb.body.len() as u64;
    let (error, inflated) = refused_for(&honest(&[skill_file(), bomb]));
    assert_eq!(error, ArchiveError::Bomb("s/bomb".into()));
    assert!(inflated <= packed * RATIO_MAX + RATIO_FREE_BYTES + PIECE, "{inflated} of {packed}");
    let (error, inflated) = refused_for(&honest(&[zeros("s/large", (16 << 20) + 1)]));
    assert_eq!((error, inflated), (ArchiveError::FileTooLarge("s/large".into()), 0), "it says so itself");
    // It says to be small, and is not.
    for size in [0, 10, 60_000] {
        let liar = Entry { size, ..zeros("s/liar", 20 << 20) };
        let (error, inflated) = refused_for(&honest(&[liar]));
        let known = matches!(error, ArchiveError::Lies(_) | ArchiveError::Unreadable(_) | ArchiveError::Bomb(_));
        assert!(known && inflated <= FILE_BYTES_MAX, "{error}, {inflated}");
        assert!(inflated <= u64::from(size) + RATIO_FREE_BYTES + PIECE, "{error}, {inflated}");
    }
    // It says to be large, and is not.
    let liar = Entry { size: 5_000, ..zeros("s/liar", 4_000) };
    assert!(matches!(refused_for(&honest(&[liar])).0, ArchiveError::Lies(_) | ArchiveError::Unreadable(_)));
}

#[test]
fn no_more_than_the_limit_is_inflated() {
    let noise: Vec<u8> = (0..8_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let one = entry("s/0", &noise);
    let file = |number: u32| Entry { name: format!("s/{number}").into(), body: noise.clone(), ..entry("", b"") };
    let files: Vec<Entry> = (0..9).map(|n| Entry { size: one.size, crc: one.crc, ..file(n) }).collect();
    let (error, inflated) = refused_for(&honest(&files));
    assert_eq!(error, ArchiveError::TooLarge);
    assert!(inflated <= TOTAL_BYTES_MAX + PIECE, "{inflated}");
}

#[test]
fn broken_ones() {
    let whole = honest(&[skill_file(), entry("s/a", b"text")]);
    for cut in [1, 10, 21, 22, 40, whole.len() - 4, whole.len()] {
        refused_for(&whole[..whole.len() - cut]);
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x40;
        // Whatever it makes of it, it ends.
        let _ = read(&changed, &mut Meter::default());
    }
    let mut damaged = entry("s/a", b"text");
    damaged.crc ^= 1;
    assert!(matches!(refused_for(&honest(&[damaged])).0, ArchiveError::Unreadable(_)));
    // Two entries of the same bytes.
    let mut overlapping = whole.clone();
    let directory = whole.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").expect("a directory");
    overlapping[directory + 42..directory + 46].copy_from_slice(&0_u32.to_le_bytes());
    refused_for(&overlapping);
}

#[tokio::test]
async fn nothing_of_them_is_written() {
    let world = World::new().await;
    let before = world.head().await;
    let evil = [
        honest(&[skill_file(), entry("s/../../../x", b"x")]),
        honest(&[skill_file(), Entry { mode: 0o120_777, ..entry("s/link", b"/etc/passwd") }]),
        honest(&[skill_file(), zeros("s/bomb", 15 << 20)]),
        honest(&[skill_file(), entry("S/skill.MD", b"x")]),
    ];
    for bytes in evil {
        let params = json!({"zip_data": STANDARD.encode(&bytes)});
        let failure = refused(&world, Who::Alice, "skills_import", params.clone(), VALIDATION).await;
        assert!(failure.message.starts_with("Invalid ZIP file: "), "{}", failure.message);
        let looked = ok(&world, Who::Alice, "skills_validate_zip", params).await;
        assert_eq!((&looked["valid"], &looked["errors"]), (&json!(false), &json!([failure.message])));
    }
    assert_eq!(world.head().await, before);
    assert_eq!(ok(&world, Who::Alice, "skills_list", json!({})).await["count"], 0);
}

#[test]
fn they_take_little_memory_of_the_program() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on the disk of the project");
    let mut server = Process::start_keyed(&dir.path().join("data"), &["--log", "error"]);
    let mut client = Client::new(server.address(), Some(FAR_KEY));
    client.rpc("list", &json!({"path": "/"})).expect("an answer");
    let many: Vec<Entry> = (0..100_000).map(|number| entry(&format!("s/{number}"), b"")).collect();
    let bomb = zeros("s/bomb", 15 << 20);
    let another = |number: u32| Entry { name: format!("s/{number}").into(), body: bomb.body.clone(), ..bomb };
    let bombs: Vec<Entry> = (0..20).map(another).collect();
    let evil = [
        ("100,000 entries", archive(&many, u16::MAX)),
        ("a bomb", honest(&[skill_file(), Entry { name: "s/bomb".into(), ..another(0) }])),
        ("twenty bombs", honest(&bombs)),
        ("a liar", honest(&[Entry { size: 10, ..zeros("s/liar", 20 << 20) }])),
        ("a way out", honest(&[skill_file(), entry("s/../../../x", b"x")])),
        ("a link", honest(&[skill_file(), Entry { mode: 0o120_777, ..entry("s/link", b"/etc/passwd") }])),
        ("a name twice", honest(&[skill_file(), entry("s/a", b"x"), entry("s/a", b"y")])),
    ];
    let growth = Growth::of(server.id(), GROWTH_MAX_KB);
    for (what, bytes) in &evil {
        let params = json!({"zip_data": STANDARD.encode(bytes)});
        for method in ["skills_import", "skills_validate_zip"] {
            match client.rpc(method, &params) {
                Ok(looked) => assert_eq!(looked["valid"], false, "{method}: {what}"),
                Err(failure) => assert!(failure.message.starts_with("Invalid ZIP file: "), "{method}: {what}"),
            }
        }
        growth.look(what);
    }
    server.kill();
}
