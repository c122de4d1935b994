use serde_json::{Value, json};

use super::with_key;
use crate::harness::world::{Who, World};
use crate::rpc::ok;

async fn ids(world: &World, who: Who) -> Vec<String> {
    let rows = ok(world, who, "list_agents", json!({})).await;
    let id = |row: &Value| row["agent_id"].as_str().expect("an id").to_owned();
    rows.as_array().expect("rows").iter().map(id).collect()
}

#[tokio::test]
async fn everybody_sees_their_own_and_admins_their_tenant() {
    let world = World::new().await;
    with_key(&world, Who::Bob, "Builder").await;
    with_key(&world, Who::OtherUser, "Helper").await;
    let (heir, helper, builder) = ("alice,Heir", "alice,Helper", "bob,Builder");
    for (who, wanted) in [
        (Who::Alice, vec![heir, helper]),
        (Who::Heir, vec![heir, helper]),
        (Who::Agent, vec![helper]),
        (Who::Bob, vec![builder]),
        (Who::Stranger, vec![]),
        (Who::Admin, vec![heir, helper, builder]),
        (Who::OtherAdmin, vec![helper]),
    ] {
        assert_eq!(ids(&world, who).await, wanted, "{who:?}");
        for id in [heir, helper, builder] {
            let seen = ok(&world, who, "get_agent", json!({"agent_id": id})).await;
            assert_eq!(seen.is_object(), wanted.contains(&id), "{who:?} {id}");
        }
    }
    let rows = ok(&world, Who::Alice, "list_agents", json!({})).await;
    let wanted = json!({"agent_id": helper, "user_id": "alice", "name": "Helper",
                        "created_at": "2026-01-02T03:04:05.000000", "has_api_key": false,
                        "inherit_permissions": false});
    assert_eq!(rows[1], wanted);
}
