//! Deliveries of the real program, which is killed: while its receiver is away, and while it delivers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::receiver::{Delivery, Receiver};
use super::short;
use crate::harness::client::{Client, LIVENESS, request};
use crate::harness::process::Process;

/// Files written before each kill.
const FILES: usize = 20;
/// Events that came before the kill in the middle.
const MIDDLE: usize = 15;

fn rpc(client: &mut Client, method: &str, params: &Value) {
    client.rpc(method, params).unwrap_or_else(|error| panic!("{method}: {error:?}"));
}

/// Writes, moves and deletes; what has to be told, per file that it began with.
fn act(client: &mut Client, prefix: &str, wanted: &mut BTreeMap<String, Vec<String>>) -> usize {
    for at in 0..FILES {
        let (path, moved) = (format!("/w/{prefix}{at}.txt"), format!("/w/{prefix}{at}.moved"));
        rpc(client, "write", &json!({"path": path, "content": "one"}));
        rpc(client, "write", &json!({"path": path, "content": "two"}));
        rpc(client, "rename", &json!({"old_path": path, "new_path": moved}));
        let told =
            vec![format!("file_write {path}"), format!("file_write {path}"), format!("file_rename {path} {moved}")];
        wanted.insert(format!("{prefix}{at}"), told);
    }
    FILES * 3
}

/// Each event once, by its id, in the order in which it came first; a repeat says the same.
fn once(taken: &[Delivery]) -> Vec<Value> {
    let mut seen: BTreeMap<String, Value> = BTreeMap::new();
    let mut order = Vec::new();
    for delivery in taken {
        let event = delivery.json();
        let id = event["id"].as_str().expect("an id").to_owned();
        match seen.get(&id) {
            Some(before) => assert_eq!(before, &event, "told again with other words"),
            None => {
                order.push(event.clone());
                seen.insert(id, event);
            }
        }
    }
    order
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_tells_each_event_and_invents_none() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let receiver = Receiver::start(0);
    let args = ["--webhook-allow", "127.0.0.1/32"];
    let mut server = Process::start_keyed(dir.path(), &args);
    let key = crate::harness::process::FAR_KEY;
    let mut client = Client::new(server.address(), Some(key));
    let body = json!({"url": receiver.url(), "patterns": ["/w/*"]}).to_string();
    let bearer = format!("Bearer {key}");
    let headers = [("Authorization", bearer.as_str())];
    let made = client.exchange(&request("POST", "/api/subscriptions", &headers, body.as_bytes())).expect("an answer");
    assert_eq!(made.status, 201, "{}", String::from_utf8_lossy(&made.body));

    // The receiver is away, and the server dies.
    let mut wanted = BTreeMap::new();
    let mut count = act(&mut client, "a", &mut wanted);
    assert!(receiver.within(LIVENESS, |deliveries| !deliveries.is_empty()).await, "it was tried");
    server.kill();
    receiver.answer(200);
    server.restart();
    receiver.until_taken(count).await;

    // It dies while it delivers.
    let mut client = Client::new(server.address(), Some(key));
    count += act(&mut client, "b", &mut wanted);
    receiver.until_taken(FILES * 3 + MIDDLE).await;
    server.kill();
    server.restart();
    receiver.until_taken(count).await;

    let events = once(&receiver.taken());
    assert_eq!(events.len(), count, "none is invented");
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in &events {
        let data = &event["data"];
        let path = data["file_path"].as_str().or(data["old_path"].as_str()).expect("a path");
        let name = path.trim_start_matches("/w/").trim_end_matches(".txt").to_owned();
        told.entry(name).or_default().push(short(event));
    }
    assert_eq!(told, wanted, "each event, in the order of its path");
}
