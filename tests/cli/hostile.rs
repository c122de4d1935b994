//! The program against clients that mean it harm: what its memory, its log and its descriptors do.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};

use super::{PROGRAM, Running, address, arg, program};
use crate::harness::client::{Answer, Client, LIVENESS, parse, request};
use crate::harness::growth::Growth;

/// What the memory of the server may grow by, whatever is sent, KiB.
const GROWTH_MAX_KB: u64 = 64 * 1024;
/// The limit of request bodies, bytes.
const BODY_BYTES: usize = 16 << 20;

fn key_of(data_dir: &Path) -> String {
    std::fs::read_to_string(data_dir.join("admin.key")).expect("the first key").trim().to_owned()
}

/// Sends `head`, then `chunk` again and again, until the server answers or `most` bytes are sent; its answer.
fn pour(address: SocketAddr, head: &[u8], chunk: &[u8], most: usize) -> Answer {
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(LIVENESS)).expect("a socket");
    stream.set_write_timeout(Some(LIVENESS)).expect("a socket");
    let mut reader = stream.try_clone().expect("a socket");
    let heard = std::thread::spawn(move || {
        let (mut said, mut piece) = (Vec::new(), [0; 4096]);
        loop {
            if let Some((answer, _)) = parse(&said) {
                return answer;
            }
            match reader.read(&mut piece) {
                Ok(n) if n > 0 => said.extend_from_slice(&piece[..n]),
                end => panic!("no answer: {end:?}"),
            }
        }
    });
    let mut sent = 0;
    let mut ended = stream.write_all(head).is_err();
    while !ended && sent < most && !heard.is_finished() {
        ended = stream.write_all(chunk).is_err();
        sent += chunk.len();
    }
    heard.join().expect("an answer")
}

#[test]
fn no_body_costs_more_than_its_share_of_memory() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Running::serve(dir.path(), &["--log", "error"]);
    let address = address(&server.url());
    let pid = server.pid();
    let key = key_of(dir.path());
    let mut client = Client::new(address, Some(&key));
    client.rpc("list", &json!({"path": "/"})).expect("an answer");
    let growth = Growth::of(pid, GROWTH_MAX_KB);
    let grown = |what: &str| growth.look(what);
    let head = |method: &str, lines: &str| {
        let key = format!("Authorization: Bearer {key}\r\n");
        format!("POST /api/nfs/{method} HTTP/1.1\r\nHost: 127.0.0.1\r\n{key}{lines}\r\n").into_bytes()
    };
    let megabyte = vec![b'x'; 1 << 20];

    // Announced or not, more than is taken.
    for (what, bytes) in [("10 GiB announced", 10_u64 << 30), ("1 GiB announced", 1 << 30)] {
        let answer = pour(address, &head("write", &format!("Content-Length: {bytes}\r\n")), &megabyte, 8 << 20);
        assert_eq!(answer.status, 413, "{what}");
        grown(what);
    }
    let mut chunk = format!("{:x}\r\n", megabyte.len()).into_bytes();
    chunk.extend_from_slice(&megabyte);
    chunk.extend_from_slice(b"\r\n");
    let answer = pour(address, &head("write", "Transfer-Encoding: chunked\r\n"), &chunk, 256 << 20);
    assert_eq!(answer.status, 413, "chunks without an end");
    grown("chunks without an end");
    // A stranger's are not even kept.
    let stranger = b"POST /api/nfs/write HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(pour(address, stranger, &chunk, 256 << 20).status, 401);
    grown("chunks of a stranger");

    // What would unpack to more.
    let bomb = head("write", "Content-Encoding: gzip\r\nContent-Length: 1048576\r\n");
    assert_eq!(pour(address, &bomb, &megabyte, 1 << 20).rpc().expect_err("refused").code, -32600);
    let bomb = head("write", "Transfer-Encoding: gzip, chunked\r\n");
    assert_eq!(pour(address, &bomb, &chunk, 1 << 20).status, 400);
    grown("compressed bodies");

    // What would be many times as large in memory, for methods that take any JSON.
    let wide = |piece: &str, last: &str, bytes: usize| format!("[{}{last}]", piece.repeat(bytes / piece.len() - 1));
    let room = BODY_BYTES / 8;
    for (what, value) in [
        // Three million: at 32 bytes each more than may be grown by.
        ("numbers", wide("1,", "1", 3 * room)),
        ("lists", wide("[],", "[]", room)),
        ("objects", wide("{},", "{}", room)),
        ("objects with a name", wide(r#"{"":1},"#, "1", room)),
        ("texts", wide(r#""","#, r#""""#, room)),
        ("100,000 levels", format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))),
        ("one long text", format!("\"{}\"", "x".repeat(room))),
        ("one long name", format!("{{\"{}\":1}}", "x".repeat(room))),
    ] {
        for (method, params) in [
            ("register_workspace", format!(r#"{{"path":"/w","metadata":{{"a":{value}}}}}"#)),
            ("namespace_validate", format!(r#"{{"config":{value}}}"#)),
        ] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"params":{params}}}"#);
            assert!(body.len() <= BODY_BYTES);
            let bearer = format!("Bearer {key}");
            let bytes = request("POST", &format!("/api/nfs/{method}"), &[("Authorization", &bearer)], body.as_bytes());
            let answer = Client::new(address, None).exchange(&bytes).expect("an answer");
            assert!(answer.status == 200, "{what} to {method}: {}", answer.status);
            if let Err(refused) = answer.rpc() {
                let typed = matches!(refused.code, -32700 | -32602 | -32002 | -32005);
                assert!(typed, "{what} to {method}: {refused:?}");
                assert!(answer.body.len() < 4096, "{what} to {method}: {} bytes back", answer.body.len());
            } else {
                assert!(what.starts_with("one long"), "{what} to {method}: taken");
            }
            grown(&format!("{what} to {method}"));
        }
    }
    client.rpc("list", &json!({"path": "/"})).expect("it still answers");
    assert_eq!(server.stop().0, 0);
}

#[test]
fn nothing_that_is_sent_breaks_a_line_of_the_log_or_a_header() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let log = dir.path().join("log");
    let mut command =
        program(["serve", "--port", "0", "--log-format", "json", "--log", "trace", "--data-dir", arg(&data)]);
    command.stderr(Stdio::from(File::create(&log).expect("writable")));
    let mut server = Running::start(command);
    let address = address(&server.url());
    let key = key_of(&data);
    let bearer = format!("Bearer {key}");
    let mut client = Client::new(address, Some(&key));
    // What would be seen if it got out as it is.
    let marks =
        ["a\r\nX-Injected: 1\r\n\r\n", "a\nX-Injected: 1", "a\rX-Injected: 1", "a\0X-Injected", "a\u{2028}b\u{85}c"];
    let quoted = "\"}\n{\"level\":\"ERROR\",\"message\":\"forged\"}\n";
    for mark in marks.into_iter().chain([quoted, "\u{1b}[2J\u{1b}[31mforged"]) {
        let path = format!("/workspace/{mark}.txt");
        let skill = format!("---\nname: {}\ndescription: d\n---\n", json!(mark));
        for (method, params) in [
            ("write", json!({"path": path, "content": "x"})),
            ("write", json!({"path": "/skills/s/SKILL.md", "content": skill})),
            ("read", json!({"path": path})),
            ("delete", json!({"path": path})),
            ("rename", json!({"old_path": "/workspace/a", "new_path": path})),
            ("register_agent", json!({"agent_id": mark, "name": mark})),
            ("register_workspace", json!({"path": "/w", "name": mark, "description": mark})),
            ("rebac_create", json!({"subject": ["user", mark], "relation": mark, "object": ["file", "/a"]})),
            ("rebac_check", json!({"subject": ["user", mark], "permission": mark, "object": [mark, mark]})),
            ("namespace_create", json!({"object_type": mark, "config": {mark: {mark: mark}}})),
            (
                "namespace_validate",
                json!({"object_type": "file", "config": {"relations": {mark: {}}, "permissions": {mark: [mark]}}}),
            ),
            ("admin_create_key", json!({"user_id": mark, "name": mark})),
            ("sandbox_get_or_create", json!({"name": mark})),
            ("skills_info", json!({"skill_name": mark})),
        ] {
            let answer = client.call(method, &params).expect("an answer");
            assert!(answer.status < 500, "{method} {mark:?}: {}", String::from_utf8_lossy(&answer.body));
            unforged(&answer, method, mark);
        }
        // In headers only what can stand in one can be sent at all.
        let spelled: String = mark.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let headers = [
            ("Authorization", bearer.as_str()),
            ("X-Request-ID", &spelled),
            ("User-Agent", &spelled),
            ("X-Agent-ID", &spelled),
            ("If-None-Match", &spelled),
        ];
        let body = json!({"id": mark, "params": {"path": "/"}}).to_string();
        let answer = client.exchange(&request("POST", "/api/nfs/list", &headers, body.as_bytes())).expect("an answer");
        unforged(&answer, "headers", mark);
        let encoded: String = mark.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for target in [format!("/api/nfs/{encoded}"), format!("/{encoded}"), format!("/health?{encoded}")] {
            let bytes = request("POST", &target, &headers[..1], b"{}");
            unforged(&client.exchange(&bytes).expect("an answer"), &target, mark);
        }
    }
    assert_eq!(server.stop().0, 0);
    let log = std::fs::read_to_string(&log).expect("UTF-8");
    let mut lines = 0;
    for line in log.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("no JSON ({e}): {line}"));
        assert!(event["message"] != "forged" && event["level"].is_string(), "{line}");
        assert!(!line.contains(&key[10..]), "a key: {line}");
        lines += 1;
    }
    println!("{lines} lines of log, each one event");
    assert!(lines > 100, "the log of everything says something: {lines}");
}

/// Nothing of what was sent stands in the head as it was sent.
fn unforged(answer: &Answer, what: &str, mark: &str) {
    for (name, value) in &answer.headers {
        assert!(!name.contains("injected"), "{what} {mark:?}: {name}: {value}");
        let plain = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        assert!(plain && !value.contains("Injected") && !value.contains("forged"), "{what} {mark:?}: {name}: {value}");
    }
}

/// The limit of open files that the smallest server gets.
const FILES: u64 = 64;
/// Connections that are tried on it.
const CONNECTIONS: usize = 200;
/// Calls that are made meanwhile: each wakes the server up.
const CALLS: usize = 200;
/// Time of the processor that all of that may cost, seconds: a loop that spins takes as much as there is.
const CPU_SECONDS_MAX: f64 = 20.0;

/// Processor time of the process so far, seconds.
fn cpu_seconds(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("our own child");
    // Behind the name, which may hold anything: state, then from the 12th on utime and stime.
    let fields: Vec<&str> = text.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
    // Linux shows hundredths to everybody.
    (ticks(11) + ticks(12)) / 100.0
}

fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("our own child").count()
}

/// The descriptor that the process would get next.
fn first_free(pid: u32) -> u64 {
    (0..).find(|number| std::fs::symlink_metadata(format!("/proc/{pid}/fd/{number}")).is_err()).expect("one of them")
}

#[test]
fn with_few_descriptors_connections_wait_and_nothing_fails() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {FILES}; exec \"$0\" \"$@\"");
    let args = ["serve", "--port", "0", "--log", "warn", "--data-dir", arg(dir.path())];
    command.args(["-c", &script, PROGRAM]).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut server = Running::start(command);
    let address = address(&server.url());
    let pid = server.pid();
    let mut client = Client::new(address, Some(&key_of(dir.path())));
    client.rpc("list", &json!({"path": "/"})).expect("an answer");
    let before = cpu_seconds(pid);
    println!("{} descriptors at rest", descriptors(pid));

    let crowd: Vec<TcpStream> =
        (0..CONNECTIONS).map(|_| TcpStream::connect(address).expect("the kernel takes it")).collect();
    let large = "x".repeat(100_000);
    for call in 0..CALLS {
        // A body in the database, one in a file, reading them, and a backup now and then.
        let name = format!("/workspace/f{}", call % 7);
        let content = if call % 3 == 0 { format!("{call}{large}") } else { format!("{call}") };
        client.rpc("write", &json!({"path": name, "content": content})).expect("written");
        let read = client.rpc("read", &json!({"path": name})).expect("read");
        assert!(read["data"].is_string() || read.is_object(), "{read}");
        if call % 50 == 0 {
            client.rpc("admin_create_backup", &json!({})).expect("a backup");
        }
    }
    let open = descriptors(pid);
    let spent = cpu_seconds(pid) - before;
    println!("{open} descriptors of {FILES}, {spent} s of processor time for {CALLS} rounds");
    assert!(open as u64 <= FILES && spent < CPU_SECONDS_MAX, "{open} descriptors, {spent} s");
    drop(crowd);
    // Those who waited have gone; who comes now is served.
    for _ in 0..CONNECTIONS {
        assert_eq!(Client::new(address, None).get("/health").expect("an answer").status, 200);
    }
    let (code, log) = server.stop();
    assert_eq!(code, 0, "{log}");
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn without_any_descriptor_left_calls_are_refused_and_come_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Running::serve(dir.path(), &["--log", "warn"]);
    let address = address(&server.url());
    let pid = server.pid();
    let mut client = Client::new(address, Some(&key_of(dir.path())));
    let large = "x".repeat(100_000);
    let put = |client: &mut Client, path: &str| client.rpc("write", &json!({"path": path, "content": large}));
    put(&mut client, "/workspace/before").expect("written");

    // Somebody takes away what is left while the server runs: the next descriptor would be one too many.
    let process = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
    let all = prlimit(Some(process), Resource::Nofile, limit(first_free(pid))).expect("our own child");
    let before = cpu_seconds(pid);
    let crowd: Vec<TcpStream> =
        (0..CONNECTIONS).map(|_| TcpStream::connect(address).expect("the kernel takes it")).collect();
    for call in 0..CALLS {
        let refused =
            client.rpc("write", &json!({"path": format!("/workspace/{call}"), "content": format!("{call}{large}")}));
        let refused = refused.expect_err("a file cannot be opened");
        assert_eq!((refused.code, &refused.data["code"]), (-32010, &json!("busy")), "{refused:?}");
        client.rpc("write", &json!({"path": "/workspace/small", "content": "x"})).expect("the database is open");
        client.rpc("read", &json!({"path": "/workspace/small"})).expect("the database is open");
        assert_eq!(client.rpc("read", &json!({"path": "/workspace/before"})).expect_err("a file").code, -32010);
    }
    let backup = client.rpc("admin_create_backup", &json!({})).expect_err("no files");
    assert_eq!(backup.code, -32010, "{backup:?}");
    let spent = cpu_seconds(pid) - before;
    println!("{spent} s of processor time for {CALLS} rounds without a descriptor");
    assert!(spent < CPU_SECONDS_MAX, "{spent} s");

    prlimit(Some(process), Resource::Nofile, all).expect("our own child");
    put(&mut client, "/workspace/after").expect("written");
    client.rpc("read", &json!({"path": "/workspace/before"})).expect("read");
    client.rpc("admin_create_backup", &json!({})).expect("a backup");
    drop(crowd);
    assert_eq!(Client::new(address, None).get("/health").expect("an answer").status, 200);
    assert_eq!(server.stop().0, 0);
    let checked = super::run(["check", "--data-dir", arg(dir.path())]);
    assert_eq!(checked.code, 0, "{}{}", checked.out, checked.err);
}

fn limit(files: u64) -> Rlimit {
    // The hard limit stays: not everybody may raise it again.
    Rlimit { current: Some(files), maximum: getrlimit(Resource::Nofile).maximum }
}

#[test]
fn too_few_descriptors_to_serve_are_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 40; exec \"$0\" \"$@\"", PROGRAM])
        .args(["serve", "--port", "0", "--data-dir", arg(dir.path())])
        .output()
        .expect("the program runs");
    let said = super::Said::of(output);
    assert_ne!(said.code, 0, "{}", said.out);
    assert!(said.err.contains("open files") || said.err.contains("Too many open files"), "{}", said.err);
}
