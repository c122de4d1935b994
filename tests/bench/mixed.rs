//! The mixed load of a team of agents: 200 clients for 30 seconds, every answer verified against its revision.
//!
//! `cargo bench --bench mixed`. The server runs in this process, the clients in a process of their own (this binary
//! again). Figures are printed and never asserted; a wrong answer is.

#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/client.rs"]
mod client;
#[path = "engine.rs"]
mod engine;
#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/measure.rs"]
mod measure;
#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/server.rs"]
mod server;
#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/world.rs"]
mod world;

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use measure::{load_average, percentile, short};
use nexus_lite::cli::load::generator::{self, Plan, Recorded};
use nexus_lite::cli::load::history::History;
use nexus_lite::cli::load::setup::{self, Size};
use nexus_lite::cli::load::state::CallerFacts;
use nexus_lite::cli::load::{checker, machine};
use nexus_lite::store::{Limits, WAL_FILE};
use server::Server;
use world::{Setup, Who, World};

/// The first argument of the generator's process.
const GENERATOR: &str = "--generate-load";

/// How long `/health` alone is asked, seconds, beside how much is done.
type Run = (Size, f64);

const FULL: Run = (Size { clients: 200, seconds: 30.0, skills_per_caller: 8, system_skills: 12 }, 5.0);
const TINY: Run = (Size { clients: 4, seconds: 0.3, skills_per_caller: 2, system_skills: 2 }, 0.1);

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, first, plan, out, ..] = args.as_slice()
        && first == GENERATOR
    {
        let plan = serde_json::from_slice(&std::fs::read(plan).expect("the plan")).expect("the plan as JSON");
        let recorded = generator::run(plan, &Arc::default()).expect("a thread");
        return recorded.save(Path::new(out)).expect("the disk takes the answers");
    }
    let full = args.iter().any(|arg| arg == "--bench");
    let (size, hello_seconds) = if full { FULL } else { TINY };
    let wrong = actix_web::rt::System::new().block_on(run(size, hello_seconds));
    std::process::exit(i32::from(wrong > 0));
}

/// Runs the whole comparison and returns the number of wrong answers.
async fn run(size: Size, hello_seconds: f64) -> u64 {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on the disk of the project");
    let world = World::with(Setup { injected: false, ..Setup::default() }).await;
    let server = Server::start(&world);
    let people = [Who::Admin, Who::Alice, Who::Bob, Who::Stranger].map(|who| {
        let (tenant, user) = who.user();
        setup::caller(tenant, user, world.key(who).expect("a key"))
    });
    let admin_key = world.key(Who::Admin).expect("a key");
    let plan = setup::provision(server.address(), admin_key, people.to_vec(), size).expect("what the load finds");
    let mut out = std::io::stdout().lock();
    let mut say = |line: String| writeln!(out, "{line}").expect("the terminal takes a line");
    say(format!("{}; load average before: {}", machine::facts(), load_average()));

    let cpu_before = measure::cpu_seconds();
    let hello = generate(&Plan { hello_only: true, seconds: hello_seconds, ..plan.clone() }, scratch.path());
    let hello_cpu = (measure::cpu_seconds() - cpu_before) * 1e6 / hello.health_us.len().max(1) as f64;
    let before = world.store.status();
    let wal = WalWatch::start(&world.path().join(WAL_FILE));
    let cpu_before = measure::cpu_seconds();
    let recorded = generate(&plan, scratch.path());
    let cpu = measure::cpu_seconds() - cpu_before;
    let wal_max = wal.stop();
    let after = world.store.status();
    server.stop().await;
    let history = History::of(&world.store).await.expect("the whole log");
    let dir = world.close().await;

    let callers: HashMap<String, CallerFacts> =
        plan.callers.iter().map(|(name, caller)| (name.clone(), caller.facts.clone())).collect();
    let entries = &history.entries;
    let skill = |hash: &str| history.skill(hash);
    let report = checker::verify(&recorded.records, &recorded.bodies, entries, &callers, skill);

    let answers = recorded.records.len();
    say(format!(
        "mixed: {} clients, {} s, {answers} answers, {:.0}/s",
        plan.clients,
        plan.seconds,
        answers as f64 / plan.seconds
    ));
    say(format!(
        "  server CPU {:.0} µs an answer ({hello_cpu:.0} µs a hello), peak RSS {} MiB, load average {}",
        cpu * 1e6 / answers as f64,
        measure::peak_rss_mib(),
        load_average()
    ));
    let mut by_method: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for record in &recorded.records {
        by_method.entry(&record.method).or_default().push(Duration::from_micros(record.took_us));
    }
    by_method.insert("/health, mixed load", recorded.health_us.iter().copied().map(Duration::from_micros).collect());
    by_method.insert("/health, hello only", hello.health_us.iter().copied().map(Duration::from_micros).collect());
    for (method, mut took) in by_method {
        took.sort_unstable();
        let [p50, p99, max] = [0.50, 0.99, 1.0].map(|share| short(percentile(&took, share)));
        say(format!("  {method:<22} {:>8}  p50 {p50:>9}  p99 {p99:>9}  worst {max:>9}", took.len()));
    }
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let limits = Limits::default();
    let limit = 1.1 * limits.checkpoint_bytes as f64 + limits.batch_bytes as f64;
    let verdict = if wal_max as f64 <= limit { "holds" } else { "falls short" };
    say(format!(
        "  WAL at most {:.1} MiB; limit 1.1 x threshold + a batch = {:.1} MiB: {verdict}",
        mib(wal_max),
        limit / f64::from(1 << 20)
    ));
    say(format!("  sqlite_busy_total {}", after.busy_count - before.busy_count));
    say(format!("  writer_refused_total {}", after.writer_refused - before.writer_refused));
    say(format!(
        "  transactions {}, reads that waited for a publish {}",
        after.commits - before.commits,
        after.publish_lag_count - before.publish_lag_count
    ));
    say(format!(
        "offline check over {} revisions: {} right, {} wrong, refused as busy {:?}",
        entries.len(),
        report.right_total(),
        report.wrong_total(),
        report.busy
    ));
    for described in &report.described {
        say(format!("  WRONG: {described}"));
    }
    if report.right_total() == 0 {
        say("  WRONG: nothing was verified".to_owned());
        return 1;
    }
    drop(dir);
    report.wrong_total()
}

/// Runs the generator in a process of its own.
fn generate(plan: &Plan, scratch: &Path) -> Recorded {
    let (file, out) = (scratch.join("plan.json"), scratch.join("answers.json"));
    std::fs::write(&file, serde_json::to_vec(plan).expect("the plan as JSON")).expect("a file for the plan");
    let own = std::env::current_exe().expect("this program");
    let status = std::process::Command::new(own).arg(GENERATOR).arg(&file).arg(&out).status().expect("the generator");
    assert!(status.success(), "the generator failed: {status}");
    Recorded::load(&out).expect("the generator's file")
}

/// The largest size of the write-ahead log, looked at a hundred times a second.
struct WalWatch {
    over: Arc<AtomicBool>,
    largest: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

impl WalWatch {
    fn start(wal: &Path) -> Self {
        let wal = wal.to_owned();
        let (over, largest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (until, max) = (Arc::clone(&over), Arc::clone(&largest));
        let thread = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                if let Ok(found) = std::fs::metadata(&wal) {
                    max.fetch_max(found.len(), Ordering::Relaxed);
                }
                std::thread::park_timeout(Duration::from_millis(10));
            }
        });
        Self { over, largest, thread }
    }

    fn stop(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        self.thread.join().expect("it only looks");
        self.largest.load(Ordering::Relaxed)
    }
}
