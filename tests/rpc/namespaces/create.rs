use serde_json::{Value, json};

use super::{OTHERS, allowed, doc, grant, put};
use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, PRECONDITION, ok, refused};

#[tokio::test]
async fn rules_hold_at_once_and_for_every_tenant() {
    let world = World::new().await;
    put(&world, "doc", doc()).await;
    grant(&world, "user:alice owner doc:1").await;
    grant(&world, "user:bob viewer doc:1").await;
    assert!(allowed(&world, "user:alice write doc:1").await);
    assert!(allowed(&world, "user:bob read doc:1").await && !allowed(&world, "user:bob write doc:1").await);
    grant(&world, "user:bob banned doc:1").await;
    assert!(!allowed(&world, "user:bob read doc:1").await);

    let elsewhere = json!({"subject": ["user", "alice"], "relation": "owner", "object": ["doc", "1"]});
    ok(&world, Who::OtherAdmin, "rebac_create", elsewhere).await;
    let asked = json!({"subject": ["user", "alice"], "permission": "write", "object": ["doc", "1"]});
    assert_eq!(ok(&world, Who::OtherUser, "rebac_check", asked).await, json!(true));
}

#[tokio::test]
async fn another_group_changes_the_answers_about_files_with_the_next_check() {
    let world = World::new().await;
    crate::rpc::write(&world, Who::Admin, "/proj/a.txt", "x").await;
    crate::rpc::grant(&world, ("group", "eng"), "direct_viewer", "/proj").await;
    grant(&world, "user:bob member group:eng").await;
    crate::rpc::read(&world, Who::Bob, "/proj/a.txt").await;

    let strict = json!({
        "relations": {
            "direct_member": {}, "banned": {}, "admin": {}, "not_banned": {"exclusion": "banned"},
            "member": {"intersection": [{"this": {}}, "not_banned"]},
        },
        "permissions": {"manage": ["admin"]},
    });
    put(&world, "group", strict).await;
    crate::rpc::read(&world, Who::Bob, "/proj/a.txt").await;
    let banned = grant(&world, "user:bob banned group:eng").await;
    refused(&world, Who::Bob, "read", json!({"path": "/proj/a.txt"}), DENIED).await;
    // 'banned' is used now, so the built-in rules of groups cannot come back over it.
    let back = json!({"object_type": "group"});
    refused(&world, Who::Instance, "namespace_delete", back.clone(), PRECONDITION).await;
    ok(&world, Who::Admin, "rebac_delete", json!({"tuple_id": banned})).await;
    assert_eq!(ok(&world, Who::Instance, "namespace_delete", back).await, json!(true));
    crate::rpc::read(&world, Who::Bob, "/proj/a.txt").await;
}

#[tokio::test]
async fn nobody_but_the_instance_admin_changes_rules() {
    let world = World::new().await;
    let before = world.head().await;
    for who in OTHERS {
        let params = json!({"object_type": "doc", "config": doc()});
        let failure = refused(&world, who, "namespace_create", params.clone(), DENIED).await;
        assert!(failure.message.contains("only the instance admin"), "{}", failure.message);
        refused(&world, who, "register_namespace", json!({"namespace": params}), DENIED).await;
        // Who may not write learns nothing from what he sends.
        let bad = json!({"object_type": "doc", "config": {"relations": {"a": {"exclusion": "a"}}, "permissions": {}}});
        refused(&world, who, "namespace_create", bad, DENIED).await;
    }
    assert_eq!(world.head().await, before);
    assert_eq!(ok(&world, Who::Admin, "namespace_get", json!({"object_type": "doc"})).await, Value::Null);
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_its_place() {
    let world = World::new().await;
    let before = world.head().await;
    let relations = |relations: Value| json!({"relations": relations, "permissions": {}});
    for (config, place, says) in [
        (json!({}), "relations", "an object"),
        (json!({"relations": {}}), "permissions", "an object"),
        (json!([1]), "config", "relations and permissions"),
        (json!({"relations": {}, "permissions": {}, "rules": {}}), "rules", "only the keys"),
        (relations(json!({"r": {"difference": ["a"]}})), "relations.r", "unknown operator 'difference'"),
        (relations(json!({"r": {"union": ["a", 1]}})), "relations.r.union[1]", "a name"),
        (relations(json!({"r": {"intersection": []}})), "relations.r.intersection", "at least one"),
        (relations(json!({"r": {"tupleToUserset": {"tupleset": "t"}}})), "relations.r.tupleToUserset", "two names"),
        (relations(json!({"a\u{0}b": {}})), "relations.a\u{0}b", "control characters"),
        (relations(json!({"r": {"exclusion": "r"}})), "doc relations.r", "contradict itself"),
        (
            relations(json!({"a": {"union": ["b"]}, "b": {"exclusion": "a"}})),
            "doc relations.b",
            "doc relations.b -> doc relations.a -> doc relations.b",
        ),
    ] {
        for (method, params) in [
            ("namespace_create", json!({"object_type": "doc", "config": config})),
            ("register_namespace", json!({"namespace": {"object_type": "doc", "config": config}})),
        ] {
            let failure = refused(&world, Who::Instance, method, params, INVALID_PARAMS).await;
            assert_eq!(failure.data["place"], json!(place), "{config}: {}", failure.message);
            assert!(failure.message.contains(says), "{config}: {}", failure.message);
            assert!(failure.data["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{config}");
        }
    }
    for object_type in ["", " ", "*", "a\nb"] {
        let params = json!({"object_type": object_type, "config": doc()});
        refused(&world, Who::Instance, "namespace_create", params, INVALID_PARAMS).await;
    }
    assert_eq!(world.head().await, before);
}

#[tokio::test]
async fn a_ring_through_two_types_is_refused_whichever_comes_last() {
    let world = World::new().await;
    let folder = json!({
        "relations": {
            "item": {}, "reader": {"tupleToUserset": {"tupleset": "item", "computedUserset": "blocked"}},
        },
        "permissions": {"read": ["reader"]},
    });
    put(&world, "folder", folder).await;
    let doc = json!({
        "relations": {
            "parent": {}, "from_folder": {"tupleToUserset": {"tupleset": "parent", "computedUserset": "reader"}},
            "blocked": {"exclusion": "from_folder"},
        },
        "permissions": {},
    });
    let params = json!({"object_type": "doc", "config": doc});
    let failure = refused(&world, Who::Instance, "namespace_create", params, INVALID_PARAMS).await;
    assert!(failure.message.contains("doc relations.blocked"), "{}", failure.message);
}

#[tokio::test]
async fn the_same_rules_again_change_nothing_and_others_keep_the_id() {
    let world = World::new().await;
    put(&world, "doc", doc()).await;
    let (first, rev) = (ok(&world, Who::Bob, "namespace_get", json!({"object_type": "doc"})).await, world.head().await);
    put(&world, "doc", doc()).await;
    assert_eq!(world.head().await, rev);
    world.pass(std::time::Duration::from_secs(60)).await;
    let mut wider = doc();
    wider["permissions"]["peek"] = json!(["viewer"]);
    let namespace = json!({"namespace_id": "ignored", "object_type": "doc", "config": wider});
    assert_eq!(ok(&world, Who::Instance, "register_namespace", json!({"namespace": namespace})).await, Value::Null);
    let second = ok(&world, Who::Bob, "get_namespace", json!({"object_type": "doc"})).await;
    assert_eq!((&second["namespace_id"], &second["created_at"]), (&first["namespace_id"], &first["created_at"]));
    assert_ne!(second["updated_at"], first["updated_at"]);
    assert_eq!(second["config"], wider);
}
