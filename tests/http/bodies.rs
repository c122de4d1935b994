//! Sizes and speeds of bodies, and senders that go away.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use super::{Served, Who, failure};

fn head(served: &Served, extra: &str) -> String {
    let key = served.world.key(Who::Instance).expect("a key");
    format!("POST /api/nfs/exists HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n{extra}\r\n")
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let served = Served::with(|state| state.limits.body_bytes = 1000).await;
    let fits = json!({"id": 1, "params": {"path": format!("/{}", "x".repeat(200))}}).to_string();
    assert_eq!(served.post("exists", fits.as_bytes()).await.status, 200);

    let large = format!(r#"{{"id":1,"params":{{"path":"/{}"}}}}"#, "x".repeat(1000));
    let answer = served.post("exists", large.as_bytes()).await;
    assert_eq!((answer.status, failure(&answer).data["code"].clone()), (413, json!("body_too_large")));
    assert!(failure(&answer).data["hint"].as_str().is_some_and(|h| h.contains("append")));

    // Without a length, in chunks.
    let mut chunked = head(&served, "Transfer-Encoding: chunked\r\n").into_bytes();
    for _ in 0..4 {
        chunked.extend_from_slice(format!("12c\r\n{}\r\n", "y".repeat(300)).as_bytes());
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(served.raw(chunked).await.status, 413);

    // A length that is not to be waited for.
    let answer = served.raw(head(&served, "Content-Length: 10737418240\r\n").into_bytes()).await;
    assert_eq!(answer.status, 413);
    served.stop().await;
}

#[tokio::test]
async fn all_bodies_together_are_bounded() {
    let served = Served::with(|state| state.limits.bodies_bytes = 10_000).await;
    let padded = |bytes| format!(r#"{{"params":{{"path":"/"}}}}{}"#, " ".repeat(bytes));
    let answer = served.post("exists", padded(10_000).as_bytes()).await;
    assert_eq!((answer.status, failure(&answer).data["code"].clone()), (503, json!("busy")));
    assert_eq!(answer.header("retry-after"), Some("1"));
    // What was taken is given back.
    for _ in 0..10 {
        assert_eq!(served.post("exists", padded(6_000).as_bytes()).await.status, 200);
    }
    // Small ones are served whatever the others take.
    served.stop().await;
    let served = Served::with(|state| state.limits.bodies_bytes = 0).await;
    assert_eq!(served.post("exists", padded(900).as_bytes()).await.status, 200);
    assert_eq!(served.post("exists", padded(1_100).as_bytes()).await.status, 503);
    served.stop().await;
}

#[tokio::test]
async fn a_slow_body_is_not_waited_for() {
    let served = Served::with(|state| state.limits.body_deadline = Duration::from_millis(50)).await;
    let mut bytes = head(&served, "Content-Length: 100\r\n").into_bytes();
    bytes.extend_from_slice(b"{");
    let answer = served.raw(bytes).await;
    assert_eq!((answer.status, failure(&answer).data["code"].clone()), (408, json!("request_timeout")));
    served.stop().await;
}

#[tokio::test]
async fn a_slow_head_is_not_waited_for() {
    let served = Served::with(|state| state.limits.head_deadline = Duration::from_millis(50)).await;
    let answer = served.raw(b"GET /health HTTP/1.1\r\nHost: 127".to_vec()).await;
    assert_eq!(answer.status, 408);
    served.stop().await;
}

#[tokio::test]
async fn compressed_bodies_are_not_unpacked() {
    let served = Served::new().await;
    let answer =
        served.send(Who::Instance, "POST", "/api/nfs/exists", &[("Content-Encoding", "gzip")], b"\x1f\x8b").await;
    assert_eq!(failure(&answer).code, -32600);
    assert!(failure(&answer).data["hint"].as_str().is_some_and(|h| h.contains("Content-Encoding")));
    served.stop().await;
}

#[tokio::test]
async fn senders_that_hang_up_cost_nobody_anything() {
    let served = Served::new().await;
    for cut in 1..40 {
        let mut bytes = head(&served, "Content-Length: 40\r\n").into_bytes();
        bytes.extend_from_slice(br#"{"id":1,"params":{"path":"/"}}          "#);
        bytes.truncate(bytes.len() * cut / 40);
        let mut stream = TcpStream::connect(served.address()).expect("connected");
        stream.write_all(&bytes).expect("sent");
        drop(stream);
    }
    // A whole request whose sender does not wait for the answer.
    let mut stream = TcpStream::connect(served.address()).expect("connected");
    let mut bytes = head(&served, "Content-Length: 30\r\n").into_bytes();
    bytes.extend_from_slice(br#"{"id":1,"params":{"path":"/"}}"#);
    stream.write_all(&bytes).expect("sent");
    drop(stream);
    assert_eq!(served.post("exists", br#"{"params":{"path":"/"}}"#).await.status, 200);
    served.stop().await;
}
