use nexus_lite::auth::AuthError;
use serde_json::json;

use super::{shown, with_key};
use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, grant, ok, refused, write};

#[tokio::test]
async fn an_agent_goes_with_its_keys_its_grants_and_its_directory() {
    let world = World::new().await;
    write(&world, Who::Admin, "/data/a", "x").await;
    let made = with_key(&world, Who::Alice, "Analyst").await;
    let key = made["api_key"].as_str().expect("a key").to_owned();
    grant(&world, ("agent", "alice,Analyst"), "direct_viewer", "/data").await;
    let config = json!({"path": "/tenant:default/user:alice/agent/Analyst/config.yaml"});
    ok(&world, Who::Alice, "read", config.clone()).await;

    assert_eq!(ok(&world, Who::Alice, "delete_agent", json!({"agent_id": "alice,Analyst"})).await, json!(true));
    assert_eq!(shown(&world, &key, None), Err(AuthError::Invalid));
    let tuples = ok(&world, Who::Admin, "rebac_list_tuples", json!({"subject": ["agent", "alice,Analyst"]})).await;
    assert_eq!(tuples, json!([]));
    let directory = json!({"path": "/tenant:default/user:alice/agent/Analyst"});
    assert_eq!(ok(&world, Who::Admin, "is_directory", directory).await, json!({"is_directory": false}));
    assert_eq!(ok(&world, Who::Alice, "delete_agent", json!({"agent_id": "alice,Analyst"})).await, json!(false));

    // The next one of this name inherits nothing, and the old key stays dead.
    with_key(&world, Who::Alice, "Analyst").await;
    assert_eq!(shown(&world, &key, None), Err(AuthError::Invalid));
    let asked = json!({"subject": ["agent", "alice,Analyst"], "permission": "read", "object": ["file", "/data/a"]});
    assert_eq!(ok(&world, Who::Alice, "rebac_check", asked).await, json!(false));
}

#[tokio::test]
async fn its_owner_and_admins_delete_it_and_nobody_else_learns_of_it() {
    let world = World::new().await;
    for who in [Who::Bob, Who::Stranger] {
        let there = refused(&world, who, "delete_agent", json!({"agent_id": "alice,Helper"}), DENIED).await;
        let missing = refused(&world, who, "delete_agent", json!({"agent_id": "alice,Nobody"}), DENIED).await;
        assert_eq!(there.message.replace("Helper", "Nobody"), missing.message);
    }
    assert_eq!(ok(&world, Who::OtherAdmin, "delete_agent", json!({"agent_id": "alice,Helper"})).await, json!(false));
    let seen = ok(&world, Who::Alice, "get_agent", json!({"agent_id": "alice,Helper"})).await;
    assert!(seen.is_object());
    assert_eq!(ok(&world, Who::Admin, "delete_agent", json!({"agent_id": "alice,Helper"})).await, json!(true));
    // What was under way as this agent ends with it.
    assert!(world.try_call_as(Who::Agent).is_err());
}

#[tokio::test]
async fn a_call_under_way_ends_with_its_agent() {
    let world = World::new().await;
    write(&world, Who::Admin, "/data/a", "x").await;
    grant(&world, ("agent", "alice,Helper"), "direct_viewer", "/data").await;
    let call = world.call_as(Who::Agent);
    ok(&world, Who::Alice, "delete_agent", json!({"agent_id": "alice,Helper"})).await;
    let answer = nexus_lite::service::agents::list(&call).await;
    assert!(matches!(answer, Err(nexus_lite::service::ServiceError::Unauthenticated)), "{answer:?}");
}
