//! `/api/subscriptions`: shapes, statuses, and who sees whose.

use serde_json::{Value, json};

use super::receiver::Receiver;
use crate::harness::client::{Answer, Client, request};
use crate::harness::server::Server;
use crate::harness::world::{Setup, Who, World};

/// Sends a request as `who`; status and body.
async fn send(served: &(World, Server), who: Who, verb: &str, path: &str, body: &str) -> (u16, Value) {
    let answer = raw(served, who, verb, path, body).await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
}

async fn raw((world, server): &(World, Server), who: Who, verb: &str, path: &str, body: &str) -> Answer {
    let bearer = world.key(who).map(|key| format!("Bearer {key}"));
    let headers: Vec<(&str, &str)> = bearer.iter().map(|b| ("Authorization", b.as_str())).collect();
    let agent: Vec<(&str, &str)> = who.agent().iter().map(|agent| ("X-Agent-ID", *agent)).collect();
    let bytes = request(verb, path, &[headers, agent].concat(), body.as_bytes());
    let address = server.address();
    let exchange = move || Client::new(address, None).exchange(&bytes);
    tokio::task::spawn_blocking(exchange).await.expect("no panic").expect("an answer")
}

async fn served() -> (World, Server) {
    let world = World::with(Setup { injected: false, ..Setup::default() }).await;
    let server = Server::start(&world);
    (world, server)
}

async fn stop((world, server): (World, Server)) {
    server.stop().await;
    world.close().await;
}

const ALL: &str = "/api/subscriptions";

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_has_the_shapes_that_clients_know() {
    let served = served().await;
    let body = json!({"url": "http://127.0.0.1:9/hook", "event_types": ["file_write"], "patterns": ["/workspace/**"]});
    let (status, made) = send(&served, Who::Alice, "POST", ALL, &body.to_string()).await;
    assert_eq!(status, 201, "{made}");
    let id = made["id"].as_str().expect("an id").to_owned();
    let wanted = json!({
        "id": id, "tenant_id": "default", "url": "http://127.0.0.1:9/hook", "event_types": ["file_write"],
        "patterns": ["/workspace/**"], "name": null, "description": null, "metadata": null, "enabled": true,
        "last_delivery_at": null, "last_delivery_status": null, "consecutive_failures": 0,
        "created_at": made["created_at"], "updated_at": made["updated_at"], "created_by": "alice",
        "last_error": null, "missed": 0, "signed": false,
    });
    assert_eq!(made, wanted);
    let time = made["created_at"].as_str().expect("a text");
    assert!(time.len() == 26 && !time.ends_with('Z'), "{time}");

    let one = format!("{ALL}/{id}");
    assert_eq!(send(&served, Who::Alice, "GET", &one, "").await, (200, wanted.clone()));
    assert_eq!(send(&served, Who::Alice, "GET", ALL, "").await, (200, json!({"subscriptions": [wanted]})));
    let change = json!({"enabled": false, "name": "n", "metadata": {"a": 1}, "secret": "hidden word", "url": null});
    let (status, changed) = send(&served, Who::Alice, "PATCH", &one, &change.to_string()).await;
    assert_eq!((status, &changed["enabled"], &changed["name"]), (200, &json!(false), &json!("n")));
    assert_eq!((&changed["metadata"], &changed["signed"]), (&json!({"a": 1}), &json!(true)));
    assert!(!changed.to_string().contains("hidden") && changed["url"] == wanted["url"], "{changed}");
    let (_, list) = send(&served, Who::Alice, "GET", &format!("{ALL}?enabled_only=true"), "").await;
    assert_eq!(list, json!({"subscriptions": []}));

    assert_eq!(send(&served, Who::Alice, "DELETE", &one, "").await, (200, json!({"deleted": true})));
    let missing = (404, json!({"detail": "Subscription not found"}));
    assert_eq!(send(&served, Who::Alice, "GET", &one, "").await, missing);
    assert_eq!(send(&served, Who::Alice, "PATCH", &one, "{}").await, missing);
    assert_eq!(send(&served, Who::Alice, "DELETE", &one, "").await, missing);
    let not_found = json!({"success": false, "error": "Subscription not found"});
    assert_eq!(send(&served, Who::Alice, "POST", &format!("{one}/test"), "").await, (200, not_found));
    let (status, body) = send(&served, Who::Anonymous, "GET", ALL, "").await;
    assert_eq!((status, &body["detail"]), (401, &json!("Invalid or missing API key")));
    assert_eq!(send(&served, Who::Alice, "PUT", ALL, "").await.0, 405);
    assert_eq!(send(&served, Who::Alice, "GET", &format!("{one}/x"), "").await.0, 404);
    stop(served).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_told_by_field() {
    let served = served().await;
    for (body, place, kind) in [
        ("{", json!(["body"]), "json_invalid"),
        ("[]", json!(["body"]), "dict_type"),
        ("{}", json!(["body", "url"]), "missing"),
        (r#"{"url": 5}"#, json!(["body", "url"]), "string_type"),
        (r#"{"url": "ftp://x/"}"#, json!(["body", "url"]), "value_error"),
        (r#"{"url": "http://user:word@x/"}"#, json!(["body", "url"]), "value_error"),
        (r#"{"url": "http://x/", "event_types": ["no"]}"#, json!(["body", "event_types"]), "value_error"),
        (r#"{"url": "http://x/", "color": "red"}"#, json!(["body", "color"]), "extra_forbidden"),
    ] {
        let (status, said) = send(&served, Who::Alice, "POST", ALL, body).await;
        let fault = &said["detail"][0];
        assert_eq!((status, &fault["loc"], &fault["type"]), (422, &place, &json!(kind)), "{body}: {said}");
        assert!(fault["msg"].is_string(), "{said}");
    }
    for query in ["limit=x", "limit=-1", "offset=x", "enabled_only=perhaps"] {
        let (status, said) = send(&served, Who::Alice, "GET", &format!("{ALL}?{query}"), "").await;
        assert_eq!((status, &said["detail"][0]["loc"][0]), (422, &json!("query")), "{query}: {said}");
    }
    stop(served).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_maker_and_the_admin_know_of_a_subscription() {
    let served = served().await;
    let body = r#"{"url": "http://127.0.0.1:9/hook", "secret": "a secret word"}"#;
    let (_, made) = send(&served, Who::Alice, "POST", ALL, body).await;
    let one = format!("{ALL}/{}", made["id"].as_str().expect("an id"));
    let listed = async |who| send(&served, who, "GET", ALL, "").await.1["subscriptions"].as_array().map(Vec::len);
    for (who, sees) in [
        (Who::Alice, true),
        (Who::Admin, true),
        (Who::Bob, false),
        (Who::Stranger, false),
        (Who::Agent, false),
        (Who::Heir, false),
        (Who::OtherUser, false),
        (Who::OtherAdmin, false),
    ] {
        let (status, body) = send(&served, who, "GET", &one, "").await;
        assert_eq!(status, if sees { 200 } else { 404 }, "{who:?}: {body}");
        assert!(sees || !body.to_string().contains("127.0.0.1"), "{who:?}: {body}");
        assert_eq!(listed(who).await, Some(usize::from(sees)), "{who:?}");
        if !sees {
            assert_eq!(send(&served, who, "PATCH", &one, r#"{"enabled": false}"#).await.0, 404, "{who:?}");
            assert_eq!(send(&served, who, "DELETE", &one, "").await.0, 404, "{who:?}");
            assert_eq!(send(&served, who, "POST", &format!("{one}/test"), "").await.1["success"], false, "{who:?}");
        }
    }
    // What an agent makes is its own, and its user's.
    let (_, made) = send(&served, Who::Agent, "POST", ALL, body).await;
    assert_eq!(made["created_by"], "alice");
    let theirs = format!("{ALL}/{}", made["id"].as_str().expect("an id"));
    for (who, status) in [(Who::Agent, 200), (Who::Alice, 200), (Who::Heir, 404), (Who::Bob, 404)] {
        assert_eq!(send(&served, who, "GET", &theirs, "").await.0, status, "{who:?}");
    }
    assert_eq!(send(&served, Who::Admin, "DELETE", &one, "").await.0, 200);

    // Nowhere in the database stands the secret; the audit does not show the URL.
    let rows = async |world: &World| {
        let rows = world.store.read(|tx| nexus_lite::store::changelog::after(tx, 0, 1_000)).await;
        format!("{:?}", rows.expect("the log"))
    };
    let log = rows(&served.0).await;
    assert!(log.contains("subscription_create") && !log.contains("a secret word"), "{log}");
    let audit = super::ok(&served.0, Who::Admin, "admin_audit_query", json!({})).await.to_string();
    assert!(audit.contains("subscription:") && !audit.contains("127.0.0.1:9"), "{audit}");
    stop(served).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_is_one_delivery() {
    let served = served().await;
    let receiver = Receiver::start(200);
    let body = json!({"url": receiver.url(), "secret": "word", "metadata": {"m": 1}});
    let (_, made) = send(&served, Who::Alice, "POST", ALL, &body.to_string()).await;
    let id = made["id"].as_str().expect("an id");
    let (status, said) = send(&served, Who::Alice, "POST", &format!("{ALL}/{id}/test"), "").await;
    assert_eq!((status, &said["success"], &said["subscription_id"]), (200, &json!(true), &json!(id)));
    let came = receiver.taken();
    let event = came[0].json();
    assert_eq!(came.len(), 1);
    assert_eq!((&event["id"], &event["event"]), (&said["event_id"], &json!("file_write")));
    assert_eq!(event["data"]["file_path"], "/test/webhook-test.txt");
    assert_eq!((&event["data"]["_test"], &event["data"]["tenant_id"]), (&json!(true), &json!("default")));
    assert_eq!(event["subscription"], json!({"id": id, "metadata": {"m": 1}}));
    assert!(came[0].header("x-nexus-signature").is_some_and(|s| s.starts_with("sha256=")), "{came:?}");
    let report = served.0.store.check().await.expect("a check");
    assert!(report.violations.is_empty(), "{report:?}");
    stop(served).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_attempt_would_not_change_is_told_at_once() {
    let served = {
        // Time stands still: who waits for another attempt waits for ever.
        let world = World::new().await;
        let server = Server::start(&world);
        (world, server)
    };
    let receiver = Receiver::start(302);
    receiver.extra("Location: http://127.0.0.1:9/");
    let elsewhere = receiver.url().replace("127.0.0.1", "127.0.0.2");
    for (url, why, came) in [
        ("http://10.0.0.1/".to_owned(), "webhook_allow", 0),
        (elsewhere, "webhook_allow", 0),
        (receiver.url(), "answered 302", 1),
    ] {
        let (_, made) = send(&served, Who::Alice, "POST", ALL, &json!({"url": url}).to_string()).await;
        let one = format!("{ALL}/{}", made["id"].as_str().expect("an id"));
        let (status, said) = send(&served, Who::Alice, "POST", &format!("{one}/test"), "").await;
        assert_eq!((status, &said["success"], receiver.count()), (200, &json!(false), came), "{url}: {said}");
        assert!(said["error"].as_str().is_some_and(|error| error.contains(why)), "{url}: {said}");
        assert!(said["event_id"].as_str().is_some_and(|id| id.starts_with("evt_test_")), "{said}");
    }
    stop(served).await;
}
