//! The writer: batches, savepoints, admission, deadlines, revisions, faults of the engine.

use std::sync::Arc;
use std::time::Duration;

use nexus_lite::model::{Clock, ManualClock, NodeKind, NodeRow, ROOT_NODE};
use nexus_lite::store::{FaultPoint, Faults, Origin, StoreError, WriteOp, WriteTx, changelog, nodes};

use super::{Gate, Then, add, add_then, names, open, open_with, origin};
use crate::harness::engine::{self, sqlite_only};

#[tokio::test]
async fn a_write_is_there_when_it_is_answered() {
    let t = open();
    let (id, rev) = t.store.submit(origin(), add("alice")).await.expect("written");
    assert_eq!((id, rev), (1, 1));
    assert_eq!(names(&t.store).await.expect("read"), (1, vec!["alice".to_owned()]));
    let status = t.store.status();
    assert_eq!(status.rev, 1);
    if !engine::is_postgres() {
        assert_eq!((status.rw_connections_opened, status.rw_connections_max), (1, 1));
    }
    t.store.close().await.expect("closes");
}

#[tokio::test]
async fn one_batch_keeps_the_neighbours_of_what_fails() {
    let gate = Gate::new(FaultPoint::BeforeCommit);
    let t = open_with(|o| o.faults = gate.faults());
    gate.shut();
    let first = t.store.submit(origin(), add("first"));
    gate.wait_arrived();
    // These wait in the mailbox and become one batch.
    let a = t.store.submit(origin(), add("a"));
    let failed = t.store.submit(origin(), add_then("failed", Then::Fail));
    let failed_is_gone = t.store.submit(origin(), add_then("", Then::Miss("failed")));
    let panicked = t.store.submit(origin(), add_then("panicked", Then::Panic));
    let panicked_is_gone = t.store.submit(origin(), add_then("", Then::Miss("panicked")));
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
    failed_is_gone.await.expect("nothing is left of it");
    assert!(matches!(panicked.await, Err(StoreError::Panicked { op: "test_add" })));
    panicked_is_gone.await.expect("nothing is left of it");
    assert!(matches!(in_projection.await, Err(StoreError::Panicked { .. })));
    assert!(matches!(unrecorded.await, Err(StoreError::Corrupt { what }) if what.contains("without recording")));
    assert_eq!(reads.await.expect("ok"), (3, 2), "a read draws a number and gives it back");
    assert_eq!(sees.await.expect("ok"), (3, 3), "ids and revisions of failed operations are given again");
    assert!(matches!(misses.await, Err(StoreError::Corrupt { what }) if what == "no failed"));
    assert_eq!(b.await.expect("ok"), (4, 4));

    let (rev, have) = names(&t.store).await.expect("read");
    assert_eq!((rev, have.join(" ")), (4, "first a sees b".into()));
    assert_eq!(t.store.status().commits, 2, "one transaction for the eleven");
}

#[tokio::test]
async fn what_fails_alone_leaves_nothing() {
    let t = open();
    for then in [Then::Fail, Then::Panic, Then::Unrecorded] {
        assert!(t.store.submit(origin(), add_then("x", then)).await.is_err());
    }
    assert_eq!(t.store.submit(origin(), add_then("", Then::Nothing)).await.expect("reads"), (1, 0));
    assert_eq!(names(&t.store).await.expect("read"), (0, Vec::new()));
    assert_eq!(t.store.status().commits, 0, "nothing was committed for nothing");
    assert_eq!(t.store.submit(origin(), add("y")).await.expect("written"), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revisions_have_no_gaps_whatever_fails() {
    let t = open();
    let answers: Vec<_> = (0..600_u32)
        .map(|n| {
            let then = match n % 7 {
                2 => Then::Fail,
                4 => Then::Panic,
                5 => Then::Nothing,
                _ => Then::Succeed,
            };
            t.store.submit(origin(), add_then(&format!("n{n}"), then))
        })
        .collect();
    let (mut acknowledged, mut panicked) = (Vec::new(), 0);
    for (n, answer) in answers.into_iter().enumerate() {
        match answer.await {
            Ok((_, rev)) if n % 7 != 5 => acknowledged.push(rev),
            Ok(_) => {}
            Err(StoreError::Panicked { .. }) => panicked += 1,
            Err(error) => assert!(matches!(error, StoreError::Corrupt { .. }), "{error}"),
        }
    }
    let wanted: Vec<u64> = (1..=acknowledged.len() as u64).collect();
    assert_eq!(acknowledged, wanted, "in the order of the calls");
    assert!(panicked > 80);
    let logged = t.store.read(|tx| changelog::after(tx, 0, 10_000)).await.expect("read");
    assert_eq!(logged.iter().map(|row| row.rev).collect::<Vec<_>>(), wanted);
    assert_eq!(t.store.check().await.expect("checked").violations, []);
}

#[tokio::test]
async fn the_queue_admits_as_many_as_it_may_and_refuses_the_rest_at_once() {
    let gate = Gate::new(FaultPoint::BeforeCommit);
    let t = open_with(|o| o.faults = gate.faults());
    gate.shut();
    let first = t.store.submit(origin(), add("first"));
    gate.wait_arrived();
    let rest: Vec<_> = (1..3_000).map(|n| t.store.submit(origin(), add(&format!("n{n}")))).collect();
    let status = t.store.status();
    assert_eq!((status.writer_queue_depth, status.writer_refused), (1_024, 1_976));
    assert!(status.oldest_queued.is_some());
    gate.open();
    first.await.expect("admitted");
    let (mut admitted, mut busy) = (1, 0);
    for answer in rest {
        match answer.await {
            Ok(_) => admitted += 1,
            Err(StoreError::Busy { .. }) => busy += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((admitted, busy), (1_024, 1_976));
    assert_eq!(t.store.status().writer_queue_depth, 0);
    t.store.submit(origin(), add("after")).await.expect("admitted again");
}

#[tokio::test]
async fn bytes_are_bounded_too_and_one_large_message_goes_alone() {
    let gate = Gate::new(FaultPoint::BeforeCommit);
    let t = open_with(|o| {
        o.faults = gate.faults();
        o.limits.queue_bytes = 1_000;
    });
    gate.shut();
    let large = t.store.submit(origin(), add(&"x".repeat(5_000)));
    gate.wait_arrived();
    let refused = t.store.submit(origin(), add("y")).await;
    assert!(matches!(refused, Err(StoreError::Busy { queue: "the writer's byte budget" })), "{refused:?}");
    gate.open();
    large.await.expect("admitted when nothing else was under way");
    t.store.submit(origin(), add("y")).await.expect("admitted");
}

#[tokio::test]
async fn a_dropped_answer_cancels_nothing() {
    let t = open();
    drop(t.store.submit(origin(), add("unheard")));
    t.store.submit(origin(), add("heard")).await.expect("written");
    assert_eq!(names(&t.store).await.expect("read").1, ["unheard", "heard"]);
}

#[tokio::test]
async fn a_message_past_its_deadline_is_not_begun() {
    let gate = Gate::new(FaultPoint::BeforeCommit);
    let clock = Arc::new(ManualClock::new(1_000_000));
    let t = open_with(|o| {
        o.faults = gate.faults();
        o.clock = Arc::<ManualClock>::clone(&clock);
    });
    gate.shut();
    let first = t.store.submit(origin(), add("first"));
    gate.wait_arrived();
    let deadline = Some(clock.instant() + Duration::from_secs(5));
    let late = t.store.submit(Origin { deadline, ..origin() }, add("late"));
    let in_time = t.store.submit(Origin { deadline: None, ..origin() }, add("in time"));
    clock.advance(Duration::from_secs(5));
    gate.open();
    first.await.expect("written");
    assert!(matches!(late.await, Err(StoreError::DeadlineExceeded { .. })));
    in_time.await.expect("written");
    assert_eq!(names(&t.store).await.expect("read").1, ["first", "in time"]);
}

#[tokio::test]
async fn time_never_goes_back_in_the_log() {
    let clock = Arc::new(ManualClock::new(5_000_000));
    let t = open_with(|o| o.clock = Arc::<ManualClock>::clone(&clock));
    for now in [5_000_000, 9_000_000, 2_000_000, 9_500_000] {
        clock.set(now);
        t.store.submit(origin(), add(&format!("at {now}"))).await.expect("written");
    }
    clock.set(1);
    let (times, now) = t
        .store
        .read(|tx| {
            let rows = changelog::after(tx, 0, 10)?;
            Ok::<_, StoreError>((
                rows.iter().map(|row| row.at_us).collect::<Vec<_>>(),
                nexus_lite::store::Sql::now_us(tx),
            ))
        })
        .await
        .expect("read");
    assert_eq!(times, [5_000_000, 9_000_000, 9_000_000, 9_500_000]);
    assert_eq!(now, 9_500_000, "a reader is not earlier than what it reads");
    t.store.close().await.expect("closes");

    let mut options = super::options(&t.dir);
    options.clock = clock;
    let again = nexus_lite::store::Store::builder(options).project::<super::Names>().open().expect("opens");
    again.submit(origin(), add("after a restart")).await.expect("written");
    let rows = again.read(|tx| changelog::after(tx, 4, 10)).await.expect("read");
    assert_eq!(rows[0].at_us, 9_500_000, "nor after a restart with a clock set back");
    assert_eq!(nexus_lite::store::changelog::ChangelogRow { changes: Vec::new(), ..rows[0].clone() }.op, "test_add");
}

/// Makes the engine run out of space: the database may have no page more. The limit is the connection's own.
struct NoSpace;

impl WriteOp for NoSpace {
    const NAME: &'static str = "test_no_space";
    const UNRECORDED: bool = true;
    type Output = ();
    type Error = StoreError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        // It answers with a row, which exec calls an error; it has done its work by then.
        let _ = tx.exec("PRAGMA max_page_count = 1", &[]);
        Ok(())
    }
    fn bytes(&self) -> usize {
        0
    }
}

#[tokio::test]
async fn a_full_disk_fails_the_whole_batch_and_the_next_one_works() {
    sqlite_only!("its page limit is the disk");
    let gate = Gate::new(FaultPoint::AfterPublishBeforeReply);
    let t = open_with(|o| o.faults = gate.faults());
    t.store.submit(origin(), add("before")).await.expect("written");
    t.store.submit(origin(), NoSpace).await.expect("ran");
    gate.shut();
    let reader = t.store.submit(origin(), add_then("", Then::Nothing));
    gate.wait_arrived();
    let small = t.store.submit(origin(), add("small"));
    let large = t.store.submit(origin(), add(&"x".repeat(100_000)));
    gate.open();
    reader.await.expect("read");
    for answer in [small, large] {
        assert!(matches!(answer.await, Err(StoreError::Full)), "nothing of the batch was written");
    }
    // For a few seconds nothing is taken that grows, whatever the disk says of its space; then it is tried.
    while t.store.status().space.degraded.is_some() {
        t.store.tick().await.expect("ticks");
    }
    assert_eq!(t.store.submit(origin(), add("after")).await.expect("written"), (2, 2));
    assert_eq!(names(&t.store).await.expect("read").1, ["before", "after"]);
    let status = t.store.status();
    assert_eq!((status.rw_connections_opened, status.rw_connections_max), (2, 1), "opened anew, never two");
    assert_eq!(status.read_only, None);
    t.store.close().await.expect("closes");
}

#[tokio::test]
async fn a_writer_that_dies_is_told_to_everybody() {
    let t = open_with(|o| {
        o.faults = Faults::armed(|point| assert_ne!(point, FaultPoint::BeforeCommit, "a panic outside an operation"));
    });
    let died = t.store.submit(origin(), add("x")).await;
    assert!(matches!(died, Err(StoreError::WriterGone)), "{died:?}");
    let after = t.store.submit(origin(), add("y")).await;
    assert!(matches!(after, Err(StoreError::WriterGone)), "{after:?}");
    assert_eq!(names(&t.store).await.expect("reads go on").1, Vec::<String>::new());
    assert!(t.store.close().await.is_err());
    assert!(!t.store.status().writer_alive);
}

/// Makes, changes, moves or removes a file in the root, and fails afterwards if asked to.
#[derive(Debug, Clone)]
struct Touch {
    name: &'static str,
    to: Option<&'static str>,
    fails: bool,
}

impl WriteOp for Touch {
    const NAME: &'static str = "test_touch";
    /// What the writer found under the old and the new name.
    type Output = (bool, bool);
    type Error = StoreError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(bool, bool), StoreError> {
        let found = nodes::child(tx, ROOT_NODE, self.name)?;
        let there = match self.to {
            Some(to) => nodes::child(tx, ROOT_NODE, to)?.is_some(),
            None => false,
        };
        match (&found, self.to) {
            (Some(row), Some(to)) => drop(nodes::relocate(tx, row, ROOT_NODE, to)?),
            (Some(row), None) => nodes::remove(tx, row)?,
            (None, _) => {
                let row = directory(tx.next_id(), self.name);
                nodes::insert(tx, row)?;
            }
        }
        if self.fails {
            Err(StoreError::Corrupt { what: "asked to fail".into() })
        } else {
            Ok((found.is_some(), there))
        }
    }

    fn bytes(&self) -> usize {
        1
    }
}

fn directory(id: u64, name: &str) -> NodeRow {
    NodeRow {
        parent: ROOT_NODE,
        name: name.into(),
        id,
        tenant: "default".into(),
        kind: NodeKind::Directory,
        owner: None,
        implicit: false,
        mixed: false,
        content: None,
        size: 0,
        version: 0,
        mime: None,
        created_at_us: 0,
        modified_at_us: 0,
        created_by: "user:alice".into(),
    }
}

/// What a message that failed has made, moved or removed, no later message may meet: not in its batch, not after it.
#[tokio::test]
async fn nobody_remembers_a_node_of_a_message_that_failed() {
    let touch = |name, to, fails| Touch { name, to, fails };
    let steps = [
        (touch("a", None, true), None),
        (touch("a", None, false), Some((false, false))),
        (touch("a", Some("b"), true), None),
        (touch("a", Some("b"), false), Some((true, false))),
        (touch("b", None, true), None),
        (touch("b", None, false), Some((true, false))),
    ];
    let gate = Gate::new(FaultPoint::BeforeCommit);
    let t = open_with(|o| o.faults = gate.faults());
    for (step, expected) in steps.clone() {
        let answer = t.store.submit(origin(), step).await.ok();
        assert_eq!(answer.map(|(found, _)| found), expected, "alone");
    }
    gate.shut();
    let first = t.store.submit(origin(), add("first"));
    gate.wait_arrived();
    let batch = steps.map(|(step, expected)| (t.store.submit(origin(), step), expected));
    gate.open();
    first.await.expect("written");
    for (answer, expected) in batch {
        assert_eq!(answer.await.ok().map(|(found, _)| found), expected, "in one batch");
    }
}
