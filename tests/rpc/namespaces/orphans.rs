use std::time::Duration;

use serde_json::{Value, json};

use super::{allowed, doc, grant, put};
use crate::harness::world::{START_US, Who, World};
use crate::rpc::{PRECONDITION, ok, refused};

fn create(object_type: &str, config: Value) -> Value {
    json!({"object_type": object_type, "config": config})
}

async fn stays(world: &World, method: &str, params: Value, says: &[&str]) {
    let before = world.head().await;
    let failure = refused(world, Who::Instance, method, params, PRECONDITION).await;
    for text in says {
        assert!(failure.message.contains(text), "{text:?} is missing in {}", failure.message);
    }
    assert_eq!(world.head().await, before);
}

#[tokio::test]
async fn the_rules_of_objects_in_use_are_not_deleted() {
    let world = World::new().await;
    put(&world, "doc", doc()).await;
    let ids = [grant(&world, "user:bob viewer doc:1").await, grant(&world, "user:alice viewer doc:2").await];
    let delete = json!({"object_type": "doc"});
    let says = ["relation 'viewer': 2 tuples, e.g. ", "viewer doc:", "of tenant 'default'", "rebac_delete"];
    stays(&world, "namespace_delete", delete.clone(), &says).await;
    for id in ids {
        ok(&world, Who::Admin, "rebac_delete", json!({"tuple_id": id})).await;
    }
    assert_eq!(ok(&world, Who::Instance, "namespace_delete", delete).await, json!(true));
}

#[tokio::test]
async fn a_relation_in_use_does_not_disappear() {
    let world = World::new().await;
    put(&world, "doc", doc()).await;
    grant(&world, "user:bob viewer doc:1").await;
    let owners = json!({"relations": {"owner": {}}, "permissions": {"read": ["owner"]}});
    stays(&world, "namespace_create", create("doc", owners), &["relation 'viewer'", "'user:bob viewer doc:1'"]).await;
    // A rule in its place does not read the tuples either.
    let mut computed = doc();
    computed["relations"]["viewer"] = json!({"union": ["owner"]});
    stays(&world, "namespace_create", create("doc", computed.clone()), &["relation 'viewer'"]).await;
    // One that reads them as well does.
    computed["relations"]["viewer"] = json!({"union": [{"this": {}}, "owner"]});
    put(&world, "doc", computed).await;
    assert!(allowed(&world, "user:bob read doc:1").await);
    // What nobody uses may go.
    let mut fewer = doc();
    fewer["relations"] = json!({"owner": {}, "viewer": {}});
    fewer["permissions"]["read"] = json!(["owner", "viewer"]);
    put(&world, "doc", fewer).await;
}

#[tokio::test]
async fn a_set_in_use_does_not_disappear() {
    let world = World::new().await;
    let team = |sets: Value| json!({"relations": {"lead": {}, "guest": {}}, "permissions": sets});
    put(&world, "team", team(json!({"everybody": ["lead", "guest"]}))).await;
    grant(&world, "team:x#everybody viewer memory:m").await;
    grant(&world, "user:bob lead team:x").await;
    assert!(allowed(&world, "user:bob read memory:m").await);
    let says = ["userset 'team:…#everybody'", "'team:x#everybody viewer memory:m'"];
    stays(&world, "namespace_create", create("team", team(json!({}))), &says).await;
    stays(&world, "namespace_delete", json!({"object_type": "team"}), &["#everybody", "relation 'lead'"]).await;
    put(&world, "team", team(json!({"everybody": ["lead"]}))).await;
    assert!(allowed(&world, "user:bob read memory:m").await);
}

#[tokio::test]
async fn built_in_rules_are_guarded_in_both_directions() {
    let world = World::new().await;
    grant(&world, "user:bob admin group:eng").await;
    let flat = json!({"relations": {"member": {}}, "permissions": {"read": ["member"]}});
    stays(&world, "namespace_create", create("group", flat), &["relation 'admin'", "user:bob admin group:eng"]).await;

    let wider = json!({
        "relations": {"member": {}, "admin": {}, "auditor": {}, "viewer": {"union": ["admin", "member"]}},
        "permissions": {"read": ["viewer", "auditor"], "write": ["admin"], "manage": ["admin"]},
    });
    put(&world, "group", wider).await;
    grant(&world, "user:carol auditor group:eng").await;
    stays(&world, "namespace_delete", json!({"object_type": "group"}), &["relation 'auditor'"]).await;
}

#[tokio::test]
async fn the_first_rules_of_a_type_do_not_shadow_its_tuples() {
    let world = World::new().await;
    let id = grant(&world, "user:bob read doc:1").await;
    assert!(allowed(&world, "user:bob read doc:1").await);
    stays(&world, "namespace_create", create("doc", doc()), &["relation 'read'"]).await;
    ok(&world, Who::Admin, "rebac_delete", json!({"tuple_id": id})).await;
    // A name that the rules do not have keeps meaning its tuples.
    grant(&world, "user:bob starred doc:1").await;
    put(&world, "doc", doc()).await;
    assert!(allowed(&world, "user:bob starred doc:1").await);
}

#[tokio::test]
async fn expired_tuples_hold_nobody_up() {
    let world = World::new().await;
    put(&world, "doc", doc()).await;
    let ends = nexus_lite::model::time::iso_utc(START_US + 60_000_000);
    let tuple = json!({"subject": ["user", "bob"], "relation": "viewer", "object": ["doc", "1"], "expires_at": ends});
    ok(&world, Who::Admin, "rebac_create", tuple).await;
    stays(&world, "namespace_delete", json!({"object_type": "doc"}), &["relation 'viewer'"]).await;
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(ok(&world, Who::Instance, "namespace_delete", json!({"object_type": "doc"})).await, json!(true));
}

#[tokio::test]
async fn files_stay_with_their_owners() {
    let world = World::new().await;
    let mut rules = nexus_lite::rebac::default_namespace("file").expect("built in").clone();
    rules["relations"].as_object_mut().expect("relations").remove("group_owner");
    rules["relations"]["owner"] = json!({"union": ["direct_owner", "parent_owner"]});
    put(&world, "file", rules.clone()).await;
    crate::rpc::write(&world, Who::Admin, "/a.txt", "x").await;
    rules["relations"].as_object_mut().expect("relations").remove("direct_owner");
    rules["relations"]["owner"] = json!({"union": ["parent_owner"]});
    rules["relations"].as_object_mut().expect("relations").remove("group_owner");
    stays(&world, "namespace_create", create("file", rules), &["direct_owner", "owners"]).await;
}
