//! Faults of the disk: whatever fails, each message is answered, what was acknowledged is there, and what was refused
//! is not.

use std::collections::BTreeSet;
use std::ffi::c_int;
use std::sync::Arc;

use nexus_lite::store::{Store, StoreError};
use parking_lot::Mutex;
use rusqlite::ffi;

use super::{Names, add, names, open_with, options, origin};
use crate::harness::engine::sqlite_only;
use crate::harness::vfs::{self, Disk, File};

/// The call that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Write,
    Sync,
}

/// Which call fails next, and with what.
#[derive(Debug, Default)]
struct Plan {
    fails: Option<(Call, c_int)>,
    /// So many calls of the kind succeed first.
    after: usize,
    sticky: bool,
    fired: bool,
}

#[derive(Default)]
struct Faulty(Mutex<Plan>);

impl Faulty {
    fn asked(&self, call: Call) -> Result<(), c_int> {
        let mut plan = self.0.lock();
        let Some((fails, code)) = plan.fails.filter(|(fails, _)| *fails == call) else { return Ok(()) };
        if plan.after > 0 {
            plan.after -= 1;
            return Ok(());
        }
        plan.fired = true;
        plan.fails = plan.sticky.then_some((fails, code));
        Err(code)
    }
}

impl Disk for Faulty {
    fn write(&self, _: &File, _: i64, _: &[u8]) -> Result<(), c_int> {
        self.asked(Call::Write)
    }
    fn sync(&self, _: &File) -> Result<(), c_int> {
        self.asked(Call::Sync)
    }
}

/// One run with the fault after `after` calls; whether it came to that.
async fn run(disk: &Faulty, vfs: &str, call: Call, code: c_int, after: usize, sticky: bool) -> bool {
    let case = format!("{call:?} {code} after {after}, sticky: {sticky}");
    let t = open_with(|o| o.vfs = Some(vfs.into()));
    *disk.0.lock() = Plan { fails: Some((call, code)), after, sticky, fired: false };
    let (mut acknowledged, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for n in 0..4 {
        let name = format!("{n} {}", "x".repeat(n * 3_000));
        match t.store.submit(origin(), add(&name)).await {
            Ok(_) => drop(acknowledged.insert(name)),
            // Nothing is known of these.
            Err(StoreError::Indeterminate { .. }) => {}
            Err(StoreError::Full | StoreError::ReadOnly { .. } | StoreError::Sql { .. }) => drop(refused.insert(name)),
            Err(error) => panic!("{case}: {error}"),
        }
    }
    let fired = std::mem::take(&mut *disk.0.lock()).fired;
    let status = t.store.status();
    assert_eq!(status.rw_connections_max, 1, "{case}");
    if fired && code != ffi::SQLITE_FULL {
        assert!(status.read_only.is_some(), "{case}: takes no writes until it is started again");
        assert!(names(&t.store).await.is_ok(), "{case}: reads go on");
    }
    // Closing after an error may say so; what counts is what is found after it.
    let _ = t.store.close().await;
    let again = Store::builder(options(&t.dir)).project::<Names>().open().unwrap_or_else(|e| panic!("{case}: {e}"));
    let there: BTreeSet<_> = names(&again).await.expect("read").1.into_iter().collect();
    assert!(acknowledged.is_subset(&there), "{case}: an acknowledged write is lost");
    assert!(refused.is_disjoint(&there), "{case}: a refused write is there");
    assert_eq!(again.check().await.expect("checked").violations, [], "{case}");
    fired
}

#[tokio::test]
async fn each_message_is_answered_rightly_whichever_call_fails() {
    sqlite_only!("its disk operations are made to fail");
    let disk = Arc::new(Faulty::default());
    vfs::register("store-faults", Arc::<Faulty>::clone(&disk));
    for (call, code, step) in [
        (Call::Write, ffi::SQLITE_FULL, 3),
        (Call::Write, ffi::SQLITE_IOERR_WRITE, 5),
        (Call::Sync, ffi::SQLITE_IOERR_FSYNC, 1),
    ] {
        for sticky in [false, true] {
            let fired = (0..200).map(|n| n * step);
            let mut runs = 0;
            for after in fired {
                if !run(&disk, "store-faults", call, code, after, sticky).await {
                    break;
                }
                runs += 1;
            }
            assert!((3..200).contains(&runs), "{call:?} {code}: {runs} runs until none met the fault");
        }
    }
}
