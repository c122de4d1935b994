//! `rmdir`.

use nexus_lite::model::{NodeId, VirtualPath};
use nexus_lite::service::files::ops::free_detached;
use nexus_lite::store::{StoreError, nodes};
use serde_json::json;

use super::super::*;
use super::shared_world;

#[tokio::test]
async fn removes_a_tree_at_once() {
    let world = shared_world().await;
    for name in ["a.txt", "x/b.txt", "x/y/c.txt"] {
        write(&world, Who::Alice, &format!("/w/alice/d/{name}"), "x").await;
    }
    grant(&world, ("user", "mallory"), "direct_editor", "/w/alice/d/x").await;
    let full = refused(&world, Who::Alice, "rmdir", json!({"path": "/w/alice/d"}), PRECONDITION).await;
    assert_eq!(full.message, "[Errno 39] Directory not empty: /w/alice/d");
    let removed = ok(&world, Who::Alice, "rmdir", json!({"path": "/w/alice/d", "recursive": true})).await;
    assert_eq!(removed, json!({"removed": true}));
    assert_eq!(list(&world, Who::Admin, "/w/alice", true).await, Vec::<String>::new());
    refused(&world, Who::Alice, "read", json!({"path": "/w/alice/d/x/b.txt"}), NOT_FOUND).await;
    write(&world, Who::Alice, "/w/alice/d/x/b.txt", "another").await;
    refused(&world, Who::Stranger, "read", json!({"path": "/w/alice/d/x/b.txt"}), DENIED).await;
    refused(&world, Who::Stranger, "write", json!({"path": "/w/alice/d/x/z.txt", "content": "x"}), DENIED).await;
}

#[tokio::test]
async fn every_row_of_a_removed_tree_is_freed() {
    let world = shared_world().await;
    for at in 0..40 {
        write(&world, Who::Alice, &format!("/w/alice/d/{}/{}/f{at}.txt", at % 3, at % 5), "x").await;
    }
    let ids: Vec<NodeId> = world
        .store
        .read(|tx| {
            let top = nodes::find(tx, &VirtualPath::parse("/w/alice/d").expect("a path"))?.expect("there");
            let (mut all, mut open) = (vec![top.id], vec![top.id]);
            while let Some(id) = open.pop() {
                nodes::children(tx, id, |row| {
                    all.push(row.id);
                    open.push(row.id);
                    Ok(std::ops::ControlFlow::Continue(()))
                })?;
            }
            Ok::<_, StoreError>(all)
        })
        .await
        .expect("a read");
    assert!(ids.len() > 50, "{}", ids.len());
    ok(&world, Who::Alice, "rmdir", json!({"path": "/w/alice/d", "recursive": true})).await;
    let head = world.head().await;
    free_detached(world.store.clone()).await;
    assert_eq!(world.head().await, head, "freeing is no change");
    let left = world.store.read(move |tx| {
        let rows = ids.iter().map(|id| nodes::get(tx, *id)).collect::<Result<Vec<_>, _>>()?;
        Ok::<_, StoreError>(rows.into_iter().flatten().count())
    });
    assert_eq!(left.await.expect("a read"), 0);
}

#[tokio::test]
async fn needs_the_right_and_a_directory() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/d/a.txt", "x").await;
    for who in [Who::Bob, Who::Agent, Who::Stranger, Who::OtherAdmin, Who::OtherUser] {
        let there = refused(&world, who, "rmdir", json!({"path": "/w/alice/d", "recursive": true}), DENIED).await;
        let not = refused(&world, who, "rmdir", json!({"path": "/w/alice/e", "recursive": true}), DENIED).await;
        assert_eq!(there.message.replace("/d'", "_"), not.message.replace("/e'", "_"), "{who:?}");
    }
    refused(&world, Who::Alice, "rmdir", json!({"path": "/w/alice/e"}), NOT_FOUND).await;
    let file = refused(&world, Who::Alice, "rmdir", json!({"path": "/w/alice/d/a.txt"}), PRECONDITION).await;
    assert!(file.message.starts_with("[Errno 20] Not a directory"), "{}", file.message);
    refused(&world, Who::Admin, "rmdir", json!({"path": "/", "recursive": true}), INVALID_PATH).await;
    ok(&world, Who::Alice, "mkdir", json!({"path": "/w/alice/empty"})).await;
    ok(&world, Who::Alice, "rmdir", json!({"path": "/w/alice/empty"})).await;
    assert_eq!(list(&world, Who::Alice, "/w/alice", true).await, ["/w/alice/d/a.txt"]);
}
