//! Backups: taken under load, verified, damaged on purpose, restored, and never half there under their name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nexus_lite::store::backup::{self, BACKUPS_DIR, MANIFEST_FILE};
use nexus_lite::store::{FaultPoint, StoreError};
use serde_json::{Value, json};

use crate::harness::world::{Setup, Who, World};

/// Bytes of a body that is a blob file.
const BLOB: usize = 100_000;
/// Writers beside the backup.
const WRITERS: usize = 4;

async fn write(world: &World, path: &str, body: &str) -> Value {
    world.rpc(Who::Instance, "write", json!({"path": path, "content": body})).await.expect(path)
}

async fn read(world: &World, path: &str) -> Option<String> {
    use base64::Engine as _;
    let answer = world.rpc(Who::Instance, "read", json!({"path": path})).await.ok()?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(answer["data"].as_str()?).expect("base64");
    Some(String::from_utf8(bytes).expect("text"))
}

fn big(tag: usize) -> String {
    format!("{tag}{}", "x".repeat(BLOB))
}

/// Three files, one of them a blob, and a grant.
async fn small() -> World {
    let world = World::new().await;
    write(&world, "/docs/a.txt", "first").await;
    write(&world, "/docs/b.txt", "second").await;
    write(&world, "/docs/big.bin", &big(0)).await;
    let tuple = json!({"subject": ["user", "bob"], "relation": "direct_viewer", "object": ["file", "/docs/a.txt"]});
    world.rpc(Who::Instance, "rebac_create", tuple).await.expect("granted");
    world
}

async fn backed_up(world: &World) -> PathBuf {
    let made = world.rpc(Who::Instance, "admin_create_backup", json!({})).await.expect("a backup");
    made["path"].as_str().expect("a path").into()
}

async fn is_good(path: &Path) -> bool {
    backup::verify(path).await.expect("a backup").is_good()
}

fn blob_of(backup: &Path) -> PathBuf {
    let text = std::fs::read_to_string(backup.join(MANIFEST_FILE)).expect("a manifest");
    let manifest: Value = serde_json::from_str(&text).expect("JSON");
    backup.join(manifest["blobs"][0]["path"].as_str().expect("a blob"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_holds_every_write_acknowledged_before_it_began() {
    let world = std::sync::Arc::new(small().await);
    let over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let clients: Vec<_> = (0..WRITERS)
        .map(|client| {
            let (world, over) = (std::sync::Arc::clone(&world), std::sync::Arc::clone(&over));
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                while !over.load(std::sync::atomic::Ordering::Acquire) {
                    let count = acknowledged.len();
                    let path = format!("/load/{client}/{count}.txt");
                    let body = if count % 16 == 3 { big(count) } else { format!("{client} {count}") };
                    let (answer, rev) =
                        world.rpc_at(Who::Instance, "write", json!({"path": path, "content": body})).await;
                    answer.expect("written");
                    acknowledged.push((rev, path, body));
                }
                acknowledged
            })
        })
        .collect();
    let mut backups = Vec::new();
    while world.head().await < 200 {
        tokio::task::yield_now().await;
    }
    for _ in 0..3 {
        let before = world.head().await;
        backups.push((before, backed_up(&world).await));
    }
    over.store(true, std::sync::atomic::Ordering::Release);
    let mut writes = BTreeMap::new();
    for client in clients {
        for (rev, path, body) in client.await.expect("no panic") {
            writes.insert(path, (rev, body));
        }
    }
    let keys = world.keys();
    let mut held = 0;
    for (before, path) in &backups {
        let verified = backup::verify(path).await.expect("verified");
        assert!(verified.is_good(), "{:?} {:?}", verified.damaged, verified.violations);
        held = verified.manifest.rev;
        assert!(held >= *before, "the backup is of revision {held}, older than {before}");
    }
    let (_, path) = backups.pop().expect("three");
    let world = std::sync::Arc::into_inner(world).expect("all clients are done");

    let dir = tempfile::tempdir().expect("a directory");
    let target = dir.path().join("data");
    let staged = backup::stage(&path, &target).expect("staged");
    std::fs::copy(world.path().join("server.secret"), staged.path.join("server.secret")).expect("the secret");
    assert_eq!(staged.swap().expect("in place"), None);
    // Other randomness: as in life, where the name of a life does not come twice.
    let restored = World::again(&target, Setup { seed: 2, ..Setup::default() }, keys).await;
    let (mut there, mut later) = (0, 0);
    for (path, (rev, body)) in &writes {
        let found = read(&restored, path).await;
        if *rev <= held {
            assert_eq!(found.as_ref(), Some(body), "{path}, acknowledged at {rev}");
            there += 1;
        } else {
            assert_eq!(found, None, "{path} was written at {rev}, after the revision of the backup");
            later += 1;
        }
    }
    println!("backup of revision {held}: {there} writes there, {later} later ones not");
    assert!(there > 100, "the load must be in it");
    assert_eq!(restored.store.check().await.expect("checked").violations.len(), 0);
    assert_ne!(restored.store.incarnation(), world.store.incarnation(), "revisions from here on are others");
    restored.close().await;
    world.close().await;
}

#[tokio::test]
async fn what_is_damaged_is_named_and_never_restored() {
    let world = small().await;
    let dir = tempfile::tempdir().expect("a directory");
    let target = dir.path().join("data");
    for damage in ["blob", "database", "blob gone", "manifest", "way out"] {
        let path = backed_up(&world).await;
        assert!(is_good(&path).await, "{damage}");
        // The blob is the same file as the store's: make it another before it is damaged.
        let blob = blob_of(&path);
        let body = std::fs::read(&blob).expect("a blob");
        std::fs::remove_file(&blob).expect("removed");
        std::fs::write(&blob, &body).expect("written");
        let name = match damage {
            "blob" => flip(&blob),
            "database" => flip(&path.join("nexus.sqlite")),
            "blob gone" => {
                std::fs::remove_file(&blob).expect("removed");
                blob.file_name().expect("a name").to_string_lossy().into_owned()
            }
            "manifest" => {
                std::fs::write(path.join(MANIFEST_FILE), "{").expect("written");
                "manifest".into()
            }
            _ => {
                let text = std::fs::read_to_string(path.join(MANIFEST_FILE)).expect("a manifest");
                let text = text.replacen("blobs/", "../../blobs/", 1);
                std::fs::write(path.join(MANIFEST_FILE), text).expect("written");
                "../../blobs".into()
            }
        };
        let said = match backup::verify(&path).await {
            Ok(verified) => {
                assert!(!verified.is_good(), "{damage}");
                verified.damaged.join("\n")
            }
            Err(error) => error.to_string(),
        };
        assert!(said.contains(&name), "{damage}: {said}");
        let refused = backup::stage(&path, &target).expect_err(damage);
        assert!(matches!(refused, StoreError::Unusable { .. } | StoreError::Io { .. }), "{damage}: {refused}");
        assert!(!target.exists(), "{damage}: nothing may be there");
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 0, "{damage}: nothing is left");
        std::fs::remove_dir_all(&path).expect("removed");
    }
    world.close().await;
}

/// Changes one bit in the middle; returns the file's name.
fn flip(path: &Path) -> String {
    let mut body = std::fs::read(path).expect("a file");
    let middle = body.len() / 2;
    body[middle] ^= 1;
    std::fs::write(path, body).expect("written");
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

#[tokio::test]
async fn a_backup_that_was_cut_short_is_not_there() {
    for point in [FaultPoint::BackupCopied, FaultPoint::BackupFilled] {
        let tune = move |options: &mut nexus_lite::store::Options| {
            options.faults = nexus_lite::store::Faults::armed(move |at| assert_ne!(at, point, "cut short"));
        };
        let world = World::with(Setup { tune: Box::new(tune), ..Setup::default() }).await;
        write(&world, "/big.bin", &big(1)).await;
        world.rpc(Who::Instance, "admin_create_backup", json!({})).await.expect_err("cut short");
        let listed = world.rpc(Who::Instance, "admin_list_backups", json!({})).await.expect("listed");
        assert_eq!(listed, json!({"backups": []}), "{point:?}");
        // The store does not care.
        write(&world, "/after.txt", "still there").await;
        world.close().await;
    }
}

#[tokio::test]
async fn the_old_directory_is_kept_and_a_running_one_is_left_alone() {
    let world = small().await;
    let path = backed_up(&world).await;
    write(&world, "/docs/later.txt", "after the backup").await;
    let refused = backup::stage(&path, world.path()).expect_err("it runs");
    assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");
    let keys = world.keys();
    let data = world.path().to_owned();
    // Backups lie in the directory that is about to be replaced: they move away with it, so take one out first.
    let outside = tempfile::tempdir().expect("a directory");
    let copy = outside.path().join("backup");
    let copied = std::process::Command::new("cp").arg("-r").args([&path, &copy]).status().expect("cp runs");
    assert!(copied.success());
    let dir = world.close().await.expect("its directory");

    let staged = backup::stage(&copy, &data).expect("staged");
    std::fs::copy(data.join("server.secret"), staged.path.join("server.secret")).expect("the secret");
    let kept = staged.swap().expect("swapped").expect("the old one is kept");
    assert!(kept.join("nexus.sqlite").exists() && kept.join(BACKUPS_DIR).exists());
    let restored = World::again(&data, Setup::default(), keys).await;
    assert_eq!(read(&restored, "/docs/a.txt").await.as_deref(), Some("first"));
    assert_eq!(read(&restored, "/docs/big.bin").await, Some(big(0)));
    assert_eq!(read(&restored, "/docs/later.txt").await, None);
    let may = json!({"subject": ["user", "bob"], "permission": "read", "object": ["file", "/docs/a.txt"]});
    assert_eq!(restored.rpc(Who::Instance, "rebac_check", may).await, Ok(json!(true)));
    restored.close().await;
    drop(dir);
}
