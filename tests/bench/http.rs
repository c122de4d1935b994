//! P9, P7 and P10 over HTTP: `rebac_check`, a batch of checks, a list of 20 files and a read of 1 KiB against a trivial
//! actix-web handler, on the same client, in the same process, in turn.
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
use serde_json::{Value, json};

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
/// Checks of a batch.
const BATCH: usize = 10;
/// Files of the directory that is listed.
const LISTED: u32 = 20;
/// Bytes of the file that is read.
const READ_BYTES: usize = 1024;
/// How much of the end of an answer is compared, bytes.
const END_BYTES: usize = 24;

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

/// One of those that are compared.
struct Side {
    name: &'static str,
    /// The share of the trivial handler's rate that is promised.
    target: Option<f64>,
    plan: Plan,
    rates: Vec<f64>,
    /// µs a request.
    server_cpu: Vec<f64>,
    client_cpu: Vec<f64>,
}

impl Side {
    fn new(
        (name, target): (&'static str, Option<f64>),
        size: &Size,
        address: SocketAddr,
        requests: Vec<Vec<u8>>,
        ends_with: &str,
    ) -> Self {
        let requests = requests.into_iter().map(|bytes| String::from_utf8(bytes).expect("text")).collect();
        let Size { connections, seconds, requests_max, .. } = *size;
        let plan = Plan { address, requests, ends_with: ends_with.to_owned(), connections, seconds, requests_max };
        Self { name, target, plan, rates: Vec::new(), server_cpu: Vec::new(), client_cpu: Vec::new() }
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
            "  {:<24} {rate:>7.0}/s   CPU a request: server {server:>5.1} µs, client {client:>5.1} µs",
            self.name
        ));
    }

    /// Prints it with its shares of what `hello` reaches.
    fn compare(&self, hello: &Self) {
        self.print();
        let per_round = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a / b).collect::<Vec<_>>();
        let shares = per_round(&self.rates, &hello.rates);
        let (share, of_cpu) = (median(&shares), median(&per_round(&hello.server_cpu, &self.server_cpu)));
        let [least, most] = [f64::min, f64::max].map(|pick| shares.iter().copied().reduce(pick).unwrap_or(f64::NAN));
        let verdict = match self.target {
            None => String::new(),
            Some(target) => format!("; target {target}: {}", if share >= target { "holds" } else { "falls short" }),
        };
        say(&format!(
            "    share of the rate {share:.2} (rounds {least:.2} to {most:.2}), by the CPU of the servers alone \
             {of_cpu:.2}{verdict}"
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
    let mut sides = vec![Side::new(("hello", None), size, hello.address, vec![greeting], ALLOWED)];
    sides.extend(asked(&world, &server, size));
    say(&format!("load average before: {}; {} workers, {} connections", load_average(), workers, size.connections));

    // The first round warms both and is not counted.
    for round in 0..=size.rounds {
        if round % 2 == 1 {
            sides.reverse();
        }
        sides.iter_mut().for_each(|side| side.round(scratch.path(), round > 0));
        if round % 2 == 1 {
            sides.reverse();
        }
    }
    say(&format!("over HTTP: medians of {} rounds, in turn", size.rounds));
    let (hello_side, others) = sides.split_first().expect("at least one");
    hello_side.print();
    others.iter().for_each(|side| side.compare(hello_side));
    say(&format!("load average after: {}", load_average()));

    hello.stop().await;
    server.stop().await;
    world.close().await;
}

/// Writes the files, gives them to a group, and returns what a member asks, about herself and of the files.
fn asked(world: &World, server: &Server, size: &Size) -> Vec<Side> {
    let mut admin = server.client(world, Who::Admin);
    let mut grant = |subject: [&str; 2], relation: &str, object: [&str; 2]| {
        let params = json!({"subject": subject, "relation": relation, "object": object});
        admin.rpc("rebac_create", &params).expect("a grant");
    };
    grant(["user", "alice"], "member", ["group", "sales"]);
    grant(["group", "sales"], "direct_viewer", ["file", DIRECTORIES[0]]);
    let deepest = DIRECTORIES[DIRECTORIES.len() - 1];
    let paths: Vec<String> = (0..size.files).map(|n| format!("{deepest}/forecast-{n}.csv")).collect();
    paths.iter().for_each(|path| write(&mut admin, path, "region,amount"));
    let listed = format!("{deepest}/listed");
    (0..LISTED).for_each(|n| write(&mut admin, &format!("{listed}/forecast-{n}.csv"), &"x".repeat(READ_BYTES)));

    let mut alice = server.client(world, Who::Alice);
    let mut side = |name, target, method: &str, all: Vec<Value>| {
        let requests: Vec<_> =
            all.iter().map(|params| call_bytes(1, world.key(Who::Alice), None, method, params)).collect();
        let first = alice.exchange(&requests[0]).expect("an answer");
        first.rpc().unwrap_or_else(|failure| panic!("{name}: {failure:?}"));
        // All answers to requests of one kind end alike.
        let end = String::from_utf8(first.body[first.body.len().saturating_sub(END_BYTES)..].to_vec()).expect("text");
        Side::new((name, target), size, server.address(), requests, &end)
    };
    let question = |path: &String| json!([["user", "alice"], "read", ["file", path]]);
    let ask = |path| json!({"subject": ["user", "alice"], "permission": "read", "object": ["file", path]});
    let batches: Vec<Vec<Value>> =
        (0..paths.len()).map(|at| paths.iter().cycle().skip(at).take(BATCH).map(question).collect()).collect();
    let sides = vec![
        side("POST rebac_check", Some(0.85), "rebac_check", paths.iter().map(ask).collect()),
        side(
            "POST rebac_check_batch",
            None,
            "rebac_check_batch",
            batches.iter().map(|checks| json!({ "checks": checks })).collect(),
        ),
        side("POST list, 20 files", Some(0.30), "list", vec![json!({ "path": listed })]),
        side("POST read, 1 KiB", Some(0.50), "read", vec![json!({ "path": format!("{listed}/forecast-0.csv") })]),
    ];
    assert!(sides[0].plan.ends_with.ends_with(ALLOWED), "no allowing answer: {}", sides[0].plan.ends_with);
    sides
}

fn write(client: &mut Client, path: &str, content: &str) {
    client.rpc("write", &json!({"path": path, "content": content})).expect("a file");
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
