//! Writing: bodies in one go and in chunks, too long, cut off, on a full disk.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use nexus_lite::store::space::{Look, Probe};
use serde_json::json;

use super::super::{Served, Who, text};
use super::{body, tag, to_the_end};
use crate::harness::client::LIVENESS;
use crate::harness::engine::{is_postgres, sqlite_only};
use crate::harness::world::{Setup, World};

fn head(served: &Served, path: &str, extra: &str) -> Vec<u8> {
    let key = served.world.key(Who::Instance).expect("a key");
    format!("PUT /files{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n{extra}\r\n").into_bytes()
}

/// `body` in chunks of `step` bytes, with their end.
fn chunked(body: &[u8], step: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in body.chunks(step) {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let waited = tokio::time::timeout(LIVENESS, async {
        while !done() {
            tokio::task::yield_now().await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn chunks_are_taken_without_a_length() {
    let served = Served::new().await;
    for (size, step) in [(0, 1), (10, 3), (70_000, 1_000), (2_200_000, 65_000)] {
        let (path, body) = (format!("/w/{size}"), body(size));
        let bytes = [head(&served, &path, "Transfer-Encoding: chunked\r\n"), chunked(&body, step)].concat();
        let put = served.raw(bytes).await;
        assert_eq!((put.status, put.header("etag")), (201, Some(tag(&body).as_str())), "{}", text(&put));
        assert_eq!(served.get(Who::Instance, &path, &[]).await.body, body);
    }
    assert_eq!(served.partials(), 0);
    served.stop().await;
}

#[tokio::test]
async fn a_file_over_the_limit_is_refused_before_it_is_read() {
    let served = Served::with(|state| state.limits.file_bytes = 200_000).await;
    let answer = served.raw(head(&served, "/w/a", "Content-Length: 10737418240\r\n")).await;
    assert_eq!(served.refused(&answer).await, (413, "body_too_large".into()));
    let bytes = [head(&served, "/w/a", "Transfer-Encoding: chunked\r\n"), chunked(&body(300_000), 10_000)].concat();
    assert_eq!(served.raw(bytes).await.status, 413);
    assert_eq!(served.put(Who::Instance, "/w/b", &[], &body(200_000)).await.status, 201);
    let missing = served.get(Who::Instance, "/w/a", &[]).await;
    assert_eq!((missing.status, served.partials()), (404, 0));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_breaks_off_leaves_nothing() {
    let served = Served::new().await;
    let sent = body(3 << 20);
    for (extra, part) in [
        (format!("Content-Length: {}\r\n", sent.len() + 1), sent.clone()),
        ("Transfer-Encoding: chunked\r\n".to_owned(), [b"300000\r\n", &sent[..], b"\r\n"].concat()),
    ] {
        let mut stream = TcpStream::connect(served.address()).expect("connected");
        stream.write_all(&head(&served, "/w/broken", &extra)).expect("sent");
        stream.write_all(&part).expect("sent");
        if !is_postgres() {
            until("a piece", || served.partials() == 1).await;
        }
        drop(stream);
        until("cleared", || served.partials() == 0).await;
        assert_eq!(served.get(Who::Instance, "/w/broken", &[]).await.status, 404);
    }
    // A length that is short: the rest is no request, and no part of the file.
    let mut bytes = head(&served, "/w/short", "Content-Length: 5\r\n");
    bytes.extend_from_slice(b"hello, and more of it\r\n\r\n");
    let address = served.address();
    tokio::task::spawn_blocking(move || to_the_end(address, &bytes)).await.expect("no panic");
    let got = served.get(Who::Instance, "/w/short", &[]).await;
    assert!(got.status == 404 || got.body == b"hello", "{}", text(&got));
    served.stop().await;
}

#[tokio::test]
async fn a_body_that_trickles_is_not_waited_for() {
    let served = Served::with(|state| state.limits.body_deadline = Duration::from_millis(50)).await;
    let mut stream = TcpStream::connect(served.address()).expect("connected");
    stream.set_read_timeout(Some(LIVENESS)).expect("a socket");
    let mut bytes = head(&served, "/w/slow", "Content-Length: 1000000\r\n");
    bytes.extend_from_slice(b"a few");
    stream.write_all(&bytes).expect("sent");
    let said = tokio::task::spawn_blocking(move || {
        let mut said = String::new();
        // How it ended does not matter.
        let _ = stream.read_to_string(&mut said);
        said
    });
    let said = said.await.expect("no panic");
    assert!(said.starts_with("HTTP/1.1 408") && said.contains("request_timeout"), "{said}");
    assert_eq!(served.get(Who::Instance, "/w/slow", &[]).await.status, 404);
    served.stop().await;
}

#[tokio::test]
async fn parts_and_compressed_bodies_are_no_files() {
    let served = Served::new().await;
    for header in [("Content-Range", "bytes 0-4/10"), ("Content-Encoding", "gzip"), ("If-Range", "\"x\"")] {
        let answer = served.put(Who::Instance, "/w/a", &[header], b"hello").await;
        assert_eq!(served.refused(&answer).await, (400, "invalid_request".into()), "{header:?}");
    }
    assert_eq!(served.get(Who::Instance, "/w/a", &[]).await.status, 404);
    // What is no file, and what is below one.
    served.ok("mkdir", json!({"path": "/w/dir", "parents": true})).await;
    served.put(Who::Instance, "/w/file", &[], b"x").await;
    for (verb, path) in [("PUT", "/files/w/dir"), ("GET", "/files/w/dir"), ("PUT", "/files/w/file/below")] {
        let answer = served.send(Who::Instance, verb, path, &[], b"y").await;
        assert_eq!(served.refused(&answer).await, (409, "precondition".into()), "{verb} {path}");
    }
    served.stop().await;
}

/// A disk with no more space than its setting.
#[derive(Debug)]
struct Little;

impl Probe for Little {
    fn look(&self, _: &std::path::Path) -> std::io::Result<Look> {
        Ok(Look { free: 130 << 20, total: 1 << 40, files_free: None, kind: 0xEF53, file_size_max: None })
    }
}

#[tokio::test]
async fn without_space_nothing_is_stored() {
    sqlite_only!("the disk of the server");
    let tune = Box::new(|options: &mut nexus_lite::store::Options| options.probe = Arc::new(Little));
    let served = Served::of(World::with(Setup { injected: false, tune, ..Setup::default() }).await, |_| {});
    assert_eq!(served.put(Who::Instance, "/w/small", &[], &body(1_000)).await.status, 201);
    let answer = served.raw(head(&served, "/w/large", "Content-Length: 100000000\r\n")).await;
    assert_eq!(served.refused(&answer).await, (507, "storage_full".into()));
    assert_eq!((served.partials(), served.get(Who::Instance, "/w/large", &[]).await.status), (0, 404));
    served.stop().await;
}

#[tokio::test]
async fn the_same_body_twice_is_stored_once() {
    let served = Served::new().await;
    let body = body((1 << 20) + 77);
    for path in ["/w/one", "/w/two", "/w/one"] {
        assert!(served.put(Who::Instance, path, &[], &body).await.status < 300, "{path}");
    }
    served.ok("write", json!({"path": "/w/three", "content": {"__type__": "bytes", "data": ""}})).await;
    if is_postgres() {
        // What was dropped is dropped behind the answer.
        served.put(Who::Instance, "/w/four", &[], b"x").await;
        let parts = crate::harness::engine::run(served.world.path(), "SELECT COUNT(*) FROM chunks");
        assert_eq!(parts as usize, body.len().div_ceil(64 << 10));
    }
    assert_eq!(served.get(Who::Instance, "/w/two", &[]).await.body, body);
    assert_eq!(served.ok("stat", json!({"path": "/w/one"})).await["version"], json!(2));
    served.stop().await;
}

#[tokio::test]
async fn over_a_quota_is_507_before_the_body_is_taken() {
    let served = Served::new().await;
    served.ok("mkdir", json!({"path": "/w", "exist_ok": true})).await;
    let used = served.ok("admin_get_quota", json!({})).await["bytes_used"].as_u64().expect("a number");
    let quota = json!({"tenant_id": "default", "bytes_max": used + 100_000});
    served.ok("admin_set_quota", quota).await;
    // Announced and never sent: the answer does not wait for it.
    let answer = served.raw(head(&served, "/w/a", "Content-Length: 200000\r\n")).await;
    assert_eq!(served.refused(&answer).await, (507, "quota_exceeded".into()), "{}", text(&answer));
    let error = &answer.json()["error"]["data"];
    assert_eq!((&error["counted"], &error["needed"]), (&json!("bytes"), &json!(used + 200_000)));
    // Of unknown length: told when it is known, and nothing is left of it.
    let bytes = [head(&served, "/w/b", "Transfer-Encoding: chunked\r\n"), chunked(&body(200_000), 65_000)].concat();
    let answer = served.raw(bytes).await;
    assert_eq!(served.refused(&answer).await, (507, "quota_exceeded".into()), "{}", text(&answer));
    assert_eq!(served.put(Who::Instance, "/w/c", &[], &body(100_000)).await.status, 201);
    assert_eq!(served.put(Who::Instance, "/w/d", &[], b"x").await.status, 507);
    assert_eq!(served.partials(), 0);
    served.stop().await;
}
