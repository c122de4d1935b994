//! Clients that hold connections without getting on: the server's own deadlines end them, and others are served.
//!
//! No time is measured. Each connection is read until the server closes it; what was said on it until then is judged.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use futures_util::future::join_all;
use nexus_lite::http::Limits;

use super::{Served, Who};
use crate::harness::client::{LIVENESS, parse};

/// Connections of each kind.
const CONNECTIONS: usize = 500;
/// The rhythm of those who send a byte at a time.
const BYTE_EVERY: Duration = Duration::from_millis(100);
/// Deadlines of the server under test: long enough that a slow client sends a few bytes.
const DEADLINE: Duration = Duration::from_secs(2);
/// Bodies that it waits for.
const BODIES: usize = 100;

fn impatient(limits: &mut Limits) {
    limits.head_deadline = DEADLINE;
    limits.body_deadline = DEADLINE;
    limits.keep_alive = DEADLINE;
    limits.bodies_waited_for = BODIES;
}

/// Sends `first`, then `drip` again and again, until the server closes; everything it said.
async fn hold(address: SocketAddr, first: &[u8], drip: &[u8]) -> Vec<u8> {
    let stream = TcpStream::connect(address).await.expect("connected");
    let mut heard = Vec::new();
    let mut to_send: Vec<u8> = first.to_vec();
    let mut beat = tokio::time::interval(BYTE_EVERY);
    loop {
        tokio::select! {
            ready = stream.readable() => {
                ready.expect("a socket");
                match stream.try_read_buf(&mut heard) {
                    Ok(0) => return heard,
                    Ok(_) => {}
                    Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
                    // Closed with bytes of ours unread.
                    Err(_) => return heard,
                }
            }
            _ = beat.tick() => {
                if let Ok(sent) = stream.try_write(&to_send) {
                    to_send.drain(..sent);
                }
                if to_send.is_empty() {
                    to_send.extend_from_slice(drip);
                }
            }
        }
    }
}

/// Holds [`CONNECTIONS`] of one kind while a normal client calls; the answers of the held ones, by status (0 = none).
async fn besiege(served: &Served, first: &[u8], drip: &[u8]) -> Vec<u16> {
    let address = served.address();
    let held = join_all((0..CONNECTIONS).map(|_| hold(address, first, drip)));
    let calls = async {
        // Until those are gone, a call after the other: each must be answered.
        loop {
            let answer = served.post("exists", br#"{"params":{"path":"/"}}"#).await;
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        }
    };
    let heard = tokio::select! {
        heard = tokio::time::timeout(LIVENESS, held) => heard.expect("the server closes all of them"),
        () = calls => unreachable!("it calls until the others are done"),
    };
    heard.iter().map(|said| statuses(said)).collect()
}

/// The status of the one answer; 0 if there is none.
fn statuses(said: &[u8]) -> u16 {
    if said.is_empty() {
        return 0;
    }
    let (answer, used) = parse(said).unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(said)));
    assert_eq!(used, said.len(), "one answer only: {}", String::from_utf8_lossy(said));
    answer.status
}

fn counted(statuses: &[u16], wanted: u16) -> usize {
    statuses.iter().filter(|status| **status == wanted).count()
}

#[tokio::test]
async fn silent_connections_and_slow_heads_are_closed() {
    let served = Served::with(|state| impatient(&mut state.limits)).await;
    for (what, first, drip) in [
        ("silent", &b""[..], &b""[..]),
        ("head", b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", b"a"),
        ("headers", b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"X-Slow: a\r\n"),
    ] {
        let statuses = besiege(&served, first, drip).await;
        assert_eq!(counted(&statuses, 408), CONNECTIONS, "{what}: {statuses:?}");
    }
    served.stop().await;
}

#[tokio::test]
async fn slow_bodies_are_few_and_end_at_their_deadline() {
    let served = Served::with(|state| impatient(&mut state.limits)).await;
    let key = served.world.key(Who::Instance).expect("a key");
    let head = format!("POST /api/nfs/exists HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n");
    for (what, length, drip) in [
        ("sized", "Content-Length: 1000000\r\n\r\n{", "a"),
        ("chunked", "Transfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n"),
    ] {
        let statuses = besiege(&served, format!("{head}{length}").as_bytes(), drip.as_bytes()).await;
        let (late, busy) = (counted(&statuses, 408), counted(&statuses, 503));
        assert_eq!(late + busy, CONNECTIONS, "{what}: {statuses:?}");
        assert!(late >= BODIES && busy > 0, "{what}: {late} were waited for, {busy} sent away");
    }
    // What was waited for is given back.
    let mut slow = head.clone().into_bytes();
    slow.extend_from_slice(b"Content-Length: 100\r\n\r\n{");
    assert_eq!(served.raw(slow).await.status, 408);
    served.stop().await;
}

#[tokio::test]
async fn nobody_waits_for_the_body_of_a_stranger() {
    let served = Served::with(|state| impatient(&mut state.limits)).await;
    let head = "POST /api/nfs/exists HTTP/1.1\r\nHost: 127.0.0.1\r\n";
    for (what, length, drip) in [
        ("sized", "Content-Length: 1000000\r\n\r\n{", "a"),
        ("chunked", "Transfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n"),
    ] {
        let statuses = besiege(&served, format!("{head}{length}").as_bytes(), drip.as_bytes()).await;
        assert_eq!(counted(&statuses, 401), CONNECTIONS, "{what}: {statuses:?}");
    }
    served.stop().await;
}

#[tokio::test]
async fn idle_connections_end() {
    let served = Served::with(|state| impatient(&mut state.limits)).await;
    let asked = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    let statuses = besiege(&served, asked, b"").await;
    assert_eq!(counted(&statuses, 200), CONNECTIONS, "{statuses:?}");
    served.stop().await;
}
