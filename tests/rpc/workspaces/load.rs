use serde_json::{Value, json};

use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, INVALID_PATH, grant, ok, refused, write};

const METHOD: &str = "load_workspace_memory_config";

fn counts(workspaces: [u64; 2], memories: [u64; 2]) -> Value {
    json!({"workspaces_registered": workspaces[0], "workspaces_skipped": workspaces[1],
        "memories_registered": memories[0], "memories_skipped": memories[1]})
}

async fn registered(world: &World, who: Who) -> [usize; 2] {
    let workspaces = ok(world, who, "list_workspaces", json!({})).await;
    let memories = ok(world, who, "list_registered_memories", json!({})).await;
    [workspaces, memories].map(|rows| rows.as_array().expect("rows").len())
}

#[tokio::test]
async fn what_a_configuration_names_is_registered_once() {
    let world = World::new().await;
    grant(&world, ("user", "alice"), "direct_editor", "/team").await;
    write(&world, Who::Admin, "/team/readme", "x").await;
    let config = json!({
        "workspaces": [{"path": "/team/a", "name": "A", "description": "d", "metadata": {"k": 1}, "tags": ["t"]},
            {"path": "/team/a/inner"}],
        "memories": [{"path": "/team/notes", "name": "N"}],
    });
    assert_eq!(ok(&world, Who::Alice, METHOD, config.clone()).await, counts([2, 0], [1, 0]));
    let info = ok(&world, Who::Alice, "get_workspace_info", json!({"path": "/team/a"})).await;
    assert_eq!((&info["name"], &info["description"], &info["metadata"]), (&json!("A"), &json!("d"), &json!({"k": 1})));
    assert_eq!(info["created_by"], "alice");
    let there = |path: &str| ok(&world, Who::Admin, "is_directory", json!({ "path": path }));
    assert_eq!(there("/team/a/inner").await, json!({"is_directory": true}), "as register_workspace does");
    assert_eq!(there("/team/notes").await, json!({"is_directory": false}), "as register_memory does not");

    // What is registered stays as it is; the rest is added.
    let more = json!({"workspaces": [{"path": "/team/a", "name": "other"}, {"path": "/team/b"}], "memories": []});
    assert_eq!(ok(&world, Who::Alice, METHOD, more).await, counts([1, 1], [0, 0]));
    assert_eq!(ok(&world, Who::Alice, "get_workspace_info", json!({"path": "/team/a"})).await, info);
    assert_eq!(ok(&world, Who::Alice, METHOD, config).await, counts([0, 2], [0, 1]));
    assert_eq!(ok(&world, Who::Alice, METHOD, json!({})).await, counts([0, 0], [0, 0]));
    assert_eq!(registered(&world, Who::Alice).await, [3, 1]);
    assert_eq!(registered(&world, Who::Stranger).await, [0, 0]);
}

#[tokio::test]
async fn all_of_them_or_none() {
    let world = World::new().await;
    write(&world, Who::Admin, "/team/file", "x").await;
    write(&world, Who::Admin, "/theirs/file", "x").await;
    grant(&world, ("user", "alice"), "direct_editor", "/team").await;
    let before = world.head().await;
    let beside = |other: Value| json!({"workspaces": [{"path": "/team/a"}, other], "memories": [{"path": "/team/m"}]});
    let refused_beside = |other, code| refused(&world, Who::Alice, METHOD, beside(other), code);
    let denied = refused_beside(json!({"path": "/theirs/w"}), DENIED).await;
    assert!(denied.message.contains("/theirs/w"), "{denied:?}");
    refused_beside(json!({"path": "/team/../x"}), INVALID_PATH).await;
    refused_beside(json!({"path": "/team/w", "colour": "red"}), INVALID_PARAMS).await;
    refused_beside(json!({"name": "no path"}), INVALID_PARAMS).await;
    refused_beside(json!({"path": "/team/w", "ttl": -1}), INVALID_PARAMS).await;
    refused_beside(json!("/team/w"), INVALID_PARAMS).await;
    let many: Vec<Value> = (0..101).map(|n| json!({"path": format!("/team/{n}")})).collect();
    let failure = refused(&world, Who::Alice, METHOD, json!({"workspaces": many}), INVALID_PARAMS).await;
    assert!(failure.message.contains("at most 100"), "{failure:?}");
    for who in [Who::Bob, Who::Agent, Who::Stranger, Who::OtherAdmin] {
        refused(&world, who, METHOD, json!({"memories": [{"path": "/team/m"}]}), DENIED).await;
    }
    assert_eq!(world.head().await, before, "nothing was changed");
    assert_eq!(registered(&world, Who::Alice).await, [0, 0]);
    assert_eq!(ok(&world, Who::Alice, METHOD, json!({"workspaces": &many[..100]})).await, counts([100, 0], [0, 0]));
}
