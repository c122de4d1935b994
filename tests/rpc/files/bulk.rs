//! `write_batch`, `delete_bulk`, `rename_bulk`.

use serde_json::{Value, json};

use super::super::*;
use super::shared_world;

/// The writer messages after a revision.
async fn ops_after(world: &World, rev: u64) -> Vec<String> {
    let read = world.store.read(move |tx| {
        tx.query("SELECT op FROM changelog WHERE rev > ?1 ORDER BY rev", nexus_lite::params![rev], |row| row.string(0))
    });
    read.await.map_err(|e: StoreError| e).expect("the changelog")
}

#[tokio::test]
async fn a_batch_is_one_revision_in_order() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a.txt", "old").await;
    let head = world.head().await;
    let large = "x".repeat(70_000);
    let files = json!([["/w/alice/new/b.txt", "b"], ["/w/alice/a.txt", "a"], ["/w/alice/new/c.txt", large]]);
    let written = ok(&world, Who::Alice, "write_batch", json!({"files": files})).await;
    let versions: Vec<_> = written.as_array().expect("a list").iter().map(|row| row["version"].as_u64()).collect();
    assert_eq!(versions, [Some(1), Some(2), Some(1)]);
    assert_eq!(ops_after(&world, head).await, ["files_put"]);
    assert_eq!(world.head().await, head + 1);
    assert_eq!(read(&world, Who::Bob, "/w/alice/a.txt").await, "a");
    assert_eq!(read(&world, Who::Bob, "/w/alice/new/c.txt").await.len(), 70_000);
    assert_eq!(ok(&world, Who::Alice, "write_batch", json!({"files": []})).await, json!([]));
    assert_eq!(world.head().await, head + 1, "nothing is no revision");
}

#[tokio::test]
async fn a_batch_is_written_whole_or_not_at_all() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/file", "old").await;
    let head = world.head().await;
    let good = json!(["/w/alice/good.txt", "x"]);
    for (who, bad, code) in [
        (Who::Alice, "/w/other/bad.txt", DENIED),
        (Who::Bob, "/w/alice/bad.txt", DENIED),
        (Who::Agent, "/w/alice/bad.txt", DENIED),
        (Who::Stranger, "/w/alice/bad.txt", DENIED),
        (Who::OtherAdmin, "/w/alice/bad.txt", DENIED),
        (Who::Alice, "/w/alice", PRECONDITION),
        (Who::Alice, "/w/alice/file/below", PRECONDITION),
        (Who::Alice, "/w/alice/good.txt/below", PRECONDITION),
        (Who::Alice, "/w/alice/good.txt", INVALID_PARAMS),
        (Who::Alice, "/w/alice/../bad", INVALID_PATH),
    ] {
        refused(&world, who, "write_batch", json!({"files": [good, [bad, "x"]]}), code).await;
    }
    assert_eq!(world.head().await, head);
    assert_eq!(list(&world, Who::Admin, "/w/alice", true).await, ["/w/alice/file"]);
    let many: Vec<_> = (0..257).map(|n| json!([format!("/w/alice/{n}"), ""])).collect();
    let said = refused(&world, Who::Alice, "write_batch", json!({"files": many}), INVALID_PARAMS).await;
    assert!(said.message.contains("at most 256 files at once, not 257"), "{}", said.message);
    ok(&world, Who::Heir, "write_batch", json!({"files": many[..256]})).await;
    assert_eq!(world.head().await, head + 1);
}

#[tokio::test]
async fn of_each_deleted_path_it_is_said_what_became_of_it() {
    let world = shared_world().await;
    for name in ["a.txt", "b.txt", "full/c.txt", "tree/d/e.txt"] {
        write(&world, Who::Alice, &format!("/w/alice/{name}"), "x").await;
    }
    ok(&world, Who::Alice, "mkdir", json!({"path": "/w/alice/empty"})).await;
    let head = world.head().await;
    let paths = [
        "/w/alice/b.txt",
        "/w/alice/a.txt",
        "/w/alice/none",
        "/w/alice/full",
        "/w/alice/empty",
        "/w/secret.txt",
        "/../x",
    ];
    let done = ok(&world, Who::Alice, "delete_bulk", json!({"paths": paths})).await;
    let yes = json!({"success": true});
    assert_eq!(done.as_object().expect("a map").keys().map(String::as_str).collect::<Vec<_>>(), paths, "in order");
    for path in [paths[0], paths[1], paths[4]] {
        assert_eq!(done[path], yes, "{path}");
    }
    assert_eq!(done[paths[2]], json!({"success": false, "error": "File not found"}));
    assert_eq!(done[paths[3]]["error"], "[Errno 39] Directory not empty: /w/alice/full");
    assert!(done[paths[5]]["error"].as_str().is_some_and(|e| e.starts_with("Access denied: User 'alice'")), "{done}");
    assert!(done[paths[6]]["error"].as_str().is_some_and(|e| e.contains("'..'")), "{done}");
    assert_eq!(ops_after(&world, head).await, ["nodes_remove"]);
    let done =
        ok(&world, Who::Alice, "delete_bulk", json!({"paths": ["/w/alice/tree", "/w/alice/full"], "recursive": true}));
    assert_eq!(done.await, json!({"/w/alice/tree": yes, "/w/alice/full": yes}));
    assert_eq!(list(&world, Who::Admin, "/w", true).await, ["/w/alice", "/w/secret.txt"]);
}

#[tokio::test]
async fn who_may_delete_nothing_does_not_reach_the_writer() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a.txt", "x").await;
    let head = world.head().await;
    let held = world.hold_writer();
    for who in [Who::Bob, Who::Stranger, Who::Agent, Who::OtherUser, Who::OtherAdmin] {
        let params = json!({"paths": ["/w/alice/a.txt", "/w/alice/none"], "recursive": true});
        let done = ok(&world, who, "delete_bulk", params).await;
        let said = |path: &str| done[path]["error"].as_str().expect("an error").to_owned();
        assert_eq!(said("/w/alice/a.txt").replace("a.txt", "none"), said("/w/alice/none"), "{who:?}");
        let params = json!({"renames": [["/w/alice/a.txt", "/w/alice/b.txt"]]});
        assert_eq!(ok(&world, who, "rename_bulk", params).await["/w/alice/a.txt"]["success"], false, "{who:?}");
    }
    held.release();
    assert_eq!(read(&world, Who::Alice, "/w/alice/a.txt").await, "x");
    assert!(ops_after(&world, head).await.iter().all(|op| !op.starts_with("nodes_")));
    for method in ["delete_bulk", "rename_bulk", "write_batch"] {
        let none = match method {
            "delete_bulk" => json!({"paths": []}),
            "rename_bulk" => json!({"renames": []}),
            _ => json!({"files": []}),
        };
        let (nobody, _, _) = world.rpc_once(Who::Anonymous, None, method, none).await;
        assert_eq!(nobody.expect_err("no key").data["code"], "unauthenticated");
    }
}

#[tokio::test]
async fn of_each_renamed_path_it_is_said_what_became_of_it() {
    let world = shared_world().await;
    for name in ["a", "b", "d/x"] {
        write(&world, Who::Alice, &format!("/w/alice/{name}"), name).await;
    }
    let head = world.head().await;
    let at = |name: &str| format!("/w/alice/{name}");
    let pairs: Vec<Value> = [("a", "c"), ("b", "a"), ("none", "e"), ("d", "d/e"), ("c", "a"), ("d/x", "../x")]
        .into_iter()
        .map(|(old, new)| json!([at(old), at(new)]))
        .collect();
    let done = ok(&world, Who::Alice, "rename_bulk", json!({"renames": pairs})).await;
    assert_eq!(done[at("a")], json!({"success": true, "new_path": at("c")}));
    assert_eq!(done[at("b")], json!({"success": true, "new_path": at("a")}), "a later one sees an earlier one");
    assert_eq!(done[at("none")], json!({"success": false, "error": "File not found: /w/alice/none"}));
    assert_eq!(done[at("d")]["success"], false);
    assert_eq!(done[at("c")]["error"], "Destination path already exists: /w/alice/a");
    assert_eq!(done[at("d/x")]["success"], false);
    assert_eq!(ops_after(&world, head).await, ["nodes_rename"]);
    assert_eq!(read(&world, Who::Bob, "/w/alice/a").await, "b");
    assert_eq!(read(&world, Who::Bob, "/w/alice/c").await, "a");
}
