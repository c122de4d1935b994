//! `read` and `stat`.

use nexus_lite::model::ContentHash;
use nexus_lite::rpc::registry::Params;
use nexus_lite::rpc::{RequestContext, dispatch};
use serde_json::{Value, json};
use std::sync::Arc;

use super::super::*;
use super::shared_world;

#[tokio::test]
async fn gives_bytes_or_an_object() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a.txt", "hello").await;
    let etag = ContentHash::of(b"hello").to_hex();
    let bytes = ok(&world, Who::Bob, "read", json!({"path": "/w/alice/a.txt"})).await;
    assert_eq!(bytes, json!({"__type__": "bytes", "data": "aGVsbG8="}));
    let object = ok(&world, Who::Bob, "read", json!({"path": "/w/alice/a.txt", "return_metadata": true})).await;
    let keys: Vec<&String> = object.as_object().expect("object").keys().collect();
    assert_eq!(keys, ["content", "etag", "version", "modified_at", "size"]);
    assert_eq!((&object["content"], &object["etag"]), (&bytes, &json!(etag)));
    let at = object["modified_at"]["data"].as_str().expect("a time");
    assert!(!at.ends_with("+00:00"), "a stored time does not name its offset: {at}");
    let parsed = json!({"path": "/w/alice/a.txt", "return_metadata": true, "parsed": true});
    let parsed = ok(&world, Who::Bob, "read", parsed).await;
    assert_eq!((&parsed["parsed"], &parsed["provider"]), (&json!(false), &Value::Null));
    let url = ok(&world, Who::Bob, "read", json!({"path": "/w/alice/a.txt", "return_url": true})).await;
    assert_eq!(url, bytes, "there is no connector: the bytes come here");
    let stat = ok(&world, Who::Bob, "stat", json!({"path": "/w/alice/a.txt"})).await;
    assert_eq!(stat["etag"], etag);
    assert_eq!((&stat["size"], &stat["version"], &stat["is_directory"]), (&json!(5), &json!(1), &json!(false)));
    let stat = ok(&world, Who::Bob, "stat", json!({"path": "/w/alice/"})).await;
    let nothing = Value::Null;
    let directory =
        json!({"size": 0, "etag": nothing, "version": nothing, "modified_at": nothing, "is_directory": true});
    assert_eq!(stat, directory);
}

#[tokio::test]
async fn refuses_what_is_there_and_what_is_not_alike() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a.txt", "hello").await;
    for method in ["read", "stat"] {
        for who in [Who::Agent, Who::Stranger, Who::OtherAdmin, Who::OtherUser] {
            let there = refused(&world, who, method, json!({"path": "/w/alice/a.txt"}), DENIED).await;
            let not = refused(&world, who, method, json!({"path": "/w/alice/b.txt"}), DENIED).await;
            assert_eq!(there.message.replace("a.txt", "_"), not.message.replace("b.txt", "_"), "{who:?} {method}");
            let hints = [there, not].map(|f| f.data["hint"].as_str().expect("a hint").replace("a.txt", "b.txt"));
            assert_eq!(hints[0], hints[1], "{who:?} {method}");
        }
        for who in [Who::Alice, Who::Heir, Who::Bob, Who::Admin, Who::Instance] {
            let missing = refused(&world, who, method, json!({"path": "/w/alice/b.txt"}), NOT_FOUND).await;
            assert_eq!(missing.message, "File not found: /w/alice/b.txt");
            refused(&world, who, method, json!({"path": "/w/alice/no/such/b.txt"}), NOT_FOUND).await;
            ok(&world, who, method, json!({"path": "/w/alice/a.txt"})).await;
        }
        // Bob may read this missing file and not its directory: a "not found" would tell.
        grant(&world, ("user", "bob"), "direct_viewer", "/w/waiting.txt").await;
        refused(&world, Who::Bob, method, json!({"path": "/w/waiting.txt"}), DENIED).await;
        refused(&world, Who::Bob, method, json!({"path": "/w/secret.txt"}), DENIED).await;
    }
    refused(&world, Who::Bob, "read", json!({"path": "/w/alice"}), PRECONDITION).await;
    refused(&world, Who::Stranger, "read", json!({"path": "/w/alice"}), DENIED).await;
}

/// A request with `If-None-Match`: whether the door would answer 304, and the error.
async fn conditional(world: &World, who: Who, etag: &str) -> (bool, Option<i64>) {
    let mut cx = RequestContext::new(world.call_as(who), Arc::clone(&world.services));
    cx.if_none_match = Some(etag.to_owned());
    let Value::Object(params) = json!({"path": "/w/alice/a.txt"}) else { unreachable!("an object") };
    let result = dispatch::dispatch(&cx, "read", Params::Value(params), &mut Vec::new()).await;
    (cx.not_modified(), result.err().map(|e| i64::from(e.code.number())))
}

#[tokio::test]
async fn not_modified_comes_after_the_right() {
    let world = shared_world().await;
    let etag = write(&world, Who::Alice, "/w/alice/a.txt", "hello").await["etag"].as_str().expect("etag").to_owned();
    assert_eq!(conditional(&world, Who::Bob, &etag).await, (true, None));
    assert_eq!(conditional(&world, Who::Bob, &"0".repeat(64)).await, (false, None));
    assert_eq!(conditional(&world, Who::Stranger, &etag).await, (false, Some(DENIED)));
    write(&world, Who::Alice, "/w/alice/a.txt", "changed").await;
    assert_eq!(conditional(&world, Who::Bob, &etag).await, (false, None));
}

#[tokio::test]
async fn the_owner_of_a_file_reads_it_where_nothing_else_is_granted() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/mine.txt", "m").await;
    revoke(&world, "/w/alice").await;
    assert_eq!(read(&world, Who::Alice, "/w/alice/mine.txt").await, "m");
    write(&world, Who::Heir, "/w/alice/mine.txt", "by the agent that inherits").await;
    refused(&world, Who::Agent, "read", json!({"path": "/w/alice/mine.txt"}), DENIED).await;
    refused(&world, Who::OtherUser, "read", json!({"path": "/w/alice/mine.txt"}), DENIED).await;
    refused(&world, Who::Alice, "read", json!({"path": "/w/alice/other.txt"}), DENIED).await;
}
