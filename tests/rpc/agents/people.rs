use nexus_lite::auth::AuthError;
use serde_json::{Value, json};

use super::shown;
use crate::harness::world::{ELSEWHERE, Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, PRECONDITION, grant, list, ok, refused, write};

const HOME_OF_ZOE: &str = "/tenant:default/user:zoe";

/// Calls a method with a key.
async fn with(world: &World, key: &str, method: &str, params: Value) -> Value {
    world.rpc_with_key(key, method, params).await.0.unwrap_or_else(|e| panic!("{method}: {e:?}"))
}

#[tokio::test]
async fn somebody_new_gets_directories_and_a_key() {
    let world = World::new().await;
    let params = json!({"user_id": "zoe", "email": "zoe@example.org", "display_name": "Zoe", "create_agents": true});
    let made = ok(&world, Who::Admin, "provision_user", params.clone()).await;
    assert_eq!((&made["user_id"], &made["tenant_id"]), (&json!("zoe"), &json!("default")));
    assert_eq!(made["workspace_path"], format!("{HOME_OF_ZOE}/workspace"));
    let folders = ["", "/workspace", "/memory", "/skill", "/agent", "/connector", "/resource"];
    let folders: Vec<String> = folders.iter().map(|folder| format!("{HOME_OF_ZOE}{folder}")).collect();
    assert_eq!(made["created_resources"]["directories"], json!(folders));
    assert_eq!(
        (&made["created_resources"]["user"], &made["created_resources"]["tenant"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(made["agent_paths"].as_array().expect("paths").len(), 2);

    let key = made["api_key"].as_str().expect("a key").to_owned();
    assert!(key.starts_with("sk-default_zoe_"), "{key}");
    let caller = shown(&world, &key, None).expect("known");
    assert_eq!((caller.actor(), caller.is_admin), ("user:zoe", false));
    // It is all hers, and nobody else's.
    with(&world, &key, "write", json!({"path": format!("{HOME_OF_ZOE}/memory/a.txt"), "content": "mine"})).await;
    let lent = json!({"subject": ["user", "bob"], "relation": "direct_viewer", "object": ["file", format!("{HOME_OF_ZOE}/skill")]});
    with(&world, &key, "rebac_create", lent).await;
    for who in [Who::Alice, Who::Stranger, Who::OtherAdmin] {
        assert!(!list(&world, who, "/", true).await.iter().any(|path| path.contains("zoe")), "{who:?}");
    }
    let agents = with(&world, &key, "list_agents", json!({})).await;
    let agents = agents.as_array().expect("agents");
    assert_eq!(agents.len(), 2);
    for agent in agents {
        assert_eq!((&agent["inherit_permissions"], &agent["has_api_key"]), (&json!(false), &json!(false)), "{agent}");
    }
    // Said again nothing is made anew, and no second key.
    let again = ok(&world, Who::Admin, "provision_user", params).await;
    assert_eq!((&again["api_key"], &again["created_resources"]["directories"]), (&json!(null), &json!([])));
    assert_eq!((&again["created_resources"]["user"], &again["agent_paths"]), (&json!(false), &json!([])));
    assert!(shown(&world, &key, None).is_ok());
}

#[tokio::test]
async fn a_tenant_is_its_admins_and_a_new_one_the_instance_admins() {
    let world = World::new().await;
    let of = |tenant: &str| json!({"user_id": "zoe", "tenant_id": tenant});
    for who in [Who::Alice, Who::Agent, Who::Heir, Who::Stranger, Who::OtherUser] {
        for method in ["provision_user", "deprovision_user"] {
            refused(&world, who, method, json!({"user_id": "zoe"}), DENIED).await;
        }
    }
    for method in ["provision_user", "deprovision_user"] {
        refused(&world, Who::Admin, method, of(ELSEWHERE), DENIED).await;
        refused(&world, Who::OtherAdmin, method, of("default"), DENIED).await;
        refused(&world, Who::Admin, method, of("third"), DENIED).await;
        for wrong in ["", "*", "a,b", "a/b", "a\nb"] {
            let failure = world.rpc(Who::Admin, method, json!({"user_id": wrong})).await.expect_err(wrong);
            assert!([INVALID_PARAMS, crate::rpc::INVALID_PATH].contains(&failure.code), "{wrong}: {failure:?}");
        }
    }
    let made = ok(&world, Who::Instance, "provision_user", of("third")).await;
    assert_eq!(made["created_resources"]["tenant"], true);
    let key = made["api_key"].as_str().expect("a key");
    assert_eq!(shown(&world, key, None).expect("known").tenant, "third");
    with(&world, key, "write", json!({"path": "/tenant:third/user:zoe/workspace/a.txt", "content": "a"})).await;
    assert_eq!(ok(&world, Who::OtherAdmin, "provision_user", of(ELSEWHERE)).await["tenant_id"], ELSEWHERE);
}

#[tokio::test]
async fn who_is_sent_away_has_no_key_no_agent_and_no_files() {
    let world = World::new().await;
    let params = json!({"user_id": "zoe", "create_agents": true});
    let made = ok(&world, Who::Admin, "provision_user", params).await;
    let key = made["api_key"].as_str().expect("a key").to_owned();
    let file = format!("{HOME_OF_ZOE}/workspace/w/a.txt");
    with(&world, &key, "write", json!({"path": file, "content": "a"})).await;
    with(&world, &key, "register_workspace", json!({"path": format!("{HOME_OF_ZOE}/workspace/w")})).await;
    let bot = json!({"agent_id": "zoe,Bot", "name": "Bot", "generate_api_key": true});
    let bot = with(&world, &key, "register_agent", bot).await["api_key"].as_str().expect("a key").to_owned();
    write(&world, Who::Admin, "/proj/a.txt", "plans").await;
    grant(&world, ("user", "zoe"), "direct_viewer", "/proj").await;

    let gone = ok(&world, Who::Admin, "deprovision_user", json!({"user_id": "zoe"})).await;
    let wanted = json!({"directories": [HOME_OF_ZOE], "workspaces": 1, "agents": 3, "skills": 0, "api_keys": 2});
    assert_eq!(gone["deleted_resources"], wanted);
    for key in [&key, &bot] {
        assert_eq!(shown(&world, key, None), Err(AuthError::Invalid));
    }
    assert!(!list(&world, Who::Admin, "/", true).await.iter().any(|path| path.contains("zoe")));
    assert!(!ok(&world, Who::Admin, "list_agents", json!({})).await.to_string().contains("zoe"));
    // What was granted to the name waits for it, unless that was said.
    let tuples = async || ok(&world, Who::Admin, "rebac_list_tuples", json!({"subject": ["user", "zoe"]})).await;
    assert_eq!(tuples().await.as_array().expect("rows").len(), 1);
    let again = json!({"user_id": "zoe", "delete_user_record": true});
    let again = ok(&world, Who::Admin, "deprovision_user", again).await;
    let nothing = json!({"directories": [], "workspaces": 0, "agents": 0, "skills": 0, "api_keys": 0});
    assert_eq!(again["deleted_resources"], nothing);
    assert_eq!(tuples().await, json!([]));
    // Whoever comes under the same name begins anew.
    let made = ok(&world, Who::Admin, "provision_user", json!({"user_id": "zoe"})).await;
    let key = made["api_key"].as_str().expect("a key");
    let failure = world.rpc_with_key(key, "read", json!({"path": "/proj/a.txt"})).await.0.expect_err("forgotten");
    assert_eq!(failure.code, DENIED);
}

#[tokio::test]
async fn files_stay_if_that_is_said_and_admins_go_by_force_only() {
    let world = World::new().await;
    let made = ok(&world, Who::Admin, "provision_user", json!({"user_id": "zoe", "create_api_key": false})).await;
    assert_eq!(made["api_key"], json!(null));
    let gone = ok(&world, Who::Admin, "deprovision_user", json!({"user_id": "zoe", "delete_files": false})).await;
    assert_eq!(gone["deleted_resources"]["directories"], json!([]));
    assert!(list(&world, Who::Admin, "/", true).await.iter().any(|path| path.contains("zoe")));

    refused(&world, Who::Admin, "deprovision_user", json!({"user_id": "admin"}), PRECONDITION).await;
    refused(&world, Who::Admin, "deprovision_user", json!({"user_id": "root", "force": true}), PRECONDITION).await;
    ok(&world, Who::Admin, "admin_create_key", json!({"user_id": "eve", "name": "e", "is_admin": true})).await;
    refused(&world, Who::Admin, "deprovision_user", json!({"user_id": "eve"}), PRECONDITION).await;
    let forced = ok(&world, Who::Admin, "deprovision_user", json!({"user_id": "eve", "force": true})).await;
    assert_eq!(forced["deleted_resources"]["api_keys"], 1);
}
