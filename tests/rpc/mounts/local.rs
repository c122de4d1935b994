//! Adding, saving, loading and removing mounts of directories of this machine.

use serde_json::{Value, json};

use super::super::*;
use super::{MNT, has, mounted, put, synced};
use crate::harness::world::World;

fn local(at: &str, dir: impl serde::Serialize) -> Value {
    json!({"mount_point": at, "backend_type": "local", "backend_config": {"data_dir": dir}})
}

#[tokio::test]
async fn nobody_but_the_instance_admin_mounts_and_syncs() {
    let world = World::new().await;
    let host = world.host();
    let before = world.head().await;
    for who in Who::KNOWN.into_iter().filter(|who| *who != Who::Instance) {
        for (method, params) in [
            ("add_mount", local(MNT, &host)),
            ("add_mount", local(MNT, "/etc")),
            ("add_mount", json!({"mount_point": "/..", "backend_type": "gcs", "backend_config": {}})),
            ("save_mount", local(MNT, &host)),
            ("load_mount", json!({"mount_point": MNT})),
            ("remove_mount", json!({"mount_point": MNT})),
            ("delete_saved_mount", json!({"mount_point": MNT})),
            ("list_saved_mounts", json!({})),
            ("sync_mount", json!({})),
            ("sync_mount_async", json!({"mount_point": MNT})),
            ("get_sync_job", json!({"job_id": "x"})),
            ("cancel_sync_job", json!({"job_id": "x"})),
            ("list_sync_jobs", json!({})),
        ] {
            let said = refused(&world, who, method, params, DENIED).await;
            assert!(!said.message.contains("host"), "{who:?} {method}: {}", said.message);
        }
    }
    assert_eq!(world.head().await, before);
}

#[tokio::test]
async fn only_what_the_configuration_allows() {
    let world = World::new().await;
    let host = world.host();
    std::fs::create_dir(host.join("inside")).expect("a directory");
    std::fs::create_dir_all(world.path().with_file_name("host-too")).expect("a directory beside it");
    std::os::unix::fs::symlink("/etc", host.join("out")).expect("a link");
    std::os::unix::fs::symlink("inside", host.join("in")).expect("a link");
    put(&host, "file", "no directory");
    let text = |name: &str| format!("{}/{name}", host.display());
    for dir in [
        "/etc".to_owned(),
        "/".to_owned(),
        String::new(),
        "host".to_owned(),
        format!("{}-too", host.display()),
        text(".."),
        text("inside/../.."),
        text("out"),
        text("in"),
        text("out/ssl"),
        text("missing"),
        text("file"),
        text("a\u{0}b"),
        "/proc/self/root/etc".to_owned(),
        world.path().display().to_string(),
    ] {
        let said = refused(&world, Who::Instance, "add_mount", local(MNT, &dir), PRECONDITION).await;
        assert!(said.message.contains("mounted"), "{dir}: {}", said.message);
    }
    for (config, code) in [
        (json!({}), INVALID_PARAMS),
        (json!({"data_dir": 5}), INVALID_PARAMS),
        (json!({"data_dir": host, "secret": "x"}), INVALID_PARAMS),
    ] {
        let params = json!({"mount_point": MNT, "backend_type": "local", "backend_config": config});
        refused(&world, Who::Instance, "add_mount", params, code).await;
    }
    for (kind, hint) in [("gcs", "not built"), ("s3_connector", "not built"), ("x", "list_connectors")] {
        let params = json!({"mount_point": MNT, "backend_type": kind, "backend_config": {}});
        let said = refused(&world, Who::Instance, "add_mount", params, NOT_SUPPORTED).await;
        assert_eq!(said.message, format!("Unsupported backend type: {kind}"));
        assert!(said.data["hint"].as_str().expect("a hint").contains(hint), "{said:?}");
    }
    assert_eq!(ok(&world, Who::Instance, "list_mounts", json!({})).await.as_array().expect("a list").len(), 1);
    ok(&world, Who::Instance, "add_mount", local(MNT, text("inside"))).await;
}

#[tokio::test]
async fn a_mount_point_is_a_directory_that_stays() {
    let world = World::new().await;
    let host = mounted(&world, false).await;
    put(&host, "a.txt", "a");
    has(&synced(&world).await, json!({"files_created": 1}));
    for who in [Who::Instance, Who::Admin] {
        for (method, params) in [
            ("rmdir", json!({"path": MNT, "recursive": true})),
            ("rmdir", json!({"path": "/mnt", "recursive": true})),
            ("rename", json!({"old_path": MNT, "new_path": "/mnt/other"})),
            ("rename", json!({"old_path": "/mnt", "new_path": "/other"})),
            ("delete", json!({"path": MNT})),
        ] {
            let said = refused(&world, who, method, params, PRECONDITION).await;
            assert!(said.message.contains("is mounted"), "{method}: {}", said.message);
        }
    }
    // Neither at it, nor in it, nor around it.
    refused(&world, Who::Instance, "add_mount", local(MNT, &host), EXISTS).await;
    for at in ["/mnt", "/mnt/host/deeper"] {
        let said = refused(&world, Who::Instance, "add_mount", local(at, &host), PRECONDITION).await;
        assert!(said.message.contains("overlap"), "{}", said.message);
    }
    refused(&world, Who::Instance, "add_mount", local("/", &host), INVALID_PATH).await;
    write(&world, Who::Instance, "/file", "x").await;
    refused(&world, Who::Instance, "add_mount", local("/file", &host), PRECONDITION).await;
    refused(&world, Who::Instance, "add_mount", local("/file/below", &host), PRECONDITION).await;

    let removed = ok(&world, Who::Instance, "remove_mount", json!({"mount_point": MNT})).await;
    assert_eq!(
        removed,
        json!({"removed": true, "directory_deleted": false, "permissions_cleaned": 0, "errors": []}),
        "the files stay"
    );
    assert_eq!(read(&world, Who::Instance, "/mnt/host/a.txt").await, "a");
    assert_eq!(std::fs::read(host.join("a.txt")).expect("there"), b"a", "on the host as well");
    let again = ok(&world, Who::Instance, "remove_mount", json!({"mount_point": MNT})).await;
    has(&again, json!({"removed": false, "errors": ["Mount not found: /mnt/host"]}));
    has(&ok(&world, Who::Instance, "remove_mount", json!({"mount_point": "/"})).await, json!({"removed": false}));
    ok(&world, Who::Instance, "rmdir", json!({"path": MNT, "recursive": true})).await;
    // An empty one goes with its grants.
    mounted(&world, false).await;
    let removed = ok(&world, Who::Instance, "remove_mount", json!({"mount_point": MNT})).await;
    assert_eq!(removed, json!({"removed": true, "directory_deleted": true, "permissions_cleaned": 1, "errors": []}),);
}

/// A mount below is not changed together with the tree it lies in: not by a restore, nor by the end of an agent.
#[tokio::test]
async fn a_tree_with_a_mount_in_it_is_not_changed_as_one() {
    let world = World::new().await;
    let host = world.host();
    put(&host, "a.txt", "a");
    ok(&world, Who::Admin, "register_workspace", json!({"path": "/ws"})).await;
    write(&world, Who::Admin, "/ws/mine.txt", "mine").await;
    ok(&world, Who::Admin, "workspace_snapshot", json!({"workspace_path": "/ws"})).await;
    ok(&world, Who::Instance, "add_mount", local("/ws/host", &host)).await;
    ok(&world, Who::Instance, "sync_mount", json!({"mount_point": "/ws/host"})).await;
    let restore = json!({"workspace_path": "/ws", "snapshot_number": 1});
    let said = refused(&world, Who::Admin, "workspace_restore", restore.clone(), PRECONDITION).await;
    assert!(said.message.contains("'/ws/host' is mounted"), "{}", said.message);
    assert_eq!(read(&world, Who::Admin, "/ws/host/a.txt").await, "a");
    ok(&world, Who::Instance, "remove_mount", json!({"mount_point": "/ws/host"})).await;
    ok(&world, Who::Admin, "workspace_restore", restore).await;

    let made = ok(&world, Who::Alice, "register_agent", json!({"agent_id": "alice,Box", "name": "Box"})).await;
    let directory =
        made["config_path"].as_str().and_then(|path| path.rsplit_once('/')).expect("a directory").0.to_owned();
    ok(&world, Who::Instance, "add_mount", local(&format!("{directory}/host"), &host)).await;
    refused(&world, Who::Alice, "delete_agent", json!({"agent_id": "alice,Box"}), PRECONDITION).await;
    let there = ok(&world, Who::Alice, "get_agent", json!({"agent_id": "alice,Box"})).await;
    assert_eq!(there["agent_id"], "alice,Box", "nothing of it has gone");
}

#[tokio::test]
async fn saved_mounts_come_back() {
    let world = World::new().await;
    let host = world.host();
    put(&host, "a.txt", "a");
    let save = json!({
        "mount_point": "mnt//host/", "backend_type": "local", "backend_config": {"data_dir": host}, "priority": 3,
        "readonly": true, "owner_user_id": "bob", "description": "the docs",
    });
    let id = ok(&world, Who::Instance, "save_mount", save.clone()).await;
    let said = refused(&world, Who::Instance, "save_mount", save.clone(), INVALID_PARAMS).await;
    assert_eq!(said.message, "Invalid parameters: Mount already exists at /mnt/host");
    let list = ok(&world, Who::Instance, "list_saved_mounts", json!({})).await;
    has(
        &list[0],
        json!({
            "mount_id": id, "mount_point": MNT, "backend_type": "local", "backend_config": {"data_dir": host},
            "priority": 3, "readonly": true, "owner_user_id": "bob", "tenant_id": "default",
            "description": "the docs", "mounted": false,
        }),
    );
    for (filter, found) in [
        (json!({"owner_user_id": "bob"}), 1),
        (json!({"owner_user_id": "eve"}), 0),
        (json!({"tenant_id": "default"}), 1),
        (json!({"tenant_id": "acme"}), 0),
    ] {
        let list = ok(&world, Who::Instance, "list_saved_mounts", filter).await;
        assert_eq!(list.as_array().expect("a list").len(), found);
    }
    // Saving mounts nothing.
    assert_eq!(ok(&world, Who::Instance, "has_mount", json!({"mount_point": MNT})).await, json!(false));
    refused(&world, Who::Instance, "sync_mount", json!({"mount_point": MNT}), NOT_FOUND).await;
    assert_eq!(ok(&world, Who::Instance, "load_mount", json!({"mount_point": MNT})).await, json!(MNT));
    assert_eq!(ok(&world, Who::Instance, "has_mount", json!({"mount_point": MNT})).await, json!(true));
    has(&synced(&world).await, json!({"files_created": 1}));
    ok(&world, Who::Instance, "remove_mount", json!({"mount_point": MNT})).await;
    ok(&world, Who::Instance, "load_mount", json!({"mount_point": MNT})).await;
    has(&synced(&world).await, json!({"files_scanned": 1, "cache_skipped": 1, "files_created": 0}));
    // Forgotten, it stays mounted; removed then, it is gone.
    assert_eq!(ok(&world, Who::Instance, "delete_saved_mount", json!({"mount_point": MNT})).await, json!(true));
    assert_eq!(ok(&world, Who::Instance, "delete_saved_mount", json!({"mount_point": MNT})).await, json!(false));
    assert_eq!(ok(&world, Who::Instance, "has_mount", json!({"mount_point": MNT})).await, json!(true));
    ok(&world, Who::Instance, "remove_mount", json!({"mount_point": MNT})).await;
    let said = refused(&world, Who::Instance, "load_mount", json!({"mount_point": MNT}), INVALID_PARAMS).await;
    assert_eq!(said.message, "Invalid parameters: Mount not found in database: /mnt/host");
    let foreign = json!({"mount_point": "/m", "backend_type": "local", "backend_config": {"data_dir": host}, "tenant_id": "acme"});
    refused(&world, Who::Instance, "save_mount", foreign, INVALID_PARAMS).await;
}

#[tokio::test]
async fn what_is_mounted_is_mounted_after_a_restart() {
    let world = World::new().await;
    let host = mounted(&world, true).await;
    put(&host, "a.txt", "a");
    has(&synced(&world).await, json!({"files_created": 1}));
    let (path, keys) = (world.path().to_owned(), world.keys());
    let dir = world.close().await;
    let world = World::again(&path, crate::harness::world::Setup::default(), keys).await;
    has(&synced(&world).await, json!({"files_scanned": 1, "cache_skipped": 1, "files_created": 0, "errors": []}));
    refused(&world, Who::Instance, "write", json!({"path": "/mnt/host/b", "content": "x"}), DENIED).await;
    assert!(world.store.check().await.expect("a check").violations.is_empty(), "the rules hold");
    world.close().await;
    drop(dir);
}

#[tokio::test]
async fn connectors_tell_the_truth() {
    let world = World::new().await;
    let all = ok(&world, Who::Alice, "list_connectors", json!({})).await;
    let all = all.as_array().expect("a list");
    for connector in all {
        let is_local = connector["name"] == "local";
        assert_eq!(connector["available"], json!(is_local), "{connector}");
        assert_eq!(connector.get("missing").is_none(), is_local, "{connector}");
    }
    let of = async |category: &str| {
        let found = ok(&world, Who::Alice, "list_connectors", json!({"category": category})).await;
        found.as_array().expect("a list").len()
    };
    assert_eq!(of("storage").await + of("api").await + of("oauth").await, all.len());
    assert_eq!(of("database").await, 0);
}
