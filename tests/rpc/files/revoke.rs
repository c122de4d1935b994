//! A right that was taken back is gone with the next message, also within one batch.

use nexus_lite::model::VirtualPath;
use nexus_lite::service::files;
use nexus_lite::service::files::ops::{PutFile, PutOptions};
use nexus_lite::store::Origin;
use serde_json::json;

use super::super::*;
use super::shared_world;

async fn put(world: &World, path: &str, text: &'static str) -> PutFile {
    let path = VirtualPath::parse(path).expect("a path");
    let call = world.call_as(Who::Alice);
    PutFile::prepare(&call, path, text.into(), PutOptions::default()).await.expect("she may, as of now")
}

fn revoke_alice() -> Revoke {
    Revoke { path: VirtualPath::parse("/w/alice").expect("a path") }
}

#[tokio::test]
async fn in_one_batch_order_decides_and_a_failing_message_changes_nothing() {
    for revoke_first in [true, false] {
        let world = shared_world().await;
        let op = put(&world, "/w/alice/a.txt", "by alice").await;
        let head = world.head().await;
        let held = world.hold_writer();
        let origin = || Origin::system("batch");
        let store = &world.store;
        // Admission and order are decided when `submit` is called: these three lie in one batch.
        let (put, revoked, failed) = if revoke_first {
            let revoked = store.submit(origin(), revoke_alice());
            let failed = store.submit(origin(), Fails);
            (store.submit(origin(), op), revoked, failed)
        } else {
            let put = store.submit(origin(), op);
            let failed = store.submit(origin(), Fails);
            (put, store.submit(origin(), revoke_alice()), failed)
        };
        held.release();
        let (_, revoked) = revoked.await.expect("the revoke");
        failed.await.expect_err("it fails by design");
        assert_eq!(revoked, head + if revoke_first { 2 } else { 3 }, "the plug, and gap-free");
        if revoke_first {
            let error = put.await.expect_err("she lost the right one place before").to_string();
            assert!(error.contains("User 'alice' does not have WRITE permission"), "{error}");
            refused(&world, Who::Admin, "read", json!({"path": "/w/alice/a.txt"}), NOT_FOUND).await;
        } else {
            let (_, written) = put.await.expect("she had the right one place before");
            assert_eq!(written, revoked - 1);
            assert_eq!(read(&world, Who::Admin, "/w/alice/a.txt").await, "by alice");
        }
        assert_eq!(world.head().await, revoked, "the failing message got no revision");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_64_writers_nothing_is_acknowledged_after_the_revoke() {
    let world = std::sync::Arc::new(shared_world().await);
    let mut writers = Vec::new();
    for writer in 0..64 {
        let world = std::sync::Arc::clone(&world);
        writers.push(tokio::spawn(async move {
            let (call, mut acknowledged) = (world.call_as(Who::Alice), 0);
            for at in 0..200 {
                let path = VirtualPath::parse(&format!("/w/alice/{writer}/{at}")).expect("a path");
                let op = PutFile::prepare(&call, path, "x".into(), PutOptions::default()).await;
                let Ok(op) = op else { return (acknowledged, true) };
                match world.store.submit(Origin::system("writer"), op).await {
                    Ok((_, rev)) => acknowledged = acknowledged.max(rev),
                    Err(nexus_lite::service::ServiceError::PermissionDenied { .. }) => return (acknowledged, true),
                    Err(error) => panic!("{error}"),
                }
            }
            (acknowledged, false)
        }));
    }
    // In the middle of it, as soon as some have written.
    let start = world.head().await;
    while world.head().await < start + 64 {
        tokio::task::yield_now().await;
    }
    let revoked = revoke(&world, "/w/alice").await;
    let mut refused = 0;
    for writer in writers {
        let (last, was_refused) = writer.await.expect("a writer");
        assert!(last < revoked, "a write got revision {last}, the revoke {revoked}");
        refused += usize::from(was_refused);
    }
    assert!(refused > 0, "the revoke came before the end");
    let call = world.call_as(Who::Alice);
    let path = VirtualPath::parse("/w/alice/late").expect("a path");
    files::write(&call, path, "x".into(), PutOptions::default()).await.expect_err("no right");
}

#[tokio::test]
async fn a_reader_sees_no_file_that_was_written_after_the_revoke() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a.txt", "old").await;
    let held = world.hold_writer();
    let revoked = world.store.submit(Origin::system("revoke"), revoke_alice());
    let write = world.rpc(Who::Admin, "write", json!({"path": "/w/alice/a.txt", "content": "new"}));
    let release = async {
        tokio::task::yield_now().await;
        held.release();
    };
    let (written, ()) = futures_util::future::join(write, release).await;
    written.expect("the admin may");
    revoked.await.expect("the revoke");
    refused(&world, Who::Bob, "read", json!({"path": "/w/alice/a.txt"}), DENIED).await;
}
