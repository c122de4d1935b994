//! `serve`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nexus_lite::auth::DEMO_KEY;
use nexus_lite::config::{self, Environment, Sources};
use rustix::process::Signal;
use serde_json::json;

use super::{Running, address, arg, program, run};
use crate::harness::client::{Client, LIVENESS};

/// The line that everybody should have read.
const ONE_NODE: &str =
    "sqlite: one node, one writer. For several servers use --database-url postgres://… (README: When to move)";

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).permissions().mode() & 0o777
}

#[test]
fn the_first_start_makes_a_key_and_the_second_one_does_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let mut server = Running::serve(&data, &[]);
    let url = server.url();
    server.line_with(ONE_NODE);
    assert!(server.out.starts_with(&format!("nexus-lite {}  data ", env!("CARGO_PKG_VERSION"))), "{}", server.out);
    assert!(server.out.contains("(new)  sqlite 3.") && server.out.contains("durability full"), "{}", server.out);
    assert!(server.out.contains(&format!("Try:  curl -s {url}/api/nfs/list")), "{}", server.out);
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");

    let file = data.join("admin.key");
    assert_eq!((mode(&file), mode(&data)), (0o600, 0o700));
    let key = std::fs::read_to_string(&file).expect("readable").trim().to_owned();
    assert!(!server.out.contains(&key), "a key goes to a terminal only");
    let whoami = Client::new(address(&url), Some(&key)).get("/api/auth/whoami").expect("an answer").json();
    assert_eq!((&whoami["authenticated"], &whoami["is_admin"]), (&json!(true), &json!(true)), "{whoami}");

    let (code, log) = server.stop();
    assert_eq!(code, 0, "{log}");
    assert!(!log.contains(&key) && log.contains("stopped"), "{log}");
    assert!(!data.join("nexus.sqlite-wal").exists(), "the write-ahead log is gone after a clean stop");

    let mut again = Running::serve(&data, &[]);
    let url = again.url();
    again.line_with(ONE_NODE);
    assert!(!again.out.contains("(new)") && again.out.contains("of the first start"), "{}", again.out);
    assert_eq!(std::fs::read_to_string(&file).expect("readable").trim(), key);
    let whoami = Client::new(address(&url), Some(&key)).get("/api/auth/whoami").expect("an answer").json();
    assert_eq!(whoami["authenticated"], true);
    // As a terminal would.
    again.signal(Signal::INT);
    assert_eq!(again.child.wait().expect("our own child").code(), Some(0));
}

#[test]
fn a_second_signal_ends_at_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Running::serve(dir.path(), &[]);
    let url = server.url();
    let key = std::fs::read_to_string(dir.path().join("admin.key")).expect("the first key");
    // A body that never comes: the server waits for it, longer than this test does.
    let mut slow = TcpStream::connect(address(&url)).expect("connected");
    let head = format!("POST /api/nfs/list HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n", key.trim());
    write!(slow, "{head}Content-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
        .expect("written");
    // With this it says that it has read the head and now waits for the body.
    slow.set_read_timeout(Some(LIVENESS)).expect("a socket");
    let mut go_on = [0; 12];
    slow.read_exact(&mut go_on).expect("100 Continue");
    assert_eq!(&go_on, b"HTTP/1.1 100");

    server.signal(Signal::TERM);
    while Client::new(address(&url), None).get("/ready").is_ok_and(|answer| answer.status == 200) {}
    server.signal(Signal::TERM);
    assert_eq!(server.child.wait().expect("our own child").code(), Some(130));

    // Nothing is lost by it: what was acknowledged is on disk.
    let checked = run(["check", "--data-dir", arg(dir.path())]);
    assert_eq!(checked.code, 0, "{}{}", checked.out, checked.err);
}

#[test]
fn the_demos_key_opens_no_server() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("demo");
    let made = run(["demo", "--once", "--port", "0", "--data-dir", arg(&data)]);
    assert!(made.out.contains("Try:"), "{}{}", made.out, made.err);

    let mut server = Running::serve(&data, &[]);
    let url = server.url();
    let mut client = Client::new(address(&url), Some(DEMO_KEY));
    let answer = client.call("list", &json!({ "path": "/" })).expect("an answer");
    assert_eq!(answer.status, 401, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(client.get("/api/auth/whoami").expect("an answer").json()["authenticated"], false);
    let (code, log) = server.stop();
    assert_eq!(code, 0);
    assert!(log.contains("made by `nexus-lite demo`"), "{log}");

    // Nor can it be made the key of a server.
    let fresh = dir.path().join("fresh");
    let given = program(["serve", "--port", "0", "--data-dir", arg(&fresh)]).env("NEXUS_API_KEY", DEMO_KEY).output();
    assert_eq!(given.expect("the program runs").status.code(), Some(78));
    assert!(!fresh.exists());

    let made = run(["key", "create", "--instance-admin", "--data-dir", arg(&data)]);
    assert_eq!(made.code, 0, "{}", made.err);
    let mut server = Running::serve(&data, &[]);
    let mut client = Client::new(address(&server.url()), Some(made.out.trim()));
    client.rpc("list", &json!({ "path": "/" })).expect("a key of one's own opens it");
}

#[test]
fn one_node_is_said_where_it_may_matter_and_not_to_those_who_know() {
    let dir = tempfile::tempdir().expect("a directory");
    let log_of = |name: &str, more: &[&str]| {
        let mut server = Running::serve(&dir.path().join(name), more);
        server.line_with("Try:");
        let out = server.out.clone();
        let (code, log) = server.stop();
        assert_eq!(code, 0, "{log}");
        (out, log)
    };
    let (_, log) = log_of("production", &["--environment", "production"]);
    let warned = log.lines().find(|line| line.contains(ONE_NODE)).unwrap_or_else(|| panic!("not warned: {log}"));
    assert!(warned.contains("WARN"), "{warned}");
    let (_, log) = log_of("everywhere", &["--host", "0.0.0.0"]);
    assert!(log.contains(ONE_NODE), "{log}");
    let (out, log) = log_of("known", &["--environment", "production", "--acknowledge-single-node"]);
    assert!(!log.contains(ONE_NODE) && !out.contains(ONE_NODE), "{out}{log}");
    let (out, log) = log_of("relaxed", &["--durability", "relaxed"]);
    assert!(out.contains("durability relaxed") && !log.contains(ONE_NODE), "{out}{log}");
}

fn example(name: &str) -> Sources {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/config").join(name);
    let text = std::fs::read_to_string(&path).expect("readable");
    Sources { file: Some((path, text)), ..Sources::default() }
}

#[test]
fn the_example_configurations_are_valid() {
    let development = config::load(&example("development.toml")).expect("valid");
    assert!(development.environment == Environment::Development && development.database_url.is_none());
    development.check_serving().expect("may be served");
    let production = config::load(&example("production.toml")).expect("valid");
    assert!(production.environment == Environment::Production && production.database_url.is_some());
}

#[test]
fn the_production_example_wants_postgresql_and_never_falls_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/config/production.toml");
    let data = dir.path().join("data");
    let said = run(["serve", "--config", file, "--port", "0", "--data-dir", arg(&data)]);
    assert_eq!(said.code, 69, "{}", said.err);
    let why = if cfg!(feature = "postgres") { "cannot be reached" } else { "built without it" };
    assert!(said.err.contains(why) && !said.err.contains("localhost/nexus"), "{}", said.err);
    assert!(!data.exists(), "no SQLite in silence");

    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/config/development.toml");
    let more = ["serve", "--config", file, "--port", "0", "--data-dir", arg(&data)];
    let mut server = Running::start(program(more));
    server.line_with(ONE_NODE);
    assert_eq!(server.stop().0, 0);
}
