//! Random stores, there and back.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{DIRECTORIES, PATHS, PEOPLE, bring_secret, export, import, lines, random_world};
use crate::harness::client::Failure;
use crate::harness::engine::sqlite_only;
use crate::harness::process::soak;
use crate::harness::world::{Setup, Who, World};

/// Random stores in CI.
const STORES: u64 = 25;
/// Requests in the history of one.
const STEPS: u64 = 40;

#[tokio::test]
async fn random_stores_come_back_byte_by_byte() {
    sqlite_only!("what is moved is a data directory");
    let mut travelled: BTreeMap<String, u64> = BTreeMap::new();
    let mut large = 0;
    for seed in 1..=STORES * soak() {
        let world = random_world(seed, STEPS).await;
        let path = world.path().to_owned();
        let kept = world.close().await.expect("its directory");
        let (header, first) = export(&path).await;
        let target = kept.path().join("target");
        let imported = import(&target, &first).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        assert_eq!(imported.counts, header.counts, "seed {seed}");
        assert!(imported.left_out.is_empty() && imported.header == header);
        let (again, second) = export(&target).await;
        assert_eq!((again.rev, &again.incarnation), (header.rev, &header.incarnation));
        assert!(lines(&first) == lines(&second), "seed {seed}: the bundles differ");
        for (table, rows) in header.counts {
            *travelled.entry(table).or_default() += rows;
        }
        large += header.bodies.count;
    }
    let empty: Vec<_> = travelled.iter().filter(|(_, rows)| **rows == 0).map(|(table, _)| table).collect();
    assert!(empty.is_empty() && large > 0, "no row of {empty:?}, {large} large bodies: the test is blind there");
    println!("travelled: {travelled:?}, {large} large bodies");
}

/// What people are told: everything that a moved store must go on to say.
async fn answers(world: &World, past: u64) -> Vec<(Result<Value, Failure>, u64)> {
    // First: what is refused below is written down soon.
    let mut said = vec![world.rpc_at(Who::Instance, "admin_audit_query", json!({})).await];
    for who in PEOPLE {
        for path in DIRECTORIES {
            said.push(world.rpc_at(*who, "list", json!({"path": path, "recursive": true, "details": true})).await);
        }
        for path in PATHS {
            said.push(world.rpc_at(*who, "read", json!({"path": path, "return_metadata": true})).await);
            for user in ["alice", "bob", "grace"] {
                let mut question = json!({"subject": ["user", user], "permission": "read", "object": ["file", path]});
                said.push(world.rpc_at(*who, "rebac_check", question.clone()).await);
                said.push(world.rpc_at(*who, "rebac_explain", question.clone()).await);
                question["at_rev"] = json!(past);
                said.push(world.rpc_at(*who, "rebac_check", question.clone()).await);
                said.push(world.rpc_at(*who, "rebac_explain", question).await);
            }
        }
        for method in
            ["list_workspaces", "list_agents", "list_mounts", "admin_list_keys", "skills_list", "namespace_list"]
        {
            said.push(world.rpc_at(*who, method, json!({})).await);
        }
        said.push(world.rpc_at(*who, "rebac_list_tuples", json!({})).await);
    }
    said
}

#[tokio::test]
async fn a_moved_store_says_the_same() {
    sqlite_only!("what is moved is a data directory");
    for seed in 101..=102 * soak() {
        let world = random_world(seed, 2 * STEPS).await;
        let (path, keys, rev) = (world.path().to_owned(), world.keys(), world.head().await);
        let kept = world.close().await.expect("its directory");
        let (_, bytes) = export(&path).await;
        let target = kept.path().join("target");
        import(&target, &bytes).expect("imported");
        bring_secret(&path, &target);

        let report = |path| {
            let keys = keys.clone();
            async move {
                let world = World::again(path, Setup::default(), keys).await;
                let checked = world.store.check().await.expect("the check runs");
                assert!(checked.violations.is_empty(), "{:?}", checked.violations);
                let said = answers(&world, rev / 2).await;
                // A retry of before finds its reply.
                let put = json!({"path": "/retry.txt", "content": "once"});
                let retried = world.rpc_once(Who::Instance, Some("retried"), "write", put).await;
                world.close().await;
                (said, retried)
            }
        };
        let (before, first) = report(path.as_path()).await;
        let right = before.iter().filter(|(answer, _)| answer.is_ok()).count();
        assert!(right > before.len() / 4, "{right} of {} were answered: the test is blind", before.len());
        let (after, second) = report(target.as_path()).await;
        for (at, (before, after)) in before.iter().zip(&after).enumerate() {
            assert_eq!(before, after, "seed {seed}, answer {at}");
        }
        assert!(first.0.is_ok() && !first.2 && second.0.is_ok() && !second.2);
    }
}

#[tokio::test]
async fn a_retry_of_before_finds_its_reply() {
    sqlite_only!("what is moved is a data directory");
    let world = World::new().await;
    let put = json!({"path": "/a.txt", "content": "once"});
    let first = world.rpc_once(Who::Instance, Some("the-key"), "write", put.clone()).await;
    let (path, keys) = (world.path().to_owned(), world.keys());
    let kept = world.close().await.expect("its directory");
    let (_, bytes) = export(&path).await;
    let target = kept.path().join("target");
    import(&target, &bytes).expect("imported");
    bring_secret(&path, &target);
    let world = World::again(&target, Setup::default(), keys).await;
    let again = world.rpc_once(Who::Instance, Some("the-key"), "write", put).await;
    assert_eq!((first.0.expect("written"), first.1, true), (again.0.expect("a reply"), again.1, again.2));
    world.close().await;
}

#[tokio::test]
async fn a_copy_begins_a_life_of_its_own() {
    sqlite_only!("what is moved is a data directory");
    let world = random_world(7, 5).await;
    let path = world.path().to_owned();
    let kept = world.close().await.expect("its directory");
    let (header, bytes) = export(&path).await;
    let target = kept.path().join("target");
    let how = super::How { name: "bundle".into(), copy: true, ..super::How::default() };
    let imported = super::import_as(&target, &bytes, how).expect("imported");
    assert_eq!(imported.left_out, [("meta".to_owned(), 1)].into());
    let (again, _) = export(&target).await;
    assert_eq!(again.rev, header.rev);
    assert!(!again.incarnation.is_empty() && again.incarnation != header.incarnation);
}
