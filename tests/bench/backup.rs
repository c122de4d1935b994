//! A backup of 1 GiB in files of mixed size under 500 writes a second, and its restore.
//!
//! `cargo bench --bench backup`. Figures are printed and never asserted; a write that was acknowledged before the backup
//! began and is not in the restored directory is, as is anything that `verify` finds. Without `--bench` a tiny round.

#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/client.rs"]
mod client;
#[path = "engine.rs"]
mod engine;
#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/measure.rs"]
mod measure;
#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use nexus_lite::model::time::monotonic;
use nexus_lite::model::{ContentHash, Rev, VirtualPath};
use nexus_lite::service::files;
use nexus_lite::service::files::ops::PutOptions;
use nexus_lite::store::backup;
use serde_json::json;

use measure::{load_average, peak_rss_mib, percentile, short};
use world::{Setup, Who, World};

/// How much is done.
struct Size {
    /// Bytes of the files that are there before.
    bytes: usize,
    /// Writes a second.
    rate: u64,
    /// Seconds of writes before the backup, and after it.
    around: f64,
}

const FULL: Size = Size { bytes: 1 << 30, rate: 500, around: 3.0 };
const TINY: Size = Size { bytes: 3 << 20, rate: 100, around: 0.2 };

/// Bytes of the files, in turn: in the database and beside it.
const SIZES: [usize; 6] = [1 << 10, 8 << 10, 48 << 10, 256 << 10, 1 << 20, 4 << 20];
/// Clients that write at the same time.
const CLIENTS: u64 = 8;
/// Bytes of what they write.
const BODY: usize = 1024;

/// A write that was acknowledged.
struct Acknowledged {
    rev: Rev,
    path: String,
    body: String,
    /// From the moment at which it was due.
    took: Duration,
    /// 0 before the backup, 1 during it, 2 after it.
    phase: u64,
}

fn main() {
    let full = std::env::args().any(|arg| arg == "--bench");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let wrong = runtime.block_on(run(if full { &FULL } else { &TINY }));
    std::process::exit(i32::from(wrong > 0));
}

/// The body of the `number`-th file.
fn body(number: usize) -> Bytes {
    let mut body = vec![b'.'; SIZES[number % SIZES.len()]];
    // Not all the same byte, so that no layer finds a short cut.
    for (at, byte) in body.iter_mut().enumerate() {
        *byte = (at.wrapping_mul(31) ^ number ^ (at >> 8)) as u8;
    }
    body[..8].copy_from_slice(&(number as u64).to_le_bytes());
    body.into()
}

fn path_of(number: usize) -> String {
    format!("/base/{}/{number}.bin", number % 100)
}

async fn run(size: &Size) -> u64 {
    let say = |line: String| writeln!(std::io::stdout().lock(), "{line}").expect("the terminal takes a line");
    say(format!("load average before: {}", load_average()));
    let world = Arc::new(World::with(Setup { injected: false, ..Setup::default() }).await);
    let (base, bytes) = fill(&world, size.bytes).await;
    say(format!("filled: {base} files, {} MiB", bytes >> 20));

    let (phase, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|c| tokio::spawn(write(Arc::clone(&world), c, size.rate, Arc::clone(&phase), Arc::clone(&over))))
        .collect();
    tokio::time::sleep(Duration::from_secs_f64(size.around)).await;
    let before = world.head().await;
    phase.store(1, Ordering::SeqCst);
    let began = monotonic();
    let made = world.store.backup(None).await.expect("a backup");
    let took = began.elapsed();
    phase.store(2, Ordering::SeqCst);
    say(format!("backup of revision {} in {}: {} MiB", made.manifest.rev, short(took), made.manifest.bytes() >> 20));
    tokio::time::sleep(Duration::from_secs_f64(size.around)).await;
    over.store(true, Ordering::SeqCst);
    let mut writes = Vec::new();
    for client in clients {
        writes.extend(client.await.expect("no panic"));
    }
    for (number, name) in ["before", "during", "after"].into_iter().enumerate() {
        let mut times: Vec<_> = writes.iter().filter(|w| w.phase == number as u64).map(|w| w.took).collect();
        times.sort_unstable();
        let Some(worst) = times.last() else { continue };
        let (p50, p99) = (percentile(&times, 0.5), percentile(&times, 0.99));
        say(format!("writes {name}: {}, p50 {}, p99 {}, worst {}", times.len(), short(p50), short(p99), short(*worst)));
    }

    let began = monotonic();
    let verified = backup::verify(&made.path).await.expect("verified");
    say(format!("verify in {}: {}", short(began.elapsed()), if verified.is_good() { "good" } else { "NOT GOOD" }));
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let target = scratch.path().join("data");
    let began = monotonic();
    let staged = backup::stage(&made.path, &target).expect("staged");
    std::fs::copy(world.path().join("server.secret"), staged.path.join("server.secret")).expect("the secret");
    staged.swap().expect("in place");
    say(format!("restore in {}", short(began.elapsed())));
    let wrong =
        u64::from(!verified.is_good()) + compare(&target, &world, &writes, base, (before, made.manifest.rev)).await;
    say(format!("peak memory {} MiB, load average after: {}", peak_rss_mib(), load_average()));
    say(format!("{} writes before revision {before}, all restored; wrong: {wrong}", {
        writes.iter().filter(|w| w.rev <= before).count()
    }));
    wrong
}

/// Writes files of mixed size until they have `wanted` bytes.
async fn fill(world: &World, wanted: usize) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    while bytes < wanted {
        let body = body(count);
        bytes += body.len();
        let path = VirtualPath::parse(&path_of(count)).expect("a path");
        files::write(&world.call_as(Who::Instance), path, body, PutOptions::default()).await.expect("written");
        count += 1;
    }
    (count, bytes)
}

/// Writes at its share of `rate`, each at its time however long the one before took, until `over`.
async fn write(
    world: Arc<World>,
    client: u64,
    rate: u64,
    phase: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
) -> Vec<Acknowledged> {
    let mut writes = Vec::new();
    let every = Duration::from_secs_f64(CLIENTS as f64 / rate as f64);
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    while !over.load(Ordering::SeqCst) {
        let due = ticks.tick().await;
        let number = writes.len();
        let path = format!("/load/{client}/{number}.txt");
        let body = format!("{client} {number} {}", "x".repeat(BODY));
        let phase = phase.load(Ordering::SeqCst);
        let (answer, rev) = world.rpc_at(Who::Instance, "write", json!({"path": path, "content": body})).await;
        answer.expect("written");
        writes.push(Acknowledged { rev, path, body, took: due.elapsed(), phase });
    }
    writes
}

/// Counts what the restored directory lacks of the files of before and of the writes up to the backup's revision, and
/// what it has of later ones.
async fn compare(target: &Path, world: &World, writes: &[Acknowledged], base: usize, revs: (Rev, Rev)) -> u64 {
    let (before, held) = revs;
    let setup = Setup { injected: false, ..Setup::default() };
    let restored = World::again(target, setup, world.keys()).await;
    let call = restored.call_as(Who::Instance);
    let mut wrong = u64::from(held < before);
    let mut wanted: BTreeMap<String, Option<ContentHash>> =
        (0..base).map(|number| (path_of(number), Some(ContentHash::of(&body(number))))).collect();
    for write in writes {
        let hash = (write.rev <= held).then(|| ContentHash::of(write.body.as_bytes()));
        wanted.insert(write.path.clone(), hash);
    }
    for (path, hash) in wanted {
        let read = files::read(&call, VirtualPath::parse(&path).expect("a path"), None).await;
        let found = read.ok().map(|read| ContentHash::of(&read.body));
        wrong += u64::from(found.map(|h| h.to_hex()) != hash.map(|h| h.to_hex()));
    }
    restored.close().await;
    wrong
}
