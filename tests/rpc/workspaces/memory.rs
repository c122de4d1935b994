use std::time::Duration;

use serde_json::json;

use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, grant, ok, refused, write};

#[tokio::test]
async fn directories_of_memories_are_registered_and_not_made() {
    let world = World::new().await;
    write(&world, Who::Admin, "/team/readme", "x").await;
    grant(&world, ("user", "alice"), "direct_editor", "/team").await;
    let params = json!({"path": "/team//notes/", "name": "notes", "metadata": {"k": 1}, "session_id": "s"});
    let made = ok(&world, Who::Alice, "register_memory", params.clone()).await;
    let wanted = json!({"path": "/team/notes", "name": "notes", "description": "",
        "created_at": "2026-01-02T03:04:05.000000", "created_by": "alice", "metadata": {"k": 1}, "session_id": "s"});
    assert_eq!(made, wanted);
    let there = ok(&world, Who::Admin, "is_directory", json!({"path": "/team/notes"})).await;
    assert_eq!(there, json!({"is_directory": false}));
    let failure = refused(&world, Who::Alice, "register_memory", params, INVALID_PARAMS).await;
    assert_eq!(failure.message, "Invalid parameters: Memory already registered: /team/notes");
    let tags = json!({"path": "/team/other", "tags": ["a"]});
    refused(&world, Who::Alice, "register_memory", tags, INVALID_PARAMS).await;

    // A workspace at the same path is another thing.
    assert_eq!(ok(&world, Who::Alice, "get_workspace_info", json!({"path": "/team/notes"})).await, json!(null));
    assert_eq!(ok(&world, Who::Alice, "list_workspaces", json!({})).await, json!([]));
    for (who, sees) in [
        (Who::Alice, true),
        (Who::Heir, true),
        (Who::Admin, true),
        (Who::Instance, true),
        (Who::Agent, false),
        (Who::Bob, false),
        (Who::Stranger, false),
        (Who::OtherUser, false),
        (Who::OtherAdmin, false),
    ] {
        let listed = ok(&world, who, "list_registered_memories", json!({})).await;
        assert_eq!(listed.as_array().map(Vec::len), Some(usize::from(sees)), "{who:?}");
        let info = ok(&world, who, "get_memory_info", json!({"path": "/team/notes"})).await;
        assert_eq!(info.is_object(), sees, "{who:?}");
        if !sees {
            refused(&world, who, "unregister_memory", json!({"path": "/team/notes"}), DENIED).await;
            refused(&world, who, "register_memory", json!({"path": "/team/more"}), DENIED).await;
        }
    }
    for wanted in [true, false] {
        assert_eq!(ok(&world, Who::Alice, "unregister_memory", json!({"path": "/team/notes"})).await, json!(wanted));
    }
}

#[tokio::test]
async fn what_has_had_its_time_is_swept_and_its_files_stay() {
    let world = World::new().await;
    let ttl = |seconds: u64| json!({"__type__": "timedelta", "seconds": seconds});
    for (scope, path, seconds) in
        [("workspace", "/w/short", 60), ("workspace", "/w/long", 600), ("memory", "/m/short", 60)]
    {
        let params = json!({"path": path, "ttl": ttl(seconds), "session_id": "s1"});
        ok(&world, Who::Admin, &format!("register_{scope}"), params).await;
    }
    ok(&world, Who::Admin, "register_workspace", json!({"path": "/w/forever"})).await;
    write(&world, Who::Admin, "/w/short/file", "kept").await;
    ok(&world, Who::Admin, "workspace_snapshot", json!({"workspace_path": "/w/short"})).await;
    let rows = async |world: &World| {
        let count = |tx: &nexus_lite::store::ReadTx<'_>| {
            use nexus_lite::store::Sql as _;
            tx.query_one("SELECT COUNT(*) FROM workspaces", &[], |row| row.id(0)).map(Option::unwrap_or_default)
        };
        world.store.read(count).await.expect("read")
    };
    world.pass(Duration::from_secs(59)).await;
    assert_eq!(rows(&world).await, 4);
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(rows(&world).await, 2, "what is over is gone, not only hidden");
    let listed = ok(&world, Who::Admin, "list_workspaces", json!({})).await;
    let paths: Vec<_> = listed.as_array().expect("rows").iter().map(|row| row["path"].clone()).collect();
    assert_eq!(paths, [json!("/w/forever"), json!("/w/long")]);
    assert_eq!(crate::rpc::read(&world, Who::Admin, "/w/short/file").await, "kept");
    let over = json!({"workspace_path": "/w/short"});
    refused(&world, Who::Admin, "workspace_log", over.clone(), INVALID_PARAMS).await;
    let told = ok(&world, Who::Admin, "admin_audit_query", json!({})).await.to_string();
    assert!(told.contains("workspaces_sweep"), "the log says who ended it: {told}");

    // After a restart as well; and who registers again has the snapshots.
    let (keys, path) = (world.keys(), world.path().to_owned());
    let dir = world.close().await;
    let mut world = World::again(&path, crate::harness::world::Setup::default(), keys).await;
    world.keep(dir);
    world.pass(Duration::from_secs(700)).await;
    assert_eq!(rows(&world).await, 1);
    ok(&world, Who::Admin, "register_workspace", json!({"path": "/w/short"})).await;
    assert_eq!(ok(&world, Who::Admin, "workspace_log", over).await.as_array().map(Vec::len), Some(1));
    assert_eq!(world.store.check().await.expect("checked").violations, []);
}
