//! More requests than the writer takes: refused at once with 503, `Retry-After` and a JSON-RPC body, and nothing of
//! them done; what was accepted is bounded and answered.

use std::time::Duration;

use nexus_lite::model::ManualClock;
use nexus_lite::model::time::monotonic;
use nexus_lite::store::{FaultPoint, Options};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{Served, Who, failure};
use crate::harness::client::{Answer, Client, LIVENESS, call_bytes};
use crate::harness::world::{Setup, World};

/// Messages that the writer takes.
const QUEUE: usize = 8;
/// Requests that come at once.
const REQUESTS: usize = 40;

async fn served(tune: impl FnOnce(&mut Options) + 'static) -> Served {
    let world = World::with(Setup { tune: Box::new(tune), ..Setup::default() }).await;
    Served::of(world, |_| {})
}

/// Sends a call on a connection of its own.
fn send(served: &Served, id: u64, method: &str, params: &Value) -> JoinHandle<Answer> {
    let bytes = call_bytes(id, served.world.key(Who::Instance), None, method, params);
    let address = served.address();
    tokio::task::spawn_blocking(move || Client::new(address, None).exchange(&bytes).expect("an answer"))
}

/// Waits until `done`.
async fn until(done: impl Fn() -> bool) {
    let began = monotonic();
    while !done() {
        assert!(began.elapsed() < LIVENESS, "it does not come to that");
        tokio::task::yield_now().await;
    }
}

/// Whether `answer` is the refusal that every client can act on.
fn assert_refused(answer: &Answer, code: &str) {
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{}", answer.json());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let error = failure(answer);
    assert_eq!(error.data["code"], code, "{error:?}");
    assert!(error.data["hint"].as_str().is_some_and(|hint| hint.contains("nothing was done")), "{error:?}");
    assert!(answer.json()["id"].as_u64().is_some_and(|id| id > 0), "the id is echoed: {}", answer.json());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_at_once_and_what_was_accepted_is_answered() {
    let served = served(|options| options.limits.queue_messages = QUEUE).await;
    let (store, before) = (served.world.store.clone(), served.world.head().await);
    let held = served.world.hold_writer();
    let write = |n: usize| json!({"path": format!("/f-{n}"), "content": "x"});
    let sent: Vec<_> = (0..REQUESTS).map(|n| send(&served, n as u64 + 1, "write", &write(n))).collect();
    // One place is taken by what holds the writer. All others are refused while it stands still: nobody waits.
    let refused = (REQUESTS - (QUEUE - 1)) as u64;
    until(|| store.status().writer_refused == refused).await;
    assert_eq!(store.status().writer_queue_depth, QUEUE, "bounded");
    // Reads go on.
    let read = send(&served, 99, "exists", &json!({"path": "/f-0"})).await.expect("no panic");
    assert_eq!(read.status, 200);
    held.release();

    let mut accepted = Vec::new();
    for (n, answer) in sent.into_iter().enumerate() {
        let answer = answer.await.expect("no panic");
        if answer.status == 200 {
            accepted.push(n);
        } else {
            assert_refused(&answer, "busy");
        }
    }
    assert_eq!(accepted.len(), QUEUE - 1);
    assert_eq!(served.world.head().await, before + QUEUE as u64, "each accepted one once, and what held the writer");
    for n in 0..REQUESTS {
        let found = served.world.rpc(Who::Instance, "exists", json!({"path": format!("/f-{n}")})).await.expect("read");
        assert_eq!(found["exists"], accepted.contains(&n), "{n}: there if and only if it was acknowledged");
    }
    // There is room again.
    let again = send(&served, 1, "write", &write(REQUESTS)).await.expect("no panic");
    assert_eq!(again.status, 200, "{}", again.json());
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_byte_budget_refuses_at_once() {
    const BYTES: usize = 64 << 10;
    let served = served(|options| options.limits.queue_bytes = BYTES).await;
    let store = served.world.store.clone();
    let held = served.world.hold_writer();
    let big = |n: usize| json!({"path": format!("/b-{n}"), "content": "x".repeat(BYTES / 2)});
    let sent: Vec<_> = (0..4).map(|n| send(&served, n as u64 + 1, "write", &big(n))).collect();
    until(|| store.status().writer_refused == 3).await;
    held.release();
    let mut done = 0;
    for answer in sent {
        let answer = answer.await.expect("no panic");
        if answer.status == 200 {
            done += 1;
        } else {
            assert_refused(&answer, "busy");
        }
    }
    assert_eq!(done, 1, "half of the budget, and what is beside the body");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_past_its_deadline_is_not_begun() {
    let served = served(|_| {}).await;
    let (store, before) = (served.world.store.clone(), served.world.head().await);
    let clock: &ManualClock = served.world.clock.as_deref().expect("an injected clock");
    let held = served.world.hold_writer();
    let late: Vec<_> =
        (0..3).map(|n| send(&served, n + 1, "write", &json!({"path": format!("/late-{n}"), "content": "x"}))).collect();
    until(|| store.status().writer_queue_depth == 4).await;
    clock.advance(Duration::from_secs(31));
    held.release();
    for answer in late {
        assert_refused(&answer.await.expect("no panic"), "deadline_exceeded");
    }
    assert_eq!(served.world.head().await, before + 1, "only what held the writer");
    let found = served.world.rpc(Who::Instance, "exists", json!({"path": "/late-0"})).await.expect("read");
    assert_eq!(found["exists"], false);
    // What comes now has its own deadline.
    let now = send(&served, 9, "write", &json!({"path": "/now", "content": "x"})).await.expect("no panic");
    assert_eq!(now.status, 200, "{}", now.json());
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_slow_lane_answers_busy() {
    let served = served(|options| (options.limits.slow_threads, options.limits.slow_queue) = (1, 1)).await;
    let store = served.world.store.clone();
    let held = served.world.pause_at(FaultPoint::AfterSnapshotBeforeState);
    let slow = |id| send(&served, id, "admin_audit_query", &json!({"limit": 1}));
    let (first, second);
    first = slow(1);
    held.reached();
    second = slow(2);
    until(|| store.status().slow_lane_waiting == 1).await;
    let third = slow(3).await.expect("no panic");
    assert_refused(&third, "busy");
    held.release();
    for answer in [first, second] {
        assert_eq!(answer.await.expect("no panic").status, 200);
    }
    served.stop().await;
}
