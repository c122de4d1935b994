//! `get_metadata`.

use serde_json::{Value, json};

use super::super::*;
use super::shared_world;

#[tokio::test]
async fn files_directories_the_root_and_nothing() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a.txt", "text").await;
    let metadata =
        async |who, path: &str| ok(&world, who, "get_metadata", json!({"path": path})).await["metadata"].clone();
    let file = metadata(Who::Bob, "/w/alice/a.txt").await;
    assert_eq!((&file["path"], &file["size"], &file["mode"]), (&json!("/w/alice/a.txt"), &json!(4), &json!(420)));
    assert_eq!((&file["owner"], &file["group"]), (&json!("alice"), &json!("alice")), "not who asks");
    assert_eq!((&file["is_directory"], &file["version"]), (&json!(false), &json!(1)));
    assert_eq!(file["created_at"].as_str().map(str::len), Some("2026-01-02T03:04:05.000000".len()));
    let directory = metadata(Who::Bob, "/w/alice").await;
    assert_eq!((&directory["size"], &directory["mime_type"]), (&json!(4096), &json!("inode/directory")));
    assert_eq!((&directory["mode"], &directory["created_at"]), (&json!(493), &Value::Null));
    assert_eq!(metadata(Who::Bob, "/").await["is_directory"], true);
    assert_eq!(metadata(Who::Bob, "/w").await["is_directory"], true, "the way to what he sees");
    assert_eq!(metadata(Who::Bob, "/w/alice/none").await, Value::Null);
    refused(&world, Who::Bob, "get_metadata", json!({"path": "/w/secret.txt"}), DENIED).await;
    refused(&world, Who::Bob, "get_metadata", json!({"path": "/w/none.txt"}), DENIED).await;
    refused(&world, Who::Bob, "get_metadata", json!({"path": "/w/../w"}), INVALID_PATH).await;
    refused(&world, Who::Anonymous, "get_metadata", json!({"path": "/"}), -32019).await;
}
