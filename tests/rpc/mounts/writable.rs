//! Mounts that are written to from both sides.

use serde_json::json;

use super::super::*;
use super::{MNT, has, mounted, put, synced};
use crate::harness::world::World;

#[tokio::test]
async fn what_the_tree_changes_goes_to_the_host() {
    let world = World::new().await;
    let host = mounted(&world, false).await;
    put(&host, "a.txt", "a");
    put(&host, "b.txt", "b");
    put(&host, "c.txt", "c");
    synced(&world).await;
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(host.join("a.txt"), std::fs::Permissions::from_mode(0o640)).expect("a mode");
    grant(&world, ("user", "alice"), "direct_editor", MNT).await;
    write(&world, Who::Alice, "/mnt/host/a.txt", "of alice").await;
    write(&world, Who::Alice, "/mnt/host/new/deep/file.txt", "new").await;
    write(&world, Who::Alice, "/mnt/host/large.bin", &"x".repeat(100_000)).await;
    ok(&world, Who::Alice, "delete", json!({"path": "/mnt/host/b.txt"})).await;
    ok(&world, Who::Alice, "rename", json!({"old_path": "/mnt/host/c.txt", "new_path": "/mnt/host/moved.txt"})).await;
    refused(&world, Who::Stranger, "write", json!({"path": "/mnt/host/a.txt", "content": "x"}), DENIED).await;
    let wanted = json!({
        "files_written_back": 4, "files_removed_back": 2, "files_created": 0, "files_updated": 0, "files_deleted": 0,
        "conflicts": 0, "errors": [],
    });
    let dry = ok(&world, Who::Instance, "sync_mount", json!({"mount_point": MNT, "dry_run": true})).await;
    has(&dry, wanted.clone());
    assert_eq!(std::fs::read(host.join("a.txt")).expect("there"), b"a", "a dry run changes nothing on the host");
    has(&synced(&world).await, wanted);
    for (name, body) in [("a.txt", "of alice"), ("new/deep/file.txt", "new"), ("moved.txt", "c")] {
        assert_eq!(std::fs::read_to_string(host.join(name)).expect("there"), body, "{name}");
    }
    assert_eq!(std::fs::metadata(host.join("large.bin")).expect("there").len(), 100_000);
    let mode = std::fs::metadata(host.join("a.txt")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o640, "the mode stays");
    assert!(!host.join("b.txt").exists() && !host.join("c.txt").exists());
    has(&synced(&world).await, json!({"files_scanned": 4, "cache_skipped": 4, "files_written_back": 0, "errors": []}));
}

#[tokio::test]
async fn what_changed_on_both_sides_stays_on_both() {
    let world = World::new().await;
    let host = mounted(&world, false).await;
    for name in ["both.txt", "gone-here.txt", "gone-there.txt", "alike.txt", "gone.txt"] {
        put(&host, name, "first");
    }
    synced(&world).await;
    let here = |name: &str| format!("{MNT}/{name}");
    write(&world, Who::Instance, &here("both.txt"), "of the tree").await;
    put(&host, "both.txt", "of the host");
    ok(&world, Who::Instance, "delete", json!({"path": here("gone-here.txt")})).await;
    put(&host, "gone-here.txt", "of the host");
    write(&world, Who::Instance, &here("gone-there.txt"), "of the tree").await;
    std::fs::remove_file(host.join("gone-there.txt")).expect("removed");
    write(&world, Who::Instance, &here("alike.txt"), "alike").await;
    put(&host, "alike.txt", "alike");
    ok(&world, Who::Instance, "delete", json!({"path": here("gone.txt")})).await;
    std::fs::remove_file(host.join("gone.txt")).expect("removed");
    write(&world, Who::Instance, &here("new.txt"), "of the tree").await;
    put(&host, "new.txt", "of the host");
    for _ in 0..2 {
        let result = synced(&world).await;
        has(
            &result,
            json!({
                "conflicts": 4, "files_created": 0, "files_updated": 0, "files_deleted": 0, "files_written_back": 0,
                "files_removed_back": 0, "cache_skipped": 1,
            }),
        );
        let errors = result["errors"].to_string();
        for name in ["both.txt", "gone-here.txt", "gone-there.txt", "new.txt"] {
            assert!(errors.contains(&format!("{MNT}/{name}: conflict")), "{errors}");
        }
        assert_eq!(read(&world, Who::Instance, &here("both.txt")).await, "of the tree");
        assert_eq!(std::fs::read(host.join("both.txt")).expect("there"), b"of the host");
        assert_eq!(std::fs::read(host.join("gone-here.txt")).expect("there"), b"of the host");
        assert_eq!(read(&world, Who::Instance, &here("gone-there.txt")).await, "of the tree");
        assert!(!host.join("gone-there.txt").exists());
    }
    // Whoever settles it by hand settles it.
    put(&host, "both.txt", "of the tree");
    ok(&world, Who::Instance, "delete", json!({"path": here("new.txt")})).await;
    has(&synced(&world).await, json!({"conflicts": 2, "files_created": 1}));
    assert_eq!(read(&world, Who::Instance, &here("new.txt")).await, "of the host");
}

#[tokio::test]
async fn a_cut_off_write_back_loses_nothing() {
    let world = World::new().await;
    let host = mounted(&world, false).await;
    put(&host, "a.txt", "a");
    synced(&world).await;
    // As a server leaves it that dies between the exchange of two files and the removal of the old one.
    put(&host, ".nexus-lite-sync-1", "what a.txt was");
    let result = synced(&world).await;
    has(&result, json!({"files_created": 0, "files_deleted": 0}));
    assert!(result["errors"].to_string().contains("cut off"), "{result}");
    assert!(host.join(".nexus-lite-sync-1").exists());
}
