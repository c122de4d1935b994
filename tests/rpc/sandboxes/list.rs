use std::time::Duration;

use serde_json::{Value, json};

use super::{id, sandbox};
use crate::harness::world::{Who, World};
use crate::rpc::{NOT_FOUND, ok, refused};

async fn names(world: &World, who: Who, filter: Value) -> Vec<String> {
    let rows = ok(world, who, "sandbox_list", filter).await;
    let name = |row: &Value| row["name"].as_str().expect("a name").to_owned();
    rows["sandboxes"].as_array().expect("rows").iter().map(name).collect()
}

#[tokio::test]
async fn everybody_sees_their_own() {
    let world = World::new().await;
    assert_eq!(ok(&world, Who::Alice, "sandbox_list", json!({})).await, json!({"sandboxes": []}));
    let alices = sandbox(&world, Who::Alice, "one").await;
    world.pass(Duration::from_secs(1)).await;
    sandbox(&world, Who::Agent, "two").await;
    sandbox(&world, Who::Bob, "three").await;
    let of = |user: &str| json!({"user_id": user});
    for (who, filter, wanted) in [
        (Who::Alice, json!({}), vec!["one", "two"]),
        (Who::Agent, json!({}), vec!["two"]),
        (Who::Alice, json!({"agent_id": "alice,Helper"}), vec!["two"]),
        (Who::Bob, json!({}), vec!["three"]),
        // Whom it is not for, the filter says nothing.
        (Who::Bob, of("alice"), vec!["three"]),
        (Who::Stranger, of("alice"), vec![]),
        (Who::Admin, json!({}), vec![]),
        (Who::Admin, of("alice"), vec!["one", "two"]),
        (Who::OtherAdmin, json!({"user_id": "alice", "tenant_id": "default"}), vec![]),
        (Who::Alice, json!({"status": "stopped"}), vec![]),
    ] {
        let shown = filter.to_string();
        assert_eq!(names(&world, who, filter).await, wanted, "{who:?} {shown}");
    }
    let rows = ok(&world, Who::Alice, "sandbox_list", json!({"verify_status": true, "status": "active"})).await;
    assert_eq!(
        (&rows["sandboxes"][0]["verified"], &rows["sandboxes"][0]["provider_status"]),
        (&json!(true), &json!("active"))
    );

    for who in [Who::Bob, Who::Stranger, Who::Agent, Who::OtherAdmin, Who::OtherUser] {
        let there = refused(&world, who, "sandbox_status", json!({"sandbox_id": id(&alices)}), NOT_FOUND).await;
        let missing = refused(&world, who, "sandbox_status", json!({"sandbox_id": "nope"}), NOT_FOUND).await;
        assert_eq!(there.message.replace(id(&alices), "nope"), missing.message, "{who:?}");
    }
    for who in [Who::Alice, Who::Heir, Who::Admin, Who::Instance] {
        ok(&world, who, "sandbox_status", json!({"sandbox_id": id(&alices)})).await;
    }
}
