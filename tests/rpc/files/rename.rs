//! `rename`.

use serde_json::{Value, json};

use super::super::*;
use super::shared_world;

fn rename(old: &str, new: &str) -> Value {
    json!({"old_path": old, "new_path": new})
}

#[tokio::test]
async fn moves_a_tree_with_its_grants() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a/b/f.txt", "x").await;
    write(&world, Who::Alice, "/w/alice/ab.txt", "not below a").await;
    grant(&world, ("user", "mallory"), "direct_viewer", "/w/alice/a/b").await;
    grant(&world, ("user", "mallory"), "direct_viewer", "/w/alice/c/later.txt").await;
    let moved = ok(&world, Who::Alice, "rename", rename("/w/alice/a", "/w/alice/c/d")).await;
    assert_eq!(moved, json!({"renamed": true}));
    assert_eq!(
        list(&world, Who::Alice, "/w/alice", true).await,
        ["/w/alice/ab.txt", "/w/alice/c/d/b", "/w/alice/c/d/b/f.txt"]
    );
    assert_eq!(read(&world, Who::Stranger, "/w/alice/c/d/b/f.txt").await, "x", "the grant went along");
    write(&world, Who::Alice, "/w/alice/a/b/f.txt", "another").await;
    refused(&world, Who::Stranger, "read", json!({"path": "/w/alice/a/b/f.txt"}), DENIED).await;
    let stat = ok(&world, Who::Alice, "stat", json!({"path": "/w/alice/c/d/b/f.txt"})).await;
    assert_eq!(stat["version"], 1);
}

#[tokio::test]
async fn grants_that_waited_at_the_new_path_are_removed() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a.txt", "x").await;
    grant(&world, ("user", "mallory"), "direct_viewer", "/w/alice/b.txt").await;
    grant(&world, ("user", "bob"), "direct_editor", "/w/alice/a.txt").await;
    ok(&world, Who::Alice, "rename", rename("/w/alice/a.txt", "/w/alice/b.txt")).await;
    refused(&world, Who::Stranger, "read", json!({"path": "/w/alice/b.txt"}), DENIED).await;
    write(&world, Who::Bob, "/w/alice/b.txt", "his grant is still there").await;
}

#[tokio::test]
async fn checks_both_ends_before_it_changes_anything() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a.txt", "x").await;
    let head = world.head().await;
    for who in [Who::Bob, Who::Agent, Who::Stranger, Who::OtherAdmin, Who::OtherUser] {
        let there = refused(&world, who, "rename", rename("/w/alice/a.txt", "/w/alice/b.txt"), DENIED).await;
        let not = refused(&world, who, "rename", rename("/w/alice/c.txt", "/w/alice/b.txt"), DENIED).await;
        assert_eq!(there.message.replace("a.txt", "_"), not.message.replace("c.txt", "_"), "{who:?}");
    }
    // A right on one end only.
    let out = refused(&world, Who::Alice, "rename", rename("/w/alice/a.txt", "/w/stolen.txt"), DENIED).await;
    assert!(out.message.contains("'/w/stolen.txt'"), "{}", out.message);
    let taken = refused(&world, Who::Alice, "rename", rename("/w/alice/a.txt", "/w/secret.txt"), DENIED).await;
    assert_eq!(out.message.replace("stolen", "_"), taken.message.replace("secret", "_"), "taken or free, alike");
    refused(&world, Who::Alice, "rename", rename("/w/secret.txt", "/w/alice/s.txt"), DENIED).await;
    assert_eq!(world.head().await, head, "nothing was changed");
    assert_eq!(read(&world, Who::Alice, "/w/alice/a.txt").await, "x");
}

#[tokio::test]
async fn refuses_what_makes_no_sense() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a/f.txt", "x").await;
    write(&world, Who::Alice, "/w/alice/g.txt", "y").await;
    let exists = refused(&world, Who::Alice, "rename", rename("/w/alice/a", "/w/alice/g.txt"), EXISTS).await;
    assert_eq!(exists.message, "Destination path already exists: /w/alice/g.txt");
    refused(&world, Who::Alice, "rename", rename("/w/alice/a", "/w/alice/a"), EXISTS).await;
    refused(&world, Who::Alice, "rename", rename("/w/alice/a", "/w/alice/a/b/c"), PRECONDITION).await;
    refused(&world, Who::Alice, "rename", rename("/w/alice/a", "/w/alice/g.txt/b"), PRECONDITION).await;
    refused(&world, Who::Alice, "rename", rename("/w/alice/none", "/w/alice/b"), NOT_FOUND).await;
    refused(&world, Who::Admin, "rename", rename("/", "/b"), INVALID_PATH).await;
    ok(&world, Who::Alice, "rename", rename("/w/alice/a", "/w/alice/ab")).await;
    assert_eq!(read(&world, Who::Bob, "/w/alice/ab/f.txt").await, "x");
}
