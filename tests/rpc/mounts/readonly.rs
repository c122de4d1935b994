//! Below a read-only mount nobody writes but a sync.

use serde_json::json;

use super::super::*;
use super::{MNT, has, mounted, put, synced};
use crate::harness::world::World;

#[tokio::test]
async fn every_writing_method_is_refused_to_everybody() {
    let world = World::new().await;
    let host = mounted(&world, true).await;
    put(&host, "a.txt", "a");
    put(&host, "d/b.txt", "b");
    synced(&world).await;
    write(&world, Who::Instance, "/other.txt", "other").await;
    for who in ["alice", "bob"] {
        grant(&world, ("user", who), "direct_owner", MNT).await;
    }
    let a = "/mnt/host/a.txt";
    let edits = json!([{"old_str": "a", "new_str": "b"}]);
    for who in [Who::Instance, Who::Admin, Who::Alice, Who::Heir] {
        for (method, params) in [
            ("write", json!({"path": a, "content": "x"})),
            ("write", json!({"path": "/mnt/host/new/file", "content": "x"})),
            ("append", json!({"path": a, "content": "x"})),
            ("edit", json!({"path": a, "edits": edits})),
            ("write_batch", json!({"files": [[a, "x"]]})),
            ("write_stream", json!({"path": a, "chunks": "x"})),
            ("rollback", json!({"path": a, "version": 1})),
            ("delete", json!({"path": a})),
            ("mkdir", json!({"path": "/mnt/host/new"})),
            ("mkdir", json!({"path": "/mnt/host/new/er", "parents": true})),
            ("rmdir", json!({"path": "/mnt/host/d", "recursive": true})),
            ("rename", json!({"old_path": a, "new_path": "/mnt/host/c.txt"})),
            ("rename", json!({"old_path": "/mnt/host/d", "new_path": "/elsewhere"})),
            ("rename", json!({"old_path": "/other.txt", "new_path": "/mnt/host/c.txt"})),
            ("copy", json!({"src_path": a, "dst_path": "/mnt/host/c.txt"})),
        ] {
            let said = refused(&world, who, method, params, DENIED).await;
            if who == Who::Instance {
                assert_eq!(said.message, "Access denied: the mount at '/mnt/host' is read-only", "{method}");
            }
        }
        let gone = ok(&world, who, "delete_bulk", json!({"paths": [a]})).await;
        assert!(gone.to_string().contains("read-only"), "{gone}");
    }
    assert_eq!(read(&world, Who::Alice, a).await, "a", "it is read by whoever may");
    refused(&world, Who::Stranger, "read", json!({"path": a}), DENIED).await;
    ok(&world, Who::Instance, "copy", json!({"src_path": a, "dst_path": "/copy.txt"})).await;
    // The sync writes, and nobody else does; what was removed on the host is removed here.
    put(&host, "a.txt", "a new one");
    std::fs::remove_file(host.join("d/b.txt")).expect("removed");
    has(&synced(&world).await, json!({"files_updated": 1, "files_deleted": 1, "files_written_back": 0, "errors": []}));
    assert_eq!(read(&world, Who::Alice, a).await, "a new one");
    assert_eq!(list(&world, Who::Alice, MNT, true).await, [a]);
}

#[tokio::test]
async fn what_was_there_before_is_not_overwritten() {
    let world = World::new().await;
    ok(&world, Who::Instance, "mkdir", json!({"path": MNT, "parents": true})).await;
    write(&world, Who::Instance, "/mnt/host/same.txt", "same").await;
    write(&world, Who::Instance, "/mnt/host/other.txt", "of the tree").await;
    write(&world, Who::Instance, "/mnt/host/only.txt", "of the tree").await;
    let host = mounted(&world, true).await;
    put(&host, "same.txt", "same");
    put(&host, "other.txt", "of the host");
    put(&host, "new.txt", "new");
    for _ in 0..2 {
        let result = synced(&world).await;
        has(&result, json!({"conflicts": 2, "files_deleted": 0, "files_updated": 0, "files_written_back": 0}));
        let errors = result["errors"].to_string();
        assert!(errors.contains("/mnt/host/other.txt: conflict") && errors.contains("/mnt/host/only.txt: conflict"));
    }
    assert_eq!(read(&world, Who::Instance, "/mnt/host/other.txt").await, "of the tree");
    assert_eq!(read(&world, Who::Instance, "/mnt/host/new.txt").await, "new");
    assert_eq!(std::fs::read(host.join("other.txt")).expect("there"), b"of the host");
    assert!(!host.join("only.txt").exists());
}

#[tokio::test]
async fn of_another_tenant_nothing_is_seen() {
    let world = World::new().await;
    let host = world.host();
    put(&host, "a.txt", "a");
    let at = "/tenant:acme/mnt";
    let config = json!({"data_dir": host});
    let params = json!({"mount_point": at, "backend_type": "local", "backend_config": config, "readonly": true});
    ok(&world, Who::Instance, "add_mount", params).await;
    has(&ok(&world, Who::Instance, "sync_mount", json!({})).await, json!({"files_created": 1, "mounts_synced": 1}));
    assert_eq!(read(&world, Who::OtherAdmin, "/tenant:acme/mnt/a.txt").await, "a");
    for who in [Who::Admin, Who::Alice, Who::Stranger, Who::OtherUser] {
        refused(&world, who, "read", json!({"path": "/tenant:acme/mnt/a.txt"}), DENIED).await;
        assert_eq!(ok(&world, who, "exists", json!({"path": at})).await, json!({"exists": false}), "{who:?}");
    }
    assert_eq!(ok(&world, Who::Admin, "has_mount", json!({"mount_point": at})).await, json!(false));
    assert_eq!(ok(&world, Who::OtherUser, "has_mount", json!({"mount_point": at})).await, json!(true));
}
