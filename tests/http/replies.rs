//! What every reply carries: revision, cache rules, tags, compression; and what an error never shows.

use nexus_lite::store::{FaultPoint, Faults};
use serde_json::{Value, json};

use super::{Served, Who, failure, text};
use crate::harness::client::Answer;
use crate::harness::engine::sqlite_only;
use crate::harness::world::{Setup, World};

async fn call(served: &Served, method: &str, params: Value, headers: &[(&str, &str)]) -> Answer {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    served.send(Who::Instance, "POST", &format!("/api/nfs/{method}"), headers, body.as_bytes()).await
}

async fn write(served: &Served, path: &str, content: &str) -> Answer {
    let answer = call(served, "write", json!({"path": path, "content": content}), &[]).await;
    answer.rpc().unwrap_or_else(|e| panic!("{}", e.message));
    answer
}

#[tokio::test]
async fn headers_of_replies() {
    let served = Served::new().await;
    let written = write(&served, "/workspace/a.txt", "hello").await;
    assert_eq!(written.header("cache-control"), Some("no-store"));
    let rev = written.revision().expect("a revision");
    assert!(rev > 0);
    for (method, params, cache) in [
        ("exists", json!({"path": "/workspace/a.txt"}), "private, max-age=60"),
        ("read", json!({"path": "/workspace/a.txt"}), "private, max-age=60"),
        ("list", json!({"path": "/"}), "private, max-age=30"),
    ] {
        let answer = call(&served, method, params, &[]).await;
        assert_eq!(answer.header("cache-control"), Some(cache), "{method}");
        assert_eq!(answer.revision(), Some(rev), "{method}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{method}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{method}");
    }
    let missing = call(&served, "read", json!({"path": "/workspace/b.txt"}), &[]).await;
    assert_eq!((missing.status, failure(&missing).code), (200, -32000));
    assert_eq!((missing.revision(), missing.header("cache-control")), (Some(rev), Some("no-store")));
    assert!(missing.header("etag").is_none());
    served.stop().await;
}

#[tokio::test]
async fn a_reply_that_the_client_has_is_not_sent_again() {
    let served = Served::new().await;
    write(&served, "/workspace/a.txt", "hello").await;
    let path = json!({"path": "/workspace/a.txt"});
    let first = call(&served, "read", path.clone(), &[]).await;
    let tag = first.header("etag").expect("a tag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'));
    for given in [tag.clone(), tag.trim_matches('"').to_owned(), format!("W/{tag}")] {
        let again = call(&served, "read", path.clone(), &[("If-None-Match", &given)]).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{given}");
        assert_eq!(again.header("etag"), Some(tag.as_str()));
        assert_eq!(again.header("cache-control"), Some("private, max-age=60"));
    }
    let body = json!({"id": 1, "params": path}).to_string();
    let headers = [("If-None-Match", tag.as_str())];
    let stranger = served.send(Who::Stranger, "POST", "/api/nfs/read", &headers, body.as_bytes()).await;
    assert_eq!((stranger.status, failure(&stranger).code), (200, -32004), "a tag is no right");

    write(&served, "/workspace/a.txt", "other").await;
    let changed = call(&served, "read", path, &headers).await;
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), Some(tag.as_str()));
    served.stop().await;
}

#[tokio::test]
async fn large_replies_are_compressed_where_the_client_asks() {
    let served = Served::new().await;
    write(&served, "/workspace/large.txt", &"x".repeat(2000)).await;
    write(&served, "/workspace/small.txt", "x").await;
    let accept = [("Accept-Encoding", "gzip, deflate")];
    let large = call(&served, "read", json!({"path": "/workspace/large.txt"}), &accept).await;
    assert_eq!(large.header("content-encoding"), Some("gzip"));
    assert!(large.header("vary").is_some_and(|v| v.to_ascii_lowercase().contains("accept-encoding")));
    assert!(large.body.starts_with(b"\x1f\x8b") && large.body.len() < 1000);
    let small = call(&served, "read", json!({"path": "/workspace/small.txt"}), &accept).await;
    assert_eq!(small.header("content-encoding"), None);
    assert!(small.rpc().is_ok());
    let plain = call(&served, "read", json!({"path": "/workspace/large.txt"}), &[]).await;
    assert_eq!(plain.header("content-encoding"), None);
    assert!(plain.rpc().is_ok());
    served.stop().await;
}

#[tokio::test]
async fn a_panic_is_an_error_of_its_request_alone() {
    sqlite_only!("the point that panics is one of blob files");
    let tune = |options: &mut nexus_lite::store::Options| {
        options.faults = Faults::armed(|point| {
            assert!(point != FaultPoint::BlobWritten, "the secret words of a panic");
        });
    };
    let world = World::with(Setup { injected: false, tune: Box::new(tune), ..Setup::default() }).await;
    let served = Served::of(world, |_| {});
    let large = "y".repeat(100_000);
    let answer = call(&served, "write", json!({"path": "/workspace/a.bin", "content": large}), &[]).await;
    let found = failure(&answer);
    assert_eq!(found.code, -32603, "{}", found.message);
    assert!(!text(&answer).contains("secret words"), "{}", text(&answer));
    assert_eq!(found.data["request_id"].as_str(), answer.header("x-request-id"));
    write(&served, "/workspace/b.txt", "still here").await;
    served.stop().await;
}

#[tokio::test]
async fn a_repeat_says_that_it_is_one() {
    let served = Served::new().await;
    let params = json!({"path": "/workspace/a.txt", "content": "hello"});
    let key = [("Idempotency-Key", "\"5f6c-1\"")];
    let first = call(&served, "write", params.clone(), &key).await;
    assert!(first.rpc().is_ok() && first.header("idempotency-replayed").is_none());
    write(&served, "/workspace/b.txt", "in between").await;
    let again = call(&served, "write", params.clone(), &key).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!((again.status, again.json(), again.revision()), (200, first.json(), first.revision()));
    assert_eq!(again.header("cache-control"), Some("no-store"));

    let reused = call(&served, "write", json!({"path": "/workspace/a.txt", "content": "other"}), &key).await;
    assert_eq!(failure(&reused).data["code"], "idempotency_key_reused");
    assert!(reused.header("idempotency-replayed").is_none());
    // Two headers are no key, and neither is one that cannot be shown.
    for keys in [vec![("Idempotency-Key", "a"), ("Idempotency-Key", "b")], vec![("Idempotency-Key", "")]] {
        let refused = call(&served, "write", params.clone(), &keys).await;
        assert_eq!((refused.status, failure(&refused).code), (200, -32602), "{keys:?}");
    }
    let made =
        call(&served, "admin_create_key", json!({"user_id": "u", "name": "n"}), &[("Idempotency-Key", "k")]).await;
    let again =
        call(&served, "admin_create_key", json!({"user_id": "u", "name": "n"}), &[("Idempotency-Key", "k")]).await;
    assert_eq!(failure(&again).data["code"], "already_executed");
    assert_eq!((again.header("idempotency-replayed"), again.revision()), (Some("true"), made.revision()));
    served.stop().await;
}
