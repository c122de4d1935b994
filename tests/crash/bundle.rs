//! Backups as one file: what was packed comes back byte by byte, and anything that was altered is refused as a whole.

use std::path::{Path, PathBuf};

use nexus_lite::store::backup::{self, Contents};
use nexus_lite::store::files::Files;
use nexus_lite::store::{Faults, Options, Store, StoreError};
use serde_json::json;

use crate::harness::world::{Setup, Who, World};

/// Bytes of a body that is a blob file: more than one chunk of the encryption.
const BLOB: usize = 150_000;
/// What bundles are sealed with here.
const WORDS: &str = "a passphrase of the tests";

async fn write(world: &World, path: &str, body: &str) {
    world.rpc(Who::Instance, "write", json!({"path": path, "content": body})).await.expect(path);
}

async fn backed_up(world: &World) -> PathBuf {
    let made = world.rpc(Who::Instance, "admin_create_backup", json!({})).await.expect("a backup");
    made["path"].as_str().expect("a path").into()
}

async fn filled() -> World {
    let world = World::new().await;
    write(&world, "/docs/a.txt", "first").await;
    write(&world, "/docs/big.bin", &"x".repeat(BLOB)).await;
    world
}

fn pack(backup: &Path, world: &World, file: &Path, words: Option<&str>) -> Result<u64, StoreError> {
    let secret = world.path().join("server.secret");
    let secret = words.is_some().then_some(secret.as_path());
    backup::pack(Contents { backup, secret, passphrase: words }, file)
}

fn stage(file: &Path, target: &Path, words: Option<&str>) -> Result<backup::Staged, StoreError> {
    backup::stage_sealed(file, target, words, Files::default(), Faults::default())
}

#[tokio::test]
async fn packed_and_unpacked_plain_and_sealed() {
    let world = filled().await;
    let made = backed_up(&world).await;
    let dir = tempfile::tempdir().expect("a directory");
    for words in [None, Some(WORDS)] {
        let (file, target) = (dir.path().join("b.nxb"), dir.path().join("data"));
        let bytes = pack(&made, &world, &file, words).expect("packed");
        assert_eq!(bytes, std::fs::metadata(&file).expect("there").len());
        let verified = backup::verify_sealed(&file, words).await.expect("read");
        assert!(verified.is_good(), "{:?}", verified.violations);
        let staged = stage(&file, &target, words).expect("staged");
        let secret = staged.path.join("server.secret");
        assert_eq!(
            std::fs::read(&secret).ok(),
            words.and_then(|_| std::fs::read(world.path().join("server.secret")).ok())
        );
        if words.is_none() {
            std::fs::copy(world.path().join("server.secret"), secret).expect("the secret");
        }
        assert_eq!(staged.swap().expect("in place"), None);
        let restored = World::again(&target, Setup { seed: 2, ..Setup::default() }, world.keys()).await;
        let read = restored.rpc(Who::Instance, "read", json!({"path": "/docs/big.bin"})).await.expect("read");
        assert_eq!(read["data"].as_str().map(str::len), Some(BLOB.div_ceil(3) * 4));
        restored.close().await;
        std::fs::remove_dir_all(&target).expect("removed");
        std::fs::remove_file(&file).expect("removed");
    }
    let plain_with_secret =
        Contents { backup: &made, secret: Some(&world.path().join("server.secret")), passphrase: None };
    let refused = backup::pack(plain_with_secret, &dir.path().join("x")).expect_err("a secret in the clear");
    assert!(refused.to_string().contains("never holds the server's secret"), "{refused}");
    let short = pack(&made, &world, &dir.path().join("x"), Some("short")).expect_err("a short passphrase");
    assert!(short.to_string().contains("fewer than 12"), "{short}");
    world.close().await;
}

#[tokio::test]
async fn an_altered_bundle_restores_nothing() {
    let world = filled().await;
    let made = backed_up(&world).await;
    let dir = tempfile::tempdir().expect("a directory");
    let target = dir.path().join("data");
    for words in [None, Some(WORDS)] {
        let file = dir.path().join("b.nxb");
        pack(&made, &world, &file, words).expect("packed");
        let good = std::fs::read(&file).expect("a file");
        let (end, middle) = (good.len(), good.len() / 2);
        let mut altered: Vec<(String, Vec<u8>)> = Vec::new();
        for at in [3, 70, 4_000, middle, end - BLOB, end - 40, end - 1] {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            altered.push((format!("bit at {at} of {end}"), bytes));
        }
        for cut in [0, 10, 200, middle, end - 1] {
            altered.push((format!("cut at {cut} of {end}"), good[..cut].to_vec()));
        }
        altered.push(("longer".into(), [&good[..], b"more"].concat()));
        for (what, bytes) in altered {
            std::fs::write(&file, bytes).expect("written");
            let refused = stage(&file, &target, words).expect_err(&what);
            assert!(matches!(refused, StoreError::Unusable { .. }), "{what}: {refused}");
            assert!(backup::verify_sealed(&file, words).await.is_err(), "{what}");
            let left = std::fs::read_dir(dir.path()).expect("listed").count();
            assert_eq!(left, 1, "{what}: the bundle alone is there");
        }
        if words.is_some() {
            std::fs::write(&file, &good).expect("written");
            let wrong = stage(&file, &target, Some("another passphrase")).expect_err("wrong");
            assert!(wrong.to_string().contains("passphrase is wrong"), "{wrong}");
            let none = stage(&file, &target, None).expect_err("none");
            assert!(none.to_string().contains("it is encrypted"), "{none}");
        }
        std::fs::remove_file(&file).expect("removed");
    }
    world.close().await;
}

/// Runs SQL on the database of a backup and makes its manifest say so: a backup of somebody who knows how.
fn doctored(backup: &Path, sql: &str) {
    let database = backup.join("nexus.sqlite");
    let conn = rusqlite::Connection::open_in_memory().expect("opens");
    conn.execute("ATTACH ?1 AS b", [database.to_str().expect("UTF-8")]).expect("attached");
    conn.execute_batch(sql).expect("runs");
    conn.execute_batch("DETACH b").expect("detached");
    let bytes = std::fs::read(&database).expect("a database");
    let path = backup.join("manifest.json");
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).expect("a manifest")).expect("JSON");
    manifest["database"]["bytes"] = bytes.len().into();
    let hash = nexus_lite::model::ContentHash::of(&bytes).to_hex();
    manifest["database"]["blake3"] = hash.into();
    std::fs::write(path, manifest.to_string()).expect("written");
}

#[tokio::test]
async fn a_schema_that_is_not_ours_is_not_restored() {
    let world = filled().await;
    let dir = tempfile::tempdir().expect("a directory");
    let target = dir.path().join("data");
    let cases = [
        ("CREATE TRIGGER b.evil AFTER INSERT ON nodes BEGIN DELETE FROM api_keys; END", "an unknown trigger evil"),
        ("CREATE VIEW b.v AS SELECT 1", "an unknown view v"),
        ("DROP INDEX b.api_keys_by_hash", "no index api_keys_by_hash"),
        ("PRAGMA b.user_version = 99", "version 99"),
        ("PRAGMA b.application_id = 7", "another program"),
    ];
    for (number, (sql, wanted)) in cases.into_iter().enumerate() {
        write(&world, &format!("/n{number}"), "another revision, another name").await;
        let made = backed_up(&world).await;
        doctored(&made, sql);
        let refused = stage(&made, &target, None).expect_err(sql).to_string();
        assert!(refused.contains(wanted), "{sql}: {refused}");
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 0, "{sql}: nothing is left");
        let verified = backup::verify(&made).await.map(|verified| verified.is_good());
        assert!(!verified.unwrap_or(false), "{sql}: it is not good either");
    }
    world.close().await;
}

#[tokio::test]
async fn the_old_directory_is_kept_every_time_and_its_log_does_not_come_along() {
    let world = filled().await;
    let made = backed_up(&world).await;
    let dir = tempfile::tempdir().expect("a directory");
    let target = dir.path().join("data");
    let mut kept = Vec::new();
    // Three in one second: each finds the name of the one before taken.
    for round in 0..3 {
        let staged = stage(&made, &target, None).expect("staged");
        kept.extend(staged.swap().expect("in place"));
        for name in ["nexus.sqlite-wal", "nexus.sqlite-shm"] {
            assert!(!target.join(name).exists(), "{name} of round {round}");
            std::fs::write(target.join(name), "of another database").expect("written");
        }
        std::fs::write(target.join("mine"), round.to_string()).expect("written");
    }
    assert_eq!(kept.len(), 2);
    for (round, kept) in kept.iter().enumerate() {
        assert_eq!(std::fs::read_to_string(kept.join("mine")).expect("kept"), round.to_string());
        assert!(kept.join("nexus.sqlite").exists());
    }
    for name in ["nexus.sqlite-wal", "nexus.sqlite-shm"] {
        std::fs::remove_file(target.join(name)).expect("removed");
    }
    let store = Store::builder(Options::new(&target)).open().expect("opens");
    assert_eq!(store.check().await.expect("checked").violations, []);
    store.close().await.expect("closes");
    world.close().await;
}

#[tokio::test]
async fn the_oldest_go_and_the_newest_stays() {
    let world = filled().await;
    let mut made = Vec::new();
    for number in 0..4 {
        write(&world, &format!("/n{number}"), "another revision").await;
        made.push(backed_up(&world).await);
    }
    let root = made[0].parent().expect("a folder").to_owned();
    let listed = || backup::list(&root).map(|list| list.into_iter().map(|b| b.path).collect::<Vec<_>>());
    let none = world.rpc(Who::Instance, "admin_create_backup", json!({"keep": 0})).await;
    assert!(none.is_err(), "the newest is never removed");
    assert_eq!(listed().expect("listed"), made);
    // While one cannot be read, nobody knows which is the newest.
    let manifest = made[1].join("manifest.json");
    let text = std::fs::read(&manifest).expect("a manifest");
    std::fs::write(&manifest, "{").expect("written");
    assert!(world.store.prune_backups(None, 1).await.is_err());
    std::fs::write(&manifest, text).expect("written");
    assert_eq!(listed().expect("listed"), made, "none was removed");
    write(&world, "/last", "another revision").await;
    let last = world.rpc(Who::Instance, "admin_create_backup", json!({"keep": 2})).await.expect("made");
    assert_eq!(last["removed"], json!(3));
    let left = listed().expect("listed");
    assert_eq!(left, [made[3].clone(), last["path"].as_str().expect("a path").into()]);
    assert_eq!(std::fs::read_dir(&root).expect("listed").count(), 2, "and nothing is left of them");
    world.close().await;
}
