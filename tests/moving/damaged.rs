//! What is no bundle, or no whole one, is refused in words, and nothing is left of it.

use std::path::Path;

use serde_json::{Value, json};

use super::{How, MoveError, OVER_INLINE, export, import, import_as, random_world};
use crate::harness::engine::sqlite_only;
use crate::harness::world::{Who, World};

/// Cuts in CI: at each such part of the length.
const CUTS: usize = 64;

/// A small bundle with something of everything.
async fn bundle() -> (tempfile::TempDir, Vec<u8>) {
    let world = random_world(3, 30).await;
    let body = "b".repeat(OVER_INLINE);
    world.rpc(Who::Instance, "write", json!({"path": "/large.bin", "content": body})).await.expect("written");
    let path = world.path().to_owned();
    let kept = world.close().await.expect("its directory");
    let (_, bytes) = export(&path).await;
    (kept, bytes)
}

/// The import is refused, and the directory is as it was: not there.
#[track_caller]
fn refused(dir: &Path, what: &str, bytes: &[u8]) -> String {
    let target = dir.join("refused");
    let error = import(&target, bytes).expect_err(what);
    assert!(matches!(error, MoveError::Refused { .. }), "{what}: {error:?}");
    assert!(!target.exists(), "{what}: something is left");
    error.to_string()
}

fn joined(lines: &[String]) -> Vec<u8> {
    let mut text = lines.join("\n");
    text.push('\n');
    // As somebody would who has no key, because there is none: the hash over all lines is made again.
    let end = text.trim_end().rfind('\n').map_or(0, |at| at + 1);
    let hash = blake3::hash(&text.as_bytes()[..end]).to_hex().to_string();
    let mut last: Value = serde_json::from_str(text[end..].trim_end()).expect("JSON");
    if last.get("end").is_some() {
        last["end"]["blake3"] = json!(hash);
        text.truncate(end);
        text.push_str(&last.to_string());
        text.push('\n');
    }
    text.into_bytes()
}

#[tokio::test]
async fn cut_short_anywhere() {
    sqlite_only!("what is moved is a data directory");
    let (dir, bytes) = bundle().await;
    for cut in 0..CUTS {
        let end = bytes.len() * cut / CUTS;
        refused(dir.path(), &format!("cut at {end}"), &bytes[..end]);
    }
    refused(dir.path(), "without the end of the last line", &bytes[..bytes.len() - 1]);
    let more = [&bytes[..], b"{}\n"].concat();
    assert!(refused(dir.path(), "more", &more).contains("follows the last line"));
}

#[tokio::test]
async fn one_byte_altered_anywhere() {
    sqlite_only!("what is moved is a data directory");
    let (dir, bytes) = bundle().await;
    // What the first line says of its maker and its time is checked by the hash alone: it comes last.
    for step in 0..CUTS {
        let at = bytes.len() * step / CUTS + step % 7;
        for flip in [0x01, 0x80] {
            let mut altered = bytes.clone();
            altered[at] ^= flip;
            refused(dir.path(), &format!("byte {at} ^ {flip}"), &altered);
        }
    }
}

/// Doctored bundles with a right hash: each for a reason of its own, which the refusal tells.
#[tokio::test]
async fn doctored_in_many_ways() {
    sqlite_only!("what is moved is a data directory");
    let (dir, bytes) = bundle().await;
    let lines: Vec<String> = std::str::from_utf8(&bytes).expect("UTF-8").lines().map(str::to_owned).collect();
    let first_of = |table: &str| {
        let start = format!("{{\"{table}\":");
        lines.iter().position(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("no {table}"))
    };
    let check = |what: &str, lines: &[String], wanted: &str| {
        let said = refused(dir.path(), what, &joined(lines));
        assert!(said.contains(wanted), "{what}: {said}");
    };
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        lines
    };
    let replaced = |table: &str, from: &str, to: &str| {
        let first = first_of(table);
        // The first that has it: of a body that is a file there is none in its row.
        let at = lines[first..].iter().position(|line| line.contains(from)).map_or(first, |at| first + at);
        let line = lines[at].replacen(from, to, 1);
        assert_ne!(line, lines[at], "{table}: {from}");
        with(&|lines| lines[at] = line.clone())
    };
    assert!(import(&dir.path().join("good"), &joined(&lines)).is_ok(), "unaltered it is good");

    let entity = first_of("entities");
    check("two lines swapped", &with(&|l| l.swap(entity, entity + 1)), "not in order");
    check("a row twice", &with(&|l| l.insert(entity, l[entity].clone())), "there twice");
    check("a row left out", &with(&|l| drop(l.remove(entity))), "rows, the first line says");
    let node = first_of("nodes");
    check("tables swapped", &with(&|l| l.swap(entity, node)), "comes too late");
    check("an unknown table", &replaced("entities", "entities", "unknown"), "there is no table `unknown`");
    check("an unknown column", &replaced("entities", "{\"id\"", "{\"more\":1,\"id\""), "there is no column `more`");
    check("a column is missing", &replaced("entities", "\"tenant\"", "\"tenants\""), "`tenant` is missing");
    check("NULL where none may be", &replaced("nodes", "\"tenant\":\"default\"", "\"tenant\":null"), "is null");
    check("a number as text", &replaced("nodes", "\"id\":", "\"id\":\"\",\"x\":"), "not a whole number");
    check("NUL in a text", &replaced("nodes", "\"tenant\":\"", "\"tenant\":\"\\u0000"), "without NUL");
    check("another name in the same key", &replaced("entities", "\"name\":\"", "\"name\":\"x"), "of another name");
    check("a body that is another", &replaced("contents", "\"body\":\"", "\"body\":\"AAAA"), "the body");
    let fact = r#"{"meta":{"key":"clean_shutdown","value":"1"}}"#.to_owned();
    check("a local fact", &with(&|l| l.insert(1, fact.clone())), "does not travel");
    let part = first_of("body");
    check("a part of a body is missing", &with(&|l| drop(l.remove(part))), "bod");
    check("a part twice", &with(&|l| l.insert(part, l[part].clone())), "a body that no row names, or not in its place");
    let log = first_of("changelog");
    check("a revision is missing", &with(&|l| drop(l.remove(log + 1))), "of the log follows");
    check(
        "counts of the end",
        &with(&|l| {
            let last = l.len() - 1;
            l[last] = l[last].replacen("\"nodes\":", "\"nodes\":1", 1);
        }),
        "counts of the last line",
    );
    check(
        "counts of both",
        &with(&|l| {
            let last = l.len() - 1;
            for at in [0, last] {
                l[at] = l[at].replacen("\"nodes\":", "\"nodes\":1", 1);
            }
        }),
        "nodes has",
    );
    check("no head", &with(&|l| drop(l.remove(l.len() - 2))), "head has 0 rows");
    check("a broken line", &with(&|l| l[node].truncate(20)), "cannot be read");
    check(
        "two things in a line",
        &with(&|l| l[node] = l[node].replacen("{\"nodes\"", "{\"x\":1,\"nodes\"", 1)),
        "two members",
    );
    check(
        "an orphan",
        &with(&|l| {
            let at = l.iter().rposition(|line| line.starts_with("{\"nodes\"")).expect("a node");
            let mut row: Value = serde_json::from_str(&l[at]).expect("JSON");
            row["nodes"]["parent"] = json!(row["nodes"]["parent"].as_i64().expect("a number") + 1_000_000);
            l[at] = row.to_string();
        }),
        "rule R3",
    );
    check("an unknown secret", &with(&|l| l.insert(1, r#"{"secret":"abc"}"#.into())), "does not announce");
    let head = |from: &str, to: &str| with(&|l| l[0] = l[0].replacen(from, to, 1));
    check("a newer form", &head("\"nexus_lite_bundle\":1", "\"nexus_lite_bundle\":2"), "its form is 2");
    check("no bundle", &head("nexus_lite_bundle", "something"), "no bundle of nexus-lite");
    let schema = nexus_lite::store::inspect::schema_version();
    let schema_is = |number: u64| head(&format!("\"schema\":{schema}"), &format!("\"schema\":{number}"));
    check("a newer schema", &schema_is(schema + 1), "or a newer one");
    check("an older schema", &schema_is(schema - 1), "export again");
    check("another revision", &head("\"rev\":", "\"rev\":1"), "the first line says");
}

#[test]
fn a_huge_line_is_not_read_to_its_end() {
    struct Endless(u64);
    impl std::io::Read for Endless {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            out.fill(b'x');
            self.0 += out.len() as u64;
            Ok(out.len())
        }
    }
    let dir = tempfile::tempdir().expect("a directory");
    let mut input = std::io::BufReader::with_capacity(1 << 20, Endless(0));
    let target = dir.path().join("data");
    let how = How { name: "endless".into(), ..How::default() };
    let error =
        super::bundle::import(super::options(&target), &mut input, how, &mut |_| std::ops::ControlFlow::Continue(()));
    let error = error.expect_err("endless").to_string();
    assert!(error.contains("is longer than"), "{error}");
    assert!(input.get_ref().0 < 80 << 20, "{} bytes were read", input.get_ref().0);
    assert!(!target.exists());
}

#[tokio::test]
async fn a_store_with_data_is_left_alone() {
    sqlite_only!("what is moved is a data directory");
    let (dir, bytes) = bundle().await;
    let world = World::new().await;
    let path = world.path().to_owned();
    let busy = import(&path, &bytes).expect_err("a server runs there").to_string();
    assert!(busy.contains("in use by pid"), "{busy}");
    let kept = world.close().await;
    let (_, before) = export(&path).await;
    let error = import(&path, &bytes).expect_err("there is a store").to_string();
    assert!(error.contains("there is a store already") && error.contains("--data-dir"), "{error}");
    let (_, after) = export(&path).await;
    assert_eq!(super::lines(&before), super::lines(&after));
    drop((dir, kept));
}

#[tokio::test]
async fn one_that_is_stopped_leaves_nothing() {
    sqlite_only!("what is moved is a data directory");
    let (dir, bytes) = bundle().await;
    let target = dir.path().join("stopped");
    // In a body, and before the last look.
    for stop_at in [1, 2] {
        let mut told = 0;
        let how = How { name: "bundle".into(), ..How::default() };
        let mut tell = |_| {
            told += 1;
            if told < stop_at { std::ops::ControlFlow::Continue(()) } else { std::ops::ControlFlow::Break(()) }
        };
        let stopped = super::bundle::import(super::options(&target), &mut &bytes[..], how, &mut tell);
        assert!(matches!(stopped, Err(MoveError::Stopped)), "{stopped:?}");
        assert!(!target.exists());
    }
    // A directory that was there stays, with what was in it.
    let mine = dir.path().join("mine");
    std::fs::create_dir(&mine).expect("made");
    std::fs::write(mine.join("server.secret"), "mine").expect("written");
    assert!(import(&mine, &bytes[..bytes.len() / 2]).is_err());
    let left: Vec<_> = std::fs::read_dir(&mine).expect("there").map(|e| e.expect("listed").file_name()).collect();
    assert!(left.iter().all(|name| name == "LOCK" || name == "server.secret"), "{left:?}");
    import(&mine, &bytes).expect("imported beside the secret");
}

#[tokio::test]
async fn a_check_writes_no_body() {
    sqlite_only!("what is moved is a data directory");
    let (dir, bytes) = bundle().await;
    let target = dir.path().join("check");
    let how = How { name: "bundle".into(), check_only: true, ..How::default() };
    import_as(&target, &bytes, how).expect("good");
    assert!(!target.join("blobs").exists(), "bodies are read and not kept");
}
