//! The second lane, checkpoints, blob files: what goes on beside the messages.

use std::sync::atomic::AtomicI64;
use std::time::Duration;

use nexus_lite::model::ContentHash;
use nexus_lite::store::{
    DecisionNote, FaultPoint, Faults, Note, Sql, Store, StoreError, WriteOp, WriteTx, blobs, changelog, decisions,
};

use super::{Names, add, names, open, open_with, options, origin};
use crate::harness::engine::sqlite_only;

fn decision(object: &str) -> DecisionNote {
    DecisionNote {
        tenant: "default".into(),
        subject_type: "user".into(),
        subject_id: "alice".into(),
        permission: "read".into(),
        object_type: "file".into(),
        object_id: object.into(),
        allowed: true,
        rev: 0,
        engine: 1,
    }
}

async fn rows(store: &Store) -> u64 {
    let count =
        |tx: &nexus_lite::store::ReadTx<'_>| tx.query_one("SELECT COUNT(*) FROM permission_cache", &[], |r| r.id(0));
    store.read(count).await.expect("read").expect("a count")
}

#[test]
fn a_note_needs_no_runtime_and_is_in_no_log() {
    let t = open();
    t.store.note(Note::Decision(decision("/a")));
    assert_eq!(t.store.status().notes_waiting, 1);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        t.store.tick().await.expect("ticks");
        assert_eq!(rows(&t.store).await, 1);
        assert_eq!(names(&t.store).await.expect("read").0, 0, "no revision");
        assert!(t.store.read(|tx| changelog::after(tx, 0, 10)).await.expect("read").is_empty());
        let warm = t.store.read(|tx| decisions::warm_subjects(tx, 1, 10)).await.expect("read");
        assert_eq!(warm, [("default".to_owned(), "user".to_owned(), "alice".to_owned())]);
        assert!(t.store.read(|tx| decisions::warm_subjects(tx, 2, 10)).await.expect("read").is_empty());
        t.store.close().await.expect("closes");
    });
}

#[tokio::test]
async fn notes_ride_along_a_few_at_a_time_and_the_rest_is_not_forgotten() {
    let t = open_with(|o| {
        o.limits.notes_per_batch = 4;
        o.limits.notes_per_tick = 5;
    });
    for n in 0..20 {
        t.store.note(Note::Decision(decision(&format!("/{n}"))));
    }
    t.store.submit(origin(), add("a")).await.expect("written");
    assert_eq!(rows(&t.store).await, 4);
    t.store.submit(origin(), add("b")).await.expect("written");
    assert_eq!(rows(&t.store).await, 8, "what a batch has left is found by the next");
    for wanted in [13, 18, 20, 20] {
        t.store.tick().await.expect("ticks");
        assert_eq!(rows(&t.store).await, wanted, "what a tick has left is found by the next");
    }
    assert_eq!(t.store.status().notes_dropped, 0);
    assert_eq!(names(&t.store).await.expect("read").0, 2);
}

#[tokio::test]
async fn the_lane_keeps_one_note_of_a_kind_and_drops_when_full() {
    let t = open_with(|o| o.limits.notes = 3);
    for n in [1, 1, 2, 3, 3, 4, 5] {
        t.store.note(Note::Decision(decision(&format!("/{n}"))));
    }
    let status = t.store.status();
    assert_eq!((status.notes_waiting, status.notes_dropped), (3, 2));
    t.store.note(Note::Decision(DecisionNote { allowed: false, rev: 0, ..decision("/1") }));
    t.store.tick().await.expect("ticks");
    let denied = |tx: &nexus_lite::store::ReadTx<'_>| {
        tx.query("SELECT object_id FROM permission_cache WHERE decision = 0", &[], |row| row.string(0))
    };
    assert_eq!(t.store.read(denied).await.expect("read"), ["/1"], "the newest of a question stays");
    assert_eq!(rows(&t.store).await, 3);
}

#[tokio::test]
async fn the_whole_lane_can_be_dropped() {
    let t = open_with(|o| o.limits.notes = 0);
    t.store.note(Note::Decision(decision("/a")));
    t.store.tick().await.expect("ticks");
    assert_eq!((rows(&t.store).await, t.store.status().notes_dropped), (0, 1));
}

#[tokio::test]
async fn the_table_of_decisions_stays_at_its_size() {
    let t = open_with(|o| o.limits.decisions = 100);
    for n in 0..350 {
        t.store.note(Note::Decision(decision(&format!("/{n}"))));
        if n % 10 == 9 {
            t.store.tick().await.expect("ticks");
            assert!(rows(&t.store).await <= 100);
        }
    }
    assert!(rows(&t.store).await >= 90, "it is not emptied either");
    assert!(t.store.status().note_rows <= 100);
}

/// A key, recorded as an agent would be; only `last_used_at_us` matters here.
struct PutKey;

impl WriteOp for PutKey {
    const NAME: &'static str = "test_put_key";
    const UNRECORDED: bool = true;
    type Output = ();
    type Error = StoreError;
    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        tx.exec(
            "INSERT INTO api_keys (key_id, hash, hash_scheme, user_id, subject_type, subject_id, tenant, is_admin, \
             is_instance_admin, inherit_permissions, name, created_at_us) \
             VALUES ('k', 'h', 's', 'u', 'user', 'u', 'default', 0, 0, 1, 'n', 0)",
            &[],
        )
    }
    fn bytes(&self) -> usize {
        0
    }
}

#[tokio::test]
async fn the_use_of_a_key_is_written_once_a_minute() {
    let t = open();
    t.store.submit(origin(), PutKey).await.expect("written");
    let second = 1_000_000;
    let noted_us = AtomicI64::new(i64::MIN);
    for (at, wanted) in [(100, 100), (110, 100), (159, 100), (161, 161), (30, 161)] {
        t.store.key_used("k", at * second, &noted_us);
        // Somebody who does not know when.
        t.store.key_used("k", at * second, &AtomicI64::new(i64::MIN));
        t.store.tick().await.expect("ticks");
        let used = |tx: &nexus_lite::store::ReadTx<'_>| {
            tx.query_one("SELECT last_used_at_us FROM api_keys", &[], |row| row.opt_int(0))
        };
        let used = t.store.read(used).await.expect("read").flatten();
        assert_eq!(used, Some(wanted * second), "after a use at {at}");
    }
}

#[tokio::test]
async fn the_log_stays_below_its_bound_and_is_begun_anew_when_idle() {
    sqlite_only!("checkpoints");
    // More than the migrations of a new store leave.
    let threshold = 1 << 20;
    let t = open_with(|o| {
        o.limits.checkpoint_bytes = 1 << 20;
        o.limits.batch_bytes = 64 << 10;
    });
    let body = "x".repeat(60_000);
    for n in 0..40 {
        t.store.submit(origin(), add(&format!("{n}{body}"))).await.expect("written");
        let bytes = t.store.status().wal_bytes;
        // The threshold, a tenth, and one batch: the row and its changelog row.
        assert!(bytes <= threshold * 11 / 10 + 200_000, "{bytes} bytes after write {n}");
    }
    for n in 0..5 {
        t.store.submit(origin(), add(&format!("more {n}{body}"))).await.expect("written");
    }
    t.store.tick().await.expect("ticks");
    t.store.tick().await.expect("ticks");
    t.store.submit(origin(), add("small")).await.expect("written");
    assert!(t.store.status().wal_bytes_in_use < 64 << 10, "the idle checkpoint let the log begin anew");
    t.store.close().await.expect("closes");
    assert!(!t.dir.path().join("data").join(nexus_lite::store::WAL_FILE).exists());
}

#[tokio::test]
async fn a_blob_comes_back_or_is_an_error() {
    sqlite_only!("blob files");
    let t = open();
    let body = bytes::Bytes::from(vec![7_u8; 100_000]);
    let (hash, _pin) = t.store.put_blob(body.clone()).await.expect("stored");
    assert_eq!(hash, ContentHash::of(&body));
    assert_eq!(t.store.get_blob(hash).await.expect("there"), body);
    assert_eq!(t.store.put_blob(body.clone()).await.expect("stored again").0, hash);

    let path = blobs::path(t.store.data_dir(), hash);
    let mut damaged = body.to_vec();
    damaged[5_000] ^= 1;
    std::fs::write(&path, &damaged).expect("damaged");
    let read = t.store.get_blob(hash).await;
    assert!(matches!(&read, Err(StoreError::Corrupt { what }) if what.contains(&hash.to_hex())), "{read:?}");
    t.store.put_blob(body.clone()).await.expect("stored over the damage");
    assert_eq!(t.store.get_blob(hash).await.expect("healed"), body);
    std::fs::remove_file(path).expect("removed");
    assert!(matches!(t.store.get_blob(hash).await, Err(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn a_blob_has_its_name_only_when_it_is_synced() {
    sqlite_only!("blob files");
    let seen = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
    let hits = std::sync::Arc::clone(&seen);
    let t = open_with(|o| {
        let data = o.data_dir.clone();
        let name = blobs::path(&data, ContentHash::of(b"body"));
        o.faults = Faults::armed(move |point| {
            if point.name().starts_with("blob_") {
                hits.lock().push((point, name.exists()));
            }
        });
    });
    t.store.put_blob(bytes::Bytes::from_static(b"body")).await.expect("stored");
    use FaultPoint::{BlobDurable, BlobRenamed, BlobSynced, BlobWritten};
    assert_eq!(*seen.lock(), [(BlobWritten, false), (BlobSynced, false), (BlobRenamed, true), (BlobDurable, true)]);

    // What a stopped process has left is cleared at the next start.
    let partial = t.store.data_dir().join("blobs/partial/left-over");
    std::fs::write(&partial, b"half").expect("written");
    t.store.close().await.expect("closes");
    let again = Store::builder(options(&t.dir)).project::<Names>().open().expect("opens");
    assert!(!partial.exists());
    assert_eq!(again.get_blob(ContentHash::of(b"body")).await.expect("there"), &b"body"[..]);
}

#[tokio::test]
async fn a_long_reader_only_delays_the_checkpoint() {
    sqlite_only!("checkpoints");
    let t = open_with(|o| {
        o.limits.checkpoint_bytes = 256 << 10;
        o.limits.checkpoint_wait = Duration::from_millis(1);
    });
    let (begun, has_begun) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    let store = t.store.clone();
    let reader = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(store.read(move |tx| {
            begun.send(()).expect("heard");
            may_go_on.recv().expect("told");
            Ok::<_, StoreError>(tx.rev())
        }))
    });
    has_begun.recv().expect("it runs");
    let body = "x".repeat(60_000);
    for n in 0..20 {
        t.store.submit(origin(), add(&format!("{n}{body}"))).await.expect("written, whoever reads");
    }
    assert!(t.store.status().wal_bytes_in_use > 512 << 10, "the reader holds the log");
    go_on.send(()).expect("it waits");
    assert_eq!(reader.join().expect("no panic").expect("read"), 0);
    for n in 0..20 {
        t.store.submit(origin(), add(&format!("more {n}{body}"))).await.expect("written");
    }
    assert!(t.store.status().wal_bytes_in_use < 512 << 10, "and then it is moved");
}
