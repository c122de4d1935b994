//! Durable writes: the writer actor with group commit beside the other ways to write, in one run.
//!
//! `cargo bench --bench writer`. Prints the claims P1, P3, P4, P5, P5b and P6 with target and verdict; with
//! `--features postgres`, where PostgreSQL is installed, P16 and our own engine on it. Absolute times are the machine's;
//! the ratios are the result. Figures are printed and never asserted.

#[cfg(feature = "postgres")]
#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/client.rs"]
mod client;
#[cfg(feature = "postgres")]
mod far;
#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/measure.rs"]
mod measure;
mod peers;
#[cfg(feature = "postgres")]
#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/postgres.rs"]
mod postgres;
#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/vfs.rs"]
mod vfs;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use nexus_lite::auth::{AuthIndex, Caller};
use nexus_lite::model::VirtualPath;
use nexus_lite::model::time::monotonic;
use nexus_lite::rebac::{Caches, Graph};
use nexus_lite::service::files::ops::PutFile;
use nexus_lite::service::{Base, Call};
use nexus_lite::store::{Limits, Options, Store};
use parking_lot::Mutex;

use measure::{cpu_seconds, load_average, median, percentile, short};
use peers::{Begin, Locked, OneByOne, Peer, Put, Refused};

/// Files that a client overwrites in turn.
const FILES: usize = 16;
/// Bytes of a body.
const BODY_BYTES: usize = 1024;
/// The name of the file system whose syncs take longer.
const SLOW: &str = "slow-sync";
/// What it adds to each sync: a laptop's disk, a cloud volume.
const SLOW_SYNC: Duration = Duration::from_millis(1);
/// Bytes of the write whose durability is timed alone.
const PROBE_BYTES: usize = 4096;

/// How much is done.
struct Size {
    clients: usize,
    rounds: usize,
    round: Duration,
    probes: usize,
}

const FULL: Size = Size { clients: 64, rounds: 5, round: Duration::from_secs(1), probes: 500 };
const TINY: Size = Size { clients: 4, rounds: 1, round: Duration::from_millis(20), probes: 5 };

fn main() {
    // `cargo test --benches` runs this binary too, without `--bench`: once through everything, as a test.
    let full = std::env::args().any(|arg| arg == "--bench");
    let size = if full { FULL } else { TINY };
    vfs::register(SLOW, Arc::new(vfs::SlowSync(SLOW_SYNC)));
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on the disk of the project");
    let mut out = std::io::stdout().lock();
    let mut say = |line: String| writeln!(out, "{line}").expect("the terminal takes a line");
    say(format!(
        "load average before: {}; cores: {}",
        load_average(),
        std::thread::available_parallelism().map_or(0, usize::from)
    ));
    say(format!("4 KiB overwrite + fdatasync: {}", short(sync_cost(scratch.path(), size.probes))));
    let template = provision(&scratch.path().join("template"), size.clients);
    let plain = compare(&size, &template, &scratch.path().join("plain"), None);
    report(&mut say, "this machine's own sync", size.clients, &plain);
    let slow = compare(&size, &template, &scratch.path().join("slow"), Some(SLOW));
    report(&mut say, "1 ms added to each sync", size.clients, &slow);
    if full {
        verdicts(&mut say, &plain, &slow);
    } else {
        say("once through everything, as a test: the figures say nothing".to_owned());
    }
    #[cfg(feature = "postgres")]
    {
        let ours = plain.iter().find(|series| series.way == Way::Group && series.clients == size.clients);
        let scratch = scratch.path().join("alike");
        far::compare(&mut say, &size, ours.map_or(0.0, |series| series.rate), &scratch, full);
    }
    say(format!("load average after: {}", load_average()));
}

/// The ways to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The store as it ships.
    Group,
    /// The same store, one message in a transaction.
    Single,
    /// A thread with a channel on bare SQLite, one transaction a message.
    Thread,
    /// A connection per client, BEGIN IMMEDIATE, busy timeout 5 s.
    Immediate,
    /// A connection per client, reads first, then writes.
    Deferred,
    /// A mutex round one connection.
    Mutex,
}

impl Way {
    const ALL: [Self; 6] = [Self::Group, Self::Single, Self::Thread, Self::Immediate, Self::Deferred, Self::Mutex];

    fn name(self) -> &'static str {
        match self {
            Self::Group => "writer actor, group commit",
            Self::Single => "the same, a transaction per message",
            Self::Thread => "bare thread, a transaction per message",
            Self::Immediate => "N connections, BEGIN IMMEDIATE",
            Self::Deferred => "N connections, deferred",
            Self::Mutex => "mutex round one connection",
        }
    }

    /// Whether a lone client of it is of interest.
    fn alone(self) -> bool {
        matches!(self, Self::Group | Self::Single | Self::Thread)
    }
}

/// One round of one way.
#[derive(Debug, Default)]
struct Round {
    took: Vec<Duration>,
    locked: u64,
    other: Vec<String>,
    elapsed: Duration,
    cpu: f64,
}

/// All rounds of one way with one number of clients.
struct Series {
    way: Way,
    clients: usize,
    rate: f64,
    cpu_us: f64,
    locked: u64,
    other: Vec<String>,
    /// Sorted.
    took: Vec<Duration>,
}

impl Series {
    fn of(way: Way, clients: usize, rounds: Vec<Round>) -> Self {
        let rates: Vec<f64> = rounds.iter().map(|r| r.took.len() as f64 / r.elapsed.as_secs_f64()).collect();
        let cpus: Vec<f64> = rounds.iter().map(|r| r.cpu * 1e6 / r.took.len().max(1) as f64).collect();
        let locked = rounds.iter().map(|r| r.locked).sum();
        let other = rounds.iter().flat_map(|r| r.other.iter().cloned()).collect();
        let mut took: Vec<Duration> = rounds.into_iter().flat_map(|r| r.took).collect();
        took.sort_unstable();
        Self { way, clients, rate: median(&rates), cpu_us: median(&cpus), locked, other, took }
    }
    fn at(&self, share: f64) -> Duration {
        percentile(&self.took, share)
    }
}

/// A database with the files that are overwritten, made by the store itself and closed. Returns its directory.
fn provision(dir: &Path, clients: usize) -> PathBuf {
    let runtime = runtime();
    let store = open(dir, None, None);
    let call = call(&store);
    runtime.block_on(async {
        for client in 0..clients {
            let puts = (0..FILES).map(|n| write(&call, client, n, 0));
            for wrote in join_all(puts).await {
                wrote.expect("a file");
            }
        }
        store.close().await.expect("a clean end");
    });
    dir.to_owned()
}

/// All ways, interleaved, on copies of the same database.
fn compare(size: &Size, template: &Path, dir: &Path, vfs: Option<&'static str>) -> Vec<Series> {
    let copies: Vec<PathBuf> = Way::ALL.iter().map(|way| copy(template, &dir.join(format!("{way:?}")))).collect();
    let mut many: Vec<Vec<Round>> = Way::ALL.iter().map(|_| Vec::new()).collect();
    let mut lone: Vec<Vec<Round>> = Way::ALL.iter().map(|_| Vec::new()).collect();
    let mut sequence = 1;
    for _ in 0..size.rounds {
        for (at, way) in Way::ALL.into_iter().enumerate() {
            many[at].push(round(way, &copies[at], vfs, size.clients, size.round, &mut sequence));
            if way.alone() {
                lone[at].push(round(way, &copies[at], vfs, 1, size.round, &mut sequence));
            }
        }
    }
    let series = |clients: usize, rounds: Vec<Vec<Round>>| {
        let pairs = Way::ALL.into_iter().zip(rounds).filter(|(_, rounds)| !rounds.is_empty());
        pairs.map(move |(way, rounds)| Series::of(way, clients, rounds)).collect::<Vec<_>>()
    };
    let mut all = series(size.clients, many);
    all.extend(series(1, lone));
    all
}

fn copy(template: &Path, to: &Path) -> PathBuf {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(template).expect("the template") {
        let entry = entry.expect("the template");
        if entry.file_type().expect("a type").is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
    to.to_owned()
}

/// Opens, runs for `length`, closes; only what lies between counts.
fn round(
    way: Way,
    dir: &Path,
    vfs: Option<&'static str>,
    clients: usize,
    length: Duration,
    sequence: &mut u64,
) -> Round {
    *sequence += 1;
    let sequence = *sequence;
    let database = dir.join(nexus_lite::store::DATABASE_FILE);
    match way {
        Way::Group => stored(dir, vfs, None, clients, length, sequence),
        Way::Single => stored(dir, vfs, Some(1), clients, length, sequence),
        Way::Thread => {
            let thread = Arc::new(OneByOne::start(Peer::open(&database, vfs)));
            asynchronous(clients, length, |client, n| {
                let put = put(client, n, sequence);
                thread.put(put)
            })
        }
        Way::Immediate | Way::Deferred => {
            let begin = if way == Way::Immediate { Begin::Immediate } else { Begin::Deferred };
            let peers: Vec<_> = (0..clients).map(|_| Mutex::new(Peer::open(&database, vfs))).collect();
            threaded(clients, length, |client, n| peers[client].lock().put(&put(client, n, sequence), begin))
        }
        Way::Mutex => {
            let locked = Locked(Mutex::new(Peer::open(&database, vfs)));
            threaded(clients, length, |client, n| locked.put(&put(client, n, sequence)))
        }
    }
}

/// A round of the store itself.
fn stored(
    dir: &Path,
    vfs: Option<&'static str>,
    batch: Option<usize>,
    clients: usize,
    length: Duration,
    sequence: u64,
) -> Round {
    let store = open(dir, vfs, batch);
    let call = call(&store);
    let round = asynchronous(clients, length, |client, n| {
        let write = write(&call, client, n, sequence);
        async move { write.await.map_err(Refused::Other) }
    });
    runtime().block_on(store.close()).expect("a clean end");
    round
}

/// Clients as tasks of one thread, each sending its next write when the last is acknowledged.
fn asynchronous<F>(clients: usize, length: Duration, write: impl Fn(usize, usize) -> F) -> Round
where
    F: Future<Output = Result<(), Refused>>,
{
    let write = &write;
    let (cpu, began) = (cpu_seconds(), monotonic());
    let end = began + length;
    let results = runtime().block_on(join_all((0..clients).map(|client| async move {
        let mut round = Round::default();
        for n in 0.. {
            let sent = monotonic();
            if sent >= end {
                break;
            }
            round.count(sent, write(client, n).await);
        }
        round
    })));
    Round::sum(results, began, cpu)
}

/// Clients as threads.
fn threaded(clients: usize, length: Duration, write: impl Fn(usize, usize) -> Result<(), Refused> + Sync) -> Round {
    let write = &write;
    let (cpu, began) = (cpu_seconds(), monotonic());
    let end = began + length;
    let results = std::thread::scope(|scope| {
        let client = |client: usize| {
            scope.spawn(move || {
                let mut round = Round::default();
                for n in 0.. {
                    let sent = monotonic();
                    if sent >= end {
                        break;
                    }
                    round.count(sent, write(client, n));
                }
                round
            })
        };
        let threads: Vec<_> = (0..clients).map(client).collect();
        threads.into_iter().map(|thread| thread.join().expect("no client panics")).collect()
    });
    Round::sum(results, began, cpu)
}

impl Round {
    fn count(&mut self, sent: Instant, result: Result<(), Refused>) {
        match result {
            Ok(()) => self.took.push(sent.elapsed()),
            Err(Refused::Locked) => self.locked += 1,
            Err(Refused::Other(what)) => self.other.push(what),
        }
    }
    fn sum(clients: Vec<Self>, began: Instant, cpu: f64) -> Self {
        let mut sum = Self { elapsed: began.elapsed(), cpu: cpu_seconds() - cpu, ..Self::default() };
        for client in clients {
            sum.took.extend(client.took);
            sum.locked += client.locked;
            sum.other.extend(client.other);
        }
        sum
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

fn open(dir: &Path, vfs: Option<&'static str>, batch: Option<usize>) -> Store {
    let mut options = Options::new(dir);
    options.vfs = vfs.map(str::to_owned);
    if let Some(batch) = batch {
        options.limits = Limits { batch_messages: batch, ..options.limits };
    }
    Store::builder(options).project::<Graph>().project::<AuthIndex>().open().expect("the store")
}

fn call(store: &Store) -> Call {
    Call::new(
        Caller::system("admin"),
        "bench".into(),
        None,
        Arc::new(Base { store: store.clone(), caches: Arc::new(Caches::new()) }),
    )
}

/// The body of a write: distinct in every round, client and turn.
fn body(client: usize, n: usize, sequence: u64) -> Vec<u8> {
    let mut body = format!("round {sequence} client {client} write {n}\n").into_bytes();
    body.resize(BODY_BYTES, b'.');
    body
}

fn name(client: usize, n: usize) -> [String; 3] {
    ["bench".to_owned(), format!("c{client}"), format!("f{}.txt", n % FILES)]
}

fn put(client: usize, n: usize, sequence: u64) -> Put {
    Put { path: name(client, n).to_vec(), body: body(client, n, sequence) }
}

/// The `write` operation as a request makes it.
fn write(call: &Call, client: usize, n: usize, sequence: u64) -> impl Future<Output = Result<(), String>> + use<> {
    let path = VirtualPath::parse(&name(client, n).join("/")).expect("a valid path");
    let body = Bytes::from(body(client, n, sequence));
    let call = call.clone();
    async move {
        let op = PutFile::prepare(&call, path, body, Default::default()).await.map_err(|e| e.to_string())?;
        call.submit(op).await.map(|_| ()).map_err(|e| e.to_string())
    }
}

/// The median time of an overwrite of 4 KiB that is durable when it returns.
fn sync_cost(dir: &Path, probes: usize) -> Duration {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::File::create(dir.join("probe")).expect("a file");
    let mut took = Vec::new();
    for n in 0..probes {
        let began = monotonic();
        file.write_all_at(&[n as u8; PROBE_BYTES], 0).expect("the disk takes it");
        file.sync_data().expect("the disk keeps it");
        took.push(began.elapsed());
    }
    took.sort_unstable();
    percentile(&took, 0.5)
}

fn report(say: &mut impl FnMut(String), title: &str, clients: usize, all: &[Series]) {
    say(format!("\n1 KiB overwrites through `write`, {title}; medians of interleaved rounds, N = {clients}"));
    say(format!(
        "  {:<40} {:>7} {:>9} {:>10} {:>10} {:>10} {:>9} {:>9}",
        "design", "clients", "ok/s", "p50", "p99", "worst", "CPU/op", "locked"
    ));
    for one in all {
        let [p50, p99, worst] = [0.5, 0.99, 1.0].map(|share| short(one.at(share)));
        let Series { way, clients, rate, cpu_us, locked, .. } = one;
        say(format!(
            "  {:<40} {clients:>7} {rate:>9.0} {p50:>10} {p99:>10} {worst:>10} {cpu_us:>6.1} µs {locked:>9}",
            way.name()
        ));
        for what in one.other.iter().take(1) {
            say(format!("    {} writes failed otherwise, e.g. {what}", one.other.len()));
        }
    }
}

fn verdicts(say: &mut impl FnMut(String), plain: &[Series], slow: &[Series]) {
    fn many(all: &[Series], way: Way) -> usize {
        all.iter().position(|s| s.way == way && s.clients > 1).expect("it ran")
    }
    fn rate(all: &[Series], way: Way) -> f64 {
        all[many(all, way)].rate
    }
    fn worst(all: &[Series], way: Way) -> f64 {
        all[many(all, way)].at(1.0).as_secs_f64()
    }
    fn cpu(all: &[Series], way: Way) -> f64 {
        all[many(all, way)].cpu_us
    }
    fn lone(all: &[Series], way: Way) -> f64 {
        let alone = all.iter().position(|s| s.way == way && s.clients == 1).expect("it ran");
        all[alone].at(0.5).as_secs_f64()
    }
    say(format!("\n  {:<5} {:<66} {:>9} {:>9}  verdict", "", "claim", "target", "measured"));
    let mut line = |id: &str, claim: &str, target: &str, measured: f64, verdict: &str| {
        say(format!("  {id:<5} {claim:<66} {target:>9} {measured:>9.3}  {verdict}"));
    };
    let mut row = |id: &str, claim: &str, target: f64, measured: f64, at_least: bool| {
        let holds = if at_least { measured >= target } else { measured <= target };
        let (sign, verdict) = (if at_least { "≥" } else { "≤" }, if holds { "holds" } else { "falls short" });
        line(id, claim, &format!("{sign} {target}"), measured, verdict);
    };
    for (all, target, disk) in [(plain, 2.0, "own sync"), (slow, 6.0, "+ 1 ms a sync")] {
        let group = rate(all, Way::Group);
        let claim = format!("rate, group / the same op in a transaction each; {disk}");
        row("P1", &claim, target, group / rate(all, Way::Single), true);
        let claim = format!("rate, group / bare thread, a transaction each; {disk}");
        row("P1", &claim, target, group / rate(all, Way::Thread), true);
    }
    let ratio = |of: fn(&[Series], Way) -> f64, way: Way| of(plain, Way::Group) / of(plain, way);
    row("P3", "CPU per write, group / the same op in a transaction each", 0.55, ratio(cpu, Way::Single), false);
    row("P4", "lone client p50, group / the same op in a transaction each", 1.3, ratio(lone, Way::Single), false);
    row("P5", "rate, group / N connections BEGIN IMMEDIATE", 5.0, ratio(rate, Way::Immediate), true);
    row("P5", "worst latency, group / N connections BEGIN IMMEDIATE", 0.05, ratio(worst, Way::Immediate), false);
    row("P5b", "rate, group / mutex round one connection", 2.0, ratio(rate, Way::Mutex), true);
    row("P6", "rate, group / N connections deferred", 50.0, ratio(rate, Way::Deferred), true);
    let ours = &plain[many(plain, Way::Group)];
    let failed = ours.locked as f64 + ours.other.len() as f64;
    row("P6", "\"locked\" and other errors of the writer actor", 0.0, failed, false);
    // The bare thread checks nothing and keeps no graph: what all that costs, not what the design costs.
    line("", "CPU per write, group / bare thread", "", ratio(cpu, Way::Thread), "beside");
    line("", "lone client p50, group / bare thread", "", ratio(lone, Way::Thread), "beside");
}
