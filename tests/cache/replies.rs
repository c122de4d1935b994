//! A kept reply is what would be made now: it ends with any change, with the end of a grant, and is nobody else's.

use std::time::Duration;

use nexus_lite::model::time::iso_utc;
use nexus_lite::telemetry::metric;
use serde_json::{Value, json};

use crate::harness::engine;
use crate::harness::world::{START_US, Who, World};

/// How many requests were answered by kept replies, in this process.
pub(super) fn answered_by_kept() -> u64 {
    let text = metric::render();
    let line = text.lines().find(|line| line.starts_with("kept_replies_total ")).map(str::to_owned);
    line.and_then(|line| line.rsplit(' ').next().and_then(|count| count.parse().ok())).unwrap_or(0)
}

async fn call(world: &World, who: Who, method: &str, params: &Value) -> Result<Value, i64> {
    world.rpc(who, method, params.clone()).await.map_err(|failure| failure.code)
}

/// What bob sees in a directory of alice's.
async fn seen(world: &World, who: Who) -> Vec<String> {
    let listed = call(world, who, "list", &json!({"path": "/shared", "recursive": false})).await.expect("a list");
    let files = listed["files"].as_array().expect("files");
    files.iter().map(|file| file.as_str().expect("a path").to_owned()).collect()
}

/// A directory of alice's with two files, of which bob may read one.
async fn furnished() -> (World, Value) {
    let world = World::new().await;
    let made = json!({"subject": ["user", "alice"], "relation": "direct_owner", "object": ["file", "/shared"]});
    world.rpc(Who::Admin, "mkdir", json!({"path": "/shared", "parents": true})).await.expect("made");
    world.rpc(Who::Admin, "rebac_create", made).await.expect("granted");
    for name in ["a.txt", "b.txt"] {
        let file = json!({"path": format!("/shared/{name}"), "content": name});
        world.rpc(Who::Alice, "write", file).await.expect("written");
    }
    let end = iso_utc(START_US + 60_000_000);
    let share = json!({"subject": ["user", "bob"], "relation": "direct_viewer", "object": ["file", "/shared/a.txt"], "expires_at": end});
    (world, share)
}

#[tokio::test]
async fn a_reply_ends_with_every_change_and_is_nobody_elses() {
    metric::recorder();
    let (world, share) = furnished().await;
    let before = answered_by_kept();
    // The first asks, the second is kept, and the others are answered by it.
    for _ in 0..4 {
        assert_eq!(seen(&world, Who::Alice).await, ["/shared/a.txt", "/shared/b.txt"]);
        assert_eq!(seen(&world, Who::Bob).await, [] as [&str; 0]);
        assert_eq!(seen(&world, Who::Agent).await, [] as [&str; 0], "an agent without rights of its own");
        assert_eq!(seen(&world, Who::Heir).await.len(), 2, "one that inherits");
    }
    let kept = answered_by_kept() - before;
    assert!(engine::is_postgres() || kept >= 8, "{kept} were answered by kept replies");
    let tuple = call(&world, Who::Alice, "rebac_create", &share).await.expect("granted");
    assert_eq!(seen(&world, Who::Bob).await, ["/shared/a.txt"]);
    let read = json!({"path": "/shared/a.txt"});
    for _ in 0..2 {
        assert!(call(&world, Who::Bob, "read", &read).await.is_ok());
    }
    call(&world, Who::Alice, "rebac_delete", &json!({"tuple_id": tuple})).await.expect("taken back");
    assert_eq!(seen(&world, Who::Bob).await, [] as [&str; 0]);
    assert!(call(&world, Who::Bob, "read", &read).await.is_err(), "bytes that are kept are not for him any more");
    for body in ["new", "newer"] {
        let file = json!({"path": "/shared/a.txt", "content": body});
        call(&world, Who::Alice, "write", &file).await.expect("written");
        for _ in 0..2 {
            let stat = call(&world, Who::Alice, "stat", &read).await.expect("there");
            assert_eq!(stat["size"], body.len());
        }
    }
    world.close().await;
}

#[tokio::test]
async fn a_reply_ends_with_the_grant_although_nothing_is_written() {
    let (world, share) = furnished().await;
    call(&world, Who::Alice, "rebac_create", &share).await.expect("granted");
    for _ in 0..3 {
        assert_eq!(seen(&world, Who::Bob).await, ["/shared/a.txt"]);
    }
    let rev = world.head().await;
    world.pass(Duration::from_secs(61)).await;
    assert_eq!(seen(&world, Who::Bob).await, [] as [&str; 0], "it has ended");
    assert_eq!(world.head().await, rev, "and nothing was written");
    world.close().await;
}
