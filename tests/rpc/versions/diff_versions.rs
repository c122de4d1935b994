//! `diff_versions`.

use serde_json::json;

use super::super::*;
use super::shared_world;

const PATH: &str = "/w/alice/a.txt";

#[tokio::test]
async fn metadata_and_text() {
    let world = shared_world().await;
    write(&world, Who::Alice, PATH, "one\ntwo\n").await;
    write(&world, Who::Alice, PATH, "one\n2\nthree\n").await;
    write(&world, Who::Alice, PATH, "one\n2\nthree\n").await;
    let params = |v1: u64, v2: u64, mode: &str| json!({"path": PATH, "v1": v1, "v2": v2, "mode": mode});
    let found = ok(&world, Who::Bob, "diff_versions", json!({"path": PATH, "v1": 1, "v2": 2})).await;
    assert_eq!((&found["path"], &found["v1"], &found["v2"]), (&json!(PATH), &json!(1), &json!(2)));
    assert_eq!((&found["content_changed"], &found["size_delta"]), (&json!(true), &json!(4)));
    let back = ok(&world, Who::Bob, "diff_versions", params(2, 1, "metadata")).await;
    assert_eq!((&back["size_delta"], &back["size_v1"]), (&json!(-4), &json!(12)));
    let text = ok(&world, Who::Bob, "diff_versions", params(1, 2, "content")).await;
    let wanted = "--- /w/alice/a.txt (v1)\n+++ /w/alice/a.txt (v2)\n@@ -1,2 +1,3 @@\n one\n-two\n+2\n+three\n";
    assert_eq!(text, json!(wanted));
    assert_eq!(ok(&world, Who::Bob, "diff_versions", params(2, 3, "content")).await, json!("(no content changes)"));
    refused(&world, Who::Bob, "diff_versions", params(1, 9, "content"), NOT_FOUND).await;
    let said = refused(&world, Who::Bob, "diff_versions", params(1, 2, "x"), INVALID_PARAMS).await;
    assert!(said.message.ends_with("Invalid mode: x. Must be 'metadata' or 'content'"), "{}", said.message);
}

#[tokio::test]
async fn binary_and_large_bodies() {
    let world = shared_world().await;
    for data in ["AAEC", "//4="] {
        let content = json!({"__type__": "bytes", "data": data});
        ok(&world, Who::Alice, "write", json!({"path": PATH, "content": content})).await;
    }
    let content = json!({"path": PATH, "v1": 1, "v2": 2, "mode": "content"});
    let said = ok(&world, Who::Bob, "diff_versions", content).await;
    assert_eq!(said, json!("(binary content differs: 3 and 2 bytes)"));
    write(&world, Who::Alice, PATH, &"x\n".repeat((2 << 20) + 1)).await;
    let large = json!({"path": PATH, "v1": 1, "v2": 3, "mode": "content"});
    refused(&world, Who::Bob, "diff_versions", large, PRECONDITION).await;
    let metadata = json!({"path": PATH, "v1": 1, "v2": 3});
    assert_eq!(ok(&world, Who::Bob, "diff_versions", metadata).await["size_v2"], json!((4 << 20) + 2));
}
