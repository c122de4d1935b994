use serde_json::{Value, json};

use super::{key_of, make};
use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, NOT_FOUND, ok, refused};

async fn users(world: &World, who: Who, filter: Value) -> Vec<String> {
    let page = ok(world, who, "admin_list_keys", filter).await;
    let user = |row: &Value| row["user_id"].as_str().expect("a user").to_owned();
    let mut found: Vec<String> = page["keys"].as_array().expect("keys").iter().map(user).collect();
    assert_eq!(page["total"], json!(found.len()));
    found.sort();
    found
}

#[tokio::test]
async fn an_admin_sees_the_keys_of_its_tenant() {
    let world = World::new().await;
    let everybody = ["admin", "admin", "alice", "bob", "edith", "grace", "mallory", "root"];
    assert_eq!(users(&world, Who::Admin, json!({})).await, everybody);
    assert_eq!(users(&world, Who::OtherAdmin, json!({})).await, ["admin", "alice"]);
    assert_eq!(users(&world, Who::Instance, json!({})).await.len(), 10);
    assert_eq!(users(&world, Who::Instance, json!({"tenant_id": "acme"})).await, ["admin", "alice"]);
    assert_eq!(users(&world, Who::Admin, json!({"user_id": "bob"})).await, ["bob"]);
    assert_eq!(users(&world, Who::Admin, json!({"is_admin": true})).await, ["admin", "admin", "root"]);
    refused(&world, Who::Admin, "admin_list_keys", json!({"tenant_id": "acme"}), DENIED).await;
    for who in [Who::Alice, Who::Heir, Who::Agent, Who::OtherUser] {
        refused(&world, who, "admin_list_keys", json!({}), DENIED).await;
        refused(&world, who, "admin_get_key", json!({"key_id": key_of(&world, Who::Bob)}), DENIED).await;
    }
    let there = json!({"key_id": key_of(&world, Who::OtherUser)});
    let failure = refused(&world, Who::Admin, "admin_get_key", there.clone(), NOT_FOUND).await;
    assert!(failure.message.starts_with("File not found: API key not found: "), "{}", failure.message);
    ok(&world, Who::Instance, "admin_get_key", there).await;
}

#[tokio::test]
async fn pages_are_newest_first() {
    let world = World::new().await;
    for n in 0..5 {
        world.pass(std::time::Duration::from_secs(1)).await;
        make(&world, Who::Admin, &format!("user{n}")).await;
    }
    let page = ok(&world, Who::Admin, "admin_list_keys", json!({"limit": 2, "offset": 1})).await;
    let shown = |at: usize| page["keys"][at]["user_id"].clone();
    assert_eq!((shown(0), shown(1), shown(2)), (json!("user3"), json!("user2"), json!(null)));
    assert_eq!((&page["total"], &page["limit"], &page["offset"]), (&json!(13), &json!(2), &json!(1)));
    for limit in [0, 1_001] {
        refused(&world, Who::Admin, "admin_list_keys", json!({"limit": limit}), INVALID_PARAMS).await;
    }
}

#[tokio::test]
async fn revoked_and_ended_keys_are_listed_on_demand() {
    let world = World::new().await;
    let revoked = make(&world, Who::Admin, "carol").await;
    ok(&world, Who::Admin, "admin_revoke_key", json!({"key_id": revoked["key_id"]})).await;
    let ended = make(&world, Who::Admin, "dave").await;
    ok(&world, Who::Admin, "admin_update_key", json!({"key_id": ended["key_id"], "expires_days": 0})).await;
    for (filter, carol, dave) in [
        (json!({}), false, false),
        (json!({"include_revoked": true}), true, false),
        (json!({"include_expired": true}), false, true),
    ] {
        let found = users(&world, Who::Admin, filter).await;
        assert_eq!(found.contains(&"carol".to_owned()), carol);
        assert_eq!(found.contains(&"dave".to_owned()), dave);
    }
}
