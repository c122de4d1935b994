//! `edit`.

use serde_json::{Value, json};

use super::super::*;
use super::shared_world;

const PATH: &str = "/w/alice/a.txt";

fn edits(pairs: &[(&str, &str)]) -> Value {
    let edits: Vec<_> = pairs.iter().map(|(old, new)| json!({"old_str": old, "new_str": new})).collect();
    json!({"path": PATH, "edits": edits})
}

fn with(mut params: Value, more: Value) -> Value {
    params.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    params
}

#[tokio::test]
async fn replaces_passages_and_shows_the_difference() {
    let world = shared_world().await;
    write(&world, Who::Alice, PATH, "one\ntwo\nthree\nfour\nfive\nsix\n").await;
    let params = edits(&[("two\nthree", "2\n3"), ("3\nfour", "3\n4")]);
    let shown = ok(&world, Who::Alice, "edit", with(params.clone(), json!({"preview": true}))).await;
    assert_eq!((&shown["written"], &shown["etag"]), (&json!(false), &Value::Null));
    let done = ok(&world, Who::Alice, "edit", params).await;
    let diff = "--- /w/alice/a.txt (v1)\n+++ /w/alice/a.txt (v2)\n@@ -1,6 +1,6 @@\n one\n-two\n-three\n-four\n+2\n+3\n+4\n five\n six\n";
    assert_eq!((&done["diff"], &shown["diff"]), (&json!(diff), &json!(diff)));
    assert_eq!((&done["success"], &done["written"], &done["applied_count"]), (&json!(true), &json!(true), &json!(2)));
    assert_eq!((&done["version"], &done["size"]), (&json!(2), &json!(19)));
    assert_eq!(read(&world, Who::Bob, PATH).await, "one\n2\n3\n4\nfive\nsix\n");
    let stat = ok(&world, Who::Bob, "stat", json!({"path": PATH})).await;
    assert_eq!(stat["etag"], done["etag"]);
    let all = with(json!({"path": PATH}), json!({"edits": [{"old_str": "i", "new_str": "", "allow_multiple": true}]}));
    assert_eq!(ok(&world, Who::Alice, "edit", all).await["applied_count"], 2);
    assert_eq!(read(&world, Who::Bob, PATH).await, "one\n2\n3\n4\nfve\nsx\n");
}

#[tokio::test]
async fn all_or_none_and_to_the_letter() {
    let world = shared_world().await;
    write(&world, Who::Alice, PATH, "one two two").await;
    let head = world.head().await;
    for (params, code, says) in [
        (edits(&[("one", "1"), ("three", "3")]), PRECONDITION, "edit 2: the passage is not in /w/alice/a.txt"),
        (edits(&[("two", "2")]), PRECONDITION, "edit 1: the passage is 2 times in"),
        (edits(&[("One", "1")]), PRECONDITION, "edit 1: the passage is not in"),
        (edits(&[("", "1")]), INVALID_PARAMS, "edit 1: old_str is empty"),
        (edits(&[("one", "one")]), INVALID_PARAMS, "are the same"),
        (edits(&[]), INVALID_PARAMS, "1 to 100 edits, not 0"),
        (edits(&[("one", "1"); 101]), INVALID_PARAMS, "1 to 100 edits, not 101"),
        (edits(&[("one", &"x".repeat(5 << 20))]), PRECONDITION, "larger than the 4194304 bytes"),
    ] {
        let said = refused(&world, Who::Alice, "edit", params, code).await;
        assert!(said.message.contains(says), "{}", said.message);
    }
    let bytes = json!({"__type__": "bytes", "data": "//4="});
    ok(&world, Who::Alice, "write", json!({"path": "/w/alice/b.bin", "content": bytes})).await;
    let binary = with(edits(&[("a", "b")]), json!({"path": "/w/alice/b.bin"}));
    refused(&world, Who::Alice, "edit", binary, VALIDATION).await;
    let directory = with(edits(&[("a", "b")]), json!({"path": "/w/alice"}));
    refused(&world, Who::Alice, "edit", directory, PRECONDITION).await;
    let missing = with(edits(&[("a", "b")]), json!({"path": "/w/alice/none"}));
    refused(&world, Who::Alice, "edit", missing, NOT_FOUND).await;
    assert_eq!(world.head().await, head + 1, "only the file that was written");
}

#[tokio::test]
async fn never_overwrites_who_was_faster() {
    let world = shared_world().await;
    let etag = write(&world, Who::Alice, PATH, "one two").await["etag"].clone();
    let stale = with(edits(&[("one", "1")]), json!({"if_match": "0".repeat(64)}));
    let conflict = refused(&world, Who::Alice, "edit", stale, CONFLICT).await;
    assert_eq!(conflict.data["current_etag"], etag);
    // Both are planned on the same version; the second is made anew on what the first has left.
    let held = world.hold_writer();
    let (first, second) =
        (world.rpc(Who::Alice, "edit", edits(&[("one", "1")])), world.rpc(Who::Alice, "edit", edits(&[("two", "2")])));
    let both = futures_util::future::join(first, second);
    let release = async {
        tokio::task::yield_now().await;
        held.release();
    };
    let ((first, second), ()) = futures_util::future::join(both, release).await;
    first.expect("edited");
    second.expect("edited");
    assert_eq!(read(&world, Who::Alice, PATH).await, "1 2");
}

#[tokio::test]
async fn needs_both_rights() {
    let world = shared_world().await;
    write(&world, Who::Alice, PATH, "the secret").await;
    for who in [Who::Bob, Who::Stranger, Who::Agent, Who::OtherUser, Who::OtherAdmin] {
        let there = refused(&world, who, "edit", edits(&[("secret", "x")]), DENIED).await;
        let wrong = refused(&world, who, "edit", edits(&[("nothing", "x")]), DENIED).await;
        assert_eq!(there.message, wrong.message, "{who:?} learns nothing of the text");
        let missing = with(edits(&[("a", "b")]), json!({"path": "/w/alice/none"}));
        let missing = refused(&world, who, "edit", missing, DENIED).await;
        assert_eq!(there.message, missing.message.replace("none", "a.txt"), "{who:?}");
    }
    let (nobody, _, _) = world.rpc_once(Who::Anonymous, None, "edit", edits(&[("secret", "x")])).await;
    assert_eq!(nobody.expect_err("no key").data["code"], "unauthenticated");
    for who in [Who::Heir, Who::Admin, Who::Instance] {
        ok(&world, who, "edit", edits(&[("secret", "secret!")])).await;
    }
}

#[tokio::test]
async fn edits_a_large_file() {
    let world = shared_world().await;
    let body = (0..20_000).map(|n| format!("line {n}\n")).collect::<String>();
    write(&world, Who::Alice, PATH, &body).await;
    let done = ok(&world, Who::Alice, "edit", edits(&[("line 12345\n", "")])).await;
    assert_eq!(done["diff"].as_str().map(|diff| diff.lines().count()), Some(10), "{}", done["diff"]);
    assert!(read(&world, Who::Alice, PATH).await == body.replace("line 12345\n", ""));
    let all = json!({"path": PATH, "edits": [{"old_str": "line", "new_str": "another line", "allow_multiple": true}]});
    let done = ok(&world, Who::Alice, "edit", all).await;
    assert_eq!((&done["applied_count"], &done["diff_truncated"]), (&json!(19_999), &json!(true)));
}
