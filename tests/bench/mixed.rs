//! The mixed load of a team of agents: 200 clients for 30 seconds, every answer verified against its revision.
//!
//! `cargo bench --bench mixed`. The server runs in this process, the clients in a process of their own (this binary
//! again). Figures are printed and never asserted; a wrong answer is.

#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/checker.rs"]
mod checker;
#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/client.rs"]
mod client;
#[path = "engine.rs"]
mod engine;
#[path = "../harness/load.rs"]
mod load;
#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/measure.rs"]
mod measure;
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

use serde_json::json;

use checker::CallerFacts;
use client::Client;
use load::{Plan, PlannedCaller, Recorded};
use measure::{load_average, percentile, short};
use nexus_lite::store::{DATABASE_FILE, Limits, WAL_FILE};
use server::Server;
use world::{Setup, Who, World};

/// The first argument of the generator's process.
const GENERATOR: &str = "--generate-load";

/// How much is done.
struct Size {
    clients: u32,
    seconds: f64,
    hello_seconds: f64,
    skills_per_caller: u64,
    system_skills: u64,
}

const FULL: Size = Size { clients: 200, seconds: 30.0, hello_seconds: 5.0, skills_per_caller: 8, system_skills: 12 };
const TINY: Size = Size { clients: 4, seconds: 0.3, hello_seconds: 0.1, skills_per_caller: 2, system_skills: 2 };

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, first, plan, ..] = args.as_slice()
        && first == GENERATOR
    {
        load::run(Path::new(plan));
        return;
    }
    let full = args.iter().any(|arg| arg == "--bench");
    let size = if full { &FULL } else { &TINY };
    let wrong = actix_web::rt::System::new().block_on(run(size));
    std::process::exit(i32::from(wrong > 0));
}

/// Runs the whole comparison and returns the number of wrong answers.
async fn run(size: &Size) -> u64 {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on the disk of the project");
    let world = World::with(Setup { injected: false, ..Setup::default() }).await;
    let server = Server::start(&world);
    let plan = provision(&world, &server, size, scratch.path());
    let mut out = std::io::stdout().lock();
    let mut say = |line: String| writeln!(out, "{line}").expect("the terminal takes a line");
    say(format!("load average before: {}", load_average()));

    let cpu_before = measure::cpu_seconds();
    let hello = generate(&Plan { hello_only: true, seconds: size.hello_seconds, ..plan.clone() }, scratch.path());
    let hello_cpu = (measure::cpu_seconds() - cpu_before) * 1e6 / hello.health_us.len().max(1) as f64;
    let before = world.store.status();
    let wal = WalWatch::start(&world.path().join(WAL_FILE));
    let cpu_before = measure::cpu_seconds();
    let recorded = generate(&plan, scratch.path());
    let cpu = measure::cpu_seconds() - cpu_before;
    let wal_max = wal.stop();
    let after = world.store.status();
    server.stop().await;
    let database = world.path().join(DATABASE_FILE);
    let dir = world.close().await;

    let callers: HashMap<String, CallerFacts> =
        plan.callers.iter().map(|(name, caller)| (name.clone(), caller.facts.clone())).collect();
    let finished = checker::Finished::open(&database);
    let entries = finished.entries();
    let report =
        checker::verify(&recorded.records, &recorded.bodies, &entries, &callers, |hash| finished.content(hash));

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

/// Folders, skills and grants for the callers: an admin and three users of whom one shares with another.
fn provision(world: &World, server: &Server, size: &Size, scratch: &Path) -> Plan {
    let mut admin = server.client(world, Who::Admin);
    let mut callers = BTreeMap::new();
    for who in [Who::Admin, Who::Alice, Who::Bob, Who::Stranger] {
        let (tenant, user) = who.user();
        let facts = CallerFacts { tenant: tenant.to_owned(), user: user.to_owned(), is_admin: who == Who::Admin };
        let key = world.key(who).expect("a key").to_owned();
        callers.insert(user.to_owned(), PlannedCaller { key, facts });
    }
    for (name, caller) in &callers {
        let home = caller.home();
        admin.rpc("mkdir", &json!({"path": home, "parents": true, "exist_ok": true})).expect("a home");
        let owner = json!({"subject": ["user", name], "relation": "direct_owner", "object": ["file", home]});
        admin.rpc("rebac_create", &owner).expect("a grant");
        for n in 0..size.skills_per_caller {
            let skill_name = format!("{name}-skill-{n}");
            write(&mut admin, &format!("{home}/skill/{skill_name}/SKILL.md"), &load::skill(&skill_name, 0));
        }
    }
    for n in 0..size.system_skills {
        let skill_name = format!("system-skill-{n}");
        write(&mut admin, &format!("/skill/{skill_name}/SKILL.md"), &load::skill(&skill_name, 0));
    }
    // Even numbers are for everybody in the group; whoever is not in it sees fewer.
    for n in (0..size.system_skills).step_by(2) {
        let object = ["file", &format!("/skill/system-skill-{n}")];
        admin
            .rpc("rebac_create", &json!({"subject": ["group", "staff"], "relation": "direct_viewer", "object": object}))
            .expect("a grant");
    }
    for user in ["alice", "bob"] {
        admin
            .rpc(
                "rebac_create",
                &json!({"subject": ["user", user], "relation": "member", "object": ["group", "staff"]}),
            )
            .expect("a member");
    }
    let shared = format!("{}/workspace/shared", callers["alice"].home());
    write(&mut admin, &format!("{shared}/f0.txt"), "to be seen, or not");
    Plan {
        address: server.address(),
        hello_only: false,
        clients: size.clients,
        seconds: size.seconds,
        callers,
        shared,
        share_with: "bob".to_owned(),
        admin_key: world.key(Who::Admin).expect("a key").to_owned(),
        skills_per_caller: size.skills_per_caller,
        out: scratch.join("answers.jsonl"),
    }
}

fn write(client: &mut Client, path: &str, content: &str) {
    client.rpc("write", &json!({"path": path, "content": load::wire_bytes(content)})).expect("a file");
}

/// Runs the generator in a process of its own.
fn generate(plan: &Plan, scratch: &Path) -> Recorded {
    let file = scratch.join("plan.json");
    std::fs::write(&file, serde_json::to_vec(plan).expect("the plan as JSON")).expect("a file for the plan");
    let own = std::env::current_exe().expect("this program");
    let status = std::process::Command::new(own).arg(GENERATOR).arg(&file).status().expect("the generator");
    assert!(status.success(), "the generator failed: {status}");
    Recorded::read(&plan.out)
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
