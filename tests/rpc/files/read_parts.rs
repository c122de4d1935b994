//! `get_etag`, `read_range`, `read_bulk`, `get_available_namespaces`.

use nexus_lite::model::ContentHash;
use serde_json::{Value, json};

use super::super::*;
use super::shared_world;

const NOBODY: [Who; 4] = [Who::Stranger, Who::Agent, Who::OtherUser, Who::OtherAdmin];

#[tokio::test]
async fn the_etag_alone() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a.txt", "one").await;
    let etag = |who, path: &str| ok(&world, who, "get_etag", json!({"path": path}));
    for who in [Who::Alice, Who::Bob, Who::Admin, Who::Heir] {
        assert_eq!(etag(who, "/w/alice/a.txt").await, json!({"etag": ContentHash::of(b"one").to_hex()}), "{who:?}");
    }
    assert_eq!(etag(Who::Bob, "/w/alice").await, json!({"etag": null}));
    assert_eq!(etag(Who::Bob, "/w/alice/none").await, json!({"etag": null}));
    for who in NOBODY {
        let there = refused(&world, who, "get_etag", json!({"path": "/w/alice/a.txt"}), DENIED).await;
        let missing = refused(&world, who, "get_etag", json!({"path": "/w/alice/b.txt"}), DENIED).await;
        assert_eq!(there.message.replace("a.txt", "b.txt"), missing.message, "{who:?}");
    }
}

#[tokio::test]
async fn a_part_of_a_file() {
    let world = shared_world().await;
    let large = (0..20_000).map(|n| format!("{n:05}")).collect::<String>();
    for (name, body) in [("small", "0123456789".to_owned()), ("large", large)] {
        let path = format!("/w/alice/{name}");
        let etag = write(&world, Who::Alice, &path, &body).await["etag"].clone();
        let part = |from: usize, to: usize| json!({"path": path, "start": from, "end": to, "if_match": etag});
        for (from, to) in [(0, 0), (0, 5), (3, 4), (9, 100_000_000), (body.len(), body.len() + 1), (1 << 40, 1 << 41)] {
            let (begin, end) = (from.min(body.len()), to.min(body.len()));
            let found = text_of(&ok(&world, Who::Bob, "read_range", part(from, to)).await);
            assert!(found == body[begin..end], "{name} {from}..{to}");
        }
    }
    let part = |path: &str, more: Value| {
        let mut params = json!({"path": path, "start": 0, "end": 4});
        params.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
        params
    };
    refused(&world, Who::Bob, "read_range", part("/w/alice/small", json!({"start": 5})), INVALID_PARAMS).await;
    refused(&world, Who::Bob, "read_range", part("/w/alice/small", json!({"start": -1})), INVALID_PARAMS).await;
    let stale = part("/w/alice/small", json!({"if_match": "0".repeat(64)}));
    refused(&world, Who::Bob, "read_range", stale, CONFLICT).await;
    refused(&world, Who::Bob, "read_range", part("/w/alice/none", json!({})), NOT_FOUND).await;
    refused(&world, Who::Bob, "read_range", part("/w/alice", json!({})), PRECONDITION).await;
    for who in NOBODY {
        refused(&world, who, "read_range", part("/w/alice/small", json!({"if_match": "0"})), DENIED).await;
    }
}

#[tokio::test]
async fn several_files_of_one_revision() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a.txt", "one").await;
    write(&world, Who::Alice, "/w/alice/b.txt", &"x".repeat(70_000)).await;
    let paths =
        ["/w/alice/b.txt", "/w/alice/a.txt", "/w/alice/none", "/w/secret.txt", "/w/alice", "/../x", "w//alice/a.txt"];
    let found = ok(&world, Who::Bob, "read_bulk", json!({"paths": paths})).await;
    assert_eq!(found.as_object().expect("a map").keys().map(String::as_str).collect::<Vec<_>>(), paths, "as sent");
    assert_eq!(text_of(&found["/w/alice/b.txt"]).len(), 70_000);
    assert_eq!(text_of(&found["/w/alice/a.txt"]), "one");
    assert_eq!(text_of(&found["w//alice/a.txt"]), "one");
    for path in &paths[2..6] {
        assert_eq!(found[path], Value::Null, "{path}");
    }
    let whole = ok(&world, Who::Bob, "read_bulk", json!({"paths": &paths[..2], "return_metadata": true})).await;
    let row = &whole["/w/alice/a.txt"];
    assert_eq!((text_of(&row["content"]).as_str(), &row["version"], &row["size"]), ("one", &json!(1), &json!(3)));
    assert_eq!(row["etag"], ContentHash::of(b"one").to_hex());
    for (path, code) in [("/w/alice/none", NOT_FOUND), ("/w/secret.txt", DENIED), ("/../x", INVALID_PATH)] {
        let params = json!({"paths": [paths[0], path], "skip_errors": false});
        refused(&world, Who::Bob, "read_bulk", params, code).await;
    }
    for who in NOBODY {
        let none = ok(&world, who, "read_bulk", json!({"paths": ["/w/alice/a.txt", "/w/alice/none"]})).await;
        assert_eq!(none, json!({"/w/alice/a.txt": null, "/w/alice/none": null}), "{who:?}");
    }
    let many: Vec<_> = (0..1_001).map(|n| format!("/{n}")).collect();
    let said = refused(&world, Who::Bob, "read_bulk", json!({"paths": many}), INVALID_PARAMS).await;
    assert!(said.message.contains("at most 1000 paths, not 1001"), "{}", said.message);
    let many = ok(&world, Who::Bob, "read_bulk", json!({"paths": many[..1_000]})).await;
    assert!(many.as_object().expect("a map").values().all(Value::is_null));
}

#[tokio::test]
async fn the_bodies_of_one_request_are_bounded() {
    let world = shared_world().await;
    let (one, paths) = ("x".repeat(17 << 20), ["/w/alice/a", "/w/alice/b", "/w/alice/c"]);
    for path in paths {
        write(&world, Who::Alice, path, &one).await;
    }
    let said = world.rpc(Who::Alice, "read_bulk", json!({"paths": paths})).await.expect_err("too much");
    assert_eq!(said.data["code"], "result_too_large");
    ok(&world, Who::Alice, "read_bulk", json!({"paths": paths[..2]})).await;
}

#[tokio::test]
async fn the_namespaces_of_paths() {
    let world = World::new().await;
    for who in [Who::Admin, Who::Alice, Who::Agent, Who::Stranger, Who::OtherUser] {
        let found = ok(&world, who, "get_available_namespaces", json!({})).await;
        assert_eq!(found, json!({"namespaces": ["archives", "external", "shared", "workspace"]}), "{who:?}");
    }
}
