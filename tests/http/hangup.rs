//! Clients that go away before they are answered, and searches that take their time: neither holds anybody up.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nexus_lite::store::{FaultPoint, Faults, StoreError};
use parking_lot::{Condvar, Mutex};
use serde_json::json;

use super::{Served, Who};
use crate::harness::client::{Client, LIVENESS, call_bytes};
use crate::harness::world::{Setup, World};

/// Requests that are answered while a search stands still.
const REQUESTS: usize = 100;
/// Files below `/s`.
const FILES: usize = 5;

/// What came to the points of a search.
#[derive(Default)]
struct Seen {
    arrived: AtomicUsize,
    abandoned: AtomicUsize,
    open: Mutex<bool>,
    changed: Condvar,
}

/// A server whose first search stands still until `seen.open`; its slow lane has one thread.
async fn served(seen: &Arc<Seen>) -> Served {
    let hook = Arc::clone(seen);
    let faults = Faults::armed(move |point| match point {
        FaultPoint::SearchAbandoned => drop(hook.abandoned.fetch_add(1, Ordering::SeqCst)),
        FaultPoint::SearchNextFile if hook.arrived.fetch_add(1, Ordering::SeqCst) == 0 => {
            hook.changed.wait_while_for(&mut hook.open.lock(), |open| !*open, LIVENESS);
        }
        _ => {}
    });
    let tune = Box::new(|options: &mut nexus_lite::store::Options| {
        options.faults = faults;
        options.limits.slow_threads = 1;
    });
    let world = World::with(Setup { injected: false, tune, ..Setup::default() }).await;
    for at in 0..FILES {
        let written = world.rpc(Who::Instance, "write", json!({"path": format!("/s/{at}"), "content": "needle"})).await;
        written.expect("written");
    }
    Served::of(world, |_| {})
}

fn grep(served: &Served) -> Vec<u8> {
    call_bytes(7, served.world.key(Who::Instance), None, "grep", &json!({"pattern": "needle", "path": "/s"}))
}

async fn until(done: impl Fn() -> bool) {
    let waited = tokio::time::timeout(LIVENESS, async {
        while !done() {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("it never happened");
}

fn release(seen: &Seen) {
    *seen.open.lock() = true;
    seen.changed.notify_all();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_stops_when_its_client_hangs_up() {
    let seen = Arc::new(Seen::default());
    let served = served(&seen).await;
    let mut asking = TcpStream::connect(served.address()).expect("connected");
    asking.write_all(&grep(&served)).expect("sent");
    until(|| seen.arrived.load(Ordering::SeqCst) == 1).await;
    drop(asking);
    until(|| seen.abandoned.load(Ordering::SeqCst) == 1).await;
    release(&seen);
    // The only thread of the lane is free again when this is answered.
    served.world.store.read_slow(|_| Ok::<_, StoreError>(())).await.expect("the lane goes on");
    assert_eq!(seen.arrived.load(Ordering::SeqCst), 1, "not one file more was looked at");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_that_stands_still_holds_up_nobody() {
    let seen = Arc::new(Seen::default());
    let served = served(&seen).await;
    let (bytes, address) = (grep(&served), served.address());
    let search = tokio::task::spawn_blocking(move || Client::new(address, None).exchange(&bytes).expect("an answer"));
    until(|| seen.arrived.load(Ordering::SeqCst) == 1).await;
    for at in 0..REQUESTS {
        let answer = served.post("exists", br#"{"params":{"path":"/s/0"}}"#).await;
        assert_eq!(answer.rpc().expect("an answer"), json!({"exists": true}), "request {at}");
    }
    assert!(!search.is_finished());
    release(&seen);
    let found = search.await.expect("no panic").rpc().expect("found");
    assert_eq!(found["results"].as_array().map(Vec::len), Some(FILES));
    assert_eq!(seen.abandoned.load(Ordering::SeqCst), 0);
    served.stop().await;
}
