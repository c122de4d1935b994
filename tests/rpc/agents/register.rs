use std::time::Duration;

use nexus_lite::auth::AuthError;
use serde_json::json;

use super::{shown, with_key};
use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, ok, read, refused, write};

const CONFIG: &str = "/tenant:default/user:alice/agent/Analyst/config.yaml";

#[tokio::test]
async fn an_agent_comes_with_a_directory_its_settings_and_two_grants() {
    let world = World::new().await;
    let params = json!({"agent_id": "alice,Analyst", "name": "Analyst", "description": "counts",
                        "metadata": {"platform": "langgraph", "tools": ["a", "b"]}, "context": {}});
    let made = ok(&world, Who::Alice, "register_agent", params).await;
    let wanted = json!({
        "agent_id": "alice,Analyst", "user_id": "alice", "name": "Analyst", "tenant_id": "default",
        "metadata": {"description": "counts", "platform": "langgraph", "tools": ["a", "b"]},
        "created_at": "2026-01-02T03:04:05.000000+00:00", "config_path": CONFIG,
        "has_api_key": false, "inherit_permissions": false,
    });
    assert_eq!(made, wanted);
    let config = read(&world, Who::Alice, CONFIG).await;
    assert!(config.starts_with("agent_id: alice,Analyst\nname: Analyst\nuser_id: alice\n"), "{config}");
    assert!(config.contains("platform: langgraph") && config.contains("inherit_permissions: false"), "{config}");

    let on = json!({"object": ["file", "/tenant:default/user:alice/agent/Analyst"]});
    let rows = ok(&world, Who::Alice, "rebac_list_tuples", on).await;
    let mut owners: Vec<&str> =
        rows.as_array().expect("rows").iter().filter_map(|r| r["subject_id"].as_str()).collect();
    owners.sort_unstable();
    assert_eq!(owners, ["alice", "alice,Analyst"]);
    for who in [Who::Bob, Who::Stranger, Who::Agent, Who::OtherUser] {
        refused(&world, who, "read", json!({"path": CONFIG}), DENIED).await;
    }

    let seen = ok(&world, Who::Alice, "get_agent", json!({"agent_id": "alice,Analyst"})).await;
    assert_eq!((&seen["platform"], &seen["tools"]), (&json!("langgraph"), &json!(["a", "b"])));
    assert_eq!((&seen["created_at"], &seen["system_prompt"]), (&json!("2026-01-02T03:04:05.000000"), &json!(null)));
}

#[tokio::test]
async fn its_key_is_shown_once_and_is_its_own() {
    let world = World::new().await;
    let made = with_key(&world, Who::Alice, "Analyst").await;
    let key = made["api_key"].as_str().expect("a key");
    assert!(key.starts_with("sk-default_alice,Analys_") && made["has_api_key"] == true, "{made}");
    let caller = shown(&world, key, None).expect("known");
    assert_eq!((caller.actor(), caller.user.as_str()), ("agent:alice,Analyst", "alice"));
    assert!(!caller.inherits && !caller.is_admin);
    assert_eq!(shown(&world, key, Some("alice,Helper")), Err(AuthError::ForeignAgent));

    let config = read(&world, Who::Alice, CONFIG).await;
    assert!(!config.contains("sk-") && !config.contains("api_key"), "{config}");
    for (method, params) in [("get_agent", json!({"agent_id": "alice,Analyst"})), ("list_agents", json!({}))] {
        let answer = ok(&world, Who::Alice, method, params).await.to_string();
        assert!(answer.contains("\"has_api_key\":true") && !answer.contains("sk-"), "{answer}");
    }
    // A key that does not end makes an agent's key that does.
    world.pass(Duration::from_secs(365 * 86_400)).await;
    assert_eq!(shown(&world, key, None), Err(AuthError::Invalid));
}

#[tokio::test]
async fn registering_again_keeps_what_is_not_sent() {
    let world = World::new().await;
    let first = json!({"agent_id": "alice,Analyst", "name": "Analyst", "description": "counts",
                       "inherit_permissions": true, "generate_api_key": true});
    let made = ok(&world, Who::Alice, "register_agent", first).await;
    let key = made["api_key"].as_str().expect("a key");
    assert!(shown(&world, key, None).expect("known").inherits);

    let again = ok(&world, Who::Alice, "register_agent", json!({"agent_id": "alice,Analyst", "name": "Second"})).await;
    assert_eq!((&again["has_api_key"], &again["inherit_permissions"]), (&json!(false), &json!(true)));
    let seen = ok(&world, Who::Alice, "get_agent", json!({"agent_id": "alice,Analyst"})).await;
    assert_eq!((&seen["name"], &seen["description"]), (&json!("Second"), &json!("counts")));
    assert_eq!(seen["has_api_key"], true);

    let tamed = json!({"agent_id": "alice,Analyst", "name": "Second", "inherit_permissions": false});
    ok(&world, Who::Alice, "register_agent", tamed).await;
    assert!(!shown(&world, key, None).expect("known").inherits, "its keys follow");
}

#[tokio::test]
async fn an_inheriting_agent_reads_what_its_owner_reads_and_the_other_does_not() {
    let world = World::new().await;
    write(&world, Who::Admin, "/proj/a.txt", "x").await;
    crate::rpc::grant(&world, ("user", "alice"), "direct_viewer", "/proj").await;
    read(&world, Who::Heir, "/proj/a.txt").await;
    refused(&world, Who::Agent, "read", json!({"path": "/proj/a.txt"}), DENIED).await;
    crate::rpc::revoke(&world, "/proj").await;
    refused(&world, Who::Heir, "read", json!({"path": "/proj/a.txt"}), DENIED).await;
}

#[tokio::test]
async fn agents_and_services_make_no_agents() {
    let world = World::new().await;
    let params = json!({"agent_id": "alice,Deputy", "name": "Deputy", "inherit_permissions": true,
                        "generate_api_key": true});
    for who in [Who::Agent, Who::Heir] {
        refused(&world, who, "register_agent", params.clone(), DENIED).await;
        refused(&world, who, "delete_agent", json!({"agent_id": "alice,Helper"}), DENIED).await;
    }
    assert_eq!(ok(&world, Who::Alice, "get_agent", json!({"agent_id": "alice,Deputy"})).await, json!(null));
}

#[tokio::test]
async fn an_agent_belongs_to_its_owner() {
    let world = World::new().await;
    ok(&world, Who::Alice, "register_agent", json!({"agent_id": "scout", "name": "scout"})).await;
    refused(&world, Who::Bob, "register_agent", json!({"agent_id": "scout", "name": "scout"}), DENIED).await;
    refused(&world, Who::Admin, "register_agent", json!({"agent_id": "scout", "name": "scout"}), DENIED).await;
    // In another tenant it is another agent.
    let other = ok(&world, Who::OtherUser, "register_agent", json!({"agent_id": "scout", "name": "scout"})).await;
    assert_eq!(other["config_path"], "/tenant:acme/user:alice/agent/scout/config.yaml");
    for id in ["bob,Helper", "alice,", "alice,a/b", "alice,..", "*", "", "alice,*", ",x"] {
        let params = json!({"agent_id": id, "name": "x"});
        refused(&world, Who::Alice, "register_agent", params, INVALID_PARAMS).await;
    }
}

#[tokio::test]
async fn a_directory_that_is_somebody_elses_is_not_given_away() {
    let world = World::new().await;
    write(&world, Who::Admin, "/tenant:default/user:alice/agent/Secret/plan.txt", "x").await;
    let params = json!({"agent_id": "alice,Secret", "name": "Secret"});
    refused(&world, Who::Alice, "register_agent", params, DENIED).await;
    assert_eq!(ok(&world, Who::Alice, "get_agent", json!({"agent_id": "alice,Secret"})).await, json!(null));
    let plan = json!({"path": "/tenant:default/user:alice/agent/Secret/plan.txt"});
    refused(&world, Who::Alice, "read", plan, DENIED).await;
}

#[tokio::test]
async fn properties_are_bounded() {
    let world = World::new().await;
    for (key, value) in [("description", json!("x".repeat(9_000))), ("metadata", json!({"x": "y".repeat(20_000)}))] {
        let mut params = json!({"agent_id": "alice,Big", "name": "Big"});
        params[key] = value;
        refused(&world, Who::Alice, "register_agent", params, INVALID_PARAMS).await;
    }
    // Deep nesting grows with every line of the settings file.
    let mut deep = json!((0..2_000).collect::<Vec<_>>());
    for _ in 0..100 {
        deep = json!([deep]);
    }
    let params = json!({"agent_id": "alice,Big", "name": "Big", "metadata": {"deep": deep}});
    refused(&world, Who::Alice, "register_agent", params, INVALID_PARAMS).await;
}
