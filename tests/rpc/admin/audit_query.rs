//! `admin_audit_query`: what was changed and refused, for those who may know it; and the rows it is made of.

use std::time::Duration;

use nexus_lite::store::{StoreError, denials};
use serde_json::{Value, json};

use super::super::{DENIED, INVALID_PARAMS, refused};
use super::ok;
use crate::harness::world::{ELSEWHERE, HOME, Setup, Who, World};

/// The text of a file that must never be in an answer.
const BODY: &str = "the body of the file";

async fn entries(world: &World, who: Who, params: Value) -> Vec<Value> {
    let page = ok(world, who, "admin_audit_query", params).await;
    page["entries"].as_array().expect("entries").clone()
}

/// A file of alice, a refusal of bob, and the writer's tick that takes it up.
async fn scene() -> World {
    let world = World::new().await;
    ok(&world, Who::Admin, "mkdir", json!({"path": "/box"})).await;
    let grant = json!({"subject": ["user", "alice"], "relation": "direct_editor", "object": ["file", "/box"]});
    ok(&world, Who::Admin, "rebac_create", grant).await;
    ok(&world, Who::Alice, "write", json!({"path": "/box/a.txt", "content": BODY})).await;
    world.pass(Duration::from_secs(1)).await;
    refused(&world, Who::Bob, "read", json!({"path": "/box/a.txt"}), DENIED).await;
    world.pass(Duration::from_secs(1)).await;
    ok(&world, Who::Alice, "rename", json!({"old_path": "/box/a.txt", "new_path": "/box/b.txt"})).await;
    world.store.tick().await.expect("a tick");
    world
}

#[tokio::test]
async fn who_changed_what_and_who_was_refused_what() {
    let world = scene().await;
    for who in [Who::Instance, Who::Admin] {
        let found = entries(&world, who, json!({"object_prefix": "/box/"})).await;
        let ops: Vec<&str> = found.iter().map(|e| e["op"].as_str().expect("an op")).collect();
        assert_eq!(ops, ["node_rename", "read", "file_put"], "{who:?}: newest first");
        let (moved, denied, written) = (&found[0], &found[1], &found[2]);
        assert_eq!(
            (&denied["kind"], &denied["actor"], &denied["permission"], &denied["object"], &denied["request_id"]),
            (&json!("denial"), &json!("user:bob"), &json!("read"), &json!("file:/box/a.txt"), &json!("request")),
            "{denied}"
        );
        assert_eq!(denied["rev"], written["rev"], "refused at the revision it saw");
        assert_eq!((&written["actor"], &written["tenant_id"]), (&json!("user:alice"), &json!(HOME)));
        let row = &written["changes"][0];
        assert_eq!(
            (&row["kind"], &row["action"], &row["object"]),
            (&json!("node"), &json!("created"), &json!("/box/a.txt"))
        );
        let row = &moved["changes"][0];
        assert_eq!(
            (&row["action"], &row["object"], &row["from"]),
            (&json!("moved"), &json!("/box/b.txt"), &json!("/box/a.txt"))
        );
        let granted = entries(&world, who, json!({"op": "tuple_create"})).await;
        assert_eq!(granted[0]["changes"][0]["grant"], "user:alice direct_editor", "{granted:?}");
        assert_eq!(granted[0]["changes"][0]["object"], "file:/box");
    }
    world.close().await;
}

#[tokio::test]
async fn nobody_but_admins_and_each_of_its_tenant() {
    let world = scene().await;
    ok(&world, Who::OtherAdmin, "mkdir", json!({"path": format!("/tenant:{ELSEWHERE}")})).await;
    ok(&world, Who::OtherAdmin, "write", json!({"path": format!("/tenant:{ELSEWHERE}/theirs"), "content": "x"})).await;
    refused(&world, Who::OtherUser, "read", json!({"path": "/box/b.txt"}), DENIED).await;
    for who in [Who::Alice, Who::Agent, Who::Heir, Who::Stranger, Who::OtherUser] {
        refused(&world, who, "admin_audit_query", json!({}), DENIED).await;
    }
    world.store.tick().await.expect("a tick");

    let theirs = entries(&world, Who::OtherAdmin, json!({"limit": 1000})).await;
    assert!(theirs.iter().all(|entry| entry["tenant_id"] == ELSEWHERE), "{theirs:?}");
    let text = Value::from(theirs).to_string();
    for (word, is_there) in
        [("/theirs", true), ("admin_audit_query", true), ("a.txt", false), ("bob", false), ("root", false)]
    {
        assert_eq!(text.contains(word), is_there, "{word}: {text}");
    }
    // It hears of its own people's attempts, by the name they used.
    assert!(text.contains("/box/b.txt"), "{text}");

    let ours = Value::from(entries(&world, Who::Admin, json!({"limit": 1000})).await).to_string();
    assert!(ours.contains("/box/a.txt") && !ours.contains("/theirs") && !ours.contains(ELSEWHERE), "{ours}");
    refused(&world, Who::Admin, "admin_audit_query", json!({"tenant_id": ELSEWHERE}), DENIED).await;
    refused(&world, Who::OtherAdmin, "admin_audit_query", json!({"tenant_id": HOME}), DENIED).await;
    let all = Value::from(entries(&world, Who::Instance, json!({"limit": 1000})).await).to_string();
    assert!(all.contains("/box/a.txt") && all.contains("/theirs"));
    let one = entries(&world, Who::Instance, json!({"tenant_id": ELSEWHERE, "limit": 1000})).await;
    assert!(!one.is_empty() && one.iter().all(|entry| entry["tenant_id"] == ELSEWHERE));
    // What the instance admin does in another tenant is an entry of his own tenant, without the other's rows.
    ok(&world, Who::Instance, "write", json!({"path": format!("/tenant:{ELSEWHERE}/by-root"), "content": "x"})).await;
    let ours = Value::from(entries(&world, Who::Admin, json!({"limit": 1000})).await).to_string();
    assert!(ours.contains("user:root") && !ours.contains("by-root"), "{ours}");
    world.close().await;
}

#[tokio::test]
async fn bodies_rules_and_secrets_are_never_shown() {
    let world = scene().await;
    let made = ok(&world, Who::Instance, "admin_create_key", json!({"user_id": "u", "name": "k"})).await;
    let id = made["key_id"].clone();
    ok(&world, Who::Instance, "admin_update_key", json!({"key_id": id, "name": "renamed"})).await;
    let rules = json!({"relations": {"peculiar": {}}, "permissions": {"read": ["peculiar"]}});
    ok(&world, Who::Instance, "namespace_create", json!({"object_type": "doc", "config": rules})).await;
    let agent = json!({"agent_id": "root,x", "name": "x", "metadata": {"system_prompt": "be very quiet"}});
    ok(&world, Who::Instance, "register_agent", agent).await;
    let published = world.store.published();
    let hashes: Vec<String> = {
        use nexus_lite::auth::AuthIndex;
        let key = published.view::<AuthIndex>().key(id.as_str().expect("an id")).expect("the key");
        vec![key.hash.clone(), made["api_key"].as_str().expect("a key").to_owned()]
    };
    let text = Value::from(entries(&world, Who::Instance, json!({"limit": 1000})).await).to_string();
    let secrets = hashes.iter().map(String::as_str);
    for word in secrets.chain([BODY, "peculiar", "be very quiet", "hash_scheme"]) {
        assert!(!text.contains(word), "{word}: {text}");
    }
    for word in ["renamed", "namespace:doc", "agent:root,x", &format!("key:{}", id.as_str().expect("an id"))] {
        assert!(text.contains(word), "{word}: {text}");
    }
    world.close().await;
}

#[tokio::test]
async fn filters_and_pages() {
    let world = scene().await;
    for n in 0..7 {
        ok(&world, Who::Alice, "write", json!({"path": format!("/box/{n}"), "content": "x"})).await;
        refused(&world, Who::Bob, "read", json!({"path": format!("/box/{n}")}), DENIED).await;
        world.pass(Duration::from_secs(1)).await;
    }
    let root = Who::Instance;
    let all = entries(&world, root, json!({"limit": 1000, "order": "oldest"})).await;
    let newest = entries(&world, root, json!({"limit": 1000})).await;
    assert_eq!(
        newest.iter().rev().collect::<Vec<_>>(),
        all.iter().collect::<Vec<_>>(),
        "the same, the other way round"
    );
    assert!(all.is_sorted_by_key(|entry| entry["at"].as_str().map(str::to_owned)));
    for (order, whole) in [("oldest", &all), ("newest", &newest)] {
        for limit in [1, 3, all.len()] {
            let (mut found, mut cursor) = (Vec::new(), Value::Null);
            loop {
                let mut params = json!({"order": order, "limit": limit});
                if !cursor.is_null() {
                    params["cursor"] = cursor;
                }
                let page = ok(&world, root, "admin_audit_query", params).await;
                found.extend(page["entries"].as_array().expect("entries").clone());
                cursor = page["cursor"].clone();
                if page["complete"] == true {
                    break;
                }
                assert!(page["reason"].is_string(), "a page that ends early says why");
            }
            assert_eq!(&found, whole, "{order} by {limit}");
        }
    }
    let count = |filter: fn(&Value) -> bool| all.iter().filter(|entry| filter(entry)).count();
    for (params, wanted) in [
        (json!({"kind": "denial"}), count(|e| e["kind"] == "denial")),
        (json!({"kind": "change"}), count(|e| e["kind"] == "change")),
        (json!({"actor": "user:alice"}), count(|e| e["actor"] == "user:alice")),
        (json!({"op": "read"}), count(|e| e["op"] == "read")),
        (json!({"object_prefix": "/box/3"}), 2),
        (json!({"object_prefix": "file:/box/3"}), 2),
        (json!({"since_rev": all[4]["rev"], "until_rev": all[4]["rev"], "kind": "change"}), 1),
        (json!({"since": all[9]["at"], "until": all[9]["at"]}), count(|_| true).min(2)),
        (json!({"since": "2040-01-01T00:00:00Z"}), 0),
        (json!({"until": "2001-01-01T00:00:00Z"}), 0),
    ] {
        for order in ["newest", "oldest"] {
            let mut params = params.clone();
            (params["limit"], params["order"]) = (json!(1000), json!(order));
            assert_eq!(entries(&world, root, params.clone()).await.len(), wanted, "{params}");
        }
    }
    // What comes later goes on where the end was.
    let end =
        ok(&world, root, "admin_audit_query", json!({"limit": 1})).await["end"].as_str().expect("the end").to_owned();
    let next = |cursor: String| entries(&world, root, json!({"order": "oldest", "cursor": cursor}));
    assert!(next(end.clone()).await.is_empty());
    ok(&world, Who::Alice, "write", json!({"path": "/box/late", "content": "x"})).await;
    assert_eq!(next(end).await.len(), 1);

    for params in [
        json!({"limit": 0}),
        json!({"limit": 1001}),
        json!({"kind": "both"}),
        json!({"order": "up"}),
        json!({"cursor": "o.1.1"}),
        json!({"cursor": "n.-1.1"}),
        json!({"cursor": "n.1.99999999999999999999"}),
        json!({"cursor": ""}),
    ] {
        refused(&world, root, "admin_audit_query", params, INVALID_PARAMS).await;
    }
    world.close().await;
}

#[tokio::test]
async fn a_denial_is_noted_once_and_waited_for_by_nobody() {
    let world = scene().await;
    let rows =
        async || world.store.read(|tx| Ok::<_, StoreError>(denials::after(tx, 0, 1000)?.len())).await.expect("read");
    let before = rows().await;
    // The writer stands still; the refusals come all the same.
    let held = world.hold_writer();
    for _ in 0..5 {
        refused(&world, Who::Stranger, "read", json!({"path": "/box/b.txt"}), DENIED).await;
    }
    refused(&world, Who::Stranger, "delete", json!({"path": "/box/b.txt"}), DENIED).await;
    held.release();
    world.store.tick().await.expect("a tick");
    assert_eq!(rows().await, before + 2, "the very same refusal waits once");
    let head = world.head().await;
    world.store.tick().await.expect("a tick");
    assert_eq!(world.head().await, head, "denials move no revision");
    world.close().await;
}

#[tokio::test]
async fn denials_are_bounded_in_rows_days_and_in_the_lane() {
    const ROWS: u64 = 10;
    const LANE: usize = 30;
    let tune = Box::new(|options: &mut nexus_lite::store::Options| {
        (options.limits.denials, options.limits.notes) = (ROWS, LANE);
    });
    let world = World::with(Setup { tune, ..Setup::default() }).await;
    world.store.tick().await.expect("a tick");
    let held = world.hold_writer();
    for n in 0..50 {
        refused(&world, Who::Stranger, "read", json!({"path": format!("/{n}")}), DENIED).await;
    }
    assert!(world.store.status().notes_dropped >= 20, "the lane is full: dropped and counted");
    held.release();
    for _ in 0..2 {
        world.store.tick().await.expect("a tick");
    }
    let rows =
        async || world.store.read(|tx| Ok::<_, StoreError>(denials::after(tx, 0, 1000)?.len())).await.expect("read");
    assert_eq!(rows().await as u64, ROWS);
    world.pass(Duration::from_secs(31 * 24 * 60 * 60)).await;
    assert_eq!(rows().await, 0);
    world.close().await;
}
