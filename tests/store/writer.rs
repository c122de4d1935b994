//! The writer: batches, savepoints, admission, revisions, shutdown.

use nexus_lite::store::{FaultPoint, StoreError, changelog};

use super::{Gate, Then, add, add_then, names, open, open_with, origin};

#[tokio::test]
async fn a_write_is_there_when_it_is_answered() {
    let t = open();
    let (id, rev) = t.store.submit(origin(), add("alice")).await.expect("written");
    assert_eq!((id, rev), (1, 1));
    assert_eq!(names(&t.store).await.expect("read"), (1, vec!["alice".to_owned()]));
    let status = t.store.status();
    assert_eq!((status.rw_connections_opened, status.rw_connections_max, status.rev), (1, 1, 1));
    t.store.close().await.expect("closes");
}

#[tokio::test]
async fn one_batch_keeps_neighbours_of_what_fails() {
    let gate = Gate::new(FaultPoint::BeforeCommit);
    let t = open_with(|o| o.faults = gate.faults());
    gate.shut();
    let first = t.store.submit(origin(), add("first"));
    gate.wait_arrived();
    // These wait in the mailbox and become one batch.
    let a = t.store.submit(origin(), add("a"));
    let failed = t.store.submit(origin(), add_then("failed", Then::Fail));
    let panicked = t.store.submit(origin(), add_then("panicked", Then::Panic));
    let in_projection = t.store.submit(origin(), add("panic in projection"));
    let unrecorded = t.store.submit(origin(), add_then("unrecorded", Then::Unrecorded));
    let reads = t.store.submit(origin(), add_then("", Then::Nothing));
    let sees = t.store.submit(origin(), add_then("sees", Then::Need("a")));
    let misses = t.store.submit(origin(), add_then("misses", Then::Need("failed")));
    let b = t.store.submit(origin(), add("b"));
    gate.open();

    assert_eq!(first.await.expect("ok"), (1, 1));
    assert_eq!(a.await.expect("ok"), (2, 2));
    assert!(matches!(failed.await, Err(StoreError::Corrupt { what }) if what == "asked to fail"));
    assert!(matches!(panicked.await, Err(StoreError::Panicked { op: "test_add" })));
    assert!(matches!(in_projection.await, Err(StoreError::Panicked { .. })));
    assert!(matches!(unrecorded.await, Err(StoreError::Corrupt { what }) if what.contains("without recording")));
    assert_eq!(reads.await.expect("ok"), (3, 2), "a read draws a number and gives it back");
    assert_eq!(sees.await.expect("ok"), (3, 3), "ids and revisions of failed operations are given again");
    assert!(matches!(misses.await, Err(StoreError::Corrupt { what }) if what == "no failed"));
    assert_eq!(b.await.expect("ok"), (4, 4));

    let (rev, have) = names(&t.store).await.expect("read");
    assert_eq!((rev, have.join(" ")), (4, "first a sees b".into()));
    assert_eq!(t.store.status().commits, 2, "one transaction for the nine");
    let revs = t.store.read(|tx| changelog::after(tx, 0, 100)).await.expect("read");
    assert_eq!(revs.iter().map(|row| row.rev).collect::<Vec<_>>(), [1, 2, 3, 4], "gap-free");
}
