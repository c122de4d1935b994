//! Which past is kept, and which bodies: against a simple model, in random order, with snapshots; and the races of the
//! collection of bodies with uploads and backups.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nexus_lite::model::random::{RandomSource as _, SeededRandom};
use nexus_lite::model::{ContentHash, Rev, SnapshotRow};
use nexus_lite::store::snapshots;
use serde_json::json;

use super::super::*;
use crate::harness::engine;
use crate::harness::process::soak;
use crate::harness::world::Setup;

/// Random runs.
const RUNS: u64 = 3;
/// Commands of one run.
const STEPS: usize = 60;
/// Versions of a file that are kept in these tests.
const KEEP_VERSIONS: u64 = 2;
/// Days for which the past is kept in these tests.
const KEEP_DAYS: u64 = 2;
const HOUR: Duration = Duration::from_secs(60 * 60);
/// Ticks in which a pass over a small store has looked at everything twice.
const TICKS: usize = 24;
const PATH: &str = "/w/alice/a.txt";

/// A world that forgets soon.
async fn forgetful() -> World {
    let tune = |options: &mut nexus_lite::store::Options| {
        options.limits.keep_versions = KEEP_VERSIONS;
        options.limits.keep_days = KEEP_DAYS;
        options.limits.keep_bodies = Duration::ZERO;
        options.limits.house_every = Duration::ZERO;
        // The writer's own ticks would come in between.
        options.limits.tick = Duration::from_secs(3_600);
    };
    let world = World::with(Setup { tune: Box::new(tune), ..Setup::default() }).await;
    ok(&world, Who::Admin, "mkdir", json!({"path": "/w"})).await;
    ok(&world, Who::Admin, "mkdir", json!({"path": "/w/alice"})).await;
    grant(&world, ("user", "alice"), "direct_editor", "/w/alice").await;
    world
}

/// Passes over everything, so often that what can go is gone.
async fn tidy(world: &World) {
    let mut before = None;
    loop {
        for _ in 0..TICKS {
            world.store.tick().await.expect("a tick");
        }
        let status = world.store.status();
        let now = Some((status.states_dropped, status.bodies_collected, status.files_swept));
        if before == now {
            return;
        }
        before = now;
    }
}

/// A body by its number: every third one is too large for the database.
fn body(number: u64) -> String {
    let text = format!("body {number} ");
    if number.is_multiple_of(3) { text.repeat(12_000) } else { text }
}

struct TakeSnapshot(SnapshotRow);

impl WriteOp for TakeSnapshot {
    const NAME: &'static str = "test_snapshot";
    type Output = SnapshotRow;
    type Error = StoreError;
    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<SnapshotRow, StoreError> {
        let of = snapshots::Of { path: &self.0.path, node: self.0.node };
        let number = snapshots::next_number(&*tx, of)?;
        let rev = Some(tx.rev() - 1);
        snapshots::insert(tx, SnapshotRow { number, rev, created_at_us: tx.now_us(), ..self.0.clone() })
    }
    fn bytes(&self) -> usize {
        0
    }
}

struct DropSnapshot(SnapshotRow);

impl WriteOp for DropSnapshot {
    const NAME: &'static str = "test_snapshot_delete";
    type Output = ();
    type Error = StoreError;
    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        snapshots::delete(tx, &self.0)
    }
    fn bytes(&self) -> usize {
        0
    }
}

async fn snapshot(world: &World) -> SnapshotRow {
    let row = SnapshotRow {
        snapshot_id: world.store.random().uuid(),
        number: 0,
        path: "/w/alice".into(),
        tenant: "default".into(),
        node: 3,
        rev: None,
        description: None,
        tags: "[]".into(),
        created_by: "alice".into(),
        created_at_us: 0,
        file_count: None,
        total_size: None,
        manifest_hash: None,
    };
    world.store.submit(Origin::system("test"), TakeSnapshot(row)).await.expect("a snapshot").0
}

/// A state of the model: a row of the past.
#[derive(Debug, Clone)]
struct State {
    from: Rev,
    /// Revision and time of its end.
    to: Option<(Rev, i64)>,
    version: u64,
    body: u64,
}

/// A file of the model, there or gone.
#[derive(Debug, Clone, Default)]
struct Node {
    states: Vec<State>,
    /// `None` = it is there.
    gone: Option<String>,
}

#[derive(Default)]
struct Model {
    nodes: Vec<Node>,
    /// The live file of each path.
    live: BTreeMap<String, usize>,
    snapshots: Vec<SnapshotRow>,
}

impl Model {
    fn close(&mut self, node: usize, rev: Rev, now: i64) {
        let last = self.nodes[node].states.last_mut().expect("a state");
        last.to = Some((rev, now));
    }

    fn open(&mut self, node: usize, rev: Rev, version: u64, body: u64) {
        self.nodes[node].states.push(State { from: rev, to: None, version, body });
    }

    /// Forgets what need not be kept. `older`: the time before which what has ended is old.
    fn forget(&mut self, older: i64) {
        let needed: Vec<Rev> = self.snapshots.iter().filter_map(|row| row.rev).collect();
        for node in &mut self.nodes {
            let Some(last) = node.states.last().cloned() else { continue };
            let remembered = last.to.is_none_or(|(_, at)| at > older);
            node.states.retain(|state| {
                let Some((to, at)) = state.to else { return true };
                let recent = remembered && state.version + KEEP_VERSIONS > last.version;
                at > older || recent || needed.iter().any(|rev| (state.from..to).contains(rev))
            });
        }
    }

    fn bodies(&self) -> BTreeSet<u64> {
        self.nodes.iter().flat_map(|node| &node.states).map(|state| state.body).collect()
    }
}

/// 0 to `end - 1`.
fn draw(random: &SeededRandom, end: u64) -> u64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    u64::from_le_bytes(bytes) % end
}

/// Runs commands and compares after each pass.
async fn run(seed: u64) {
    let random = SeededRandom::new(seed);
    let draw = |end: u64| draw(&random, end);
    let world = forgetful().await;
    let clock = world.clock.clone().expect("an injected clock");
    let mut model = Model::default();
    for step in 0..STEPS {
        clock.advance(HOUR * u32::try_from(draw(8)).expect("small"));
        let path = format!("/w/alice/{}.txt", draw(4));
        let there = model.live.get(&path).copied();
        let now = world.store.now_us();
        match (draw(12), there) {
            (0..=4, there) => {
                let number = draw(6);
                write(&world, Who::Alice, &path, &body(number)).await;
                let rev = world.head().await;
                match there {
                    Some(node) => {
                        let version = model.nodes[node].states.last().expect("a state").version + 1;
                        model.close(node, rev, now);
                        model.open(node, rev, version, number);
                    }
                    None => {
                        model.nodes.push(Node::default());
                        model.live.insert(path, model.nodes.len() - 1);
                        model.open(model.nodes.len() - 1, rev, 1, number);
                    }
                }
            }
            (5, Some(node)) => {
                let goal = format!("/w/alice/moved-{step}.txt");
                ok(&world, Who::Alice, "rename", json!({"old_path": path, "new_path": goal})).await;
                let rev = world.head().await;
                let last = model.nodes[node].states.last().expect("a state").clone();
                model.close(node, rev, now);
                model.open(node, rev, last.version, last.body);
                model.live.remove(&path);
                model.live.insert(goal, node);
            }
            (6 | 7, Some(node)) => {
                ok(&world, Who::Alice, "delete", json!({"path": path})).await;
                let rev = world.head().await;
                model.close(node, rev, now);
                model.live.remove(&path);
                model.nodes[node].gone = Some(path);
            }
            (6 | 7, None) => {
                // The one that went last, if its last state is kept; the past may have been forgotten up to any of it.
                let gone = |node: &Node| node.gone.as_ref() == Some(&path) && !node.states.is_empty();
                let kept = |node: &Node| node.states.last().and_then(|state| state.to).map(|(rev, _)| rev);
                let last = (0..model.nodes.len()).filter(|at| gone(&model.nodes[*at]));
                let last = last.max_by_key(|at| kept(&model.nodes[*at]));
                let done = world.rpc(Who::Alice, "undelete", json!({"path": path})).await;
                match last {
                    Some(node) => {
                        assert!(done.is_ok(), "seed {seed}, step {step}: {done:?} of {:?}", model.nodes[node]);
                        let rev = world.head().await;
                        let state = model.nodes[node].states.last().expect("a state").clone();
                        model.open(node, rev, state.version, state.body);
                        model.nodes[node].gone = None;
                        model.live.insert(path, node);
                    }
                    None => assert!(done.is_err(), "seed {seed}, step {step}: {done:?}"),
                }
            }
            (8, _) => model.snapshots.push(snapshot(&world).await),
            (9, _) if !model.snapshots.is_empty() => {
                let at = usize::try_from(draw(model.snapshots.len() as u64)).expect("small");
                let row = model.snapshots.remove(at);
                world.store.submit(Origin::system("test"), DropSnapshot(row)).await.expect("deleted");
            }
            (10, _) => {
                tidy(&world).await;
                model.forget(now - i64::try_from(KEEP_DAYS).expect("days") * 24 * 3_600_000_000);
                compare(&world, &model, &format!("seed {seed}, step {step}")).await;
            }
            _ => {}
        }
    }
    tidy(&world).await;
    model.forget(world.store.now_us() - i64::try_from(KEEP_DAYS).expect("days") * 24 * 3_600_000_000);
    compare(&world, &model, &format!("seed {seed}, at the end")).await;
}

async fn compare(world: &World, model: &Model, place: &str) {
    for (path, node) in &model.live {
        let states = &model.nodes[*node].states;
        let wanted: BTreeMap<u64, u64> = states.iter().map(|state| (state.version, state.body)).collect();
        let rows = ok(world, Who::Alice, "list_versions", json!({"path": path})).await;
        let found: Vec<_> = rows.as_array().expect("rows").iter().map(|row| row["version"].as_u64()).collect();
        let numbers: Vec<_> = wanted.keys().rev().copied().map(Some).collect();
        assert_eq!(found, numbers, "{place}: {path}");
        for (version, number) in wanted {
            let found = ok(world, Who::Alice, "get_version", json!({"path": path, "version": version})).await;
            assert!(text_of(&found) == body(number), "{place}: {path}, version {version}");
        }
    }
    let report = world.store.check().await.expect("a report");
    assert_eq!(report.violations, [], "{place}");
    let hashes = world
        .store
        .read(|tx| tx.query("SELECT hash FROM contents ORDER BY hash", &[], |row| Ok(row.blob(0)?.to_vec())));
    let hashes: BTreeSet<Vec<u8>> = hashes.await.expect("hashes").into_iter().collect();
    let bodies = model.bodies();
    let wanted = bodies.iter().map(|number| ContentHash::of(body(*number).as_bytes()).as_bytes().to_vec()).collect();
    assert_eq!(hashes, wanted, "{place}: the bodies of {bodies:?}");
    if !engine::is_postgres() {
        let files = bodies.iter().filter(|number| number.is_multiple_of(3)).count();
        assert_eq!(blob_files(world), files, "{place}");
    }
}

/// How many blob files there are.
fn blob_files(world: &World) -> usize {
    let below = |path: std::path::PathBuf| {
        std::fs::read_dir(path)
            .map(|found| found.filter_map(Result::ok).map(|e| e.path()).collect())
            .unwrap_or_default()
    };
    let first: Vec<std::path::PathBuf> = below(world.store.data_dir().join("blobs"));
    let first = first.into_iter().filter(|path| !path.ends_with("partial"));
    first.flat_map(below).flat_map(below).count()
}

#[tokio::test]
async fn what_is_kept_is_what_the_model_keeps() {
    for seed in 0..RUNS * soak() {
        run(seed).await;
    }
}

#[tokio::test]
async fn a_question_about_what_was_thrown_away_is_refused() {
    let world = forgetful().await;
    write(&world, Who::Alice, PATH, "one").await;
    let old = world.head().await;
    ok(&world, Who::Alice, "rename", json!({"old_path": PATH, "new_path": "/w/alice/b.txt"})).await;
    let ask =
        |rev: Rev| json!({"subject": ["user", "alice"], "permission": "read", "object": ["file", PATH], "at_rev": rev});
    assert_eq!(ok(&world, Who::Alice, "rebac_check", ask(old)).await, true);
    for text in ["two", "three", "four"] {
        write(&world, Who::Alice, "/w/alice/b.txt", text).await;
    }
    world.clock.as_ref().expect("a clock").advance(HOUR * 24 * 3);
    write(&world, Who::Alice, "/w/alice/c.txt", "now").await;
    tidy(&world).await;
    assert_eq!(world.store.status().states_dropped, 3, "two places of the first version, and the second");
    refused(&world, Who::Alice, "rebac_check", ask(old), -32014).await;
    assert_eq!(ok(&world, Who::Alice, "rebac_check", ask(world.head().await)).await, true);
}

#[tokio::test]
async fn an_upload_of_the_bytes_that_are_collected() {
    let world = forgetful().await;
    let large = body(3);
    write(&world, Who::Alice, PATH, &large).await;
    ok(&world, Who::Alice, "delete", json!({"path": PATH})).await;
    world.clock.as_ref().expect("a clock").advance(HOUR * 24 * 3);
    // So that the past ends before the horizon.
    write(&world, Who::Alice, "/w/alice/other.txt", "x").await;
    // The collection and the upload stand before the writer: the upload has found the body there, and sent its message.
    for _ in 0..6 {
        let held = world.hold_writer();
        let ticks = futures_util::future::join_all((0..TICKS).map(|_| world.store.tick()));
        let upload = world.rpc(Who::Alice, "write", json!({"path": PATH, "content": large}));
        let release = async {
            for _ in 0..64 {
                tokio::task::yield_now().await;
            }
            held.release();
        };
        let (_, written, ()) = futures_util::future::join3(ticks, upload, release).await;
        written.expect("is written");
        assert!(read(&world, Who::Alice, PATH).await == large);
        ok(&world, Who::Alice, "delete", json!({"path": PATH})).await;
        world.clock.as_ref().expect("a clock").advance(HOUR * 24 * 3);
        write(&world, Who::Alice, "/w/alice/other.txt", "x").await;
    }
    tidy(&world).await;
    assert!(world.store.status().bodies_collected > 0);
    assert_eq!(world.store.check().await.expect("a report").violations, []);
}

#[tokio::test]
async fn a_pinned_body_stays_and_a_refused_upload_is_swept() {
    let world = forgetful().await;
    let large = body(3);
    let (hash, pin) = world.store.put_blob(large.clone().into()).await.expect("stored");
    tidy(&world).await;
    assert!(world.store.get_blob(hash).await.expect("is there") == large.as_bytes());
    drop(pin);
    tidy(&world).await;
    if !engine::is_postgres() {
        assert_eq!((blob_files(&world), world.store.status().files_swept), (0, 1));
    }
}

#[tokio::test]
async fn a_body_that_is_named_again_begins_anew() {
    let tune = |options: &mut nexus_lite::store::Options| {
        options.limits.keep_versions = 1;
        options.limits.keep_days = 1;
        options.limits.keep_bodies = HOUR * 24;
        options.limits.house_every = Duration::ZERO;
        options.limits.tick = Duration::from_secs(3_600);
    };
    let world = World::with(Setup { tune: Box::new(tune), ..Setup::default() }).await;
    let clock = world.clock.clone().expect("an injected clock");
    let collected = || world.store.status().bodies_collected;
    write(&world, Who::Instance, "/a", "one").await;
    write(&world, Who::Instance, "/a", "two").await;
    clock.advance(HOUR * 25);
    write(&world, Who::Instance, "/b", "x").await;
    tidy(&world).await;
    assert_eq!((world.store.status().states_dropped, collected()), (1, 0), "its day begins");
    clock.advance(HOUR * 23);
    write(&world, Who::Instance, "/c", "one").await;
    ok(&world, Who::Instance, "delete", json!({"path": "/c"})).await;
    clock.advance(HOUR * 2);
    tidy(&world).await;
    assert_eq!(collected(), 0, "the deleted file has it");
    clock.advance(HOUR * 24);
    write(&world, Who::Instance, "/b", "y").await;
    tidy(&world).await;
    assert_eq!(collected(), 0, "its day begins again");
    clock.advance(HOUR * 25);
    tidy(&world).await;
    assert_eq!(collected(), 1);
}

#[tokio::test]
async fn nothing_is_collected_under_a_backup() {
    crate::harness::engine::sqlite_only!("a backup is of a disk");
    let world = forgetful().await;
    write(&world, Who::Alice, PATH, &body(3)).await;
    ok(&world, Who::Alice, "delete", json!({"path": PATH})).await;
    world.clock.as_ref().expect("a clock").advance(HOUR * 24 * 3);
    write(&world, Who::Alice, "/w/alice/other.txt", "x").await;
    let held = world.pause_at(nexus_lite::store::FaultPoint::BackupCopied);
    let store = world.store.clone();
    let backup = tokio::spawn(async move { store.backup(None).await });
    let held = tokio::task::spawn_blocking(move || {
        held.reached();
        held
    });
    let held = held.await.expect("the copy is made");
    tidy(&world).await;
    assert_eq!(world.store.status().bodies_collected, 0);
    held.release();
    let backup = backup.await.expect("runs").expect("a backup");
    assert_eq!(backup.manifest.blobs.len(), 1, "what the copy of the database names");
    tidy(&world).await;
    assert_eq!(world.store.status().bodies_collected, 1);
}

#[tokio::test]
async fn a_pass_can_be_asked_for() {
    let tune = |options: &mut nexus_lite::store::Options| {
        options.limits.keep_versions = 1;
        options.limits.keep_days = 1;
        options.limits.keep_bodies = HOUR * 24;
        options.limits.tick = Duration::from_secs(3_600);
    };
    let world = World::with(Setup { tune: Box::new(tune), ..Setup::default() }).await;
    let clock = world.clock.clone().expect("an injected clock");
    let large = body(3);
    write(&world, Who::Instance, "/a", &large).await;
    for text in ["two", "three"] {
        write(&world, Who::Instance, "/a", text).await;
    }
    let nothing = json!({"states": 0, "bodies": 0, "bytes": 0, "files": 0});
    let collect = || ok(&world, Who::Instance, "admin_collect", json!({}));
    assert_eq!(collect().await, nothing);
    clock.advance(HOUR * 25);
    write(&world, Who::Instance, "/b", "x").await;
    let head = world.head().await;
    // A pass has just been, and the next one would come in an hour.
    let done = collect().await;
    assert_eq!((&done["states"], &done["bodies"]), (&json!(2), &json!(0)), "the day of their bodies begins");
    clock.advance(HOUR * 25);
    let done = collect().await;
    assert_eq!((&done["bodies"], &done["bytes"]), (&json!(2), &json!(large.len() + "two".len())), "{done}");
    assert_eq!(collect().await, nothing);
    assert_eq!(world.head().await, head, "no revision");
    assert_eq!(world.store.check().await.expect("checked").violations, []);
}
