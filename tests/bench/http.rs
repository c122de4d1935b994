//! P9 over HTTP: `rebac_check` against a trivial actix-web handler, on the same client, in the same process, in turn.
//!
//! `cargo bench --bench http`; a word after `--` is the log filter (`cargo bench --bench http -- off`), by default that
//! of `serve`. The servers run in a child of this program whose standard error, the log, goes to a file; the clients
//! run in a child of that, so that the CPU time of the servers can be told. The trivial handler answers a GET with a
//! fixed body; a check is asked with a key, about a file five directories deep, and allowed through a group. Figures
//! are printed and never asserted; a wrong answer is. `cargo test --bench http` asks each thing a few times.

#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/client.rs"]
mod client;
#[path = "engine.rs"]
mod engine;
#[path = "http/generator.rs"]
mod generator;
#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/measure.rs"]
mod measure;
#[path = "../harness/server.rs"]
mod server;
#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/world.rs"]
mod world;

use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::json;

use client::{Client, call_bytes};
use generator::{Plan, Ran};
use measure::{load_average, median};
use nexus_lite::config::{Config, LogStyle};
use nexus_lite::http::Limits;
use nexus_lite::telemetry::log;
use server::Server;
use world::{Setup, Who, World};

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The first argument of the servers' process, before the log filter and the arguments given by hand.
const SERVERS: &str = "--serve-and-measure";
/// The first argument of the clients' process.
const GENERATOR: &str = "--generate-load";
/// The directories that the group may read from the first one down; the files lie in the last.
const DIRECTORIES: [&str; 5] =
    ["/plans", "/plans/2031", "/plans/2031/q1", "/plans/2031/q1/north", "/plans/2031/q1/north/sales"];
/// What the trivial handler answers: the body of a check, without looking at anything.
const HELLO: &str = r#"{"jsonrpc":"2.0","id":1,"result":true}"#;
/// How the body of an allowing answer ends.
const ALLOWED: &str = r#""result":true}"#;
/// The share of the trivial handler's rate that is promised.
const TARGET: f64 = 0.85;

/// How much is done.
struct Size {
    rounds: usize,
    connections: u32,
    files: u32,
    /// Of one part of a round.
    seconds: f64,
    /// Requests of one connection in one part of a round, at most.
    requests_max: u64,
}

const FULL: Size = Size { rounds: 12, connections: 10, files: 64, seconds: 1.0, requests_max: u64::MAX };
const TINY: Size = Size { rounds: 1, connections: 2, files: 2, seconds: 30.0, requests_max: 4 };

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let full = args.iter().any(|arg| arg == "--bench");
    match args.get(1).map(String::as_str) {
        Some(GENERATOR) => generator::run(Path::new(&args[2])),
        Some(SERVERS) => {
            log::init(&args[2], LogStyle::Json).expect("a filter");
            actix_web::rt::System::new().block_on(run(if full { &FULL } else { &TINY }));
        }
        _ => {
            let filter = args.iter().skip(1).find(|arg| !arg.starts_with("--")).cloned();
            let filter = filter.unwrap_or_else(|| Config::for_directory(Path::new(".")).log);
            say(&format!("log filter `{filter}`, JSON lines to a file"));
            std::process::exit(i32::from(!in_a_process_with_a_log(&filter, full)));
        }
    }
}

fn say(line: &str) {
    writeln!(std::io::stdout().lock(), "{line}").expect("the terminal takes a line");
}

/// Runs the servers and returns whether all went well; if not, shows the end of what they said.
fn in_a_process_with_a_log(filter: &str, full: bool) -> bool {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on the disk of the project");
    let log = scratch.path().join("log");
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args([SERVERS, filter]).args(full.then_some("--bench"));
    let status = command.stderr(File::create(&log).expect("a file for the log")).status().expect("the servers");
    if !status.success() {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let said: Vec<&str> = text.lines().filter(|line| !line.contains(r#""level":"INFO""#)).collect();
        said.iter().skip(said.len().saturating_sub(20)).for_each(|line| say(line));
    }
    status.success()
}

/// One of the two that are compared.
struct Side {
    name: &'static str,
    plan: Plan,
    rates: Vec<f64>,
    /// µs a request.
    server_cpu: Vec<f64>,
    client_cpu: Vec<f64>,
}

impl Side {
    fn new(name: &'static str, size: &Size, address: SocketAddr, requests: Vec<Vec<u8>>) -> Self {
        let requests = requests.into_iter().map(|bytes| String::from_utf8(bytes).expect("text")).collect();
        let Size { connections, seconds, requests_max, .. } = *size;
        let plan = Plan { address, requests, ends_with: ALLOWED.to_owned(), connections, seconds, requests_max };
        Self { name, plan, rates: Vec::new(), server_cpu: Vec::new(), client_cpu: Vec::new() }
    }

    fn round(&mut self, scratch: &Path, keep: bool) {
        let before = generator::cpu_seconds();
        let ran = generate(&self.plan, scratch);
        let server_cpu = generator::cpu_seconds() - before;
        assert!(ran.wrong.is_none(), "{}: no allowing answer: {:?}", self.name, ran.wrong);
        assert!(ran.answers > 0, "{}: nothing was answered", self.name);
        if keep {
            let each = 1e6 / ran.answers as f64;
            self.rates.push(ran.answers as f64 / ran.seconds);
            self.server_cpu.push(server_cpu * each);
            self.client_cpu.push(ran.cpu_seconds * each);
        }
    }

    fn print(&self) {
        let [rate, server, client] = [&self.rates, &self.server_cpu, &self.client_cpu].map(|values| median(values));
        say(&format!(
            "  {:<22} {rate:>7.0}/s   CPU a request: server {server:>5.1} µs, client {client:>5.1} µs",
            self.name
        ));
    }
}

async fn run(size: &Size) {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on the disk of the project");
    let workers = Limits::default().workers;
    let world = World::with(Setup { injected: false, ..Setup::default() }).await;
    let server = Server::start(&world);
    let hello = Hello::start(workers);
    let address = hello.address.to_string();
    let greeting = format!("GET /hello HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes();
    let mut hello_side = Side::new("hello", size, hello.address, vec![greeting]);
    let mut check_side = Side::new("POST rebac_check", size, server.address(), questions(&world, &server, size));
    say(&format!("load average before: {}; {} workers, {} connections", load_average(), workers, size.connections));

    // The first round warms both and is not counted.
    for round in 0..=size.rounds {
        let mut sides = [&mut hello_side, &mut check_side];
        if round % 2 == 1 {
            sides.reverse();
        }
        sides.into_iter().for_each(|side| side.round(scratch.path(), round > 0));
    }
    say(&format!("P9 over HTTP: medians of {} rounds, in turn", size.rounds));
    hello_side.print();
    check_side.print();
    let per_round = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a / b).collect::<Vec<_>>();
    let shares = per_round(&check_side.rates, &hello_side.rates);
    let share = median(&shares);
    let of_cpu = median(&per_round(&hello_side.server_cpu, &check_side.server_cpu));
    let [least, most] = [f64::min, f64::max].map(|pick| shares.iter().copied().reduce(pick).unwrap_or(f64::NAN));
    let verdict = if share >= TARGET { "holds" } else { "falls short" };
    say(&format!("  share of the rate {share:.2} (rounds {least:.2} to {most:.2}); target {TARGET}: {verdict}"));
    say(&format!("  share by the CPU of the servers alone {of_cpu:.2}; load average {}", load_average()));

    hello.stop().await;
    server.stop().await;
    world.close().await;
}

/// Writes the files, gives them to a group, and returns what a member asks about herself.
fn questions(world: &World, server: &Server, size: &Size) -> Vec<Vec<u8>> {
    let mut admin = server.client(world, Who::Admin);
    let mut grant = |subject: [&str; 2], relation: &str, object: [&str; 2]| {
        let params = json!({"subject": subject, "relation": relation, "object": object});
        admin.rpc("rebac_create", &params).expect("a grant");
    };
    grant(["user", "alice"], "member", ["group", "sales"]);
    grant(["group", "sales"], "direct_viewer", ["file", DIRECTORIES[0]]);
    let deepest = DIRECTORIES[DIRECTORIES.len() - 1];
    let paths: Vec<String> = (0..size.files).map(|n| format!("{deepest}/forecast-{n}.csv")).collect();
    paths.iter().for_each(|path| write(&mut admin, path));
    let key = world.key(Who::Alice);
    let ask = |path| json!({"subject": ["user", "alice"], "permission": "read", "object": ["file", path]});
    paths.iter().map(|path| call_bytes(1, key, None, "rebac_check", &ask(path))).collect()
}

fn write(client: &mut Client, path: &str) {
    client.rpc("write", &json!({"path": path, "content": "region,amount"})).expect("a file");
}

/// Runs the clients in a process of their own.
fn generate(plan: &Plan, scratch: &Path) -> Ran {
    let file = scratch.join("plan.json");
    std::fs::write(&file, serde_json::to_vec(plan).expect("the plan as JSON")).expect("a file for the plan");
    let own = std::env::current_exe().expect("this program");
    let output = Command::new(own).arg(GENERATOR).arg(&file).stderr(Stdio::inherit()).output().expect("the clients");
    assert!(output.status.success(), "the clients failed: {}", output.status);
    serde_json::from_slice(&output.stdout).expect("the clients' report")
}

/// The trivial server.
struct Hello {
    address: SocketAddr,
    handle: ServerHandle,
    thread: std::thread::JoinHandle<()>,
}

impl Hello {
    fn start(workers: usize) -> Self {
        let (tell, told) = mpsc::sync_channel(1);
        let serve = async move || {
            let hello = || async { HttpResponse::Ok().content_type("application/json").body(HELLO) };
            let server = HttpServer::new(move || App::new().route("/hello", web::get().to(hello)))
                .workers(workers)
                .keep_alive(Duration::from_secs(75))
                .disable_signals()
                .bind((Ipv4Addr::LOCALHOST, 0))
                .expect("a free port");
            let address = server.addrs()[0];
            let server = server.run();
            tell.send((address, server.handle())).expect("somebody waits for it");
            server.await.expect("it serves");
        };
        let thread = std::thread::spawn(move || actix_web::rt::System::new().block_on(serve()));
        let (address, handle) = told.recv().expect("it starts");
        Self { address, handle, thread }
    }

    async fn stop(self) {
        self.handle.stop(false).await;
        self.thread.join().expect("it ends");
    }
}
