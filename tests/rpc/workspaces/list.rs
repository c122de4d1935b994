use serde_json::{Value, json};

use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, grant, ok, refused, write};

async fn paths(world: &World, who: Who) -> Vec<String> {
    let rows = ok(world, who, "list_workspaces", json!({})).await;
    let path = |row: &Value| row["path"].as_str().expect("a path").to_owned();
    rows.as_array().expect("rows").iter().map(path).collect()
}

#[tokio::test]
async fn everybody_sees_their_own_and_admins_their_tenant() {
    let world = World::new().await;
    write(&world, Who::Admin, "/team/readme", "x").await;
    for user in ["alice", "bob"] {
        grant(&world, ("user", user), "direct_editor", "/team").await;
    }
    ok(&world, Who::Alice, "register_workspace", json!({"path": "/team/a"})).await;
    ok(&world, Who::Bob, "register_workspace", json!({"path": "/team/b"})).await;
    ok(&world, Who::OtherAdmin, "register_workspace", json!({"path": "/tenant:acme/c"})).await;
    for (who, wanted) in [
        (Who::Alice, vec!["/team/a"]),
        (Who::Heir, vec!["/team/a"]),
        (Who::Agent, vec![]),
        (Who::Bob, vec!["/team/b"]),
        (Who::Stranger, vec![]),
        (Who::Admin, vec!["/team/a", "/team/b"]),
        (Who::OtherUser, vec![]),
        (Who::OtherAdmin, vec!["/tenant:acme/c"]),
    ] {
        assert_eq!(paths(&world, who).await, wanted, "{who:?}");
        for path in ["/team/a", "/team/b", "/tenant:acme/c"] {
            let info = ok(&world, who, "get_workspace_info", json!({"path": path})).await;
            assert_eq!(info.is_object(), wanted.contains(&path), "{who:?} {path}");
        }
    }
    for who in [Who::Stranger, Who::OtherAdmin, Who::Agent] {
        let there = refused(&world, who, "unregister_workspace", json!({"path": "/team/a"}), DENIED).await;
        let missing = refused(&world, who, "unregister_workspace", json!({"path": "/team/x"}), DENIED).await;
        assert_eq!(there.message.replace("/team/a", "/team/x"), missing.message, "{who:?}");
    }
    for wanted in [true, false] {
        let answer = ok(&world, Who::Alice, "unregister_workspace", json!({"path": "/team/a"})).await;
        assert_eq!(answer, json!(wanted));
    }
    assert_eq!(paths(&world, Who::Admin).await, ["/team/b"]);
    let kept = ok(&world, Who::Alice, "is_directory", json!({"path": "/team/a"})).await;
    assert_eq!(kept, json!({"is_directory": true}));
}
