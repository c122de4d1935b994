use serde_json::json;

use super::{shown, with_key};
use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, NOT_FOUND, grant, ok, read, refused, write};

const CONFIG: &str = "/tenant:default/user:alice/agent/Analyst/config.yaml";

#[tokio::test]
async fn what_is_sent_changes_and_the_rest_stays() {
    let world = World::new().await;
    let first = json!({"agent_id": "alice,Analyst", "name": "Analyst", "description": "counts",
                       "metadata": {"platform": "langgraph"}});
    ok(&world, Who::Alice, "register_agent", first).await;
    let made = ok(&world, Who::Alice, "update_agent", json!({"agent_id": "alice,Analyst", "name": "Second"})).await;
    let wanted = json!({
        "agent_id": "alice,Analyst", "user_id": "alice", "name": "Second", "tenant_id": "default",
        "metadata": {"description": "counts", "platform": "langgraph"},
        "created_at": "2026-01-02T03:04:05.000000+00:00", "config_path": CONFIG,
        "has_api_key": false, "inherit_permissions": false,
    });
    assert_eq!(made, wanted);
    let more = json!({"agent_id": "alice,Analyst", "description": "sums", "metadata": {"tools": ["x"]}});
    ok(&world, Who::Admin, "update_agent", more).await;
    let seen = ok(&world, Who::Alice, "get_agent", json!({"agent_id": "alice,Analyst"})).await;
    assert_eq!(
        (&seen["name"], &seen["description"], &seen["tools"]),
        (&json!("Second"), &json!("sums"), &json!(["x"]))
    );
    assert_eq!(seen["platform"], json!(null), "the properties are those of the last time");
    let config = read(&world, Who::Alice, CONFIG).await;
    assert!(config.contains("name: Second") && config.contains("description: sums"), "{config}");
    assert!(!config.contains("langgraph") && !config.contains("sk-"), "{config}");
}

#[tokio::test]
async fn inheritance_is_cut_with_the_next_request() {
    let world = World::new().await;
    write(&world, Who::Admin, "/proj/a.txt", "plans").await;
    grant(&world, ("user", "alice"), "direct_viewer", "/proj").await;
    let made = with_key(&world, Who::Alice, "Analyst").await;
    let key = made["api_key"].as_str().expect("a key").to_owned();
    let reads = async || world.rpc_with_key(&key, "read", json!({"path": "/proj/a.txt"})).await.0;
    assert_eq!(reads().await.expect_err("no rights").code, DENIED);
    let set = |inherits: bool| json!({"agent_id": "alice,Analyst", "inherit_permissions": inherits});
    let answer = ok(&world, Who::Alice, "update_agent", set(true)).await;
    assert_eq!((&answer["has_api_key"], &answer["api_key"]), (&json!(true), &json!(null)), "no key is shown");
    assert!(reads().await.is_ok() && shown(&world, &key, None).expect("known").inherits);
    ok(&world, Who::Alice, "update_agent", set(false)).await;
    assert_eq!(reads().await.expect_err("cut").code, DENIED);
    // And with the rights of the owner go those that are inherited.
    ok(&world, Who::Alice, "update_agent", set(true)).await;
    assert!(reads().await.is_ok());
    crate::rpc::revoke(&world, "/proj").await;
    assert_eq!(reads().await.expect_err("the owner has lost it").code, DENIED);
}

#[tokio::test]
async fn to_others_it_does_not_exist() {
    let world = World::new().await;
    with_key(&world, Who::Alice, "Analyst").await;
    let change = |id: &str| json!({"agent_id": id, "name": "Mine"});
    for who in [Who::Bob, Who::Stranger, Who::OtherUser, Who::OtherAdmin] {
        let there = refused(&world, who, "update_agent", change("alice,Analyst"), NOT_FOUND).await;
        let missing = refused(&world, who, "update_agent", change("alice,Analyzt"), NOT_FOUND).await;
        assert_eq!(there.message.replace("Analyst", "Analyzt"), missing.message, "{who:?}");
    }
    for who in [Who::Agent, Who::Heir] {
        refused(&world, who, "update_agent", change("alice,Analyst"), DENIED).await;
    }
    let long = json!({"agent_id": "alice,Analyst", "description": "d".repeat(9_000)});
    refused(&world, Who::Alice, "update_agent", long, INVALID_PARAMS).await;
    refused(&world, Who::Alice, "update_agent", json!({"agent_id": "alice,Analyst", "name": "*"}), INVALID_PARAMS)
        .await;
    let seen = ok(&world, Who::Alice, "get_agent", json!({"agent_id": "alice,Analyst"})).await;
    assert_eq!(seen["name"], "Analyst");
}
