//! The n-th call of the disk fails, for each n, once or from then on, while commands of every kind run on the whole
//! server: reads, writes, syncs and opens of the database, and everything done to files outside it.
//!
//! Whatever fails, each command is answered, what was acknowledged is there, and what was refused is not. Where a reply
//! says that the outcome is not known, both are right.

use std::collections::{BTreeSet, HashMap};
use std::ffi::c_int;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::join_all;
use nexus_lite::auth::AuthIndex;
use nexus_lite::model::Rev;
use nexus_lite::rebac::Graph;
use nexus_lite::store::{DATABASE_FILE, FileOp, FileWatch, Files, Options, Store, Turn};
use parking_lot::Mutex;
use rusqlite::ffi;

use super::power::{scratch, seed, setting};
use super::state;
use super::work::{BLOB_WRITE, Ledger, Worker};
use crate::harness::client::{Failure, LIVENESS};
use crate::harness::vfs::{self, Disk, File};
use crate::harness::world::{Setup, Who, World};
use crate::property::random::Rng;

/// Runs of one kind of fault in one mode, more than there are syncs, opens or operations on other files; with
/// `NEXUS_LITE_SOAK` every position of writes and reads has its run, too.
const RUNS: usize = 64;
/// Size of the log past which the writer checkpoints, bytes: small, so that calls of checkpoints fail too.
const CHECKPOINT_BYTES: u64 = 192 << 10;
/// Clients at the same time.
const CLIENTS: usize = 2;
/// What each client asks for, one after the other: every kind of command, blob files twice.
const KINDS: [usize; 14] = [19, BLOB_WRITE, 4, 7, 8, 10, 11, 2, 1, 6, 9, BLOB_WRITE, 0, 19];

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// A call of SQLite gets this code.
    Engine(Call, c_int),
    /// An operation on a file outside the database gets this error.
    File(io::ErrorKind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Open,
    Read,
    Write,
    Sync,
}

/// Which call fails.
#[derive(Debug, Clone, Copy)]
struct Plan {
    fault: Fault,
    /// So many calls of the kind succeed first.
    after: usize,
    sticky: bool,
}

/// What has come of it.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    calls: usize,
    fired: usize,
    /// Syncs among these.
    syncs: usize,
}

#[derive(Default)]
struct Faulty(Mutex<(Option<Plan>, Seen)>);

impl Faulty {
    /// Whether this call fails.
    fn fails(&self, is: impl Fn(Fault) -> bool, sync: bool) -> bool {
        let mut guard = self.0.lock();
        let (plan, seen) = &mut *guard;
        let Some(plan) = plan.filter(|plan| is(plan.fault)) else { return false };
        seen.calls += 1;
        let fails = if plan.sticky { seen.calls > plan.after } else { seen.calls == plan.after + 1 };
        seen.fired += usize::from(fails);
        seen.syncs += usize::from(fails && sync);
        fails
    }

    fn engine(&self, call: Call) -> Result<(), c_int> {
        let Some(Plan { fault: Fault::Engine(_, code), .. }) = self.0.lock().0 else { return Ok(()) };
        let fails = self.fails(|fault| matches!(fault, Fault::Engine(c, _) if c == call), call == Call::Sync);
        if fails { Err(code) } else { Ok(()) }
    }

    fn arm(&self, plan: Option<Plan>) {
        self.0.lock().0 = plan;
    }

    fn seen(&self) -> Seen {
        self.0.lock().1
    }
}

impl Disk for Faulty {
    fn open(&self, _: &File) -> Result<(), c_int> {
        self.engine(Call::Open)
    }
    fn read(&self, _: &File, _: i64, _: usize) -> Result<(), c_int> {
        self.engine(Call::Read)
    }
    fn write(&self, _: &File, _: i64, _: &[u8]) -> Result<(), c_int> {
        self.engine(Call::Write)
    }
    fn sync(&self, _: &File) -> Result<(), c_int> {
        self.engine(Call::Sync)
    }
}

impl FileWatch for Faulty {
    fn before(&self, op: FileOp<'_>) -> io::Result<Turn> {
        let Some(Plan { fault: Fault::File(kind), .. }) = self.0.lock().0 else { return Ok(Turn::Do) };
        let sync = matches!(op, FileOp::Sync(_) | FileOp::SyncDir(_));
        // A full disk still syncs, and still removes.
        let fits =
            kind != io::ErrorKind::StorageFull || !(sync || matches!(op, FileOp::Remove(_) | FileOp::RemoveAll(_)));
        if fits && self.fails(|fault| matches!(fault, Fault::File(_)), sync) {
            return Err(io::Error::new(kind, "the disk of the test"));
        }
        Ok(Turn::Do)
    }
}

/// A directory that every run begins with.
struct Template {
    dir: tempfile::TempDir,
    keys: HashMap<Who, String>,
    rev: Rev,
    /// Where runs work.
    place: tempfile::TempDir,
    seed: u64,
}

impl Template {
    async fn new(seed: u64) -> Self {
        let world = World::within(scratch(), Setup { seed, ..Setup::default() }).await;
        let mut worker = Worker::new(CLIENTS, seed);
        for kind in KINDS {
            let command = worker.command(kind);
            let (reply, _) = worker.ask(&world, &command).await;
            worker.done(&command, &reply.expect("done"));
        }
        let (keys, rev) = (world.keys(), world.head().await);
        let dir = world.close().await.expect("its directory");
        Self { dir, keys, rev, place: scratch(), seed }
    }

    /// A copy to work on.
    fn copy(&self) -> PathBuf {
        let copy = self.place.path().join("data");
        if copy.exists() {
            std::fs::remove_dir_all(&copy).expect("cleared");
        }
        copy_all(&self.dir.path().join("data"), &copy);
        copy
    }
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("made");
    for entry in std::fs::read_dir(from).expect("listed") {
        let entry = entry.expect("listed");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_all(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("copied");
        }
    }
}

/// What the clients of one run know.
#[derive(Default)]
struct Known {
    ledger: Ledger,
    /// Commands whose outcome was said not to be known, and what they touch.
    unknown: usize,
    touched: BTreeSet<String>,
}

impl Known {
    fn failed(&mut self, worker: &Worker, command: &super::work::Command, failure: &Failure) {
        let code = failure.data["code"].as_str().unwrap_or_default();
        assert!(!code.is_empty(), "{}: {failure:?}", command.method);
        if code == "outcome_unknown" {
            self.unknown += 1;
            self.touched.extend(worker.touches(command));
        }
        self.ledger.refuse(command, failure);
    }
}

/// One run with the fault in `plan`.
async fn run(template: &Template, disk: &Arc<Faulty>, vfs: &str, plan: Plan) -> Seen {
    let data = template.copy();
    *disk.0.lock() = (Some(plan), Seen::default());
    let (name, watch) = (vfs.to_owned(), Arc::<Faulty>::clone(disk));
    let tune = move |options: &mut Options| {
        options.vfs = Some(name);
        options.files = Files::watched(watch);
        (options.reader_slots, options.limits.slow_threads) = (1, 1);
        options.limits.checkpoint_bytes = CHECKPOINT_BYTES;
        options.limits.tick = std::time::Duration::from_secs(3_600);
    };
    let setup = Setup { seed: template.seed.wrapping_add(1), tune: Box::new(tune), ..Setup::default() };
    let known = Mutex::new(Known::default());
    let opened = World::try_again(&data, setup, template.keys.clone()).await;
    if let Ok(world) = opened {
        let mut workers: Vec<_> = (0..CLIENTS).map(|n| Worker::new(n, template.seed)).collect();
        let work = workers.iter_mut().map(async |worker| {
            for kind in KINDS {
                let command = worker.command(kind);
                match worker.ask(&world, &command).await {
                    (Ok(reply), rev) => {
                        let effects = worker.done(&command, &reply);
                        known.lock().ledger.note(rev, effects);
                    }
                    (Err(failure), _) => known.lock().failed(worker, &command, &failure),
                }
            }
        });
        tokio::time::timeout(LIVENESS, join_all(work)).await.unwrap_or_else(|_| panic!("{plan:?}: no answer"));
        if disk.seen().syncs > 0 {
            disk.arm(None);
            let status = world.store.status();
            assert!(status.read_only.is_some(), "{plan:?}: writes are taken after a sync that failed");
            let command = workers[0].command(19);
            workers[0].ask(&world, &command).await.0.expect_err("read-only");
        }
        assert!(world.store.status().writer_alive, "{plan:?}: the writer has panicked");
        // Closing after an error may say so; what counts is what is found after it.
        let _ = world.store.close().await;
    }
    disk.arm(None);
    verify(template, &data, &known.into_inner(), plan).await;
    disk.seen()
}

/// What the directory holds afterwards, by the engine alone and by the store.
async fn verify(template: &Template, data: &Path, known: &Known, plan: Plan) {
    let state = state::read(&data.join(DATABASE_FILE)).unwrap_or_else(|e| panic!("{plan:?}: {e:?}"));
    let acknowledged = known.ledger.revisions();
    assert!(acknowledged.last().is_none_or(|last| *last <= state.rev), "{plan:?}: an acknowledged write is lost");
    let more = (template.rev + 1..=state.rev).filter(|rev| !acknowledged.contains(rev)).count();
    let refusals = &known.ledger.refusals;
    assert!(
        more <= known.unknown,
        "{plan:?}: {more} revisions nobody knows of, {} replies left it open: {refusals:?}",
        known.unknown
    );
    for (fact, value) in known.ledger.at(Rev::MAX) {
        let is = state.facts.get(&fact);
        assert!(is == value.as_ref() || known.touched.contains(&fact), "{plan:?}: {fact} is {is:?}, not {value:?}");
    }
    let mut options = Options::new(data);
    (options.reader_slots, options.limits.slow_threads) = (1, 1);
    let opened = Store::builder(options).project::<Graph>().project::<AuthIndex>().open();
    let store = opened.unwrap_or_else(|e| panic!("{plan:?}: {e}"));
    assert_eq!(store.check().await.expect("checked").violations, [], "{plan:?}");
    for hash in &state.blobs {
        store.get_blob(*hash).await.unwrap_or_else(|e| panic!("{plan:?}: {e}"));
    }
    store.close().await.expect("a clean end");
}

/// Fails call after call; all of them, or as many as the budget allows.
async fn sweep(name: &str, faults: &[Fault]) {
    let seed = seed();
    let disk = Arc::new(Faulty::default());
    let vfs = format!("sweep-{name}");
    vfs::register(&vfs, Arc::<Faulty>::clone(&disk));
    let template = Template::new(seed).await;
    let mut random = Rng::new(seed);
    for fault in faults {
        let never = Plan { fault: *fault, after: usize::MAX - 1, sticky: false };
        let total = run(&template, &disk, &vfs, never).await.calls;
        assert!(total > 0, "{fault:?}: nothing of the kind is ever called");
        let step = if setting("NEXUS_LITE_SOAK").is_some() { 1 } else { total.div_ceil(RUNS) };
        for sticky in [false, true] {
            let (mut after, mut runs) = (random.below(step), 0);
            loop {
                let seen = run(&template, &disk, &vfs, Plan { fault: *fault, after, sticky }).await;
                // How many calls a run makes depends on who meets in a batch: one that made fewer ends nothing.
                if seen.fired == 0 && after >= total {
                    break;
                }
                (after, runs) = (after + step, runs + usize::from(seen.fired > 0));
            }
            eprintln!("{fault:?}, sticky: {sticky}: {runs} runs, one of {step} positions of {total}");
            assert!(runs > 0, "{fault:?}: no run met the fault");
        }
    }
}

#[tokio::test]
async fn writes_of_the_database_fail() {
    let full = Fault::Engine(Call::Write, ffi::SQLITE_FULL);
    sweep("write", &[full, Fault::Engine(Call::Write, ffi::SQLITE_IOERR_WRITE)]).await;
}

#[tokio::test]
async fn syncs_of_the_database_fail() {
    sweep("sync", &[Fault::Engine(Call::Sync, ffi::SQLITE_IOERR_FSYNC)]).await;
}

#[tokio::test]
async fn reads_and_opens_of_the_database_fail() {
    let read = Fault::Engine(Call::Read, ffi::SQLITE_IOERR_READ);
    sweep("read", &[read, Fault::Engine(Call::Open, ffi::SQLITE_CANTOPEN)]).await;
}

#[tokio::test]
async fn operations_on_other_files_fail() {
    sweep("files", &[Fault::File(io::ErrorKind::StorageFull), Fault::File(io::ErrorKind::Other)]).await;
}
