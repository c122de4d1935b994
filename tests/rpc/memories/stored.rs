//! Kept, kept again under the same name, changed, and many at once.

use serde_json::{Value, json};

use super::{contents, keep, memory};
use crate::harness::world::{Who, World};
use crate::rpc::{INVALID_PARAMS, NOT_FOUND, ok, refused};

#[tokio::test]
async fn it_comes_back_as_it_was_kept() {
    let world = World::new().await;
    let id = keep(&world, Who::Alice, json!({"content": "likes tea", "tags": ["a"]})).await;
    let row = memory(&world, Who::Alice, &id).await;
    let hash = nexus_lite::model::ContentHash::of(b"likes tea").to_hex();
    let at = "2026-01-02T03:04:05.000000";
    let expected = json!({
        "memory_id": id, "content": "likes tea", "content_hash": hash, "tenant_id": "default", "user_id": "alice",
        "agent_id": null, "scope": "agent", "visibility": "private", "memory_type": "fact", "importance": 0.5,
        "state": "active", "namespace": null, "path_key": null, "created_at": at, "updated_at": at,
    });
    assert_eq!(row, expected);
    // In a list the content is left out.
    let mut listed = ok(&world, Who::Alice, "list_memories", json!({})).await;
    assert_eq!(listed["complete"], true);
    let mut bare = expected;
    bare.as_object_mut().expect("a row").shift_remove("content");
    assert_eq!(listed["memories"][0].take(), bare);
    let by_agent = keep(&world, Who::Heir, json!({"content": "x"})).await;
    assert_eq!(memory(&world, Who::Alice, &by_agent).await["agent_id"], "alice,Heir");
    world.close().await;
}

#[tokio::test]
async fn a_name_has_one_memory_for_each_owner() {
    let world = World::new().await;
    let named = |content: &str, scope: &str| json!({"content": content, "scope": scope, "namespace": "prefs/ui", "path_key": "theme", "memory_type": content});
    let user = keep(&world, Who::Alice, named("dark", "user")).await;
    assert_eq!(keep(&world, Who::Alice, named("light", "user")).await, user, "the same memory");
    let row = memory(&world, Who::Alice, &user).await;
    assert_eq!((&row["content"], &row["memory_type"]), (&json!("light"), &json!("light")));
    let tenant = keep(&world, Who::Alice, named("of the tenant", "tenant")).await;
    let bobs = keep(&world, Who::Bob, named("of bob", "user")).await;
    assert!(user != tenant && tenant != bobs && user != bobs);
    // The nearest scope wins; without an own one it is the tenant's.
    for (who, content) in [
        (Who::Alice, json!("light")),
        (Who::Bob, json!("of bob")),
        (Who::Edith, json!("of the tenant")),
        (Who::OtherUser, json!(null)),
    ] {
        for params in [json!({"path": "prefs/ui/theme"}), json!({"namespace": "prefs/ui", "path_key": "theme"})] {
            let found = ok(&world, who, "retrieve_memory", params).await;
            assert_eq!(found["memory"]["content"], content, "{who:?}");
        }
    }
    // What has no name is never replaced.
    let one = keep(&world, Who::Alice, json!({"content": "same", "namespace": "prefs/ui"})).await;
    assert_ne!(keep(&world, Who::Alice, json!({"content": "same", "namespace": "prefs/ui"})).await, one);
    world.close().await;
}

#[tokio::test]
async fn what_is_json_comes_back_as_a_value() {
    let world = World::new().await;
    for (number, (content, parsed, plain)) in [
        (json!({"a": [1, null]}), json!({"a": [1, null]}), json!("{\"a\":[1,null]}")),
        (json!("[1,2]"), json!([1, 2]), json!("[1,2]")),
        (json!("no JSON {"), json!("no JSON {"), json!("no JSON {")),
        (json!(""), json!(""), json!("")),
        (json!({"__type__": "bytes", "data": "dGV4dA=="}), json!("text"), json!("text")),
        (
            json!({"__type__": "bytes", "data": "/wA="}),
            json!({"__type__": "bytes", "data": "/wA="}),
            json!({"__type__": "bytes", "data": "/wA="}),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let namespace = format!("n{number}");
        let id = keep(&world, Who::Alice, json!({"content": content, "namespace": namespace})).await;
        assert_eq!(memory(&world, Who::Alice, &id).await["content"], parsed);
        assert_eq!(contents(&world, Who::Alice, json!({"namespace": namespace})).await, [plain]);
    }
    world.close().await;
}

#[tokio::test]
async fn states_decide_what_is_listed() {
    let world = World::new().await;
    let one = keep(&world, Who::Alice, json!({"content": "one"})).await;
    let two = keep(&world, Who::Alice, json!({"content": "two", "state": "inactive"})).await;
    assert_eq!(contents(&world, Who::Alice, json!({})).await, [json!("one")]);
    assert_eq!(contents(&world, Who::Alice, json!({"state": "inactive"})).await, [json!("two")]);
    for all in [json!({"state": null}), json!({"state": "all"})] {
        assert_eq!(contents(&world, Who::Alice, all).await.len(), 2);
    }
    assert_eq!(ok(&world, Who::Alice, "approve_memory", json!({"memory_id": two})).await, json!({"approved": true}));
    let head = world.head().await;
    assert_eq!(ok(&world, Who::Alice, "approve_memory", json!({"memory_id": two})).await, json!({"approved": true}));
    assert_eq!(world.head().await, head, "it was active already");
    assert_eq!(
        ok(&world, Who::Alice, "deactivate_memory", json!({"memory_id": one})).await,
        json!({"deactivated": true})
    );
    assert_eq!(contents(&world, Who::Alice, json!({})).await, [json!("two")]);

    let ids = json!({"memory_ids": [one, two, one, "nobody's"]});
    let done = ok(&world, Who::Alice, "deactivate_memory_batch", ids.clone()).await;
    let rest = json!({"failed": 1, "failed_ids": ["nobody's"]});
    assert_eq!((&done["deactivated"], &done["deactivated_ids"]), (&json!(2), &json!([one, two])));
    assert_eq!((&done["failed"], &done["failed_ids"]), (&rest["failed"], &rest["failed_ids"]));
    assert_eq!(contents(&world, Who::Alice, json!({})).await, Vec::<Value>::new());
    let done = ok(&world, Who::Alice, "approve_memory_batch", ids.clone()).await;
    assert_eq!(done["approved_ids"], json!([one, two]));
    let head = world.head().await;
    let done = ok(&world, Who::Alice, "delete_memory_batch", ids).await;
    assert_eq!((&done["deleted_ids"], &done["failed_ids"]), (&json!([one, two]), &json!(["nobody's"])));
    assert_eq!(world.head().await, head + 1, "one change");
    assert_eq!(contents(&world, Who::Alice, json!({"state": "all"})).await, Vec::<Value>::new());
    world.close().await;
}

#[tokio::test]
async fn a_change_changes_what_it_names() {
    let world = World::new().await;
    let id = keep(&world, Who::Alice, json!({"content": "before", "importance": 0.25, "namespace": "n"})).await;
    world.clock.as_ref().expect("a clock").advance(std::time::Duration::from_secs(60));
    let changed = ok(&world, Who::Alice, "update_memory", json!({"memory_id": id, "content": "after"})).await;
    assert_eq!((&changed["memory"]["content"], &changed["memory"]["importance"]), (&json!("after"), &json!(0.25)));
    let changed = ok(&world, Who::Alice, "update_memory", json!({"memory_id": id, "importance": 1})).await;
    assert_eq!(changed["memory"]["importance"], 1.0);
    let row = memory(&world, Who::Alice, &id).await;
    assert_eq!((&row["content"], &row["importance"], &row["namespace"]), (&json!("after"), &json!(1.0), &json!("n")));
    assert_eq!(
        (&row["created_at"], &row["updated_at"]),
        (&json!("2026-01-02T03:04:05.000000"), &json!("2026-01-02T03:05:05.000000"))
    );
    refused(&world, Who::Alice, "update_memory", json!({"memory_id": id}), INVALID_PARAMS).await;
    refused(&world, Who::Alice, "update_memory", json!({"memory_id": "none", "importance": 0}), NOT_FOUND).await;
    refused(&world, Who::Bob, "update_memory", json!({"memory_id": id, "importance": 0}), NOT_FOUND).await;
    world.close().await;
}

#[tokio::test]
async fn what_has_no_sense_is_refused() {
    let world = World::new().await;
    let long = "x".repeat(256);
    for params in [
        json!({"content": "x", "scope": "everybody"}),
        json!({"content": "x", "importance": 1.5}),
        json!({"content": "x", "importance": -0.1}),
        json!({"content": "x", "state": "deleted"}),
        json!({"content": "x", "memory_type": ""}),
        json!({"content": "x", "memory_type": long}),
        json!({"content": "x", "namespace": "a\u{0}b"}),
        json!({"content": "x", "namespace": "n", "path_key": long}),
        json!({"content": "x", "path_key": "without a namespace"}),
        json!({"content": "x".repeat((1 << 20) + 1)}),
        json!({"content": {"__type__": "bytes", "data": "?"}}),
        json!({}),
    ] {
        refused(&world, Who::Alice, "store_memory", params, INVALID_PARAMS).await;
    }
    for params in
        [json!({}), json!({"namespace": "n"}), json!({"path": "no-slash"}), json!({"path": "a/b", "memory_id": "x"})]
    {
        refused(&world, Who::Alice, "retrieve_memory", params, INVALID_PARAMS).await;
    }
    let ids: Vec<String> = (0..501).map(|n| n.to_string()).collect();
    refused(&world, Who::Alice, "delete_memory_batch", json!({"memory_ids": ids}), INVALID_PARAMS).await;
    for params in [json!({"limit": 0}), json!({"limit": 1_001}), json!({"state": "gone"}), json!({"cursor": "x"})] {
        refused(&world, Who::Alice, "list_memories", params.clone(), INVALID_PARAMS).await;
        refused(&world, Who::Alice, "query_memories", params, INVALID_PARAMS).await;
    }
    refused(&world, Who::Alice, "query_memories", json!({"query": "x", "search_mode": "magic"}), INVALID_PARAMS).await;
    world.close().await;
}
