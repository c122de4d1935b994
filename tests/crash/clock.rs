//! The clock jumps: a day on, a day back, ten years back, beyond 2038, and stands still.
//!
//! Order is by revision, and time as the log has it never goes back. What ends by itself: grants and sandboxes by the
//! time of the log (what has ended stays ended), keys by the clock on the wall.

use std::collections::BTreeSet;

use nexus_lite::model::time::parse_iso;
use nexus_lite::store::changelog;
use nexus_lite::store::idempotency::RETENTION_US;
use serde_json::{Value, json};

use crate::harness::world::{START_US, Setup, Who, World};

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 24 * 60 * 60 * SECOND_US;
const YEAR_US: i64 = 365 * DAY_US;

/// Where the clock goes, µs from the start: steps and what each is.
fn jumps() -> Vec<(&'static str, i64)> {
    let y2038 = parse_iso("2038-01-19T03:14:08Z").expect("a time") - START_US;
    vec![
        ("a day on", DAY_US),
        ("a day back", 0),
        ("another day back", -DAY_US),
        ("ten years back", -10 * YEAR_US),
        ("before the epoch", -START_US - SECOND_US),
        ("on, to where it was", 2 * DAY_US),
        ("beyond 2038", y2038),
        ("a second back", y2038 - SECOND_US),
        ("beyond 2106", 90 * YEAR_US),
        ("back from there", 3 * DAY_US),
    ]
}

async fn ok(world: &World, who: Who, method: &str, params: Value) -> Value {
    world.rpc(who, method, params).await.unwrap_or_else(|e| panic!("{who:?} {method}: {e:?}"))
}

fn clock(world: &World) -> &nexus_lite::model::ManualClock {
    world.clock.as_deref().expect("an injected clock")
}

#[tokio::test]
async fn revisions_ids_and_times_never_go_back() {
    let world = World::new().await;
    let root = Who::Instance;
    let (mut revs, mut keys, mut sandboxes) = (Vec::new(), BTreeSet::new(), 0_usize);
    for (n, (what, to)) in jumps().into_iter().enumerate() {
        clock(&world).set(START_US + to);
        // The second time it stands still.
        for half in 0..2 {
            let path = format!("/f-{n}-{half}");
            let (written, rev) = world.rpc_at(root, "write", json!({"path": path, "content": "x"})).await;
            assert_eq!(written.expect(what)["version"], 1);
            revs.push(rev);
            let again = ok(&world, root, "write", json!({"path": "/same", "content": path})).await;
            assert_eq!(again["version"], 2 * n + half + 1, "{what}: versions go on");
            revs.push(world.head().await);
        }
        let made = ok(&world, root, "admin_create_key", json!({"user_id": "u", "name": "k", "expires_days": 1})).await;
        assert!(keys.insert(made["key_id"].as_str().expect("an id").to_owned()), "{what}");
        let sandbox = ok(&world, root, "sandbox_create", json!({"name": format!("s{n}")})).await;
        sandboxes += 1;
        for row in ok(&world, root, "sandbox_list", json!({})).await["sandboxes"].as_array().expect("sandboxes") {
            assert!(row["uptime_seconds"].as_f64().is_some_and(|s| s >= 0.0), "{what}: {row}");
        }
        let id = sandbox["sandbox_id"].clone();
        ok(&world, root, "sandbox_pause", json!({"sandbox_id": id})).await;
        ok(&world, root, "sandbox_resume", json!({"sandbox_id": id})).await;
        ok(
            &world,
            root,
            "rebac_check",
            json!({"subject": ["user", "bob"], "permission": "read", "object": ["file", "/same"]}),
        )
        .await;
        world.store.tick().await.unwrap_or_else(|e| panic!("{what}: {e}"));
        let status = world.store.status();
        assert!(status.writer_alive && status.read_only.is_none(), "{what}");
        let report = world.store.check().await.expect("checked");
        assert!(report.violations.is_empty(), "{what}: {:?}", report.violations);
    }
    assert!(revs.is_sorted_by(|a, b| a < b), "{revs:?}");
    assert_eq!(sandboxes, jumps().len());
    let log = world.store.read(|tx| changelog::after(tx, 0, 10_000)).await.expect("the log");
    assert!(log.is_sorted_by(|a, b| a.rev + 1 == b.rev && a.at_us <= b.at_us), "no gap, and never back");

    // Neither over a restart with a clock that is behind.
    let (last, path, keys) = (log.last().expect("rows").at_us, world.path().to_owned(), world.keys());
    let dir = world.close().await;
    let mut world = World::again(&path, Setup::default(), keys).await;
    world.keep(dir);
    ok(&world, root, "mkdir", json!({"path": "/after"})).await;
    let log = world.store.read(|tx| changelog::after(tx, 0, 10_000)).await.expect("the log");
    assert!(log.is_sorted_by(|a, b| a.at_us <= b.at_us) && log.last().is_some_and(|row| row.at_us >= last));
    world.close().await;
}

#[tokio::test]
async fn keys_end_by_the_clock_on_the_wall() {
    let world = World::new().await;
    let root = Who::Instance;
    let make = async |days: i64| {
        let key = json!({"user_id": "root", "name": "k", "is_instance_admin": true, "expires_days": days});
        let made = ok(&world, root, "admin_create_key", key).await;
        made["api_key"].as_str().expect("a key").to_owned()
    };
    let works = async |key: &str| {
        let (made, ..) = world.rpc_with_key(key, "mkdir", json!({"path": "/by-key", "exist_ok": true})).await;
        made.is_ok()
    };
    let day = make(1).await;
    assert!(works(&day).await);
    clock(&world).set(START_US + DAY_US - 1);
    assert!(works(&day).await);
    clock(&world).set(START_US + DAY_US);
    assert!(!works(&day).await, "it has ended");
    // A wrong clock, and a change while it was wrong: it must not end keys for good, nor those that are made after.
    clock(&world).set(START_US + 10 * YEAR_US);
    ok(&world, root, "mkdir", json!({"path": "/wrong"})).await;
    clock(&world).set(START_US);
    assert!(works(&day).await, "by the clock it has not ended yet");
    let fresh = make(1).await;
    assert!(works(&fresh).await, "a day has not passed");
    clock(&world).set(START_US + DAY_US);
    assert!(!works(&fresh).await && !works(&day).await);
    world.close().await;
}

#[tokio::test]
async fn grants_that_have_ended_stay_ended() {
    let world = World::new().await;
    let root = Who::Instance;
    ok(&world, root, "write", json!({"path": "/shared/f", "content": "x"})).await;
    let until = nexus_lite::model::time::iso_utc(START_US + DAY_US);
    let grant = json!({"subject": ["user", "bob"], "relation": "direct_viewer", "object": ["file", "/shared/f"], "expires_at": until});
    ok(&world, root, "rebac_create", grant).await;
    let reads = async || world.rpc(Who::Bob, "read", json!({"path": "/shared/f"})).await.is_ok();
    assert!(reads().await);
    clock(&world).set(START_US + DAY_US);
    assert!(!reads().await);
    // The writer has seen the later time: from then on it never was earlier.
    ok(&world, root, "mkdir", json!({"path": "/later"})).await;
    for back in [DAY_US / 2, 0, -10 * YEAR_US] {
        clock(&world).set(START_US + back);
        assert!(!reads().await, "{back}");
    }
    world.close().await;
}

#[tokio::test]
async fn remembered_requests_and_sandboxes_over_jumps() {
    let world = World::new().await;
    let root = Who::Instance;
    let write = async |key: &str| {
        let (done, rev, replayed) =
            world.rpc_once(root, Some(key), "write", json!({"path": "/f", "content": "x"})).await;
        done.expect("written");
        (rev, replayed)
    };
    let (rev, _) = write("k").await;
    // Back, however far: it is remembered.
    for back in [-DAY_US, -10 * YEAR_US] {
        clock(&world).set(START_US + back);
        world.store.tick().await.expect("a tick");
        assert_eq!(write("k").await, (rev, true), "{back}");
    }
    let (sooner, _) = write("while-back").await;
    clock(&world).set(START_US + RETENTION_US - SECOND_US);
    world.store.tick().await.expect("a tick");
    assert_eq!(write("k").await, (rev, true));
    assert_eq!(write("while-back").await, (sooner, true), "dated by the log, not by the wrong clock");
    clock(&world).set(START_US + RETENTION_US);
    world.store.tick().await.expect("a tick");
    assert!(!write("k").await.1, "a day has passed");

    // A sandbox lives by the time of the log: it does not come back when the clock does.
    let made = ok(&world, root, "sandbox_create", json!({"name": "s", "ttl_minutes": 1})).await;
    let id = made["sandbox_id"].clone();
    let status = async || {
        let found = world.rpc(root, "sandbox_status", json!({"sandbox_id": id})).await.expect("known");
        found["status"].as_str().expect("a status").to_owned()
    };
    assert_eq!(status().await, "active");
    clock(&world).set(START_US);
    assert_eq!(status().await, "active", "back: it lives on");
    clock(&world).set(START_US + RETENTION_US + 61 * SECOND_US);
    ok(&world, root, "mkdir", json!({"path": "/seen"})).await;
    assert_eq!(status().await, "stopped");
    clock(&world).set(START_US);
    assert_eq!(status().await, "stopped");
    world.close().await;
}
