//! `key`.

use serde_json::{Value, json};

use super::{Running, address, arg, run};
use crate::harness::client::Client;

fn rows(out: &str) -> Vec<Value> {
    let page: Value = serde_json::from_str(out).expect("JSON");
    page["keys"].as_array().expect("keys").clone()
}

fn knows(url: &str, key: &str) -> bool {
    let whoami = Client::new(address(url), Some(key)).get("/api/auth/whoami").expect("an answer").json();
    whoami["authenticated"] == true
}

#[test]
fn on_a_stopped_server() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Running::serve(dir.path(), &[]);
    server.url();
    assert_eq!(server.stop().0, 0);

    let key = |args: &[&str]| run(["key"].iter().chain(args).chain(&["--data-dir", arg(dir.path())]));
    let made = key(&["create", "--user", "alice", "--name", "laptop"]);
    assert_eq!(made.code, 0, "{}", made.err);
    let alice = made.out.trim().to_owned();
    assert!(alice.starts_with("sk-default_alice_"), "{alice}");
    let listed = key(&["list", "--json"]);
    assert!(!listed.out.contains(&alice), "a key is shown once");
    let listed = rows(&listed.out);
    assert_eq!(listed.len(), 2);
    assert_eq!((&listed[0]["user_id"], &listed[0]["name"]), (&json!("alice"), &json!("laptop")));
    assert_eq!((&listed[0]["is_admin"], &listed[1]["is_admin"]), (&json!(false), &json!(true)));

    let mut server = Running::serve(dir.path(), &[]);
    let url = server.url();
    assert!(knows(&url, &alice));
    assert_eq!(server.stop().0, 0);

    let id = listed[0]["key_id"].as_str().expect("an id");
    let revoked = key(&["revoke", id]);
    assert_eq!(revoked.code, 0, "{}", revoked.err);
    assert_eq!(rows(&key(&["list", "--json"]).out).len(), 1);
    assert_eq!(rows(&key(&["list", "--all", "--json"]).out).len(), 2);
    let last = listed[1]["key_id"].as_str().expect("an id");
    let refused = key(&["revoke", last]);
    assert_ne!(refused.code, 0, "nobody locks himself out");
    let unknown = key(&["revoke", "no-such-key"]);
    assert_eq!(unknown.code, 65, "{}", unknown.err);

    let mut server = Running::serve(dir.path(), &[]);
    let url = server.url();
    assert!(!knows(&url, &alice), "revoked");
}

#[test]
fn on_a_running_server() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Running::serve(dir.path(), &[]);
    let url = server.url();
    let admin = std::fs::read_to_string(dir.path().join("admin.key")).expect("the first key").trim().to_owned();
    let key = |args: &[&str]| run(["key"].iter().chain(args).chain(&["--url", &url, "--key", &admin]));
    let made = key(&["create", "--user", "bob", "--name", "phone"]);
    assert_eq!(made.code, 0, "{}", made.err);
    let bob = made.out.trim().to_owned();
    assert!(knows(&url, &bob));
    let listed = rows(&key(&["list", "--json"]).out);
    let id =
        listed.iter().find(|k| k["user_id"] == "bob").expect("listed")["key_id"].as_str().expect("an id").to_owned();
    assert_eq!(key(&["revoke", &id]).code, 0);
    assert!(!knows(&url, &bob), "revoked from this moment on");

    let refused = run(["key", "list", "--url", &url, "--key", &bob]);
    assert_ne!(refused.code, 0);
    assert_eq!(run(["key", "list", "--url", &url]).code, 64, "a URL needs a key");
    assert_eq!(run(["key", "list", "--url", "http://127.0.0.1:9", "--key", &admin]).code, 69);
}
