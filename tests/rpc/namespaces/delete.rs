use serde_json::{Value, json};

use super::{OTHERS, allowed, doc, grant, put};
use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, ok, refused};

#[tokio::test]
async fn only_stored_rules_are_deleted_and_only_by_the_instance_admin() {
    let world = World::new().await;
    put(&world, "doc", doc()).await;
    for who in OTHERS {
        for object_type in ["doc", "nope", "file"] {
            refused(&world, who, "namespace_delete", json!({"object_type": object_type}), DENIED).await;
        }
    }
    let delete = |object_type: &'static str| {
        let world = &world;
        async move { ok(world, Who::Instance, "namespace_delete", json!({"object_type": object_type})).await }
    };
    assert_eq!((delete("nope").await, delete("file").await), (json!(false), json!(false)));
    assert_eq!((delete("doc").await, delete("doc").await), (json!(true), json!(false)));
    assert_eq!(ok(&world, Who::Alice, "namespace_get", json!({"object_type": "doc"})).await, Value::Null);
    // Without rules a name means the tuples of that name.
    grant(&world, "user:bob read doc:1").await;
    assert!(allowed(&world, "user:bob read doc:1").await);
}

#[tokio::test]
async fn deleting_a_replacement_brings_the_built_in_rules_back() {
    let world = World::new().await;
    let config = json!({
        "relations": {"owner": {}, "viewer": {}},
        "permissions": {"read": ["owner"], "write": ["owner"], "delete": ["owner"]},
    });
    put(&world, "trajectory", config.clone()).await;
    grant(&world, "user:bob viewer trajectory:t").await;
    assert!(!allowed(&world, "user:bob read trajectory:t").await);
    let found = ok(&world, Who::Bob, "namespace_get", json!({"object_type": "trajectory"})).await;
    assert_eq!((&found["config"], &found["builtin"]), (&config, &json!(false)));

    assert_eq!(ok(&world, Who::Instance, "namespace_delete", json!({"object_type": "trajectory"})).await, json!(true));
    assert!(allowed(&world, "user:bob read trajectory:t").await);
    let found = ok(&world, Who::Bob, "namespace_get", json!({"object_type": "trajectory"})).await;
    assert_eq!((&found["builtin"], &found["created_at"]), (&json!(true), &Value::Null));
}

#[tokio::test]
async fn what_was_deleted_stays_so_over_a_restart() {
    let world = World::new().await;
    put(&world, "doc", doc()).await;
    put(&world, "note", doc()).await;
    ok(&world, Who::Instance, "namespace_delete", json!({"object_type": "note"})).await;
    let (keys, path) = (world.keys(), world.path().to_owned());
    let _dir = world.close().await;
    let world = World::again(&path, crate::harness::world::Setup::default(), keys).await;
    let get = |object_type: &'static str| {
        let world = &world;
        async move { ok(world, Who::Alice, "namespace_get", json!({"object_type": object_type})).await }
    };
    assert_eq!((&get("doc").await["config"], get("note").await), (&doc(), Value::Null));
}
