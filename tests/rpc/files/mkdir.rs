//! `mkdir`.

use serde_json::json;

use super::super::*;
use super::shared_world;

#[tokio::test]
async fn makes_a_directory_of_the_caller() {
    let world = shared_world().await;
    assert_eq!(ok(&world, Who::Alice, "mkdir", json!({"path": "/w/alice/d"})).await, json!({"created": true}));
    revoke(&world, "/w/alice").await;
    write(&world, Who::Alice, "/w/alice/d/mine.txt", "she owns it").await;
    refused(&world, Who::Alice, "write", json!({"path": "/w/alice/x.txt", "content": "x"}), DENIED).await;
    ok(&world, Who::Alice, "delete", json!({"path": "/w/alice/d/mine.txt"})).await;
    assert_eq!(list(&world, Who::Admin, "/w/alice", true).await, ["/w/alice/d"], "it stays when it is empty");
}

#[tokio::test]
async fn parents_and_exist_ok() {
    let world = shared_world().await;
    let exists = refused(&world, Who::Admin, "mkdir", json!({"path": "/w/alice"}), EXISTS).await;
    assert_eq!(exists.message, "Directory already exists: /w/alice");
    ok(&world, Who::Admin, "mkdir", json!({"path": "/w/alice", "exist_ok": true})).await;
    ok(&world, Who::Admin, "mkdir", json!({"path": "/w/alice", "parents": true})).await;
    refused(&world, Who::Alice, "mkdir", json!({"path": "/w/alice/p/q/r"}), NOT_FOUND).await;
    ok(&world, Who::Alice, "mkdir", json!({"path": "/w/alice/p/q/r", "parents": true})).await;
    let all = ["/w/alice/p", "/w/alice/p/q", "/w/alice/p/q/r"];
    assert_eq!(list(&world, Who::Alice, "/w/alice", true).await, all);
    write(&world, Who::Alice, "/w/alice/f", "file").await;
    for params in [json!({"path": "/w/alice/f"}), json!({"path": "/w/alice/f", "exist_ok": true, "parents": true})] {
        refused(&world, Who::Alice, "mkdir", params, EXISTS).await;
    }
    let through = json!({"path": "/w/alice/f/d", "parents": true});
    refused(&world, Who::Alice, "mkdir", through, PRECONDITION).await;
}

#[tokio::test]
async fn needs_the_right_always() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/x/f.txt", "x").await;
    for who in [Who::Bob, Who::Agent, Who::Stranger, Who::OtherAdmin, Who::OtherUser] {
        for more in [json!({}), json!({"parents": true}), json!({"parents": true, "exist_ok": true})] {
            for path in ["/w/alice/new", "/w/alice/x", "/w/alice/x/f.txt", "/w/alice/a/b/c", "/new"] {
                let mut params = more.clone();
                params["path"] = json!(path);
                refused(&world, who, "mkdir", params, DENIED).await;
            }
        }
    }
    assert_eq!(list(&world, Who::Admin, "/w/alice", false).await, ["/w/alice/x"]);
}

#[tokio::test]
async fn making_a_directory_that_is_there_makes_nobody_its_owner() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/x/f.txt", "x").await;
    grant(&world, ("user", "bob"), "direct_editor", "/w/alice").await;
    ok(&world, Who::Bob, "mkdir", json!({"path": "/w/alice/x", "exist_ok": true})).await;
    revoke(&world, "/w/alice").await;
    refused(&world, Who::Bob, "read", json!({"path": "/w/alice/x/f.txt"}), DENIED).await;
    ok(&world, Who::Admin, "delete", json!({"path": "/w/alice/x/f.txt"})).await;
    assert_eq!(list(&world, Who::Admin, "/w/alice", true).await, ["/w/alice/x"], "it is explicit now");
}
