//! What somebody of one tenant hands to somebody of another: the place in a list, the key of a request, the place in a
//! stream of events. None of them opens anything.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};

use nexus_lite::rpc::Access;
use nexus_lite::rpc::registry::Spec;
use serde_json::{Value, json};

use super::nest::{Caller, Door, Nest};
use super::parameters::calls;
use super::{Aviary, OTHERS, OWN, leaks, methods, shown};
use crate::harness::client::{Answer, LIVENESS, request};

/// Files that make lists long enough for a second page.
const FILES: usize = 3;
/// Calls with a key that one tenant made and repeated, at least.
const KEPT_MIN: usize = 40;
/// What is left to the end, since the callers or their things are gone afterwards.
const LAST: [&str; 5] =
    ["admin_revoke_key", "admin_update_key", "delete_agent", "deprovision_user", "unregister_memory"];
/// What limits a page, by the method.
const LIMITS: [&str; 2] = ["limit", "max_results"];

/// The word of the tenant that finds what the other has handed over.
const FINDER: &str = OTHERS[0];

/// Lists of which a page is asked for: with the things of `nest`, each with a limit of one.
fn pages(spec: &Spec, nest: &Nest) -> Vec<Value> {
    let made = calls(spec, &nest.names, &nest.names).expect("known");
    let limit = LIMITS.into_iter().find(|name| spec.parameters.iter().any(|parameter| parameter.name == *name));
    let limit = limit.unwrap_or_else(|| panic!("{} has a cursor and no limit", spec.entry.name));
    let mut all = vec![made.main];
    all.extend(made.others);
    if spec.parameters.iter().all(|parameter| !parameter.required) {
        all.push(json!({}));
    }
    all.iter_mut().for_each(|params| params[limit] = json!(1));
    all
}

/// The place behind a page, if there is more.
fn cursor(answer: &Answer) -> Option<String> {
    let result = answer.rpc().ok()?;
    let found = ["next_cursor", "cursor"].into_iter().find_map(|name| result[name].as_str());
    found.filter(|cursor| !cursor.is_empty()).map(str::to_owned)
}

/// More than one of each thing that is listed.
fn lengthen(door: &mut Door, nest: &Nest) {
    let key = &nest.user.key;
    for at in 0..FILES {
        let path = format!("{}/{}-{at}.txt", nest.names["directory"], nest.names["body"]);
        let calls = [
            ("write", json!({"path": path, "content": nest.names["body"]})),
            ("delete", json!({"path": path})),
            ("write", json!({"path": path, "content": nest.names["body"]})),
        ];
        for (method, params) in calls {
            door.call(key, method, &params).rpc().unwrap_or_else(|error| panic!("{method}: {error:?}"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_in_a_list_is_of_no_use_in_another_tenant() {
    let aviary = Aviary::new().await;
    let (own, other) = (aviary.furnish(OWN).await, aviary.furnish(FINDER).await);
    let tried = aviary.run(move |door, root, _| {
        lengthen(door, &own);
        lengthen(door, &other);
        let instance = Caller { role: "instance admin", key: root.to_owned() };
        let (mut wrong, mut without) = (Vec::new(), Vec::new());
        let with_cursor = methods().filter(|spec| spec.parameters.iter().any(|parameter| parameter.name == "cursor"));
        for spec in with_cursor {
            let method = spec.entry.name;
            let (lists, finders) = (pages(spec, &own), pages(spec, &other));
            let mut given = 0;
            for giver in own.callers().into_iter().chain([&instance]) {
                for (list, finders) in lists.iter().zip(&finders) {
                    let Some(cursor) = cursor(&door.call(&giver.key, method, list)) else { continue };
                    given += 1;
                    // With what was listed, and with the finder's own.
                    for (params, caller) in [list, finders].into_iter().flat_map(|p| other.callers().map(|c| (p, c))) {
                        let mut params = params.clone();
                        params["cursor"] = json!(cursor);
                        let answer = door.call(&caller.key, method, &params);
                        let found = leaks(&answer, &params.to_string(), OWN, &own);
                        let internal = answer.rpc().err().is_some_and(|error| error.code == -32603);
                        if !found.is_empty() || internal {
                            let cell = format!("{method} as {} with {params}, of {}", caller.role, giver.role);
                            wrong.push(format!("{cell}: reveals {found:?}: {}", shown(&answer)));
                        }
                    }
                }
            }
            if given == 0 {
                without.push(format!("{method}: no list of {lists:?} has a second page"));
            }
        }
        (wrong, without)
    });
    let (wrong, without) = tried.await;
    assert!(wrong.is_empty(), "{} cells:\n{}", wrong.len(), wrong.join("\n"));
    assert!(without.is_empty(), "{}", without.join("\n"));
    aviary.stop().await;
}

/// A call with an Idempotency-Key.
fn keyed(door: &mut Door, caller: &Caller, method: &str, params: &Value, key: &str) -> Answer {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    door.send(&caller.key, "POST", &format!("/api/nfs/{method}"), &[("Idempotency-Key", key)], body.as_bytes())
}

/// Whether an answer is one that was kept, or tells that there is one.
fn knows(answer: &Answer) -> bool {
    let code = answer.rpc().err().and_then(|error| error.data["code"].as_str().map(str::to_owned));
    let told = ["idempotency_key_reused", "already_executed"].into_iter().any(|known| code.as_deref() == Some(known));
    told || answer.header("idempotency-replayed").is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_a_request_means_nothing_in_another_tenant() {
    let aviary = Aviary::new().await;
    let (own, other) = (aviary.furnish(OWN).await, aviary.furnish(FINDER).await);
    let tried = aviary.run(move |door, _, _| {
        let (mut wrong, mut kept) = (Vec::new(), 0);
        let (last, first): (Vec<_>, Vec<_>) = methods()
            .filter(|spec| spec.entry.access != Access::Read)
            .partition(|spec| LAST.contains(&spec.entry.name));
        for spec in first.into_iter().chain(last) {
            let method = spec.entry.name;
            let mine = calls(spec, &own.names, &own.names).expect("known").main;
            let theirs = calls(spec, &other.names, &other.names).expect("known").main;
            for (caller, finder) in own.callers().into_iter().zip(other.callers()) {
                let key = format!("{method}-{}", caller.role);
                let before = keyed(door, caller, method, &mine, &key);
                // The very same request, and one of the finder's own.
                for (at, params) in [&mine, &theirs].into_iter().enumerate() {
                    let answer = keyed(door, finder, method, params, &key);
                    let found = leaks(&answer, &params.to_string(), OWN, &own);
                    // The second one may meet what the first one has left.
                    if !found.is_empty() || (at == 0 && knows(&answer)) {
                        let cell = format!("{method} as {} with {params}", finder.role);
                        wrong.push(format!("{cell}: reveals {found:?}: {}", shown(&answer)));
                    }
                }
                if before.rpc().is_ok() {
                    let again = keyed(door, caller, method, &mine, &key);
                    if !knows(&again) {
                        // Some make no difference, however often they are called.
                        continue;
                    }
                    kept += 1;
                    if again.rpc().is_ok() && again.json() != before.json() {
                        wrong.push(format!("{method} as {}: kept as {}", caller.role, shown(&again)));
                    }
                }
            }
        }
        (wrong, kept)
    });
    let (wrong, kept) = tried.await;
    assert!(wrong.is_empty(), "{} cells:\n{}", wrong.len(), wrong.join("\n"));
    assert!(kept >= KEPT_MIN, "only {kept} requests were kept: nothing was shown");
    aviary.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_called_alike_in_two_tenants_has_requests_of_his_own() {
    let aviary = Aviary::new().await;
    let (own, other) = (aviary.furnish(OWN).await, aviary.furnish(FINDER).await);
    aviary
        .run(move |door, _, _| {
            let alike = [
                ("store_memory", json!({"content": "alike", "scope": "user"}), "list_memories", "alike"),
                ("ace_create_playbook", json!({"name": "alike", "scope": "user"}), "query_playbooks", "alike"),
                ("register_agent", json!({"agent_id": "twin,alike", "name": "alike"}), "list_agents", "twin,alike"),
                ("skills_create", json!({"name": "alike", "description": "alike"}), "skills_list", "alike"),
                ("sandbox_create", json!({"name": "alike"}), "sandbox_list", "alike"),
            ];
            for (method, params, list, name) in alike {
                let (mut answers, same) = (Vec::new(), format!("one-and-the-same-{method}"));
                for nest in [&own, &other] {
                    let answer = keyed(door, &nest.twin, method, &params, &same);
                    assert!(answer.rpc().is_ok() && !knows(&answer), "{method}: {}", shown(&answer));
                    let made = answer.rpc().expect("looked at above");
                    let name = made["memory_id"].as_str().unwrap_or(name);
                    let listed = door.call(&nest.twin.key, list, &json!({}));
                    assert!(shown_all(&listed).contains(name), "{list}: {}", shown(&listed));
                    answers.push(answer.json());
                }
                // Each gets his own reply again.
                for (nest, first) in [&own, &other].into_iter().zip(&answers) {
                    let again = keyed(door, &nest.twin, method, &params, &same);
                    assert_eq!(
                        (again.header("idempotency-replayed"), &again.json()),
                        (Some("true"), first),
                        "{method}"
                    );
                }
            }
        })
        .await;
    aviary.stop().await;
}

fn shown_all(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// What a stream says from `since` on, until it names `last`; and the id that came last.
fn stream(address: SocketAddr, caller: &Caller, since: &str, last: &str) -> (String, String) {
    let bearer = format!("Bearer {}", caller.key);
    let headers = [("Authorization", bearer.as_str()), ("Accept", "text/event-stream"), ("Last-Event-ID", since)];
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(LIVENESS)).expect("a timeout");
    stream.write_all(&request("GET", "/api/events", &headers, b"")).expect("sent");
    let (mut said, mut id) = (String::new(), String::new());
    let mut lines = BufReader::new(stream).lines();
    while !said.contains(last) {
        let line = lines.next().unwrap_or_else(|| panic!("{} waits for {last}: {said}", caller.role)).expect("in time");
        if let Some(place) = line.strip_prefix("id: ") {
            place.clone_into(&mut id);
        }
        said.push_str(&line);
        said.push('\n');
    }
    (said, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_told_in_their_own_tenant() {
    let aviary = Aviary::new().await;
    let (own, other) = (aviary.furnish(OWN).await, aviary.furnish(FINDER).await);
    let address = aviary.server.address();
    let tried = aviary.run(move |door, _, _| {
        let last = |nest: &Nest| format!("{}/the-last-one.txt", nest.names["directory"]);
        let write = |door: &mut Door, nest: &Nest, path: &str| {
            let params = json!({"path": path, "content": nest.names["body"]});
            door.call(&nest.user.key, "write", &params).rpc().expect("written");
        };
        let (mut wrong, mut told) = (Vec::new(), 0);
        for at in 0..FILES {
            for nest in [&own, &other] {
                write(door, nest, &format!("{}/turn-{at}.txt", nest.names["directory"]));
            }
        }
        // Who waits while the other writes is not told of it, only of what comes to him.
        std::thread::scope(|scope| {
            let wait = |nest: &Nest| {
                let caller = nest.user.clone();
                let since = door_head(address, &caller);
                (caller, since)
            };
            let (caller, since) = wait(&own);
            let waiting = scope.spawn(move || {
                let target = format!("/api/events?wait=30&since={since}");
                Door::to(address).send(&caller.key, "GET", &target, &[], b"")
            });
            write(door, &other, &last(&other));
            write(door, &own, &last(&own));
            let answer = waiting.join().expect("no panic");
            let events = answer.json()["events"].as_array().cloned().unwrap_or_default();
            let right = events.iter().all(|event| event["data"]["file_path"] == json!(last(&own)));
            if events.is_empty() || !right || !leaks(&answer, "", FINDER, &other).is_empty() {
                wrong.push(format!("the answer that waits: {}", shown(&answer)));
            }
        });
        // From the beginning, and from a place that was told in the other tenant.
        for (nest, others, word) in [(&own, &other, FINDER), (&other, &own, OWN)] {
            for caller in [&nest.user, &nest.agent, &nest.admin] {
                let (_, foreign) = stream(address, &others.user, "0", "turn-0.txt");
                for since in ["0", foreign.as_str()] {
                    let (said, _) = stream(address, caller, since, &last(nest));
                    let secrets = others.secrets.iter().map(String::as_str).chain([word]);
                    let found: Vec<&str> = secrets.filter(|secret| said.contains(secret)).collect();
                    if !found.is_empty() {
                        wrong.push(format!("the stream of the {} from {since} reveals {found:?}: {said}", caller.role));
                    }
                    told += said.matches("turn-").count();
                }
            }
        }
        (wrong, told)
    });
    let (wrong, told) = tried.await;
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    // The first one is where the second reading begins.
    assert!(told >= 2 * 3 * (FILES + FILES - 1), "{told}");
    aviary.stop().await;
}

/// The newest place in the events, as a caller is told it.
fn door_head(address: SocketAddr, caller: &Caller) -> String {
    let answer = Door::to(address).send(&caller.key, "GET", "/api/events?wait=0", &[], b"");
    answer.json()["last_event_id"].as_str().expect("an id").to_owned()
}
