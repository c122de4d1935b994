use nexus_lite::service::keys::ops::RevokeKey;
use nexus_lite::service::names::EntityName;
use nexus_lite::service::relations::namespaces_ops;
use nexus_lite::service::relations::tuples_ops::{CreateTuple, TupleRequest};
use nexus_lite::service::{Call, ServiceError};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{allowed, doc, put};
use crate::harness::world::{Who, World};
use crate::rpc::ok;

/// Lets a put go as far as the writer's mailbox, where `before` messages wait already.
async fn waiting(world: &World, call: Call, config: Value, before: usize) -> JoinHandle<Result<(), ServiceError>> {
    let put = tokio::spawn(async move { namespaces_ops::put(&call, "doc".into(), config).await });
    while world.store.status().writer_queue_depth <= before && !put.is_finished() {
        tokio::task::yield_now().await;
    }
    assert!(!put.is_finished(), "it waits");
    put
}

fn viewer(world: &World, call: &Call, relation: &str) -> CreateTuple {
    CreateTuple {
        caller: call.caller.clone(),
        tuple_id: world.store.random().uuid(),
        request: TupleRequest {
            subject: EntityName::subject("user", "bob").expect("a name"),
            subject_relation: None,
            relation: relation.into(),
            object: EntityName::object("doc", "1").expect("a name"),
            tenant: None,
            expires_at_us: None,
            columns: None,
        },
    }
}

fn owners() -> Value {
    json!({"relations": {"owner": {}}, "permissions": {"read": ["owner"]}})
}

#[tokio::test]
async fn a_grant_that_comes_in_between_is_seen_by_the_writer() {
    let world = World::new().await;
    put(&world, "doc", doc()).await;
    let held = world.hold_writer();
    let admin = world.call_as(Who::Admin);
    let granted = world.submit(&admin, viewer(&world, &admin, "viewer"));
    let put = waiting(&world, world.call_as(Who::Instance), owners(), 2).await;
    held.release();
    granted.await.expect("a grant");
    let refused = put.await.expect("no panic").expect_err("the tuple is there");
    assert!(refused.to_string().contains("user:bob viewer doc:1"), "{refused}");
    assert!(allowed(&world, "user:bob read doc:1").await);
}

/// Rules that came in between hold tuples that the reader knew nothing of.
#[tokio::test]
async fn rules_that_come_in_between_are_seen_by_the_writer() {
    let world = World::new().await;
    put(&world, "doc", owners()).await;
    let held = world.hold_writer();
    let mut wider = owners();
    wider["relations"]["helper"] = json!({});
    let first = waiting(&world, world.call_as(Who::Instance), wider.clone(), 1).await;
    let admin = world.call_as(Who::Admin);
    let granted = world.submit(&admin, viewer(&world, &admin, "helper"));
    let mut narrow = owners();
    narrow["permissions"]["peek"] = json!(["owner"]);
    let second = waiting(&world, world.call_as(Who::Instance), narrow, 3).await;
    held.release();
    first.await.expect("no panic").expect("nobody is in the way");
    granted.await.expect("a grant");
    let refused = second.await.expect("no panic").expect_err("the tuple is there");
    assert!(refused.to_string().contains("user:bob helper doc:1"), "{refused}");
    let now = ok(&world, Who::Bob, "namespace_get", json!({"object_type": "doc"})).await;
    assert_eq!(now["config"], wider);
}

/// Whoever was the instance admin when he asked, and is it no longer when it is his turn, changes nothing.
#[tokio::test]
async fn a_key_that_is_revoked_in_between_changes_nothing() {
    let world = World::new().await;
    let second = json!({"user_id": "second", "name": "second", "is_instance_admin": true});
    ok(&world, Who::Instance, "admin_create_key", second).await;
    let keys = ok(&world, Who::Instance, "admin_list_keys", json!({"user_id": "root"})).await;
    let key_id = keys["keys"][0]["key_id"].as_str().expect("an id").to_owned();
    let call = world.call_as(Who::Instance);
    let held = world.hold_writer();
    let revoked = world.submit(&call, RevokeKey { caller: call.caller.clone(), key_id });
    let put = waiting(&world, call.clone(), doc(), 2).await;
    held.release();
    revoked.await.expect("revoked");
    let refused = put.await.expect("no panic").expect_err("the key is revoked");
    assert!(matches!(refused, ServiceError::Unauthenticated), "{refused}");
    assert_eq!(ok(&world, Who::Admin, "namespace_get", json!({"object_type": "doc"})).await, Value::Null);
}
