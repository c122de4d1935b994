//! watch and hook, on a running server: one that goes away, too.

use std::net::TcpListener;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use super::{Running, Said, program, run};
use crate::harness::process::admin_key;

fn good(said: Said) -> String {
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    said.out
}

/// A server on a port that it can have again.
fn serve(data: &Path, port: u16) -> (Running, String) {
    let port = port.to_string();
    let command = program(["serve", "--port", &port, "--data-dir", super::arg(data)]);
    let mut server = Running::start(command);
    let url = server.url();
    (server, url)
}

#[test]
fn a_watcher_misses_nothing_while_the_server_is_away() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let (server, url) = serve(&data, free);
    let key = admin_key(&data);
    let with = |args: &[&str]| -> Vec<String> {
        [args, &["--url", &url, "--key", &key]].concat().into_iter().map(str::to_owned).collect()
    };
    let local = dir.path().join("local.txt");
    std::fs::write(&local, "one").expect("written");
    let local = super::arg(&local);
    good(run(with(&["put", local, "/docs/a.txt"])));
    good(run(with(&["put", local, "/other/b.txt"])));
    let past = good(run(with(&["watch", "/docs", "--since", "0", "--count", "1"])));
    assert!(past.contains("write        /docs/a.txt  v1  3 B  by admin"), "{past}");

    let mut watcher = Running::start(program(with(&["watch", "/docs/", "--since", "0", "--count", "4", "--json"])));
    watcher.line_with("/docs/a.txt");
    server.signal(Signal::KILL);
    drop(server);
    let (server, _) = serve(&data, free);
    good(run(with(&["mv", "/docs/a.txt", "/docs/c.txt"])));
    good(run(with(&["rm", "/docs/c.txt"])));
    good(run(with(&["put", local, "/docs/d.txt"])));
    let last = watcher.line_with("/docs/d.txt");
    let event: Value = serde_json::from_str(&last).expect("JSON");
    assert_eq!((&event["event"], &event["data"]["version"]), (&"file_write".into(), &1.into()));
    let kinds: Vec<Value> =
        watcher.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")).collect();
    let kinds: Vec<&str> = kinds.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(kinds, ["file_write", "file_rename", "file_delete", "file_write"]);

    let refused = run(["watch", "/docs", "--url", &url, "--key", "sk-wrong"]);
    assert_eq!(refused.code, 77, "{}{}", refused.out, refused.err);
    let offline = run(["watch", "--data-dir", super::arg(&data)]);
    assert!(offline.code == 64 && offline.err.contains("--url"), "{}", offline.err);
    assert_eq!(server.stop().0, 0);
}

#[test]
fn hooks_are_added_listed_tested_and_removed() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let mut server = Running::serve(&data, &[]);
    let url = server.url();
    let key = admin_key(&data);
    let with = |args: &[&str]| run([args, &["--url", &url, "--key", &key]].concat());
    let id = good(with(&["hook", "add", "http://127.0.0.1:9/x", "--pattern", "/docs/**", "--secret", "a word"]));
    let id = id.trim();
    let list = good(with(&["hook", "list"]));
    assert!(list.contains(id) && list.contains("http://127.0.0.1:9/x") && !list.contains("a word"), "{list}");
    let bad = with(&["hook", "add", "ftp://x"]);
    assert!(bad.code == 65 && bad.err.contains("http://"), "{}", bad.err);
    assert!(good(with(&["hook", "remove", id])).contains("removed"));
    let gone = with(&["hook", "test", id]);
    assert!(gone.code == 1 && gone.out.contains("not found"), "{}{}", gone.out, gone.err);
    assert_eq!(server.stop().0, 0);
}
