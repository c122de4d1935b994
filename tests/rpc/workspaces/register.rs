use std::time::Duration;

use serde_json::json;

use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, INVALID_PATH, PRECONDITION, grant, ok, refused, write};

#[tokio::test]
async fn registering_makes_the_directory_and_its_owner() {
    let world = World::new().await;
    write(&world, Who::Admin, "/team/readme", "x").await;
    grant(&world, ("user", "alice"), "direct_editor", "/team").await;
    let params = json!({"path": "/team//plans/", "name": "plans", "description": "sample", "tags": ["t1"],
                        "metadata": {"k": "v"}, "created_by": "bob"});
    let made = ok(&world, Who::Alice, "register_workspace", params).await;
    let wanted = json!({"path": "/team/plans", "name": "plans", "description": "sample",
                        "created_at": "2026-01-02T03:04:05.000000", "created_by": "alice", "metadata": {"k": "v"}});
    assert_eq!(made, wanted);
    let owns = json!({"subject": ["user", "alice"], "permission": "execute", "object": ["file", "/team/plans"]});
    assert_eq!(ok(&world, Who::Alice, "rebac_check", owns).await, json!(true));
    write(&world, Who::Alice, "/team/plans/a", "x").await;
    let info = ok(&world, Who::Alice, "get_workspace_info", json!({"path": "/team/plans/"})).await;
    assert_eq!(info, wanted);

    let again = json!({"path": "/team/plans"});
    let failure = refused(&world, Who::Alice, "register_workspace", again, INVALID_PARAMS).await;
    assert_eq!(failure.message, "Invalid parameters: Workspace already registered: /team/plans");
}

#[tokio::test]
async fn it_takes_the_right_to_make_or_to_own() {
    let world = World::new().await;
    write(&world, Who::Admin, "/team/secret/plan", "x").await;
    for who in [Who::Stranger, Who::Bob, Who::Agent, Who::OtherUser, Who::OtherAdmin] {
        for path in ["/team/secret", "/team/new", "/new"] {
            refused(&world, who, "register_workspace", json!({"path": path}), DENIED).await;
        }
    }
    // Who may only write to a directory does not become its owner by registering it.
    grant(&world, ("user", "bob"), "direct_editor", "/team").await;
    refused(&world, Who::Bob, "register_workspace", json!({"path": "/team/secret"}), DENIED).await;
    ok(&world, Who::Bob, "register_workspace", json!({"path": "/team/new"})).await;
    refused(&world, Who::Admin, "register_workspace", json!({"path": "/team/secret/plan"}), PRECONDITION).await;
    for path in ["/", "", "/a/../b"] {
        refused(&world, Who::Admin, "register_workspace", json!({"path": path}), INVALID_PATH).await;
    }
}

#[tokio::test]
async fn a_registration_ends_when_it_was_to() {
    let world = World::new().await;
    let ttl = json!({"__type__": "timedelta", "seconds": 60});
    let params = json!({"path": "/ws", "ttl": ttl, "session_id": "s1"});
    let made = ok(&world, Who::Admin, "register_workspace", params.clone()).await;
    assert_eq!((&made["session_id"], &made["expires_at"]), (&json!("s1"), &json!("2026-01-02T03:05:05.000000")));
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(ok(&world, Who::Admin, "list_workspaces", json!({})).await, json!([]));
    assert_eq!(ok(&world, Who::Admin, "is_directory", json!({"path": "/ws"})).await, json!({"is_directory": true}));
    ok(&world, Who::Admin, "register_workspace", params).await;
    for ttl in [json!(0), json!(-5), json!(1e300)] {
        refused(&world, Who::Admin, "register_workspace", json!({"path": "/x", "ttl": ttl}), INVALID_PARAMS).await;
    }
}
