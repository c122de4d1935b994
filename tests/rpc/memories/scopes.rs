//! Each scope as everybody: who reads, who writes, who may not know.

use serde_json::{Value, json};

use super::{contents, keep, memory};
use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, NOT_FOUND, ok, refused};

/// Those who see a record that is kept by the key's user for each scope, beside who may not.
const CASES: &[(Who, &str, &[Who])] = &[
    (Who::Alice, "agent", &[Who::Instance, Who::Admin, Who::Alice, Who::Heir]),
    (Who::Alice, "user", &[Who::Instance, Who::Admin, Who::Alice, Who::Heir]),
    (Who::Agent, "agent", &[Who::Instance, Who::Admin, Who::Alice, Who::Heir, Who::Agent]),
    (
        Who::Alice,
        "tenant",
        &[Who::Instance, Who::Admin, Who::Alice, Who::Heir, Who::Bob, Who::Edith, Who::Grace, Who::Stranger],
    ),
    (
        Who::Instance,
        "global",
        &[
            Who::Instance,
            Who::Admin,
            Who::Alice,
            Who::Heir,
            Who::Bob,
            Who::Edith,
            Who::Grace,
            Who::Stranger,
            Who::OtherAdmin,
            Who::OtherUser,
        ],
    ),
    (Who::OtherUser, "user", &[Who::Instance, Who::OtherAdmin, Who::OtherUser]),
];

#[tokio::test]
async fn a_scope_is_for_those_it_names_and_for_nobody_else() {
    let world = World::new().await;
    for (number, (by, scope, readers)) in CASES.iter().enumerate() {
        let name = format!("case-{number}");
        let text = format!("the secret of {name}");
        let id = keep(&world, *by, json!({"content": text, "scope": scope, "namespace": name, "path_key": "k"})).await;
        for who in Who::KNOWN {
            let reads = readers.contains(&who);
            let cell = format!("{who:?} of what {by:?} keeps for {scope}");
            let found = memory(&world, who, &id).await;
            assert_eq!(found["content"] == json!(text), reads, "{cell}: {found}");
            assert!(reads || found.is_null(), "{cell}: {found}");
            // The instance admin lists its own tenant.
            let lists = reads && (who != Who::Instance || *by != Who::OtherUser);
            let listed = contents(&world, who, json!({"namespace": name})).await;
            assert_eq!(listed, if lists { vec![json!(text)] } else { vec![] }, "{cell}");
            let searched = contents(&world, who, json!({"query": text, "namespace": name})).await;
            assert_eq!(searched.len(), usize::from(lists), "{cell}: {searched:?}");
            let rows = ok(&world, who, "list_memories", json!({"namespace_prefix": name})).await;
            assert_eq!(rows.to_string().contains(&id), lists, "{cell}: {rows}");
        }
    }
    world.close().await;
}

#[tokio::test]
async fn who_may_keep_something_for_whom() {
    let world = World::new().await;
    let scopes = ["agent", "user", "tenant", "global"];
    for (who, may) in [
        (Who::Alice, [true, true, true, false]),
        (Who::Heir, [true, true, true, false]),
        (Who::Agent, [true, false, false, false]),
        (Who::Admin, [true, true, true, false]),
        (Who::OtherAdmin, [true, true, true, false]),
        (Who::Instance, [true, true, true, true]),
    ] {
        for (scope, may) in scopes.into_iter().zip(may) {
            let params = json!({"content": "x", "scope": scope});
            match may {
                true => drop(ok(&world, who, "store_memory", params).await),
                false => drop(refused(&world, who, "store_memory", params, DENIED).await),
            }
        }
    }
    world.close().await;
}

#[tokio::test]
async fn what_the_tenant_shares_is_changed_by_who_keeps_it_and_the_admin() {
    let world = World::new().await;
    let shared = json!({"content": "ours", "scope": "tenant", "namespace": "n", "path_key": "k"});
    let id = keep(&world, Who::Alice, shared.clone()).await;
    for who in [Who::Bob, Who::Stranger] {
        refused(&world, who, "update_memory", json!({"memory_id": id, "content": "mine"}), DENIED).await;
        refused(&world, who, "delete_memory", json!({"memory_id": id}), DENIED).await;
        // Not by the name that it has in the tenant either.
        refused(&world, who, "store_memory", shared.clone(), DENIED).await;
        let batch = ok(&world, who, "delete_memory_batch", json!({"memory_ids": [id, "none"]})).await;
        assert_eq!(batch, json!({"deleted": 0, "failed": 2, "deleted_ids": [], "failed_ids": [id, "none"]}));
    }
    for who in [Who::Agent, Who::OtherAdmin, Who::OtherUser] {
        refused(&world, who, "update_memory", json!({"memory_id": id, "content": "mine"}), NOT_FOUND).await;
        assert_eq!(ok(&world, who, "delete_memory", json!({"memory_id": id})).await, json!({"deleted": false}));
    }
    assert_eq!(memory(&world, Who::Bob, &id).await["content"], "ours");
    ok(&world, Who::Heir, "update_memory", json!({"memory_id": id, "content": "by her agent"})).await;
    assert_eq!(memory(&world, Who::Bob, &id).await["content"], "by her agent");
    assert_eq!(ok(&world, Who::Admin, "delete_memory", json!({"memory_id": id})).await, json!({"deleted": true}));
    assert!(memory(&world, Who::Alice, &id).await.is_null());
    world.close().await;
}

#[tokio::test]
async fn what_everybody_reads_is_the_instance_admins() {
    let world = World::new().await;
    let global = json!({"content": "for all", "scope": "global", "namespace": "n", "path_key": "k"});
    let id = keep(&world, Who::Instance, global.clone()).await;
    for who in [Who::Admin, Who::OtherAdmin, Who::Alice] {
        refused(&world, who, "update_memory", json!({"memory_id": id, "importance": 0}), DENIED).await;
        refused(&world, who, "deactivate_memory", json!({"memory_id": id}), DENIED).await;
    }
    // The admin of the tenant in which it is kept may write the tuple; it makes nobody its owner.
    ok(&world, Who::Admin, "rebac_create", grant("bob", "owner", &id)).await;
    refused(&world, Who::Bob, "update_memory", json!({"memory_id": id, "content": "mine"}), DENIED).await;
    refused(&world, Who::Bob, "delete_memory", json!({"memory_id": id}), DENIED).await;
    // One of a name, whoever asks from which tenant.
    assert_eq!(keep(&world, Who::Instance, global).await, id);
    assert_eq!(contents(&world, Who::OtherUser, json!({})).await, [json!("for all")]);
    world.close().await;
}

fn grant(user: &str, relation: &str, memory_id: &str) -> Value {
    json!({"subject": ["user", user], "relation": relation, "object": ["memory", memory_id]})
}

#[tokio::test]
async fn a_grant_lets_one_person_in_as_far_as_it_goes() {
    let world = World::new().await;
    let id = keep(&world, Who::Alice, json!({"content": "to be shared", "scope": "user"})).await;
    let other = keep(&world, Who::Alice, json!({"content": "not to be shared", "scope": "user"})).await;
    refused(&world, Who::Bob, "rebac_create", grant("bob", "viewer", &id), DENIED).await;
    refused(&world, Who::OtherUser, "rebac_create", grant("alice", "viewer", &id), DENIED).await;
    refused(&world, Who::Agent, "rebac_create", grant("bob", "viewer", &id), DENIED).await;

    let viewer = ok(&world, Who::Alice, "rebac_create", grant("bob", "viewer", &id)).await;
    assert_eq!(contents(&world, Who::Bob, json!({})).await, [json!("to be shared")]);
    assert_eq!(memory(&world, Who::Bob, &id).await["content"], "to be shared");
    assert!(memory(&world, Who::Bob, &other).await.is_null());
    refused(&world, Who::Bob, "update_memory", json!({"memory_id": id, "content": "x"}), DENIED).await;
    refused(&world, Who::Bob, "delete_memory", json!({"memory_id": id}), DENIED).await;
    for who in [Who::Edith, Who::Stranger, Who::Agent, Who::OtherUser] {
        assert!(memory(&world, who, &id).await.is_null(), "{who:?}");
        assert_eq!(contents(&world, who, json!({})).await, Vec::<Value>::new(), "{who:?}");
    }

    ok(&world, Who::Alice, "rebac_create", grant("bob", "editor", &id)).await;
    ok(&world, Who::Bob, "update_memory", json!({"memory_id": id, "content": "changed by bob"})).await;
    refused(&world, Who::Bob, "delete_memory", json!({"memory_id": id}), DENIED).await;
    let owner = ok(&world, Who::Alice, "rebac_create", grant("edith", "owner", &id)).await;
    assert!(owner.is_string());
    assert_eq!(ok(&world, Who::Edith, "delete_memory", json!({"memory_id": id})).await, json!({"deleted": true}));
    assert!(memory(&world, Who::Alice, &id).await.is_null());

    // A grant that is taken back gives nothing any more.
    let id = keep(&world, Who::Alice, json!({"content": "for a while", "scope": "user"})).await;
    let agent = json!({"subject": ["agent", "alice,Helper"], "relation": "viewer", "object": ["memory", id]});
    let tuple = ok(&world, Who::Alice, "rebac_create", agent).await;
    assert_eq!(contents(&world, Who::Agent, json!({})).await, [json!("for a while")]);
    ok(&world, Who::Alice, "rebac_delete", json!({"tuple_id": tuple})).await;
    assert_eq!(contents(&world, Who::Agent, json!({})).await, Vec::<Value>::new());
    ok(&world, Who::Admin, "rebac_delete", json!({"tuple_id": viewer})).await;
    world.close().await;
}

#[tokio::test]
async fn an_agent_without_her_rights_writes_nothing_of_hers() {
    let world = World::new().await;
    let hers = json!({"content": "hers", "namespace": "n", "path_key": "k"});
    let id = keep(&world, Who::Alice, hers).await;
    let its = json!({"content": "its own", "namespace": "n", "path_key": "k"});
    let own = keep(&world, Who::Agent, its).await;
    assert_ne!(own, id, "under the same name, and another's");
    assert_eq!(memory(&world, Who::Alice, &id).await["content"], "hers");
    let named = json!({"path": "n/k"});
    assert_eq!(ok(&world, Who::Agent, "retrieve_memory", named.clone()).await["memory"]["content"], "its own");
    assert_eq!(ok(&world, Who::Alice, "retrieve_memory", named).await["memory"]["content"], "hers");
    assert_eq!(contents(&world, Who::Agent, json!({})).await, [json!("its own")]);
    for method in ["delete_memory", "approve_memory", "deactivate_memory"] {
        let done = ok(&world, Who::Agent, method, json!({"memory_id": id})).await;
        assert!(!done.to_string().contains("true"), "{method}: {done}");
    }
    world.close().await;
}
