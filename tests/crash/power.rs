//! The power goes at random points of a run of mixed commands: images of what a disk may then hold, each opened and
//! read.
//!
//! A disk that writes down all that is done to it ([`Recorder`]) lies under the whole server; [`Replay`] makes images
//! of its log. Each image is recovered and read by the engine alone, some by the store with all its rules. What it
//! must hold is known from the replies. The same eyes look at disks and settings that do lose writes, and must see it.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use futures_util::future::join_all;
use nexus_lite::auth::AuthIndex;
use nexus_lite::model::time::monotonic;
use nexus_lite::model::{OsRandom, RandomSource as _, Rev};
use nexus_lite::rebac::Graph;
use nexus_lite::store::{DATABASE_FILE, Durability, Mutation, Options, Store, WAL_FILE, blobs};
use parking_lot::Mutex;

use super::state::{self, State, Unreadable};
use super::work::{Facts, Ledger, Worker};
use crate::harness::disk::{Event, Lie, Recorder};
use crate::harness::image::{Image, Left, Replay};
use crate::harness::world::{Setup, World};
use crate::property::random::Rng;

/// Commands of one run; of a control.
const COMMANDS: usize = 600;
const COMMANDS_OF_A_CONTROL: usize = 250;
/// Images of one run; of a control.
const IMAGES: usize = 2_000;
const IMAGES_OF_A_CONTROL: usize = 500;
/// Clients at the same time, so that batches hold more than one command.
const CLIENTS: usize = 4;
/// One image in so many is opened by the store itself and checked by all rules.
const WHOLE_ONE_IN: usize = 40;
/// Size of the log past which the writer checkpoints, bytes: small, so that the power goes in the middle of many.
const CHECKPOINT_BYTES: u64 = 384 << 10;
/// Free memory that is room enough, bytes: a store takes a smaller disk for a full one.
const SCRATCH_BYTES: u64 = 2 << 30;
/// Lines of the log that a disk which lies keeps in its cache.
const CACHE_OF_A_LIAR: usize = 400;

/// What is cut, and how the system or the disk differs from what is promised.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) commands: usize,
    pub(crate) images: usize,
    pub(crate) durability: Durability,
    pub(crate) lie: Lie,
    /// Lines of the log after which a write is durable whatever was synced.
    pub(crate) written_back_after: Option<usize>,
    pub(crate) mutation: Option<Mutation>,
}

impl Run {
    /// The system as it is, on a disk that does what it says.
    fn real() -> Self {
        let factor = setting("NEXUS_LITE_SOAK").map_or(1, |n| usize::try_from(n).expect("a factor"));
        Self {
            commands: COMMANDS,
            images: IMAGES * factor,
            durability: Durability::Full,
            lie: Lie::Nothing,
            written_back_after: None,
            mutation: None,
        }
    }

    /// A shorter one, in which something is to be lost.
    pub(crate) fn control() -> Self {
        Self { commands: COMMANDS_OF_A_CONTROL, images: IMAGES_OF_A_CONTROL, ..Self::real() }
    }
}

/// What was found in the images.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) images: usize,
    /// Images opened by the store itself.
    whole: usize,
    /// Acknowledged revisions, or bodies of such, that are missing.
    pub(crate) lost: usize,
    /// Databases that are damaged.
    pub(crate) corrupt: usize,
    /// States that no prefix of the commands makes.
    pub(crate) torn: usize,
    /// The first of each, in words.
    described: Vec<String>,
}

impl Found {
    fn bad(&self) -> usize {
        self.lost + self.corrupt + self.torn
    }

    fn describe(&mut self, what: String) {
        if self.described.len() < 5 {
            self.described.push(what);
        }
    }
}

/// A run of commands, written down.
struct Recording {
    root: PathBuf,
    log: Vec<Event>,
    ledger: Ledger,
}

/// A number from the environment.
pub(crate) fn setting(name: &str) -> Option<u64> {
    let text = std::env::var_os(name)?.into_string().expect("a number");
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// The seed of this run: that of a failure, or a fresh one. Printed.
pub(crate) fn seed() -> u64 {
    let mut fresh = [0; 8];
    OsRandom.fill(&mut fresh);
    let seed = setting("NEXUS_LITE_PROPERTY_SEED").unwrap_or_else(|| u64::from_le_bytes(fresh));
    eprintln!("NEXUS_LITE_PROPERTY_SEED={seed}");
    seed
}

/// A directory in memory, where there is room for it: what is tested is what reaches the disk, not the disk.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let free = rustix::fs::statvfs(memory).map_or(0, |fs| fs.f_bavail * fs.f_frsize);
    let made = if free >= SCRATCH_BYTES { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a directory")
}

/// A small server over `recorder`.
fn setup(run: Run, recorder: &std::sync::Arc<Recorder>, seed: u64) -> Setup {
    let recorder = std::sync::Arc::clone(recorder);
    let tune = move |options: &mut Options| {
        recorder.under(options);
        options.durability = run.durability;
        options.mutation = run.mutation;
        options.reader_slots = 2;
        options.limits.slow_threads = 2;
        options.limits.checkpoint_bytes = CHECKPOINT_BYTES;
    };
    Setup { seed, tune: Box::new(tune), ..Setup::default() }
}

/// Runs the commands, and closes and opens the store once on the way.
fn record(run: Run, seed: u64) -> Recording {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let recorder = Recorder::new(run.lie);
    let ledger = Mutex::new(Ledger::default());
    let root = runtime.block_on(async {
        let mut world = World::within(scratch(), setup(run, &recorder, seed)).await;
        let mut workers: Vec<_> = (0..CLIENTS).map(|n| Worker::new(n, seed)).collect();
        for half in 0..2 {
            if half == 1 {
                let keys = world.keys();
                let dir = world.close().await.expect("its directory");
                let again = setup(run, &recorder, seed.wrapping_add(1));
                world = World::again(&dir.path().join("data"), again, keys).await;
                world.keep(Some(dir));
            }
            let (world, ledger, recorder) = (&world, &ledger, &recorder);
            let work = workers.iter_mut().map(async |worker| {
                for _ in 0..run.commands / 2 / CLIENTS {
                    let command = worker.next();
                    let (reply, rev) = worker.ask(world, &command).await;
                    match reply {
                        Ok(reply) => {
                            recorder.acknowledged(rev);
                            let effects = worker.done(&command, &reply);
                            ledger.lock().note(rev, effects);
                        }
                        Err(failure) => ledger.lock().refuse(&command, &failure),
                    }
                }
            });
            join_all(work).await;
        }
        world.close().await.expect("its directory").path().to_owned()
    });
    Recording { root, log: recorder.take(), ledger: ledger.into_inner() }
}

/// Makes images at random points of the log and looks at each.
fn judge(run: Run, recording: &Recording, seed: u64) -> Found {
    let mut random = Rng::new(seed);
    let points = run.images / Left::EACH.len();
    let mut at: Vec<_> = (0..points).map(|_| random.below(recording.log.len() + 1)).collect();
    at.sort_unstable();
    let mut replay = Replay::new(&recording.root, run.written_back_after);
    let mut eyes = Eyes::new(recording);
    let mut line = 0;
    for point in at {
        recording.log[line..point].iter().for_each(|event| replay.step(event));
        line = point;
        for left in Left::EACH {
            let image = replay.image(left, &mut random);
            eyes.look(&image, replay.acknowledged, &format!("line {point}, {left:?}"));
        }
    }
    eyes.found
}

/// Whoever looks at images.
struct Eyes<'r> {
    recording: &'r Recording,
    scratch: tempfile::TempDir,
    /// What must be there, by revision.
    expected: BTreeMap<Rev, Facts>,
    /// Files whose synced content was compared with its address.
    compared: HashSet<usize>,
    found: Found,
}

impl<'r> Eyes<'r> {
    fn new(recording: &'r Recording) -> Self {
        let (scratch, compared) = (scratch(), HashSet::new());
        Self { recording, scratch, expected: BTreeMap::new(), compared, found: Found::default() }
    }

    fn look(&mut self, image: &Image<'_>, acknowledged: Rev, which: &str) {
        self.found.images += 1;
        let before = self.found.bad();
        let data = self.recording.root.join("data");
        let dir = self.scratch.path().join("engine");
        let _ = std::fs::create_dir(&dir);
        for name in [DATABASE_FILE, WAL_FILE, "nexus.sqlite-journal", "nexus.sqlite-shm"] {
            let path = dir.join(name);
            match image.read(&data.join(name)) {
                Some(content) => std::fs::write(path, content).expect("written"),
                None => drop(std::fs::remove_file(path)),
            }
        }
        let unborn = match state::read(&dir.join(DATABASE_FILE)) {
            Err(Unreadable::Damaged(what)) => {
                self.found.corrupt += 1;
                return self.found.describe(format!("{which}: corrupt: {what}"));
            }
            Err(Unreadable::Unborn) if acknowledged > 0 => {
                self.found.lost += 1;
                return self.found.describe(format!("{which}: everything is lost"));
            }
            Err(Unreadable::Unborn) => true,
            Ok(state) => {
                self.compare(image, &state, acknowledged, which);
                false
            }
        };
        // What is known to be bad would be counted twice.
        if self.found.bad() == before && (unborn || self.found.images.is_multiple_of(WHOLE_ONE_IN)) {
            self.open_whole(image, which);
        }
    }

    /// The state is that of its revision, which is not before the last acknowledged one; the bodies are there.
    fn compare(&mut self, image: &Image<'_>, state: &State, acknowledged: Rev, which: &str) {
        if state.rev < acknowledged {
            self.found.lost += 1;
            self.found.describe(format!("{which}: revision {acknowledged} was acknowledged, {} is there", state.rev));
        }
        let expected = self.expected.entry(state.rev).or_insert_with(|| self.recording.ledger.at(state.rev));
        let wrong = expected.iter().find(|(fact, value)| state.facts.get(*fact) != value.as_ref());
        if let Some((fact, value)) = wrong {
            self.found.torn += 1;
            let is = state.facts.get(fact);
            self.found.describe(format!("{which}: at {} {fact} is {is:?} instead of {value:?}", state.rev));
        }
        let data = self.recording.root.join("data");
        for hash in &state.blobs {
            let good = match image.find(&blobs::path(&data, *hash)) {
                None => false,
                Some((Some(file), _)) if self.compared.contains(&file) => true,
                Some((settled, content)) => {
                    let good = nexus_lite::model::ContentHash::of(content) == *hash;
                    self.compared.extend(settled.filter(|_| good));
                    good
                }
            };
            if !good {
                self.found.lost += 1;
                return self.found.describe(format!("{which}: at {} the blob {} is lost", state.rev, hash.to_hex()));
            }
        }
    }

    /// Opens all of it as the server would.
    fn open_whole(&mut self, image: &Image<'_>, which: &str) {
        self.found.whole += 1;
        let dir = tempfile::tempdir_in(self.scratch.path()).expect("a directory");
        for (path, content) in image.files() {
            let below = path.strip_prefix(&self.recording.root).expect("below the root");
            let copy = dir.path().join(below);
            std::fs::create_dir_all(copy.parent().expect("a folder")).expect("made");
            std::fs::write(copy, content).expect("written");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let checked = runtime.block_on(async {
            let mut options = Options::new(dir.path().join("data"));
            (options.reader_slots, options.limits.slow_threads) = (1, 1);
            let store = Store::builder(options).project::<Graph>().project::<AuthIndex>().open()?;
            let report = store.check().await?;
            store.close().await.map(|()| report.violations)
        });
        let wrong = match checked {
            Ok(violations) if violations.is_empty() => return,
            Ok(violations) => format!("{violations:?}"),
            Err(error) => error.to_string(),
        };
        self.found.corrupt += 1;
        self.found.describe(format!("{which}: the store says {wrong}"));
    }
}

/// Runs, cuts and looks. `Err` = something is lost, damaged or torn.
pub(crate) fn check(run: Run, seed: u64) -> Result<Found, Found> {
    let start = monotonic();
    let recording = record(run, seed);
    let recorded = start.elapsed();
    let found = judge(run, &recording, seed);
    let rate = found.images as f64 / (start.elapsed() - recorded).as_secs_f64();
    let Ledger { done, refused, .. } = &recording.ledger;
    eprintln!(
        "{run:?}: {done} commands done, {refused} refused, {} lines of the log in {recorded:.1?}; {found:?}; \
         {rate:.0} images/s",
        recording.log.len()
    );
    // Who is answered too early is refused what follows from it.
    let expected = run.mutation.is_some() || *refused * 20 < *done;
    assert!(expected, "nearly all commands are done: {:?}", recording.ledger.refusals);
    if found.bad() == 0 { Ok(found) } else { Err(found) }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_goes() {
    check(Run::real(), seed()).expect("every image is good");
}

#[test]
fn with_normal_syncs_the_images_show_a_loss() {
    let found = check(Run { durability: Durability::Relaxed, ..Run::control() }, seed()).expect_err("a loss");
    assert!(found.lost > 0 && found.corrupt == 0, "the newest are lost, the rest is whole: {found:?}");
}

#[test]
fn without_syncs_the_images_show_damage() {
    let found = check(Run { lie: Lie::Syncs, ..Run::control() }, seed()).expect_err("damage");
    assert!(found.corrupt > 0, "{found:?}");
}

#[test]
fn on_a_disk_that_lies_the_images_show_a_loss() {
    let run = Run { lie: Lie::Syncs, written_back_after: Some(CACHE_OF_A_LIAR), ..Run::control() };
    let found = check(run, seed()).expect_err("a loss");
    assert!(found.lost > 0, "{found:?}");
}

#[test]
fn without_syncs_of_directories_the_images_show_a_lost_blob() {
    let found = check(Run { lie: Lie::DirectorySyncs, ..Run::control() }, seed()).expect_err("a loss");
    assert!(found.lost > 0 && found.corrupt == 0, "{found:?}");
}
