//! `audit`: tail, query and export, on a running and on a stopped server.

use std::process::Stdio;

use serde_json::{Value, json};

use super::{Running, Said, arg, program, run};
use crate::harness::client::Client;

/// The key that the first start wrote down.
fn admin_key(dir: &std::path::Path) -> String {
    std::fs::read_to_string(dir.join("admin.key")).expect("a key").trim().to_owned()
}

#[test]
fn on_a_running_server_and_on_a_stopped_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Running::serve(dir.path(), &[]);
    let url = server.url();
    let key = admin_key(dir.path());
    let address = url.trim_start_matches("http://").parse().expect("an address");
    let mut admin = Client::new(address, Some(&key));
    for n in 0..5 {
        admin.rpc("write", &json!({"path": format!("/docs/{n}.txt"), "content": "a body"})).expect("written");
    }
    let made = admin.rpc("admin_create_key", &json!({"user_id": "bob", "name": "b"})).expect("a key");
    let bob_key = made["api_key"].as_str().expect("a key").to_owned();
    let denied = Client::new(address, Some(&bob_key)).rpc("read", &json!({"path": "/docs/0.txt"}));
    assert!(denied.is_err());

    let online = |args: &[&str]| -> Said { run(args.iter().chain(&["--url", &url, "--key", &key])) };
    let found = online(&["audit", "query", "--object", "/docs/3"]);
    assert_eq!(found.code, 0, "{}", found.err);
    assert!(found.out.contains("file_put") && found.out.contains("node created /docs/3.txt"), "{}", found.out);
    assert!(!found.out.contains("a body") && found.out.lines().count() == 1, "{}", found.out);
    let page = online(&["audit", "query", "--limit", "2", "--json"]);
    let page: Value = serde_json::from_str(&page.out).expect("JSON");
    assert_eq!((page["entries"].as_array().map(Vec::len), &page["complete"]), (Some(2), &json!(false)));
    let more = online(&["audit", "query", "--limit", "2"]);
    assert!(more.out.contains("more: --cursor n."), "{}", more.out);
    let refused = run(["audit", "query", "--url", &url, "--key", &bob_key]);
    assert_eq!((refused.code, refused.out.is_empty()), (77, true), "{}", refused.err);

    // What comes later is followed.
    let mut follow = program(["audit", "tail", "-n", "1", "--follow", "--url", &url, "--key", &key]);
    follow.stderr(Stdio::null());
    let mut follow = Running::start(follow);
    follow.line_with("rev ");
    admin.rpc("write", &json!({"path": "/docs/later.txt", "content": "x"})).expect("written");
    follow.line_with("node created /docs/later.txt");
    drop(follow);
    assert_eq!(server.stop().0, 0);

    let offline = |args: &[&str]| -> Said { run(args.iter().chain(&["--data-dir", arg(dir.path())])) };
    let tail = offline(&["audit", "tail", "--kind", "denial", "--actor", "user:bob", "--op", "read"]);
    assert_eq!(tail.code, 0, "{}", tail.err);
    assert!(tail.out.contains("user:bob  read  DENIED read on file:/docs/0.txt"), "{}", tail.out);
    let followed = offline(&["audit", "tail", "--follow"]);
    assert_eq!((followed.code, followed.err.contains("--url")), (64, true), "{}", followed.err);

    let file = dir.path().join("audit.ndjson");
    let export = offline(&["audit", "export", arg(&file)]);
    assert_eq!((export.code, export.out.as_str()), (0, ""), "{}", export.err);
    let text = std::fs::read_to_string(&file).expect("the export");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert!(export.err.contains(&format!("{} entries", lines.len())), "{}", export.err);
    let revs: Vec<u64> = lines.iter().filter(|l| l["kind"] == "change").filter_map(|l| l["rev"].as_u64()).collect();
    assert!(revs.windows(2).all(|pair| pair[0] + 1 == pair[1]) && revs.first() == Some(&1), "every revision: {revs:?}");
    assert!(lines.iter().any(|l| l["kind"] == "denial") && !text.contains("a body"));
    assert_eq!(offline(&["audit", "export", arg(&file)]).code, 73, "nothing is overwritten");
    let piped = offline(&["audit", "export", "-", "--since", "2", "--until", "3"]);
    assert_eq!(piped.out.lines().count(), 2, "{}", piped.out);
}
