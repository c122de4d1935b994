//! Requests whose end two readers could see at different places: refused, and never answered twice.
//!
//! Each case ends with a whole further request. A server that takes it for one has been smuggled something in. What
//! the server says until it closes the connection is read in full.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;

use super::{Served, Who, failure};
use crate::harness::client::{Answer, LIVENESS, parse};

/// The request that must not be answered: it would be the only one with this status.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

/// Sends `bytes` and reads until the server closes.
fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<Answer> {
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(LIVENESS)).expect("a socket");
    stream.write_all(bytes).expect("sent");
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Ok(_) => {}
        // Closed with bytes of ours unread.
        Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(e) => panic!("not closed: {e}; said so far: {}", String::from_utf8_lossy(&said)),
    }
    let mut answers = Vec::new();
    while !said.is_empty() {
        let (answer, used) = parse(&said).unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&said)));
        said.drain(..used);
        answers.push(answer);
    }
    answers
}

/// Sends each case, with the hidden request behind it: one answer, one of `allowed`, and the connection is closed.
async fn matrix(cases: &[(&str, &str)], allowed: &[u16]) {
    let served = Served::with(|state| state.limits.keep_alive = Duration::from_secs(1)).await;
    let address = served.address();
    // With a key, so that nothing but the framing can be the reason of a refusal.
    let key = served.world.key(Who::Instance).expect("a key");
    let good = head(Some(key), "");
    for (what, case) in cases {
        let bytes = case.replace("GOOD\r\n", &good).into_bytes();
        let whole = [&bytes[..], HIDDEN.as_bytes()].concat();
        let answers = tokio::task::spawn_blocking(move || exchange(address, &whole)).await.expect("no panic");
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert!(statuses.len() == 1 && allowed.contains(&statuses[0]), "{what:?}: {statuses:?}");
    }
    // The connection after them is not harmed.
    assert_eq!(served.post("exists", br#"{"params":{"path":"/"}}"#).await.status, 200);
    served.stop().await;
}

fn head(served_key: Option<&str>, lines: &str) -> String {
    let key = served_key.map_or_else(String::new, |key| format!("Authorization: Bearer {key}\r\n"));
    format!("POST /api/nfs/exists HTTP/1.1\r\nHost: 127.0.0.1\r\n{key}{lines}")
}

#[tokio::test]
async fn two_ways_to_see_the_end_of_a_body() {
    matrix(
        &[
            ("length and chunks", "GOOD\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            ("chunks and length", "GOOD\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
            ("chunks twice", "GOOD\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            (
                "chunks and identity",
                "GOOD\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
            ),
            ("chunked, chunked", "GOOD\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
            ("chunked is not last", "GOOD\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
            ("unknown coding", "GOOD\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
            ("coding with a tab", "GOOD\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
            ("coding behind a space", "GOOD\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
            ("two lengths", "GOOD\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
            ("one length twice", "GOOD\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}"),
            ("lengths in one line", "GOOD\r\nContent-Length: 2, 3\r\n\r\n{}"),
            ("signed length", "GOOD\r\nContent-Length: +2\r\n\r\n{}"),
            ("negative length", "GOOD\r\nContent-Length: -2\r\n\r\n{}"),
            ("hexadecimal length", "GOOD\r\nContent-Length: 0x2\r\n\r\n{}"),
            ("length past 2^64", "GOOD\r\nContent-Length: 18446744073709551618\r\n\r\n{}"),
            ("no digits", "GOOD\r\nContent-Length: \r\n\r\n{}"),
            ("space before the colon", "GOOD\r\nContent-Length : 2\r\n\r\n{}"),
            (
                "chunks in HTTP/1.0",
                "POST /api/nfs/exists HTTP/1.0\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            ),
        ],
        &[400, 401, 501],
    )
    .await;
}

#[tokio::test]
async fn lines_that_end_otherwise() {
    matrix(
        &[
            ("folded", "GOOD\r\nX-A: b\r\n c\r\nContent-Length: 2\r\n\r\n{}"),
            ("folded coding", "GOOD\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
            ("folded first", "POST /api/nfs/exists HTTP/1.1\r\n Host: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{}"),
            ("bare CR", "GOOD\r\nX-A: b\rContent-Length: 0\r\nContent-Length: 2\r\n\r\n{}"),
            ("NUL in a value", "GOOD\r\nX-A: b\0c\r\nContent-Length: 2\r\n\r\n{}"),
            ("NUL in a name", "GOOD\r\nX\0A: b\r\nContent-Length: 2\r\n\r\n{}"),
            ("no colon", "GOOD\r\nContent-Length\r\n\r\n{}"),
            ("empty name", "GOOD\r\n: 2\r\n\r\n{}"),
            ("NUL in the target", "POST /api/nfs/exi\0sts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{}"),
            (
                "space in the target",
                "POST /api/nfs/exists x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{}",
            ),
            ("no host", "POST /api/nfs/exists HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"),
            ("two hosts", "GOOD\r\nHost: evil.example\r\nContent-Length: 2\r\n\r\n{}"),
            ("one host twice", "GOOD\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{}"),
            ("no version", "POST /api/nfs/exists\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{}"),
            ("HTTP/2 by heart", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ],
        &[400, 401, 421],
    )
    .await;
}

#[tokio::test]
async fn a_bare_line_feed_ends_a_line_for_everything_behind_it() {
    // As RFC 9112 section 2.2 allows. The length on that line counts, so both requests are answered, each once.
    let served = Served::with(|state| state.limits.keep_alive = Duration::from_secs(1)).await;
    let key = served.world.key(Who::Instance).expect("a key");
    let body = r#"{"id":1,"params":{"path":"/"}}"#;
    let bytes = head(Some(key), &format!("X-A: b\nContent-Length: 30\r\n\r\n{body}{HIDDEN}"));
    let address = served.address();
    let asked = move || exchange(address, bytes.as_bytes());
    let answers = tokio::task::spawn_blocking(asked).await.expect("no panic");
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 404]);
    served.stop().await;
}

#[tokio::test]
async fn chunks_that_lie_about_their_size() {
    let served = Served::with(|state| state.limits.keep_alive = Duration::from_secs(1)).await;
    let key = served.world.key(Who::Instance).expect("a key").to_owned();
    let address = served.address();
    for (what, chunks) in [
        ("no number", "zz\r\n{}\r\n0\r\n\r\n"),
        ("signed", "+2\r\n{}\r\n0\r\n\r\n"),
        ("negative", "-2\r\n{}\r\n0\r\n\r\n"),
        ("prefixed", "0x2\r\n{}\r\n0\r\n\r\n"),
        ("past 2^64", "10000000000000002\r\n{}\r\n0\r\n\r\n"),
        ("longer than said", "1\r\n{}\r\n0\r\n\r\n"),
        ("bare LF", "2\n{}\n0\n\n"),
        ("CR in the extension", "2;a\rb\r\n{}\r\n0\r\n\r\n"),
        ("LF in the extension", "2;a\nb\r\n{}\r\n0\r\n\r\n"),
    ] {
        let bytes = head(Some(&key), &format!("Transfer-Encoding: chunked\r\n\r\n{chunks}{HIDDEN}"));
        let asked = move || exchange(address, bytes.as_bytes());
        let answers = tokio::task::spawn_blocking(asked).await.expect("no panic");
        assert!(answers.len() <= 1, "{what}: {answers:?}");
        let Some(answer) = answers.first() else { continue };
        // Ours says that it is no JSON, or ended early; the library's own is a bare 400.
        let refused = answer.status == 400 || failure(answer).data["code"] == json!("parse_error");
        assert!(refused, "{what}: {} {}", answer.status, super::text(answer));
    }
    served.stop().await;
}

#[tokio::test]
async fn a_request_behind_another_is_answered_by_its_own_right() {
    // The control: two good requests on one connection are two answers.
    let served = Served::with(|state| state.limits.keep_alive = Duration::from_secs(1)).await;
    let key = served.world.key(Who::Instance).expect("a key");
    let bytes = head(Some(key), &format!("Content-Length: 30\r\n\r\n{}{HIDDEN}", r#"{"id":1,"params":{"path":"/"}}"#));
    let address = served.address();
    let asked = move || exchange(address, bytes.as_bytes());
    let answers = tokio::task::spawn_blocking(asked).await.expect("no panic");
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 404]);
    served.stop().await;
}
