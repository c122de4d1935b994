//! `append`.

use futures_util::future::join_all;
use nexus_lite::model::ContentHash;
use serde_json::{Value, json};

use super::super::*;
use super::shared_world;

/// Bytes over the size of a body in the database.
const BLOB: usize = 70_000;

async fn append(world: &World, who: Who, path: &str, text: &str) -> Value {
    ok(world, who, "append", json!({"path": path, "content": text})).await
}

#[tokio::test]
async fn adds_to_the_end_and_makes_what_is_missing() {
    let world = shared_world().await;
    let first = append(&world, Who::Alice, "/w/alice/new/log.txt", "one\n").await;
    assert_eq!(first["etag"], ContentHash::of(b"one\n").to_hex());
    assert_eq!((&first["version"], &first["size"]), (&json!(1), &json!(4)));
    assert_eq!(first["modified_at"]["__type__"], "datetime");
    assert_eq!(first.as_object().map(serde_json::Map::len), Some(4), "bare, as the contract has it");
    let second = append(&world, Who::Alice, "/w/alice/new/log.txt", "two\n").await;
    assert_eq!((&second["version"], &second["size"]), (&json!(2), &json!(8)));
    assert_eq!(read(&world, Who::Alice, "/w/alice/new/log.txt").await, "one\ntwo\n");
}

#[tokio::test]
async fn grows_over_the_border_of_the_database() {
    let world = shared_world().await;
    let (path, mut wanted) = ("/w/alice/log.txt", String::new());
    for part in ["small".to_owned(), "x".repeat(BLOB), "y".to_owned(), "z".repeat(BLOB)] {
        append(&world, Who::Alice, path, &part).await;
        wanted += &part;
        assert!(read(&world, Who::Alice, path).await == wanted, "after {} bytes", wanted.len());
    }
    append(&world, Who::Alice, "/w/alice/large.txt", &"x".repeat(BLOB)).await;
    assert_eq!(read(&world, Who::Alice, "/w/alice/large.txt").await.len(), BLOB);
}

#[tokio::test]
async fn of_those_at_the_same_time_everybody_is_in_it_once_and_whole() {
    let world = shared_world().await;
    for (path, size) in [("/w/alice/small.txt", 10), ("/w/alice/large.txt", 30_000)] {
        let line = |n: usize| format!("{}\n", format!("{n}").repeat(size));
        let appends = (0..8).map(|n| world.rpc(Who::Alice, "append", json!({"path": path, "content": line(n)})));
        let answers = join_all(appends).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        let text = read(&world, Who::Alice, path).await;
        let mut found: Vec<_> = text.split_inclusive('\n').map(str::to_owned).collect();
        found.sort();
        assert!(found == (0..8).map(line).collect::<Vec<_>>(), "{path}: {} lines", found.len());
        let versions: std::collections::BTreeSet<_> =
            answers.iter().map(|a| a.as_ref().expect("appended")["version"].as_u64()).collect();
        assert_eq!(versions.len(), 8, "a version each");
    }
}

#[tokio::test]
async fn conditions_rights_and_what_is_no_file() {
    let world = shared_world().await;
    let etag = write(&world, Who::Alice, "/w/alice/a.txt", "one").await["etag"].clone();
    let with =
        |etag: &Value, force: bool| json!({"path": "/w/alice/a.txt", "content": "+", "if_match": etag, "force": force});
    let conflict = refused(&world, Who::Alice, "append", with(&json!("0".repeat(64)), false), CONFLICT).await;
    assert_eq!(conflict.data["current_etag"], etag);
    ok(&world, Who::Alice, "append", with(&etag, false)).await;
    refused(&world, Who::Alice, "append", with(&etag, false), CONFLICT).await;
    ok(&world, Who::Alice, "append", with(&etag, true)).await;
    ok(&world, Who::Heir, "append", json!({"path": "/w/alice/a.txt", "content": "+"})).await;
    ok(&world, Who::Admin, "append", json!({"path": "/w/alice/a.txt", "content": "+"})).await;
    assert_eq!(read(&world, Who::Alice, "/w/alice/a.txt").await, "one++++");
    let head = world.head().await;
    for who in [Who::Bob, Who::Stranger, Who::Agent, Who::OtherUser, Who::OtherAdmin] {
        let there = refused(&world, who, "append", json!({"path": "/w/alice/a.txt", "content": "x"}), DENIED).await;
        let missing = refused(&world, who, "append", json!({"path": "/w/alice/b.txt", "content": "x"}), DENIED).await;
        assert_eq!(there.message.replace("a.txt", "b.txt"), missing.message, "{who:?}");
    }
    let (nobody, _, _) =
        world.rpc_once(Who::Anonymous, None, "append", json!({"path": "/w/alice/a.txt", "content": "x"})).await;
    assert_eq!(nobody.expect_err("no key").data["code"], "unauthenticated");
    refused(&world, Who::Alice, "append", json!({"path": "/w/alice", "content": "x"}), PRECONDITION).await;
    refused(&world, Who::Alice, "append", json!({"path": "/w/alice/a.txt/b", "content": "x"}), PRECONDITION).await;
    assert_eq!(world.head().await, head, "nothing of all that was done");
}
