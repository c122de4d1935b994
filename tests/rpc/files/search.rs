//! What ends a search: its time, the size of its answer, and whoever asked when he goes away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nexus_lite::service::search::{GrepQuery, SEARCH_BYTES_MAX, SEARCH_TIME_MAX, grep};
use nexus_lite::store::{FaultPoint, Faults, StoreError};
use parking_lot::{Condvar, Mutex};
use serde_json::{Value, json};

use super::super::{grant, ok, write};
use crate::harness::client::LIVENESS;
use crate::harness::world::{Setup, Who, World};

/// Files of the tests that stop a search between two of them.
const FILES: usize = 20;

/// `FILES` files of the admin in `/s`, which alice may read.
async fn filled(world: World) -> World {
    ok(&world, Who::Admin, "mkdir", json!({"path": "/s"})).await;
    for at in 0..FILES {
        write(&world, Who::Admin, &format!("/s/f{at:02}.txt"), "needle").await;
    }
    grant(&world, ("user", "alice"), "direct_viewer", "/s").await;
    world
}

fn everything() -> Value {
    json!({"pattern": "needle", "path": "/"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_its_time_is_up_it_says_how_far_it_came() {
    let world = Arc::new(filled(World::new().await).await);
    let held = world.pause_at_later(FaultPoint::SearchNextFile, 6);
    let asking = Arc::clone(&world);
    let asked = tokio::spawn(async move { ok(&asking, Who::Alice, "grep", everything()).await });
    held.reached();
    world.clock.as_ref().expect("an injected clock").advance(SEARCH_TIME_MAX);
    held.release();
    let found = asked.await.expect("no panic");
    assert_eq!(
        (&found["reason"], &found["truncated"], &found["complete"]),
        (&json!("deadline"), &json!(true), &json!(false))
    );
    let first = found["results"].as_array().expect("results").clone();
    assert!(!first.is_empty() && first.len() < FILES, "{found}");
    let rest = json!({"pattern": "needle", "path": "/", "cursor": found["next_cursor"]});
    let rest = ok(&world, Who::Alice, "grep", rest).await;
    assert_eq!(rest["complete"], true);
    let all: Vec<_> = first.iter().chain(rest["results"].as_array().expect("results")).cloned().collect();
    let whole = ok(&world, Who::Alice, "grep", everything()).await;
    assert_eq!(&all, whole["results"].as_array().expect("results"), "no gap and nothing twice");
}

#[tokio::test]
async fn an_answer_has_a_size() {
    let world = World::new().await;
    let line = format!("{}\n", "n".repeat(1_990));
    // A line and its match are both in the answer.
    let lines = SEARCH_BYTES_MAX / line.len() * 3 / 5;
    let body = line.repeat(lines);
    write(&world, Who::Admin, "/big.txt", &body).await;
    let (mut rows, mut cursor, mut pages) = (0, Value::Null, 0);
    loop {
        let params = json!({"pattern": "n+", "max_results": 1_000_000, "cursor": cursor});
        let page = ok(&world, Who::Admin, "grep", params).await;
        rows += page["results"].as_array().expect("results").len();
        pages += 1;
        cursor = page["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
        assert_eq!(page["reason"], "result_bytes");
    }
    assert_eq!(rows, lines);
    assert_eq!(pages, 2);
}

/// Counts who comes to a point, and holds the first.
#[derive(Default)]
struct Turnstile {
    arrived: AtomicUsize,
    abandoned: AtomicUsize,
    open: Mutex<bool>,
    changed: Condvar,
}

impl Turnstile {
    fn faults(self: &Arc<Self>) -> Faults {
        let this = Arc::clone(self);
        Faults::armed(move |point| match point {
            FaultPoint::SearchAbandoned => drop(this.abandoned.fetch_add(1, Ordering::SeqCst)),
            FaultPoint::SearchNextFile if this.arrived.fetch_add(1, Ordering::SeqCst) == 0 => {
                this.changed.notify_all();
                this.changed.wait_while_for(&mut this.open.lock(), |open| !*open, LIVENESS);
            }
            _ => {}
        })
    }

    fn release(&self) {
        *self.open.lock() = true;
        self.changed.notify_all();
    }
}

async fn until(done: impl Fn() -> bool) {
    let waited = tokio::time::timeout(LIVENESS, async {
        while !done() {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("it never happened");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_stops_when_nobody_waits_for_it_any_more() {
    let turnstile = Arc::new(Turnstile::default());
    let faults = turnstile.faults();
    let tune = Box::new(|options: &mut nexus_lite::store::Options| {
        options.faults = faults;
        options.limits.slow_threads = 1;
    });
    let world = filled(World::with(Setup { tune, ..Setup::default() }).await).await;
    let call = world.call_as(Who::Alice);
    let query = GrepQuery {
        path: "/".parse_path(),
        pattern: "needle".into(),
        file_pattern: None,
        ignore_case: false,
        before: 0,
        after: 0,
        limit: 100,
        cursor: None,
    };
    let search = tokio::spawn(async move { grep(&call, query).await.map(|found| found.results.len()) });
    until(|| turnstile.arrived.load(Ordering::SeqCst) == 1).await;
    search.abort();
    assert!(search.await.expect_err("it was dropped").is_cancelled());
    assert_eq!(turnstile.abandoned.load(Ordering::SeqCst), 1);
    turnstile.release();
    // The only thread of the lane is free again when this is answered: the search has ended.
    world.store.read_slow(|_| Ok::<_, StoreError>(())).await.expect("the lane goes on");
    assert_eq!(turnstile.arrived.load(Ordering::SeqCst), 1, "not one file more was looked at");
    // The next one is not disturbed by that.
    let found = ok(&world, Who::Alice, "grep", everything()).await;
    assert_eq!(found["results"].as_array().map(Vec::len), Some(FILES));
    assert_eq!(turnstile.abandoned.load(Ordering::SeqCst), 1, "who waits for the answer abandons nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_else_is_slow_goes_first() {
    let turnstile = Arc::new(Turnstile::default());
    let faults = turnstile.faults();
    let tune = Box::new(|options: &mut nexus_lite::store::Options| {
        options.faults = faults;
        options.limits.slow_threads = 2;
    });
    let world = Arc::new(filled(World::with(Setup { tune, ..Setup::default() }).await).await);
    let search = || {
        let asking = Arc::clone(&world);
        tokio::spawn(async move { ok(&asking, Who::Alice, "grep", everything()).await })
    };
    let mut searches = vec![search()];
    until(|| turnstile.arrived.load(Ordering::SeqCst) == 1).await;
    searches.extend([search(), search(), search()]);
    until(|| world.store.status().slow_lane_waiting == 3).await;
    // A large body goes over the lane, there and back, while one search stands still and three wait.
    let body = "x".repeat(70_000);
    write(&world, Who::Admin, "/large.txt", &body).await;
    assert!(super::super::read(&world, Who::Admin, "/large.txt").await == body);
    assert_eq!(world.store.status().slow_lane_waiting, 3);
    assert_eq!(turnstile.arrived.load(Ordering::SeqCst), 1);
    turnstile.release();
    for search in searches {
        assert_eq!(search.await.expect("no panic")["results"].as_array().map(Vec::len), Some(FILES));
    }
}

#[tokio::test]
async fn it_looks_at_one_snapshot() {
    let world = Arc::new(filled(World::new().await).await);
    let before = world.head().await;
    let held = world.pause_at_later(FaultPoint::SearchNextFile, 3);
    let asking = Arc::clone(&world);
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(asking.rpc_at(Who::Alice, "grep", everything()))
    });
    held.reached();
    for at in 0..FILES {
        ok(&world, Who::Admin, "delete", json!({"path": format!("/s/f{at:02}.txt")})).await;
    }
    world.pass(Duration::from_millis(1)).await;
    held.release();
    let (found, rev) = thread.join().expect("no panic");
    let found = found.expect("found");
    assert_eq!(found["results"].as_array().map(Vec::len), Some(FILES), "as it was when it began");
    assert_eq!(rev, before);
    let now = ok(&world, Who::Alice, "grep", everything()).await;
    assert_eq!(now["results"], json!([]));
}

/// A path of a test.
trait ParsePath {
    fn parse_path(&self) -> nexus_lite::model::VirtualPath;
}

impl ParsePath for str {
    fn parse_path(&self) -> nexus_lite::model::VirtualPath {
        nexus_lite::model::VirtualPath::parse(self).expect("a path")
    }
}
