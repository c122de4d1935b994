use std::time::Duration;

use nexus_lite::auth::AuthError;
use serde_json::json;

use super::{key_of, make, shown, with_one_root};
use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, NOT_FOUND, PRECONDITION, ok, refused};

#[tokio::test]
async fn label_flag_and_end_of_a_key_change() {
    let world = World::new().await;
    let made = make(&world, Who::Admin, "carol").await;
    let change = json!({"key_id": made["key_id"], "name": "renamed", "is_admin": true, "expires_days": 1});
    let changed = ok(&world, Who::Admin, "admin_update_key", change).await;
    assert_eq!((&changed["success"], &changed["name"]), (&json!(true), &json!("renamed")));
    assert_eq!(changed["expires_at"], "2026-01-03T03:04:05.000000");
    assert!(shown(&world, &made).expect("known").is_admin);
    ok(&world, Who::Admin, "admin_update_key", json!({"key_id": made["key_id"], "is_admin": false})).await;
    assert!(!shown(&world, &made).expect("known").is_admin);
    world.pass(Duration::from_secs(86_400)).await;
    assert_eq!(shown(&world, &made), Err(AuthError::Invalid));
}

#[tokio::test]
async fn an_admin_changes_keys_of_its_tenant_and_not_above_itself() {
    let world = with_one_root().await;
    let bobs = json!({"key_id": key_of(&world, Who::Bob), "is_admin": true});
    for who in [Who::Bob, Who::Alice, Who::Heir] {
        refused(&world, who, "admin_update_key", bobs.clone(), DENIED).await;
    }
    refused(&world, Who::OtherAdmin, "admin_update_key", bobs, NOT_FOUND).await;
    let root = key_of(&world, Who::Instance);
    refused(&world, Who::Admin, "admin_update_key", json!({"key_id": root, "expires_days": 0}), DENIED).await;
    for change in [json!({"key_id": root, "expires_days": 9}), json!({"key_id": root, "is_admin": false})] {
        refused(&world, Who::Instance, "admin_update_key", change, PRECONDITION).await;
    }
    ok(&world, Who::Instance, "admin_update_key", json!({"key_id": root, "name": "the root"})).await;
    let change = json!({"key_id": root, "expires_days": -3});
    refused(&world, Who::Instance, "admin_update_key", change, INVALID_PARAMS).await;
}
