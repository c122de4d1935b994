//! Answers in lines: each result as soon as it is found.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nexus_lite::store::{FaultPoint, Faults, StoreError};
use parking_lot::{Condvar, Mutex};
use serde_json::{Value, json};

use super::{Served, Who, failure};
use crate::harness::client::{LIVENESS, request};
use crate::harness::world::{Setup, World};

/// Requests that are answered while a search stands still.
const REQUESTS: usize = 100;
/// Files below `/s`, each with one line that is found.
const FILES: usize = 6;
/// Files of which the first results come while the search stands still.
const FIRST: usize = 2;
/// Files that are more than fit into the way between a search and its reader.
const MANY: usize = 400;
/// Bytes of a line of one of them.
const LINE_BYTES: usize = 2_000;

/// What came to the points of a search.
#[derive(Default)]
struct Seen {
    arrived: AtomicUsize,
    abandoned: AtomicUsize,
    open: Mutex<bool>,
    changed: Condvar,
}

impl Seen {
    fn release(&self) {
        *self.open.lock() = true;
        self.changed.notify_all();
    }
}

/// A server with `files` below `/s` whose searches stand still before the file after `first`, until they are released.
/// Its slow lane has two threads, so that one is left.
async fn served(seen: &Arc<Seen>, files: usize, first: usize) -> Served {
    let hook = Arc::clone(seen);
    let faults = Faults::armed(move |point| match point {
        FaultPoint::SearchAbandoned => drop(hook.abandoned.fetch_add(1, Ordering::SeqCst)),
        FaultPoint::SearchNextFile if hook.arrived.fetch_add(1, Ordering::SeqCst) == first => {
            hook.changed.wait_while_for(&mut hook.open.lock(), |open| !*open, LIVENESS);
        }
        _ => {}
    });
    let tune = Box::new(|options: &mut nexus_lite::store::Options| {
        options.faults = faults;
        options.limits.slow_threads = 2;
    });
    let world = World::with(Setup { injected: false, tune, ..Setup::default() }).await;
    let line = format!("needle {}", "x".repeat(if files > FILES { LINE_BYTES } else { 0 }));
    let names: Vec<_> = (0..files).map(|at| json!([format!("/s/{at:03}"), line])).collect();
    for part in names.chunks(100) {
        world.rpc(Who::Instance, "write_batch", json!({"files": part})).await.expect("written");
    }
    Served::of(world, |_| {})
}

/// The bytes of a call that asks for lines.
fn call(served: &Served, method: &str, params: &Value) -> Vec<u8> {
    let bearer = format!("Bearer {}", served.world.key(Who::Instance).expect("a key"));
    let headers = [("Authorization", bearer.as_str()), ("Accept", "application/x-ndjson, application/json;q=0.5")];
    request("POST", &format!("/api/nfs/{method}"), &headers, json!({"id": 7, "params": params}).to_string().as_bytes())
}

fn ask(served: &Served, method: &str, params: &Value) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(served.address()).expect("connected");
    stream.set_read_timeout(Some(LIVENESS)).expect("a socket");
    stream.write_all(&call(served, method, params)).expect("sent");
    BufReader::new(stream)
}

/// The next line that is no head and no size of a chunk.
fn next_json(reader: &mut BufReader<TcpStream>) -> Value {
    loop {
        let mut line = String::new();
        assert!(reader.read_line(&mut line).expect("a line in time") > 0, "the answer ended");
        if line.starts_with('{') {
            return serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
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

fn lines(body: &[u8]) -> Vec<Value> {
    let text = String::from_utf8(body.to_vec()).expect("UTF-8");
    assert!(text.ends_with('\n'), "{text}");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_results_come_while_the_search_stands_still() {
    let seen = Arc::new(Seen::default());
    let served = served(&seen, FILES, FIRST).await;
    let mut reader = ask(&served, "grep", &json!({"pattern": "needle", "path": "/s"}));
    let (reader, first) = tokio::task::spawn_blocking(move || {
        let first: Vec<_> = (0..FIRST).map(|_| next_json(&mut reader)).collect();
        (reader, first)
    })
    .await
    .expect("the first results");
    let expected =
        |at: usize| json!({"file": format!("/s/{at:03}"), "line": 1, "content": "needle ", "match": "needle"});
    assert_eq!(first, (0..FIRST).map(expected).collect::<Vec<_>>());
    until(|| seen.arrived.load(Ordering::SeqCst) == FIRST + 1).await;

    for at in 0..REQUESTS {
        let answer = served.post("exists", br#"{"params":{"path":"/s/000"}}"#).await;
        assert_eq!(answer.rpc().expect("an answer"), json!({"exists": true}), "request {at}");
    }
    assert_eq!(seen.arrived.load(Ordering::SeqCst), FIRST + 1, "it stands still all the while");

    seen.release();
    let mut reader = reader;
    let rest = tokio::task::spawn_blocking(move || (FIRST..=FILES).map(|_| next_json(&mut reader)).collect::<Vec<_>>());
    let rest = rest.await.expect("the rest");
    assert_eq!(rest[..FILES - FIRST], (FIRST..FILES).map(expected).collect::<Vec<_>>()[..]);
    let end = &rest[FILES - FIRST];
    assert_eq!(
        (&end["complete"], &end["truncated"], &end["files_searched"]),
        (&json!(true), &json!(false), &json!(FILES))
    );
    assert_eq!(seen.abandoned.load(Ordering::SeqCst), 0);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_in_lines_stops_when_its_client_hangs_up() {
    let seen = Arc::new(Seen::default());
    let served = served(&seen, FILES, FIRST).await;
    let mut reader = ask(&served, "grep", &json!({"pattern": "needle", "path": "/s"}));
    let reader = tokio::task::spawn_blocking(move || {
        next_json(&mut reader);
        reader
    });
    let reader = reader.await.expect("a result");
    until(|| seen.arrived.load(Ordering::SeqCst) == FIRST + 1).await;
    drop(reader);
    until(|| seen.abandoned.load(Ordering::SeqCst) == 1).await;
    seen.release();
    for _ in 0..2 {
        served.world.store.read_slow(|_| Ok::<_, StoreError>(())).await.expect("the lane goes on");
    }
    assert_eq!(seen.arrived.load(Ordering::SeqCst), FIRST + 1, "not one file more was looked at");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_is_not_far_ahead_of_its_reader() {
    let seen = Arc::new(Seen::default());
    // Nobody reads: the answers fill the sockets' buffers and ours, and then the search waits.
    let served = served(&seen, MANY, usize::MAX).await;
    let params = json!({"pattern": "needle", "path": "/s", "max_results": 1_000_000, "before_context": 0});
    let found = served.raw(call(&served, "grep", &params)).await;
    let all = lines(&found.body);
    assert_eq!((all.len(), &all[MANY]["complete"]), (MANY + 1, &json!(true)), "who reads gets all");
    served.stop().await;
}

#[tokio::test]
async fn the_lines_are_the_rows_of_the_whole_answer() {
    let seen = Arc::new(Seen::default());
    let served = served(&seen, FILES, usize::MAX).await;
    for (method, params, rows) in [
        ("grep", json!({"pattern": "needle", "path": "/s", "before_context": 1}), "results"),
        ("grep", json!({"pattern": "needle", "path": "/s", "max_results": 2}), "results"),
        ("grep", json!({"pattern": "nothing", "path": "/s"}), "results"),
        ("glob", json!({"pattern": "*", "path": "/s"}), "matches"),
        ("glob", json!({"pattern": "*", "path": "/s", "limit": 3}), "matches"),
    ] {
        let answer = served.raw(call(&served, method, &params)).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/x-ndjson")));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.revision().is_some_and(|rev| rev > 0));
        let mut got = lines(&answer.body);
        let end = got.pop().expect("a last line");
        let mut whole = served.ok_of(method, params).await;
        let mut expected = whole[rows].take();
        if method == "glob" {
            expected = expected.as_array().expect("paths").iter().map(|path| json!({"path": path})).collect();
        }
        whole.as_object_mut().expect("an object").remove(rows);
        assert_eq!((json!(got), end), (expected, whole), "{method}");
    }
    served.stop().await;
}

#[tokio::test]
async fn what_is_refused_is_refused_as_ever() {
    let seen = Arc::new(Seen::default());
    let served = served(&seen, 1, usize::MAX).await;
    for (method, params, code) in [
        ("grep", json!({"pattern": "(", "path": "/s"}), -32602),
        ("grep", json!({"path": "/s"}), -32602),
        ("grep", json!({"pattern": "x", "path": "/../s"}), -32002),
        ("glob", json!({"pattern": "*", "limit": 0}), -32602),
    ] {
        let answer = served.raw(call(&served, method, &params)).await;
        assert_eq!(
            (answer.header("content-type"), failure(&answer).code),
            (Some("application/json"), code),
            "{method}"
        );
    }
    // A method without lines answers as ever, too.
    let answer = served.raw(call(&served, "exists", &json!({"path": "/s"}))).await;
    assert_eq!(answer.rpc().expect("an answer"), json!({"exists": true}));
    // What the caller may not see is in no line.
    let bearer = format!("Bearer {}", served.world.key(Who::Stranger).expect("a key"));
    let headers = [("Authorization", bearer.as_str()), ("Accept", "application/x-ndjson")];
    let body = json!({"params": {"pattern": "needle", "path": "/"}}).to_string();
    let answer = served.raw(request("POST", "/api/nfs/grep", &headers, body.as_bytes())).await;
    let all = lines(&answer.body);
    assert_eq!((all.len(), &all[0]["files_searched"]), (1, &json!(0)));
    served.stop().await;
}

impl Served {
    /// The result of a method, as the instance admin.
    async fn ok_of(&self, method: &str, params: Value) -> Value {
        self.world.rpc(Who::Instance, method, params).await.expect(method)
    }
}
