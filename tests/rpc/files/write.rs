//! `write`.

use nexus_lite::model::ContentHash;
use serde_json::{Value, json};

use super::super::*;
use super::shared_world;
use crate::harness::engine;

#[tokio::test]
async fn gives_both_shapes_and_counts_versions() {
    let world = shared_world().await;
    let first = write(&world, Who::Alice, "/w/alice/a.txt", "one").await;
    let etag = ContentHash::of(b"one").to_hex();
    let meta = json!({"etag": etag, "version": 1, "modified_at": first["modified_at"], "size": 3});
    assert_eq!(first["bytes_written"], meta);
    for key in ["etag", "version", "modified_at", "size"] {
        assert_eq!(first[key], meta[key], "{key}");
    }
    let at = first["modified_at"]["data"].as_str().expect("a time");
    assert!(at.ends_with("+00:00"), "a time made in this request names its offset: {at}");
    let again = write(&world, Who::Alice, "/w/alice/a.txt", "one").await;
    assert_eq!(again["version"], 2, "the same bytes are a version too");
    assert_eq!(again["etag"], first["etag"]);
    let bytes = json!({"__type__": "bytes", "data": "AP8="});
    let raw = ok(&world, Who::Alice, "write", json!({"path": "/w/alice/a.txt", "content": bytes})).await;
    assert_eq!((&raw["version"], &raw["size"]), (&json!(3), &json!(2)));
}

#[tokio::test]
async fn conditions_are_tested_after_the_right_and_in_the_message() {
    let world = shared_world().await;
    let etag = write(&world, Who::Alice, "/w/alice/a.txt", "one").await["etag"].clone();
    let with = |more: Value| {
        let mut params = json!({"path": "/w/alice/a.txt", "content": "two"});
        params.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
        params
    };
    let zeros = "0".repeat(64);
    let conflict = refused(&world, Who::Alice, "write", with(json!({"if_match": zeros})), CONFLICT).await;
    assert_eq!(conflict.data["current_etag"], etag);
    assert_eq!(conflict.data["expected_etag"], zeros);
    assert!(conflict.message.starts_with("Conflict detected - file was modified by another agent."));
    let exists = refused(&world, Who::Alice, "write", with(json!({"if_none_match": true})), EXISTS).await;
    assert_eq!(exists.message, "File already exists: /w/alice/a.txt");
    let missing = json!({"path": "/w/alice/none.txt", "content": "x", "if_match": etag});
    let conflict = refused(&world, Who::Alice, "write", missing, CONFLICT).await;
    assert_eq!(conflict.data["current_etag"], "(file does not exist)");
    for (who, more) in [(Who::Bob, json!({"if_match": zeros})), (Who::Stranger, json!({"if_none_match": true}))] {
        refused(&world, who, "write", with(more), DENIED).await;
    }
    assert_eq!(read(&world, Who::Alice, "/w/alice/a.txt").await, "one", "nothing of all that was written");
    ok(&world, Who::Alice, "write", with(json!({"if_match": "", "if_none_match": false}))).await;
    let both = json!({"if_match": zeros, "if_none_match": true, "force": true});
    assert_eq!(ok(&world, Who::Alice, "write", with(both)).await["version"], 3);
    let etag = ok(&world, Who::Alice, "stat", json!({"path": "/w/alice/a.txt"})).await["etag"].clone();
    assert_eq!(ok(&world, Who::Alice, "write", with(json!({"if_match": etag}))).await["version"], 4);
}

#[tokio::test]
async fn of_two_writers_with_one_etag_one_wins() {
    let world = shared_world().await;
    let etag = write(&world, Who::Alice, "/w/alice/a.txt", "one").await["etag"].clone();
    let held = world.hold_writer();
    let put = |text: &str| {
        let params = json!({"path": "/w/alice/a.txt", "content": text, "if_match": etag});
        world.rpc(Who::Alice, "write", params)
    };
    let both = futures_util::future::join(put("two"), put("three"));
    let release = async {
        tokio::task::yield_now().await;
        held.release();
    };
    let ((first, second), ()) = futures_util::future::join(both, release).await;
    // Which of them is first is known only where reads run inline.
    let (won, lost, text) = match (first, second) {
        (Ok(first), second) => (first, second, "two"),
        (first, second) if engine::is_postgres() => (second.expect("one of them"), first, "three"),
        (first, _) => panic!("the first: {first:?}"),
    };
    assert_eq!(won["version"], 2);
    assert_eq!(lost.expect_err("the other").code, CONFLICT);
    assert_eq!(read(&world, Who::Alice, "/w/alice/a.txt").await, text);
}

#[tokio::test]
async fn needs_the_right_and_refuses_what_is_there_and_what_is_not_alike() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a.txt", "one").await;
    let denied = [Who::Bob, Who::Agent, Who::Stranger, Who::OtherAdmin, Who::OtherUser];
    for who in denied {
        let there = refused(&world, who, "write", json!({"path": "/w/alice/a.txt", "content": "x"}), DENIED).await;
        let not = refused(&world, who, "write", json!({"path": "/w/alice/b.txt", "content": "x"}), DENIED).await;
        let (_, user) = who.user();
        assert_eq!(
            there.message,
            format!("Access denied: User '{user}' does not have WRITE permission for '/w/alice/a.txt'")
        );
        assert_eq!(there.message.replace("a.txt", "_"), not.message.replace("b.txt", "_"), "{who:?}");
        let hints = [&there, &not].map(|f| f.data["hint"].as_str().expect("a hint").replace("a.txt", "b.txt"));
        assert_eq!(hints[0], hints[1], "{who:?}");
        assert!(hints[0].contains("'write' on '/w/alice/b.txt'"), "{}", hints[0]);
        // Far below what does not exist, and beside what the caller cannot see.
        refused(&world, who, "write", json!({"path": "/w/alice/x/y/z.txt", "content": "x"}), DENIED).await;
        refused(&world, who, "write", json!({"path": "/nowhere/z.txt", "content": "x"}), DENIED).await;
    }
    for who in [Who::Alice, Who::Heir, Who::Admin, Who::Instance] {
        write(&world, who, "/w/alice/a.txt", "x").await;
        write(&world, who, &format!("/w/alice/deep/{who:?}/f.txt"), "x").await;
    }
    assert_eq!(read(&world, Who::Bob, "/w/alice/a.txt").await, "x");
    refused(&world, Who::Anonymous, "write", json!({"path": "/w/alice/a.txt", "content": "x"}), -32019).await;
}

#[tokio::test]
async fn a_viewer_of_the_directory_who_edits_one_file_makes_no_other() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a.txt", "one").await;
    grant(&world, ("user", "bob"), "direct_editor", "/w/alice/a.txt").await;
    write(&world, Who::Bob, "/w/alice/a.txt", "two").await;
    refused(&world, Who::Bob, "write", json!({"path": "/w/alice/b.txt", "content": "x"}), DENIED).await;
    // A grant that waits on a path does not make the file; the directory does.
    grant(&world, ("user", "bob"), "direct_editor", "/w/alice/later.txt").await;
    refused(&world, Who::Bob, "write", json!({"path": "/w/alice/later.txt", "content": "x"}), DENIED).await;
    write(&world, Who::Alice, "/w/alice/later.txt", "x").await;
    write(&world, Who::Bob, "/w/alice/later.txt", "y").await;
}

#[tokio::test]
async fn refuses_paths_that_no_file_can_have() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a.txt", "one").await;
    for path in ["", "  ", "/", "/w/../x", "/w/./x", "/w/a\tb", "/w/ a/b"] {
        refused(&world, Who::Admin, "write", json!({"path": path, "content": "x"}), INVALID_PATH).await;
    }
    let through = json!({"path": "/w/alice/a.txt/b", "content": "x"});
    refused(&world, Who::Alice, "write", through, PRECONDITION).await;
    refused(&world, Who::Alice, "write", json!({"path": "/w/alice", "content": "x"}), PRECONDITION).await;
    // The same path in other words.
    write(&world, Who::Alice, "w//alice/a.txt/", "two").await;
    assert_eq!(read(&world, Who::Alice, "/w/alice/a.txt").await, "two");
}

#[tokio::test]
async fn large_bodies_are_blobs_and_come_back_whole() {
    let world = shared_world().await;
    for size in [64 * 1024, 64 * 1024 + 1, 1_000_000] {
        let text = "0123456789abcdef".repeat(size / 16 + 1)[..size].to_owned();
        let path = format!("/w/alice/{size}.txt");
        let written = write(&world, Who::Alice, &path, &text).await;
        assert_eq!(written["size"], size);
        assert_eq!(read(&world, Who::Bob, &path).await, text);
    }
    let count = || bodies(&world);
    let blobs = count();
    assert_eq!(blobs, 2, "one for each body over the limit");
    let body = "x".repeat(100_000);
    refused(&world, Who::Stranger, "write", json!({"path": "/w/alice/c.txt", "content": body}), DENIED).await;
    assert_eq!(count(), blobs, "a refused body leaves nothing behind");
}

/// The number of bodies that lie outside their rows.
fn bodies(world: &World) -> usize {
    if engine::is_postgres() {
        let count = engine::run(world.path(), "SELECT COUNT(DISTINCT hash) FROM chunks");
        return usize::try_from(count).expect("a few");
    }
    walk(&world.path().join("blobs"))
}

/// The number of files below a directory.
fn walk(dir: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(dir).expect("readable").map(|e| e.expect("readable").path());
    entries.map(|path| if path.is_dir() { walk(&path) } else { 1 }).sum()
}

#[tokio::test]
async fn two_namespaces_are_read_only_for_all_but_the_instance_admin() {
    let world = shared_world().await;
    for namespace in ["system", "archives"] {
        let path = format!("/{namespace}/x.txt");
        let failure = refused(&world, Who::Admin, "write", json!({"path": path, "content": "x"}), DENIED).await;
        assert!(failure.message.contains(&format!("Namespace '{namespace}' is read-only")), "{}", failure.message);
        write(&world, Who::Instance, &path, "x").await;
        refused(&world, Who::Admin, "write", json!({"path": path, "content": "y"}), DENIED).await;
        refused(&world, Who::Admin, "delete", json!({"path": path}), DENIED).await;
        refused(&world, Who::Admin, "rename", json!({"old_path": path, "new_path": "/w/x"}), DENIED).await;
        assert_eq!(read(&world, Who::Admin, &path).await, "x");
    }
    write(&world, Who::Admin, "/systematic/x.txt", "compared by component").await;
}
