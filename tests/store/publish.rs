//! One revision for data and projections; what a reader may and may not.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use nexus_lite::model::ManualClock;
use nexus_lite::store::{FaultPoint, Mutation, Sql, Store, StoreError};

use super::{Gate, Names, add, names, open, open_with, origin};
use crate::harness::engine::{self, sqlite_only};

/// Runs `work` on a thread with a runtime of its own.
fn on_a_thread<T: Send + 'static>(
    store: &Store,
    work: impl AsyncFnOnce(Store) -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    let store = store.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(work(store))
    })
}

#[tokio::test]
async fn a_commit_that_is_not_published_is_not_seen_by_half() {
    // (i) of D.2.3: the data is newer than the graph.
    let gate = Gate::new(FaultPoint::AfterCommitBeforePublish);
    let t = open_with(|o| o.faults = gate.faults());
    t.store.submit(origin(), add("old")).await.expect("written");
    gate.shut();
    let new = t.store.submit(origin(), add("new"));
    gate.wait_arrived();
    assert_eq!(t.store.published().rev, 1, "committed, not published");
    let (begun, has_begun) = mpsc::channel();
    let reader = on_a_thread(&t.store, async move |store| {
        begun.send(()).expect("heard");
        names(&store).await
    });
    has_begun.recv().expect("the reader runs");
    gate.open();
    let (rev, seen) = reader.join().expect("data and view agree").expect("read");
    assert_eq!((rev, seen.len()), (2, 2), "it waited for the publish: both, not one of the two");
    assert_eq!(new.await.expect("written").1, 2);
}

/// Whether an operation is answered only when the writer has left `point`. `Err` = it is answered while it is there.
pub(crate) async fn answered_after(point: FaultPoint, mutation: Option<Mutation>) -> Result<(), String> {
    let gate = Gate::new(point);
    let t = open_with(|o| {
        o.faults = gate.faults();
        o.mutation = mutation;
    });
    gate.shut();
    let mut write = Box::pin(t.store.submit(origin(), add("x")));
    gate.wait_arrived();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let early = write.as_mut().poll(&mut context).is_ready();
    gate.open();
    if early {
        return Err(format!("answered while the writer was at {point:?}"));
    }
    write.await.map(|_| ()).map_err(|e| e.to_string())
}

#[tokio::test]
async fn nobody_is_answered_before_commit_and_publish() {
    for point in [FaultPoint::BeforeCommit, FaultPoint::AfterCommitBeforePublish] {
        answered_after(point, None).await.expect("afterwards");
    }
}

#[tokio::test]
async fn a_reader_keeps_the_view_of_its_own_revision() {
    // (ii) of D.2.3: the graph is newer than the data.
    let t = open();
    t.store.submit(origin(), add("old")).await.expect("written");
    let (begun, has_begun) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let reader = on_a_thread(&t.store, async move |store| {
        store
            .read(move |tx| {
                begun.send(()).expect("heard");
                may_go_on.recv().expect("told");
                let rows = tx.query("SELECT name FROM entities", &[], |row| row.string(0))?;
                Ok::<_, StoreError>((tx.rev(), rows.len(), tx.view::<Names>().by_id.len(), tx.view::<Names>().rev))
            })
            .await
    });
    has_begun.recv().expect("the reader runs");
    for n in 0..100 {
        t.store.submit(origin(), add(&format!("n{n}"))).await.expect("written");
    }
    go_on.send(()).expect("it waits");
    assert_eq!(reader.join().expect("no panic").expect("read"), (1, 1, 1, 1));
    assert_eq!(names(&t.store).await.expect("read").0, 101);
}

#[tokio::test]
async fn a_publish_that_does_not_come_is_an_error_in_time() {
    let gate = Gate::new(FaultPoint::AfterCommitBeforePublish);
    let t = open_with(|o| {
        o.faults = gate.faults();
        o.limits.publish_wait = Duration::from_millis(1);
    });
    gate.shut();
    let write = t.store.submit(origin(), add("x"));
    gate.wait_arrived();
    let late = names(&t.store).await;
    assert!(matches!(late, Err(StoreError::Busy { .. })), "{late:?}");
    assert_eq!(t.store.status().publish_lag_count, 1);
    gate.open();
    write.await.expect("written");
    assert_eq!(names(&t.store).await.expect("read").0, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn data_and_view_agree_under_load() {
    let t = open_with(|o| o.reader_slots = 2);
    let readers: Vec<_> = (0..4)
        .map(|_| {
            on_a_thread(&t.store, async |store| {
                let mut last = 0;
                while last < 400 {
                    let (rev, _) = names(&store).await.expect("read");
                    assert!(rev >= last, "a reader never goes back");
                    last = rev;
                }
            })
        })
        .collect();
    for _ in 0..40 {
        let batch: Vec<_> = (0..10).map(|n| t.store.submit(origin(), add(&format!("{n}-{}", fresh())))).collect();
        for answer in batch {
            answer.await.expect("written");
        }
    }
    for reader in readers {
        reader.join().expect("every read was of one revision");
    }
    assert_eq!(t.store.status().busy_count, 0);
}

fn fresh() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let t = open();
    for slow in [false, true] {
        let write = |tx: &nexus_lite::store::ReadTx<'_>| {
            tx.query("DELETE FROM nodes", &[], |_| Ok(()))?;
            Ok::<_, StoreError>(())
        };
        let refused = if slow { t.store.read_slow(write).await } else { t.store.read(write).await };
        let refused = refused.expect_err("refused").to_string();
        assert!(refused.contains("readonly") || refused.contains("read-only transaction"), "{refused}");
    }
    assert_eq!(t.store.check().await.expect("checked").violations, [], "the root is still there");
}

#[tokio::test]
async fn a_panic_in_a_read_leaves_the_connection_usable() {
    let t = open_with(|o| o.reader_slots = 1);
    let reader = on_a_thread(&t.store, async |store| {
        store
            .read(|tx| {
                tx.each("SELECT id FROM nodes", &[], |_| panic!("in the middle of a query"))?;
                Ok::<_, StoreError>(())
            })
            .await
    });
    assert!(reader.join().is_err(), "the panic reaches the caller");
    let slow =
        on_a_thread(&t.store, async |store| store.read_slow(|_| -> Result<(), StoreError> { panic!("slow") }).await);
    assert!(slow.join().is_err());
    t.store.submit(origin(), add("x")).await.expect("written");
    assert_eq!(names(&t.store).await.expect("read").0, 1, "a new snapshot, not the old one");
    t.store.read_slow(|_| Ok::<_, StoreError>(())).await.expect("the slow lane is there");
}

#[cfg(debug_assertions)]
#[tokio::test]
async fn reads_do_not_nest() {
    sqlite_only!("reads run inline, and would wait for themselves");
    let t = open();
    let nested = on_a_thread(&t.store, async |store| {
        let inner = store.clone();
        store
            .read(move |_| {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                drop(runtime);
                let mut nested = Box::pin(inner.read(|_| Ok::<_, StoreError>(())));
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                let _ = nested.as_mut().poll(&mut context);
                Ok::<_, StoreError>(())
            })
            .await
    });
    assert!(nested.join().is_err(), "said so instead of waiting for itself");
    names(&t.store).await.expect("the slot is free again");
}

const COUNT_FOR_EVER: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";

#[tokio::test]
async fn a_read_past_its_deadline_is_ended() {
    let clock = Arc::new(ManualClock::new(0));
    let t = open_with(|o| {
        o.clock = Arc::<ManualClock>::clone(&clock);
        if engine::is_postgres() {
            // There the server looks at its own clock, and gives nothing out before the end.
            o.limits.read_deadline = Duration::from_millis(500);
        }
    });
    for slow in [false, true] {
        let clock = Arc::clone(&clock);
        let count = move |tx: &nexus_lite::store::ReadTx<'_>| {
            tx.each(COUNT_FOR_EVER, &[], |_| {
                clock.advance(Duration::from_millis(1));
                Ok(std::ops::ControlFlow::Continue(()))
            })
        };
        let ended = if slow { t.store.read_slow(count).await } else { t.store.read(count).await };
        assert!(matches!(ended, Err(StoreError::DeadlineExceeded { .. })), "{ended:?}");
    }
    names(&t.store).await.expect("the next read has its own time");
}

#[tokio::test]
async fn the_slow_lane_is_bounded_and_holds_nobody_else() {
    let t = open_with(|o| {
        o.limits.slow_threads = 1;
        o.limits.slow_queue = 2;
    });
    let (begun, has_begun) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let running = on_a_thread(&t.store, async move |store| {
        let wait = move |_: &nexus_lite::store::ReadTx<'_>| {
            begun.send(()).expect("heard");
            may_go_on.recv().expect("told");
            Ok::<_, StoreError>(())
        };
        store.read_slow(wait).await
    });
    has_begun.recv().expect("it runs");
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut queued = Box::pin(t.store.read_slow(|tx| Ok::<_, StoreError>(tx.rev())));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(queued.as_mut().poll(&mut context).is_pending());
        waiting.push(queued);
    }
    let refused = t.store.read_slow(|_| Ok::<_, StoreError>(())).await;
    assert!(matches!(refused, Err(StoreError::Busy { queue: "the slow lane" })), "{refused:?}");
    names(&t.store).await.expect("inline reads go on");
    t.store.submit(origin(), add("x")).await.expect("and writes");
    go_on.send(()).expect("it waits");
    running.join().expect("no panic").expect("read");
    for queued in waiting {
        queued.await.expect("read");
    }
}
