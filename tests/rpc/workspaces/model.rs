//! A workspace against a plain map from path to text, one map per snapshot; and snapshots and restores while others write.

use std::collections::{BTreeMap, BTreeSet};

use nexus_lite::model::Rev;
use serde_json::{Value, json};

use super::{WS, files, past_hashes};
use crate::harness::process::soak;
use crate::harness::world::{Setup, Who, World};
use crate::property::random::Rng;
use crate::rpc::{ok, write};

/// Random histories.
const HISTORIES: u64 = 12;
/// Requests in each.
const STEPS: usize = 45;
/// Files that are written together, in rounds.
const TOGETHER: usize = 20;
/// Rounds while snapshots are taken, or restored.
const ROUNDS: u64 = 60;
/// Snapshots that are taken meanwhile.
const TAKEN: usize = 12;

const PATHS: &[&str] =
    &["a", "a/x", "a/y", "a/b", "a/b/x", "a.txt", "b", "b/x", "c/d/e", "c/d", "é", "_", "%", "SKILL.md"];

type Files = BTreeMap<String, String>;

/// What a workspace should hold, and what its snapshots do.
#[derive(Default)]
struct Model {
    files: Files,
    snapshots: BTreeMap<u64, Files>,
}

fn below<'a>(files: &'a Files, path: &'a str) -> impl Iterator<Item = String> + 'a {
    files
        .keys()
        .filter(move |name| *name == path || name.strip_prefix(path).is_some_and(|r| r.starts_with('/')))
        .cloned()
}

impl Model {
    fn remove(&mut self, path: &str) {
        let gone: Vec<_> = below(&self.files, path).collect();
        gone.iter().for_each(|name| drop(self.files.remove(name)));
    }

    fn rename(&mut self, old: &str, new: &str) {
        let moved: Vec<_> = below(&self.files, old).collect();
        for name in moved {
            let text = self.files.remove(&name).expect("there");
            self.files.insert(format!("{new}{}", &name[old.len()..]), text);
        }
    }
}

/// How many files a restore brings and removes.
fn counts(now: &Files, then: &Files) -> (u64, u64) {
    let restored = then.iter().filter(|(path, text)| now.get(*path) != Some(*text)).count() as u64;
    (restored, now.keys().filter(|path| !then.contains_key(*path)).count() as u64)
}

/// One random request and what it does to the model.
async fn step(world: &World, model: &mut Model, rng: &mut Rng, number: usize) {
    let path = rng.pick(PATHS);
    let full = format!("{WS}/{path}");
    let at = json!({"workspace_path": WS});
    let numbers: Vec<u64> = model.snapshots.keys().copied().collect();
    let who = *rng.one_of(&[Who::Admin, Who::Instance]);
    match rng.below(24) {
        0..9 => {
            let text = format!("{number} {}", "z".repeat(rng.below(3)));
            if world.rpc(who, "write", json!({"path": full, "content": text})).await.is_ok() {
                model.files.insert(path.to_owned(), text);
            }
        }
        9..11 => {
            let done = world.rpc(who, "delete", json!({"path": full})).await.is_ok();
            if done {
                model.remove(path);
            }
        }
        11..13 => {
            let new = rng.pick(PATHS);
            let params = json!({"old_path": full, "new_path": format!("{WS}/{new}")});
            if world.rpc(who, "rename", params).await.is_ok() {
                model.rename(path, new);
            }
        }
        13 => drop(world.rpc(who, "mkdir", json!({"path": full, "parents": true})).await),
        14 => {
            let done = world.rpc(who, "rmdir", json!({"path": full, "recursive": true})).await.is_ok();
            if done {
                model.remove(path);
            }
        }
        15 if rng.chance(40) => {
            let done = world.rpc(who, "rmdir", json!({"path": WS, "recursive": true})).await.is_ok();
            if done {
                model.files.clear();
            }
        }
        15 => {
            // Away and back: the snapshots go along.
            let done = world.rpc(who, "rename", json!({"old_path": WS, "new_path": "/team/away"})).await.is_ok();
            if done {
                ok(world, who, "rename", json!({"old_path": "/team/away", "new_path": WS})).await;
            }
        }
        16..19 => {
            if let Ok(row) = world.rpc(who, "workspace_snapshot", at).await {
                assert_eq!(row["file_count"], json!(model.files.len()));
                let bytes: usize = model.files.values().map(String::len).sum();
                assert_eq!(row["total_size_bytes"], json!(bytes));
                let taken = row["snapshot_number"].as_u64().expect("a number");
                assert!(numbers.iter().all(|other| *other < taken));
                model.snapshots.insert(taken, model.files.clone());
            }
        }
        19..22 if !numbers.is_empty() => {
            let number = *rng.one_of(&numbers);
            let then = &model.snapshots[&number];
            let dry = json!({"workspace_path": WS, "snapshot_number": number, "dry_run": true});
            let would = ok(world, who, "workspace_restore", dry).await;
            let done = ok(world, who, "workspace_restore", super::of(number)).await;
            for told in [would, done] {
                let told = (told["files_restored"].as_u64(), told["files_deleted"].as_u64());
                let (restored, deleted) = counts(&model.files, then);
                assert_eq!(told, (Some(restored), Some(deleted)), "snapshot {number}");
            }
            model.files.clone_from(then);
        }
        22 => {
            ok(world, Who::Admin, "unregister_workspace", json!({"path": WS})).await;
            assert!(world.rpc(who, "workspace_log", at).await.is_err());
            ok(world, Who::Admin, "register_workspace", json!({"path": WS})).await;
        }
        23 if numbers.len() > 3 => {
            let number = *rng.one_of(&numbers);
            ok(world, who, "workspace_delete_snapshot", super::of(number)).await;
            model.snapshots.remove(&number);
        }
        _ => {}
    }
}

/// Every pair of snapshots differs as the maps do.
async fn compare(world: &World, model: &Model) {
    for (one, left) in &model.snapshots {
        for (two, right) in model.snapshots.iter().filter(|(two, _)| one <= *two) {
            let ask = json!({"workspace_path": WS, "snapshot_1": one, "snapshot_2": two});
            let told = ok(world, Who::Admin, "workspace_diff", ask).await;
            let names = |field: &str| -> BTreeSet<String> {
                let rows = told[field].as_array().expect("rows").iter();
                rows.map(|row| row["path"].as_str().expect("a path").to_owned()).collect()
            };
            let only = |here: &Files, there: &Files| -> BTreeSet<String> {
                here.keys().filter(|path| !there.contains_key(*path)).cloned().collect()
            };
            let both = left.iter().filter_map(|(path, text)| Some((path, text == right.get(path)?)));
            let (same, other): (Vec<_>, Vec<_>) = both.partition(|(_, same)| *same);
            let other: BTreeSet<String> = other.into_iter().map(|(path, _)| path.clone()).collect();
            let found = (names("added"), names("removed"), names("modified"), told["unchanged"].as_u64());
            assert_eq!(found, (only(right, left), only(left, right), other, Some(same.len() as u64)), "{one} to {two}");
        }
    }
}

#[tokio::test]
async fn random_histories_are_those_of_a_map() {
    for seed in 1..=HISTORIES * soak() {
        let mut world = World::with(Setup { seed, ..Setup::default() }).await;
        ok(&world, Who::Admin, "register_workspace", json!({"path": WS})).await;
        let (mut model, mut rng) = (Model::default(), Rng::new(seed));
        for number in 0..STEPS {
            step(&world, &mut model, &mut rng, number).await;
            assert_eq!(files(&world).await, model.files, "seed {seed}, step {number}");
            if rng.below(20) == 0 {
                let (keys, path) = (world.keys(), world.path().to_owned());
                let dir = world.close().await;
                world = World::again(&path, Setup { seed: seed + number as u64, ..Setup::default() }, keys).await;
                world.keep(dir);
            }
        }
        compare(&world, &model).await;
        assert_eq!(world.store.check().await.expect("checked").violations, [], "seed {seed}");
        world.close().await;
    }
}

/// Writes all files again and again, each round in one revision; which rounds were at which revisions.
async fn rounds(world: &World) -> Vec<(Rev, String)> {
    let mut done = Vec::new();
    for round in 0..ROUNDS {
        let text = format!("round {round}");
        let file = |n: usize| json!([format!("{WS}/{}/{n}", n % 3), text]);
        let all: Vec<_> = (0..TOGETHER).map(file).collect();
        let (written, rev) = world.rpc_at(Who::Admin, "write_batch", json!({"files": all})).await;
        written.expect("written");
        done.push((rev, blake3::hash(text.as_bytes()).to_hex().to_string()));
        tokio::task::yield_now().await;
    }
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_snapshot_is_the_state_of_its_revision_while_others_write() {
    let world = World::new().await;
    ok(&world, Who::Admin, "register_workspace", json!({"path": WS})).await;
    let taking = async {
        let mut taken = Vec::new();
        for _ in 0..TAKEN {
            taken.push(ok(&world, Who::Admin, "workspace_snapshot", json!({"workspace_path": WS})).await);
        }
        taken
    };
    let (rounds, taken) = tokio::join!(rounds(&world), taking);
    write(&world, Who::Admin, &format!("{WS}/0/0"), "the last").await;
    for row in &taken {
        let rev = row["revision"].as_u64().expect("a revision");
        let round = rounds.iter().rev().find(|(at, _)| *at <= rev);
        let held = past_hashes(&world, rev).await;
        let files = if round.is_some() { TOGETHER } else { 0 };
        assert_eq!((held.len(), &row["file_count"]), (files, &json!(files)), "{row}");
        let number = row["snapshot_number"].as_u64().expect("a number");
        // And what a restore would bring is that very round, in every file.
        let dry = json!({"workspace_path": WS, "snapshot_number": number, "dry_run": true});
        let would = ok(&world, Who::Admin, "workspace_restore", dry).await;
        if let Some((_, hash)) = round {
            assert!(held.values().all(|held| held == hash), "{row}");
            let modified = would["changes"]["modified"].as_array().expect("rows");
            assert!(modified.iter().all(|row| row["new_hash"] == Value::String(hash.clone())), "{would}");
        } else {
            assert_eq!(would["files_deleted"], json!(TOGETHER));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_restore_is_one_revision_while_others_write() {
    let world = World::new().await;
    ok(&world, Who::Admin, "register_workspace", json!({"path": WS})).await;
    for name in ["0/0", "0/kept", "kept"] {
        write(&world, Who::Admin, &format!("{WS}/{name}"), name).await;
    }
    let taken = ok(&world, Who::Admin, "workspace_snapshot", json!({"workspace_path": WS})).await;
    let wanted = past_hashes(&world, taken["revision"].as_u64().expect("a revision")).await;
    assert_eq!(wanted.len(), 3);
    let restoring = async {
        let mut done = Vec::new();
        for _ in 0..TAKEN {
            let (restored, rev) = world.rpc_at(Who::Admin, "workspace_restore", super::of(1)).await;
            restored.expect("restored");
            done.push(rev);
            tokio::task::yield_now().await;
        }
        done
    };
    let (_, revisions) = tokio::join!(rounds(&world), restoring);
    for rev in revisions {
        assert_eq!(past_hashes(&world, rev).await, wanted, "revision {rev}");
    }
    assert_eq!(world.store.check().await.expect("checked").violations, []);
}
