//! `exists` and `is_directory`: what is seen, and what is not.

use serde_json::json;

use super::super::*;
use super::shared_world;

async fn seen(world: &World, who: Who, path: &str) -> (bool, bool) {
    let exists = ok(world, who, "exists", json!({"path": path})).await;
    let directory = ok(world, who, "is_directory", json!({"path": path})).await;
    (exists["exists"].as_bool().expect("a bool"), directory["is_directory"].as_bool().expect("a bool"))
}

const FILE: (bool, bool) = (true, false);
const DIRECTORY: (bool, bool) = (true, true);
const NOTHING: (bool, bool) = (false, false);

#[tokio::test]
async fn what_is_below_shows_what_is_above() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/deep/er/a.txt", "x").await;
    for who in [Who::Alice, Who::Heir, Who::Bob, Who::Admin, Who::Instance] {
        for directory in ["/", "/w", "/w/alice", "/w/alice/deep/er/"] {
            assert_eq!(seen(&world, who, directory).await, DIRECTORY, "{who:?} {directory}");
        }
        assert_eq!(seen(&world, who, "/w/alice/deep/er/a.txt").await, FILE, "{who:?}");
        assert_eq!(seen(&world, who, "/w/alice/none").await, NOTHING, "{who:?}");
    }
    for who in [Who::Alice, Who::Bob] {
        assert_eq!(seen(&world, who, "/w/secret.txt").await, NOTHING, "{who:?}");
    }
    for who in [Who::Agent, Who::Stranger, Who::OtherAdmin, Who::OtherUser] {
        for path in ["/", "/w", "/w/alice", "/w/alice/deep/er/a.txt", "/w/none", "/w/secret.txt"] {
            assert_eq!(seen(&world, who, path).await, NOTHING, "{who:?} {path}");
        }
    }
    assert_eq!(seen(&world, Who::Admin, "/w/../w").await, NOTHING, "no file can have this path");
}

#[tokio::test]
async fn a_grant_that_waits_shows_nothing() {
    let world = shared_world().await;
    ok(&world, Who::Admin, "mkdir", json!({"path": "/w/closed/room", "parents": true})).await;
    grant(&world, ("user", "mallory"), "direct_viewer", "/w/closed/room/later.txt").await;
    assert_eq!(seen(&world, Who::Stranger, "/w/closed/room").await, NOTHING);
    assert_eq!(seen(&world, Who::Stranger, "/w/closed/room/later.txt").await, NOTHING);
    write(&world, Who::Admin, "/w/closed/room/later.txt", "x").await;
    assert_eq!(seen(&world, Who::Stranger, "/w/closed/room").await, DIRECTORY);
    assert_eq!(seen(&world, Who::Stranger, "/").await, DIRECTORY);
    assert_eq!(seen(&world, Who::Stranger, "/w/closed/room/later.txt").await, FILE);
    ok(&world, Who::Admin, "delete", json!({"path": "/w/closed/room/later.txt"})).await;
    assert_eq!(seen(&world, Who::Stranger, "/w/closed/room").await, NOTHING);
}

#[tokio::test]
async fn a_file_that_one_owns_shows_its_directories() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/deep/mine.txt", "x").await;
    revoke(&world, "/w/alice").await;
    for who in [Who::Alice, Who::Heir] {
        assert_eq!(seen(&world, who, "/w/alice/deep").await, DIRECTORY, "{who:?}");
        assert_eq!(seen(&world, who, "/").await, DIRECTORY, "{who:?}");
        assert_eq!(list(&world, who, "/", true).await, ["/w/alice/deep/mine.txt"], "{who:?}");
        assert_eq!(list(&world, who, "/w", false).await, ["/w/alice"], "{who:?}");
    }
    for who in [Who::Agent, Who::Bob, Who::OtherUser] {
        assert_eq!(seen(&world, who, "/w/alice/deep").await, NOTHING, "{who:?}");
    }
    ok(&world, Who::Admin, "rmdir", json!({"path": "/w/alice/deep", "recursive": true})).await;
    assert_eq!(seen(&world, Who::Alice, "/w/alice").await, NOTHING, "what is removed shows nothing");
}
