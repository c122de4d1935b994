//! SIGTERM with requests under way, a second one, and a process that is stopped and goes on.
//!
//! What is under way is known and not guessed: the writer waits at a fault point, and a request whose `100 Continue`
//! has come has been accepted.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use nexus_lite::cli::load::wire::envelope;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::points::write;
use super::{consistent, directory, read_text};
use crate::harness::client::{Answer, Client, LIVENESS, parse, request};
use crate::harness::process::Process;

/// Requests under way when the signal comes.
const UNDER_WAY: usize = 50;
/// How often the process is stopped and goes on.
const STOPS: u64 = 10;
/// Clients that write meanwhile.
const WRITERS: u64 = 4;
/// How often a stopped process is asked whether it has answered.
const LOOKS: usize = 1_000;
/// What a server says that has accepted the head of a request.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A request on a connection of its own.
struct Slow {
    stream: TcpStream,
    body: Vec<u8>,
}

impl Slow {
    /// Sends the head, and keeps the body.
    fn begin(address: SocketAddr, key: &str, method: &str, params: &Value, more: &[(&str, &str)]) -> Self {
        let mut stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(LIVENESS)).expect("a socket");
        let (bearer, body) = (format!("Bearer {key}"), envelope(1, method, params));
        let mut headers = vec![("Content-Type", "application/json"), ("Authorization", bearer.as_str())];
        headers.push(("Expect", "100-continue"));
        headers.extend(more);
        let mut bytes = request("POST", &format!("/api/nfs/{method}"), &headers, &body);
        bytes.truncate(bytes.len() - body.len());
        stream.write_all(&bytes).expect("written");
        Self { stream, body }
    }

    /// Waits until the server has accepted it.
    fn accepted(mut self) -> Self {
        let mut said = [0; CONTINUE.len()];
        self.stream.read_exact(&mut said).expect("an answer");
        assert_eq!(&said, CONTINUE, "{}", String::from_utf8_lossy(&said));
        self
    }

    fn send_body(&mut self) {
        self.stream.write_all(&self.body).expect("written");
    }

    /// The answer; `None` if the connection ends without one.
    fn answer(mut self) -> Option<Answer> {
        let (mut buffer, mut chunk) = (Vec::new(), [0; 4096]);
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(read) => buffer.extend_from_slice(&chunk[..read]),
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(e) => panic!("neither an answer nor an end: {e}"),
            }
            if let Some((answer, _)) = parse(&buffer) {
                return Some(answer);
            }
        }
    }
}

/// A server that has started before, so that no write of a first start is met at the fault point.
fn second_start(data: &std::path::Path, faults: &str, args: &[&str]) -> (Process, String) {
    let mut first = Process::start(data);
    let key = first.admin_key();
    first.signal(Signal::TERM);
    assert!(first.wait().success());
    (Process::start_with(data, faults, args), key)
}

#[test]
fn what_is_under_way_is_answered_and_nothing_new_is_taken() {
    let dir = directory();
    let (mut server, key) = second_start(dir.path(), "before_commit:pause,shutdown_doors_closed:pause", &[]);
    let address = server.address();
    let path = |n: usize| format!("/drain/{n}.txt");
    let mut under_way: Vec<Slow> = (0..UNDER_WAY)
        .map(|n| Slow::begin(address, &key, "write", &json!({"path": path(n), "content": path(n)}), &[]).accepted())
        .collect();
    // One half waits for the writer, which waits at its COMMIT; the other half has still to send its body.
    let (waiting, sending) = under_way.split_at_mut(UNDER_WAY / 2);
    waiting.iter_mut().for_each(Slow::send_body);
    assert_eq!(server.paused(), "before_commit");

    server.signal(Signal::TERM);
    assert_eq!(server.paused(), "shutdown_doors_closed");
    let ready = Client::new(address, None).get("/ready").expect("an answer");
    assert_eq!(ready.status, 503);
    let refused = Client::new(address, Some(&key)).call("write", &json!({"path": "/drain/new.txt", "content": "x"}));
    assert_eq!(refused.expect("an answer").status, 503, "nothing new is taken");

    sending.iter_mut().for_each(Slow::send_body);
    server.go_on("shutdown_doors_closed");
    server.go_on("before_commit");
    for (n, request) in under_way.into_iter().enumerate() {
        let answer = request.answer().unwrap_or_else(|| panic!("{n} had been accepted and got no answer"));
        answer.rpc().unwrap_or_else(|e| panic!("{n}: {e:?}"));
    }
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(!dir.path().join("nexus.sqlite-wal").exists(), "the log is moved and gone");

    server.restart();
    let mut client = Client::new(server.address(), Some(&key));
    for n in 0..UNDER_WAY {
        assert_eq!(read_text(&mut client, &path(n)), Some(path(n)));
    }
    assert_eq!(read_text(&mut client, "/drain/new.txt"), None);
    server.kill();
    consistent(dir.path());
}

#[test]
fn the_grace_ends_the_wait_for_what_never_comes() {
    let dir = directory();
    let (mut server, key) = second_start(dir.path(), "", &["--shutdown-grace", "1"]);
    let mut client = Client::new(server.address(), Some(&key));
    write(&mut client, "/kept.txt", "kept").expect("written");
    // Its body never comes.
    let params = json!({"path": "/never.txt", "content": "x"});
    let slow = Slow::begin(server.address(), &key, "write", &params, &[]).accepted();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(slow.answer().is_none(), "the body's own deadline is longer than the grace");
    assert!(!dir.path().join("nexus.sqlite-wal").exists());
    server.restart();
    let mut client = Client::new(server.address(), Some(&key));
    assert_eq!(read_text(&mut client, "/kept.txt").as_deref(), Some("kept"));
    assert_eq!(read_text(&mut client, "/never.txt"), None);
}

#[test]
fn a_second_signal_ends_at_once_and_loses_nothing_acknowledged() {
    let dir = directory();
    let (mut server, key) = second_start(dir.path(), "before_commit:2:pause,shutdown_doors_closed:pause", &[]);
    let mut client = Client::new(server.address(), Some(&key));
    // As often as it takes to reach the point: a record of the server's own may come in between.
    let mut acknowledged = 0;
    let path = |n: usize| format!("/second/{n}.txt");
    let stuck = loop {
        let params = json!({"path": path(acknowledged), "content": "x"});
        let mut request = Slow::begin(server.address(), &key, "write", &params, &[]).accepted();
        request.send_body();
        if acknowledged == 1 {
            break request;
        }
        request.answer().expect("an answer").rpc().expect("written");
        acknowledged += 1;
    };
    assert_eq!(server.paused(), "before_commit");
    server.signal(Signal::TERM);
    assert_eq!(server.paused(), "shutdown_doors_closed");
    server.go_on("shutdown_doors_closed");
    // The writer would hold the drain for ever.
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(130));
    stuck.stream.set_read_timeout(Some(LIVENESS)).expect("a socket");
    assert!(stuck.answer().is_none());
    drop(client.get("/health"));

    server.restart();
    let mut client = Client::new(server.address(), Some(&key));
    assert_eq!(read_text(&mut client, &path(0)).as_deref(), Some("x"));
    assert_eq!(read_text(&mut client, &path(1)), None, "its COMMIT was never said");
    server.kill();
    consistent(dir.path());
}

/// Waits until the kernel has stopped it.
fn wait_until_stopped(server: &Process) {
    let stat = format!("/proc/{}/stat", server.id());
    let state = || {
        let text = std::fs::read_to_string(&stat).expect("it is there");
        // The command's name may hold spaces; what follows its closing bracket does not.
        text.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next())
    };
    while state() != Some('T') {
        std::thread::yield_now();
    }
}

#[test]
fn a_stopped_process_loses_no_reply_and_does_nothing_twice() {
    let dir = directory();
    let mut server = Process::start_with(dir.path(), "", &["--log", "warn"]);
    let (address, key) = (server.address(), server.admin_key());
    let over = AtomicBool::new(false);
    let written: u64 = std::thread::scope(|scope| {
        // Each writes one file again and again: its version counts the executions.
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (key, over) = (&key, &over);
                scope.spawn(move || {
                    let mut client = Client::new(address, Some(key));
                    let mut version = 0;
                    while !over.load(Ordering::Acquire) {
                        version += 1;
                        let answer = write(&mut client, &format!("/stopped/w{writer}.txt"), &format!("{version}"));
                        assert_eq!(answer.expect("every reply comes")["version"], json!(version));
                    }
                    version
                })
            })
            .collect();
        for stop in 0..STOPS {
            server.signal(Signal::STOP);
            wait_until_stopped(&server);
            let params = json!({"path": format!("/stopped/s{stop}.txt"), "content": "once"});
            let idempotency = format!("stop-{stop}");
            let send = || {
                let header = [("Idempotency-Key", idempotency.as_str())];
                let mut request = Slow::begin(address, &key, "write", &params, &header);
                request.send_body();
                request
            };
            // A client that has waited long enough goes away and asks again.
            drop(send());
            let again = send();
            again.stream.set_nonblocking(true).expect("a socket");
            for _ in 0..LOOKS {
                let looked = again.stream.peek(&mut [0; 1]);
                assert!(looked.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock), "it is stopped");
            }
            again.stream.set_nonblocking(false).expect("a socket");
            server.signal(Signal::CONT);
            let answer = again.accepted().answer().expect("the answer comes");
            assert_eq!(answer.rpc().expect("written")["version"], json!(1), "done twice");
        }
        over.store(true, Ordering::Release);
        writers.into_iter().map(|writer| writer.join().expect("no panic")).sum()
    });
    server.signal(Signal::TERM);
    assert!(server.wait().success());
    consistent(dir.path());
    println!("stopped {STOPS} times under {written} writes: every reply came, each write was done once");
    assert!(written > STOPS, "the load must be one");
}
