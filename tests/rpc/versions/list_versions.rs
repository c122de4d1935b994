//! `list_versions` and `get_version`.

use std::time::Duration;

use nexus_lite::model::ContentHash;
use serde_json::{Value, json};

use super::super::*;
use super::shared_world;

const PATH: &str = "/w/alice/a.txt";

/// The field `field` of each row.
fn column(rows: &Value, field: &str) -> Vec<Value> {
    rows.as_array().expect("rows").iter().map(|row| row[field].clone()).collect()
}

#[tokio::test]
async fn each_version_once_newest_first() {
    let world = shared_world().await;
    for text in ["one", "two", "one"] {
        write(&world, Who::Alice, PATH, text).await;
    }
    let rows = ok(&world, Who::Bob, "list_versions", json!({"path": PATH})).await;
    assert_eq!(column(&rows, "version"), [json!(3), json!(2), json!(1)]);
    let hash = |text: &str| json!(ContentHash::of(text.as_bytes()).to_hex());
    assert_eq!(column(&rows, "content_hash"), [hash("one"), hash("two"), hash("one")]);
    assert_eq!(
        column(&rows, "parent_version_id"),
        [rows[1]["version_id"].clone(), rows[2]["version_id"].clone(), Value::Null]
    );
    for row in rows.as_array().expect("rows") {
        assert_eq!(row["created_by"], "user:alice");
        assert_eq!(
            (&row["source_type"], &row["change_reason"], &row["mime_type"]),
            (&json!("original"), &Value::Null, &json!("text/plain"))
        );
        assert_eq!((&row["size"], &row["created_at"]["__type__"]), (&json!(3), &json!("datetime")));
    }
    let two = ok(&world, Who::Bob, "list_versions", json!({"path": PATH, "limit": 2})).await;
    assert_eq!(column(&two, "version"), [json!(3), json!(2)]);
    let body = ok(&world, Who::Bob, "get_version", json!({"path": PATH, "version": 2})).await;
    assert_eq!(text_of(&body), "two");
    let missing = refused(&world, Who::Bob, "get_version", json!({"path": PATH, "version": 9}), NOT_FOUND).await;
    assert_eq!(missing.message, "File not found: /w/alice/a.txt (version 9)");
}

#[tokio::test]
async fn history_goes_with_a_move() {
    let world = shared_world().await;
    write(&world, Who::Alice, PATH, "one").await;
    let made = ok(&world, Who::Alice, "list_versions", json!({"path": PATH})).await;
    world.clock.as_ref().expect("an injected clock").advance(Duration::from_secs(1));
    ok(&world, Who::Admin, "rename", json!({"old_path": "/w/alice", "new_path": "/w/moved"})).await;
    ok(&world, Who::Admin, "rename", json!({"old_path": "/w/moved/a.txt", "new_path": "/w/moved/b.txt"})).await;
    // Written and moved in one revision: the row of the move is all there is of the version.
    write(&world, Who::Admin, "/w/moved/b.txt", "two").await;
    let renames = json!({"renames": [["/w/moved/b.txt", "/w/moved/c.txt"], ["/w/moved/c.txt", "/w/moved/b.txt"]]});
    ok(&world, Who::Admin, "rename_bulk", renames).await;
    let rows = ok(&world, Who::Admin, "list_versions", json!({"path": "/w/moved/b.txt"})).await;
    assert_eq!(column(&rows, "version"), [json!(2), json!(1)]);
    assert_eq!(rows[1], made[0], "as it was made, whatever moved since");
    assert_eq!(column(&rows, "source_type"), [json!("original"), json!("original")]);
    assert_eq!(ok(&world, Who::Admin, "list_versions", json!({"path": PATH})).await, json!([]));
    // What lies there now has a history of its own.
    write(&world, Who::Admin, PATH, "another").await;
    assert_eq!(column(&ok(&world, Who::Admin, "list_versions", json!({"path": PATH})).await, "version"), [json!(1)]);
}

#[tokio::test]
async fn the_rights_of_now_decide() {
    let world = shared_world().await;
    write(&world, Who::Alice, PATH, "old secret").await;
    write(&world, Who::Alice, PATH, "new").await;
    for who in [Who::Edith, Who::Agent, Who::Stranger, Who::OtherUser, Who::OtherAdmin] {
        for path in [PATH, "/w/alice/none"] {
            for (method, params) in [
                ("list_versions", json!({"path": path})),
                ("get_version", json!({"path": path, "version": 1})),
                ("diff_versions", json!({"path": path, "v1": 1, "v2": 2, "mode": "content"})),
                ("get_metadata", json!({"path": path})),
            ] {
                let refusal = refused(&world, who, method, params, DENIED).await;
                assert!(!format!("{refusal:?}").contains("old secret"), "{refusal:?}");
            }
        }
    }
    refused(&world, Who::Anonymous, "list_versions", json!({"path": PATH}), -32019).await;
    for who in [Who::Instance, Who::Admin, Who::Alice, Who::Bob, Who::Heir] {
        let body = ok(&world, who, "get_version", json!({"path": PATH, "version": 1})).await;
        assert_eq!(text_of(&body), "old secret", "{who:?}");
        assert_eq!(ok(&world, who, "list_versions", json!({"path": "/w/alice/none"})).await, json!([]), "{who:?}");
        assert_eq!(ok(&world, who, "list_versions", json!({"path": "/w/alice"})).await, json!([]), "{who:?}");
    }
    // Edith could not read it when it was written; she may now.
    grant(&world, ("user", "edith"), "direct_viewer", PATH).await;
    let body = ok(&world, Who::Edith, "get_version", json!({"path": PATH, "version": 1})).await;
    assert_eq!(text_of(&body), "old secret");
    // And bob could, and may no more.
    revoke(&world, "/w/alice").await;
    refused(&world, Who::Bob, "get_version", json!({"path": PATH, "version": 1}), DENIED).await;
}

#[tokio::test]
async fn large_bodies_and_directories() {
    let world = shared_world().await;
    let large = "large ".repeat(50_000);
    write(&world, Who::Alice, PATH, &large).await;
    write(&world, Who::Alice, PATH, "small").await;
    let body = ok(&world, Who::Bob, "get_version", json!({"path": PATH, "version": 1})).await;
    assert_eq!(text_of(&body), large);
    refused(&world, Who::Bob, "get_version", json!({"path": "/w/alice", "version": 1}), PRECONDITION).await;
    let ids = ok(
        &world,
        Who::Bob,
        "batch_get_content_ids",
        json!({"paths": [PATH, "/w/alice", "/w/secret.txt", "/w/alice/none", "/../x"]}),
    )
    .await;
    let hash = ContentHash::of(b"small").to_hex();
    assert_eq!(ids, json!({PATH: hash, "/w/alice": null, "/w/secret.txt": null, "/w/alice/none": null, "/../x": null}));
    let many: Vec<_> = (0..1_001).map(|n| format!("/w/{n}")).collect();
    refused(&world, Who::Bob, "batch_get_content_ids", json!({"paths": many}), INVALID_PARAMS).await;
}
