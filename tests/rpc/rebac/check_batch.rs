use serde_json::{Value, json};

use super::project;
use crate::harness::world::Who;
use crate::rpc::{INVALID_PARAMS, ok, refused};

#[tokio::test]
async fn answers_come_by_position_and_one_does_not_spoil_the_rest() {
    let world = project().await;
    let check = |user: &str, permission: &str, path: &str| json!([["user", user], permission, ["file", path]]);
    let checks = json!([
        check("alice", "read", "/proj/a.txt"),
        check("alice", "read", "/else"),
        check("bob", "read", "/proj/a.txt"),
        check("bob", "read", "/else"),
        check("alice", "read", "/proj/a.txt"),
    ]);
    let answers = ok(&world, Who::Alice, "rebac_check_batch", json!({"checks": checks})).await;
    assert_eq!(answers, json!([true, false, false, null, true]));
    let answers = ok(&world, Who::Stranger, "rebac_check_batch", json!({"checks": checks})).await;
    assert_eq!(answers, json!([null, null, null, null, null]));
    assert_eq!(ok(&world, Who::Stranger, "rebac_check_batch", json!({"checks": []})).await, json!([]));
}

#[tokio::test]
async fn a_batch_has_a_bound() {
    let world = project().await;
    let one = json!([["user", "alice"], "read", ["file", "/proj/a.txt"]]);
    let many = |n: usize| json!({"checks": vec![one.clone(); n]});
    let answers = ok(&world, Who::Alice, "rebac_check_batch", many(1_000)).await;
    assert_eq!(answers, Value::Array(vec![json!(true); 1_000]));
    refused(&world, Who::Alice, "rebac_check_batch", many(10_001), INVALID_PARAMS).await;
    let broken = json!({"checks": [[["user"], "read", ["file", "/a"]]]});
    refused(&world, Who::Alice, "rebac_check_batch", broken, INVALID_PARAMS).await;
}
