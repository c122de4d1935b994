//! Syncs of what the host has: counts, parts, patterns, limits.

use serde_json::{Value, json};

use super::super::*;
use super::{MNT, has, mounted, put, synced};
use crate::harness::world::World;

/// Files of the large directory: several messages.
const MANY: usize = 10_000;
/// In so many directories.
const DIRECTORIES: usize = 100;

async fn sync(world: &World, params: Value) -> Value {
    let mut all = json!({"mount_point": MNT});
    all.as_object_mut().expect("an object").extend(params.as_object().expect("an object").clone());
    ok(world, Who::Instance, "sync_mount", all).await
}

#[tokio::test]
async fn the_counts_are_exact() {
    let world = World::new().await;
    let host = mounted(&world, false).await;
    put(&host, "a.txt", "a");
    put(&host, "d/b.txt", "bb");
    put(&host, "d/e/c.txt", "ccc");
    let large = vec![7; 200_000];
    put(&host, "large.bin", &large);
    let before = world.head().await;
    let dry = sync(&world, json!({"dry_run": true})).await;
    assert_eq!(world.head().await, before, "a dry run changes nothing");
    let first = synced(&world).await;
    assert_eq!(dry, first, "and says what would be");
    assert_eq!(
        first,
        json!({
            "files_scanned": 4, "files_created": 4, "files_updated": 0, "files_deleted": 0, "cache_synced": 4,
            "cache_bytes": 200_006, "cache_skipped": 0, "embeddings_generated": 0, "files_written_back": 0,
            "files_removed_back": 0, "conflicts": 0, "mounts_synced": 1, "errors": [], "more_errors": 0,
        })
    );
    let found = ok(&world, Who::Instance, "stat", json!({"path": "/mnt/host/large.bin"})).await;
    assert_eq!(found["size"], json!(200_000));
    let unchanged = json!({"files_scanned": 4, "cache_skipped": 4, "cache_synced": 0, "cache_bytes": 0, "errors": []});
    let before = world.head().await;
    has(&synced(&world).await, unchanged);
    assert_eq!(world.head().await, before, "what is alike is no change");

    put(&host, "a.txt", "a second one");
    std::fs::remove_file(host.join("d/b.txt")).expect("removed");
    std::fs::rename(host.join("d/e"), host.join("d/f")).expect("moved");
    let changed = json!({
        "files_scanned": 3, "files_created": 1, "files_updated": 1, "files_deleted": 2, "cache_synced": 2,
        "cache_bytes": 15, "cache_skipped": 1, "conflicts": 0, "errors": [],
    });
    has(&sync(&world, json!({"dry_run": true})).await, changed.clone());
    has(&synced(&world).await, changed);
    let paths = ["/mnt/host/a.txt", "/mnt/host/d/f/c.txt", "/mnt/host/large.bin"];
    assert_eq!(list(&world, Who::Instance, MNT, true).await, paths);
    assert_eq!(read(&world, Who::Instance, "/mnt/host/a.txt").await, "a second one");
    let stat = ok(&world, Who::Instance, "stat", json!({"path": "/mnt/host/a.txt"})).await;
    assert_eq!(stat["version"], json!(2), "a sync makes versions");
    // It is found like everything else.
    let found = ok(&world, Who::Instance, "grep", json!({"pattern": "second", "path": "/mnt"})).await;
    assert_eq!(found["results"][0]["file"], json!("/mnt/host/a.txt"));
    assert!(world.store.check().await.expect("a check").violations.is_empty());
}

#[tokio::test]
async fn parts_and_patterns() {
    let world = World::new().await;
    let host = mounted(&world, false).await;
    for name in ["a.txt", "a.md", "d/b.txt", "d/e/c.txt", "d/e/c.md", "node_modules/x/y.txt"] {
        put(&host, name, name);
    }
    for (params, created, paths) in [
        (json!({"recursive": false, "include_patterns": ["*.md"]}), 1, vec!["a.md"]),
        (json!({"path": "d", "recursive": false}), 1, vec!["a.md", "d/b.txt"]),
        (json!({"path": "/mnt/host/d/e/c.md"}), 1, vec!["a.md", "d/b.txt", "d/e/c.md"]),
        (json!({"exclude_patterns": ["node_modules", "a.*"]}), 1, vec!["a.md", "d/b.txt", "d/e/c.md", "d/e/c.txt"]),
    ] {
        has(&sync(&world, params.clone()).await, json!({"files_created": created, "files_deleted": 0, "errors": []}));
        let wanted: Vec<String> = paths.iter().map(|path| format!("{MNT}/{path}")).collect();
        assert_eq!(list(&world, Who::Instance, MNT, true).await, wanted, "{params}");
    }
    // What is outside is left alone, also when it is gone.
    std::fs::remove_dir_all(host.join("d")).expect("removed");
    has(&sync(&world, json!({"exclude_patterns": ["d"]})).await, json!({"files_created": 2, "files_deleted": 0}));
    has(&sync(&world, json!({"path": "d", "include_patterns": ["*.md"]})).await, json!({"files_deleted": 1}));
    has(&synced(&world).await, json!({"files_deleted": 2}));
    assert_eq!(list(&world, Who::Instance, MNT, true).await.len(), 3);

    for (params, code) in [
        (json!({"path": "../x"}), INVALID_PATH),
        (json!({"path": "/etc"}), INVALID_PARAMS),
        (json!({"path": "/mnt/hostile"}), INVALID_PARAMS),
        (json!({"include_patterns": ["["]}), INVALID_PARAMS),
        (json!({"generate_embeddings": true}), NOT_SUPPORTED),
        (json!({"sync_content": false}), NOT_SUPPORTED),
        (json!({"mount_point": "/"}), NOT_SUPPORTED),
        (json!({"mount_point": "/mnt"}), NOT_FOUND),
    ] {
        let mut all = json!({"mount_point": MNT});
        all.as_object_mut().expect("an object").extend(params.as_object().expect("an object").clone());
        refused(&world, Who::Instance, "sync_mount", all, code).await;
    }
}

#[tokio::test]
async fn every_local_mount_at_once() {
    let world = World::new().await;
    let host = world.host();
    for name in ["one", "two"] {
        put(&host, &format!("{name}/file.txt"), name);
        let config = json!({"data_dir": host.join(name)});
        let at = format!("/mnt/{name}");
        let params = json!({"mount_point": at, "backend_type": "local", "backend_config": config});
        ok(&world, Who::Instance, "add_mount", params).await;
    }
    let result = ok(&world, Who::Instance, "sync_mount", json!({})).await;
    has(&result, json!({"mounts_synced": 2, "files_scanned": 2, "files_created": 2}));
    assert_eq!(read(&world, Who::Instance, "/mnt/two/file.txt").await, "two");
}

#[tokio::test]
async fn ten_thousand_small_files() {
    let world = World::with(crate::harness::world::Setup {
        tune: Box::new(|options| options.durability = nexus_lite::store::Durability::Relaxed),
        ..Default::default()
    })
    .await;
    let host = mounted(&world, true).await;
    for at in 0..MANY {
        put(&host, &format!("{}/{at}.txt", at % DIRECTORIES), at.to_string());
    }
    let before = world.head().await;
    has(&synced(&world).await, json!({"files_scanned": MANY, "files_created": MANY, "errors": []}));
    let messages = world.head().await - before;
    assert!(messages >= MANY as u64 / 1_000, "no message has more than a thousand files: {messages}");
    assert_eq!(read(&world, Who::Instance, "/mnt/host/42/4242.txt").await, "4242");
    std::fs::remove_dir_all(host.join("42")).expect("removed");
    put(&host, "7/7.txt", "another");
    let changed = json!({
        "files_scanned": MANY - MANY / DIRECTORIES, "files_created": 0, "files_updated": 1,
        "files_deleted": MANY / DIRECTORIES, "cache_skipped": MANY - MANY / DIRECTORIES - 1, "errors": [],
    });
    has(&synced(&world).await, changed);
}
