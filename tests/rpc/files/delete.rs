//! `delete`.

use serde_json::json;

use super::super::*;
use super::shared_world;

#[tokio::test]
async fn deletes_with_grants_and_empty_directories() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/x/y/a.txt", "old").await;
    grant(&world, ("user", "mallory"), "direct_editor", "/w/alice/x/y/a.txt").await;
    assert_eq!(read(&world, Who::Stranger, "/w/alice/x/y/a.txt").await, "old");
    let gone = ok(&world, Who::Alice, "delete", json!({"path": "/w/alice/x/y/a.txt"})).await;
    assert_eq!(gone, json!({"deleted": true}));
    assert_eq!(list(&world, Who::Alice, "/w/alice", false).await, Vec::<String>::new(), "x and y went along");
    write(&world, Who::Alice, "/w/alice/x/y/a.txt", "new").await;
    refused(&world, Who::Stranger, "read", json!({"path": "/w/alice/x/y/a.txt"}), DENIED).await;
    let stat = ok(&world, Who::Alice, "stat", json!({"path": "/w/alice/x/y/a.txt"})).await;
    assert_eq!(stat["version"], 1, "another file");
}

#[tokio::test]
async fn a_directory_with_a_grant_stays() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/team/a.txt", "x").await;
    grant(&world, ("user", "mallory"), "direct_viewer", "/w/alice/team").await;
    ok(&world, Who::Alice, "delete", json!({"path": "/w/alice/team/a.txt"})).await;
    assert_eq!(list(&world, Who::Alice, "/w/alice", false).await, ["/w/alice/team"]);
    // Granted before it was there.
    grant(&world, ("user", "mallory"), "direct_viewer", "/w/alice/later").await;
    write(&world, Who::Alice, "/w/alice/later/a.txt", "x").await;
    ok(&world, Who::Alice, "delete", json!({"path": "/w/alice/later/a.txt"})).await;
    assert_eq!(list(&world, Who::Alice, "/w/alice", false).await, ["/w/alice/later", "/w/alice/team"]);
}

#[tokio::test]
async fn needs_the_right() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a.txt", "x").await;
    for who in [Who::Bob, Who::Agent, Who::Stranger, Who::OtherAdmin, Who::OtherUser] {
        let there = refused(&world, who, "delete", json!({"path": "/w/alice/a.txt"}), DENIED).await;
        let not = refused(&world, who, "delete", json!({"path": "/w/alice/b.txt"}), DENIED).await;
        assert_eq!(there.message.replace("a.txt", "_"), not.message.replace("b.txt", "_"), "{who:?}");
    }
    refused(&world, Who::Alice, "delete", json!({"path": "/w/alice/b.txt"}), NOT_FOUND).await;
    refused(&world, Who::Admin, "delete", json!({"path": "/nope/b.txt"}), NOT_FOUND).await;
    refused(&world, Who::Admin, "delete", json!({"path": "/w/alice"}), PRECONDITION).await;
    ok(&world, Who::Heir, "delete", json!({"path": "/w/alice/a.txt"})).await;
    ok(&world, Who::Admin, "delete", json!({"path": "/w/alice"})).await;
}
