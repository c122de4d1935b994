//! P7 to P11 over HTTP: `rebac_check`, a batch of checks, a list of 20 files (new to the server, asked before, and beside
//! writers), a list of 20 skills and a read of 1 KiB against a trivial actix-web handler, on the same client, in the same
//! process, in turn.
//!
//! `cargo bench --bench http`; a word after `--` is the log filter (`cargo bench --bench http -- off`), by default that
//! of `serve`, and a second one a part of the names of what is asked (`-- info list`), by default everything. The servers
//! run in a child of this program whose standard error, the log, goes to a file; the clients run in a child of that, so
//! that the CPU time of the servers can be told. The trivial handler answers a GET with a fixed body; a check is asked with
//! a key, about a file five directories deep, and allowed through a group. A list is new to the server when no request for
//! it was like it since the last write to its directory. Figures are printed and never asserted; a wrong answer is. `cargo test --bench
//! http` asks each thing a few times.

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
#[path = "http/side.rs"]
mod side;
#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/world.rs"]
mod world;

use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

use client::{Client, call_bytes};
use generator::Plan;
use measure::load_average;
use nexus_lite::config::{Config, LogStyle};
use nexus_lite::http::Limits;
use nexus_lite::telemetry::{log, metric};
use server::Server;
use side::{Beside, Side};
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
/// The directory that is listed, in the deepest.
const LISTED_DIRECTORY: &str = "/plans/2031/q1/north/sales/listed";
/// What the trivial handler answers: the body of a check, without looking at anything.
const HELLO: &str = r#"{"jsonrpc":"2.0","id":1,"result":true}"#;
/// How the body of an allowing answer ends.
const ALLOWED: &str = r#""result":true}"#;
/// Checks of a batch.
const BATCH: usize = 10;
/// Files of the directory that is listed.
const LISTED: u32 = 20;
/// Different requests for that list.
const NEW_LISTS: u32 = 20_000;
const NEW_LISTS_TINY: u32 = 40;
/// The list that is kept.
const LIST: &str = "POST list, 20 files";
/// The list that is not kept.
const NEW_LIST: &str = "POST list, 20 files, new";
/// Where alice's skills are.
const SKILLS: &str = "/tenant:default/user:alice/skill";
/// Different requests of one writer.
const WRITES_EACH: u32 = 10;
/// Bytes of the file that is read.
const READ_BYTES: usize = 1024;
/// How much of the end of an answer is compared, bytes.
const END_BYTES: usize = 24;

/// How much is done.
struct Size {
    rounds: usize,
    connections: u32,
    /// Connections of writers.
    writers: u32,
    files: u32,
    /// Of one part of a round.
    seconds: f64,
    /// Requests of one connection in one part of a round, at most.
    requests_max: u64,
}

const FULL: Size = Size { rounds: 24, connections: 10, writers: 64, files: 64, seconds: 1.0, requests_max: u64::MAX };
const TINY: Size = Size { rounds: 1, connections: 2, writers: 2, files: 2, seconds: 30.0, requests_max: 4 };

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let full = args.iter().any(|arg| arg == "--bench");
    match args.get(1).map(String::as_str) {
        Some(GENERATOR) => generator::run(Path::new(&args[2])),
        Some(SERVERS) => {
            log::init(&args[2], LogStyle::Json).expect("a filter");
            actix_web::rt::System::new().block_on(run(if full { &FULL } else { &TINY }, &args[3]));
        }
        _ => {
            let mut words = args.iter().skip(1).filter(|arg| !arg.starts_with("--")).cloned();
            let filter = words.next().unwrap_or_else(|| Config::for_directory(Path::new(".")).log);
            say(&format!("log filter `{filter}`, JSON lines to a file"));
            std::process::exit(i32::from(!in_a_process_with_a_log(&filter, &words.next().unwrap_or_default(), full)));
        }
    }
}

fn say(line: &str) {
    writeln!(std::io::stdout().lock(), "{line}").expect("the terminal takes a line");
}

/// Runs the servers and returns whether all went well; if not, shows the end of what they said.
fn in_a_process_with_a_log(filter: &str, only: &str, full: bool) -> bool {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on the disk of the project");
    let log = scratch.path().join("log");
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args([SERVERS, filter, only]).args(full.then_some("--bench"));
    let status = command.stderr(File::create(&log).expect("a file for the log")).status().expect("the servers");
    if !status.success() {
        let text = std::fs::read_to_string(&log).unwrap_or_default();
        let said: Vec<&str> = text.lines().filter(|line| !line.contains(r#""level":"INFO""#)).collect();
        said.iter().skip(said.len().saturating_sub(20)).for_each(|line| say(line));
    }
    status.success()
}

/// Asks everything whose name holds `only`.
async fn run(size: &Size, only: &str) {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on the disk of the project");
    let workers = Limits::default().workers;
    let world = World::with(Setup { injected: false, ..Setup::default() }).await;
    let server = Server::start(&world);
    let hello = Hello::start(workers);
    let address = hello.address.to_string();
    let greeting = format!("GET /hello HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes();
    let mut sides = vec![Side::new(("hello", None, Beside::Nothing), size, hello.address, vec![greeting], ALLOWED)];
    sides.extend(asked(&world, &server, size).into_iter().filter(|side| side.name.contains(only)));
    let writers = writers(&world, &server, size);
    let busy_before = busy();
    say(&format!("load average before: {}; {} workers, {} connections", load_average(), workers, size.connections));

    // The first round warms both and is not counted.
    for round in 0..=size.rounds {
        if round % 2 == 1 {
            sides.reverse();
        }
        for side in &mut sides {
            side.round(&world, &writers, scratch.path(), round > 0).await;
        }
        if round % 2 == 1 {
            sides.reverse();
        }
    }
    say(&format!("over HTTP: medians of {} rounds, in turn", size.rounds));
    let (hello_side, others) = sides.split_first().expect("at least one");
    hello_side.print();
    let (beside, alone): (Vec<&Side>, Vec<&Side>) = others.iter().partition(|side| side.beside.is_beside_writers());
    alone.iter().for_each(|side| side.compare(hello_side));
    for side in beside {
        let name = if side.beside == Beside::WriteAndWriters { NEW_LIST } else { LIST };
        alone.iter().find(|idle| idle.name == name).into_iter().for_each(|idle| side.beside_writers(idle));
    }
    say(&format!("    SQLITE_BUSY {}", busy() - busy_before));
    say(&format!("load average after: {}", load_average()));

    hello.stop().await;
    server.stop().await;
    world.close().await;
}

/// How often SQLite has said so.
fn busy() -> u64 {
    let text = metric::render();
    let count = text.lines().find_map(|line| line.strip_prefix("sqlite_busy_total"));
    count.and_then(|count| count.trim().parse().ok()).expect("a counter of the store")
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
    grant(["user", "alice"], "direct_owner", ["file", SKILLS]);
    let deepest = DIRECTORIES[DIRECTORIES.len() - 1];
    let paths: Vec<String> = (0..size.files).map(|n| format!("{deepest}/forecast-{n}.csv")).collect();
    paths.iter().for_each(|path| write(&mut admin, path, "region,amount"));
    let listed = LISTED_DIRECTORY;
    (0..LISTED).for_each(|n| write(&mut admin, &format!("{listed}/forecast-{n}.csv"), &"x".repeat(READ_BYTES)));

    for n in 0..LISTED {
        let text = format!("---\nname: plan-{n}\ndescription: Plans number {n}.\n---\nText.\n");
        write(&mut admin, &format!("{SKILLS}/plan-{n}/SKILL.md"), &text);
    }

    let mut alice = server.client(world, Who::Alice);
    let mut side = |name, target, beside, method: &str, all: Vec<Value>| {
        let requests: Vec<_> =
            all.iter().map(|params| call_bytes(1, world.key(Who::Alice), None, method, params)).collect();
        let first = alice.exchange(&requests[0]).expect("an answer");
        first.rpc().unwrap_or_else(|failure| panic!("{name}: {failure:?}"));
        // All answers to requests of one kind end alike.
        let end = String::from_utf8(first.body[first.body.len().saturating_sub(END_BYTES)..].to_vec()).expect("text");
        Side::new((name, target, beside), size, server.address(), requests, &end)
    };
    let question = |path: &String| json!([["user", "alice"], "read", ["file", path]]);
    let ask = |path| json!({"subject": ["user", "alice"], "permission": "read", "object": ["file", path]});
    let batches: Vec<Vec<Value>> =
        (0..paths.len()).map(|at| paths.iter().cycle().skip(at).take(BATCH).map(question).collect()).collect();
    let checks = batches.iter().map(|checks| json!({ "checks": checks })).collect();
    // The limit changes nothing but the request.
    let different = if size.rounds > 1 { NEW_LISTS } else { NEW_LISTS_TINY };
    let new: Vec<Value> = (0..different).map(|n| json!({"path": listed, "limit": LISTED + n})).collect();
    let read = json!({ "path": format!("{listed}/forecast-0.csv") });
    let nothing = Beside::Nothing;
    let sides = vec![
        side("POST rebac_check", Some(0.85), nothing, "rebac_check", paths.iter().map(ask).collect()),
        side("POST rebac_check_batch", None, nothing, "rebac_check_batch", checks),
        side(NEW_LIST, Some(0.30), Beside::Write, "list", new.clone()),
        side(LIST, Some(0.75), nothing, "list", vec![json!({ "path": listed })]),
        side("POST skills_list, 20 skills", Some(0.75), nothing, "skills_list", vec![json!({})]),
        side("POST read, 1 KiB", Some(0.50), nothing, "read", vec![read]),
        side("POST list, new, beside writers", None, Beside::WriteAndWriters, "list", new),
        side("POST list, beside writers", None, Beside::Writers, "list", vec![json!({ "path": listed })]),
        side("POST list, beside writers over HTTP", None, Beside::Clients, "list", vec![json!({ "path": listed })]),
    ];
    assert!(sides[0].plan.ends_with.ends_with(ALLOWED), "no allowing answer: {}", sides[0].plan.ends_with);
    sides
}

/// Clients that overwrite small files of a directory of their own, as fast as they are answered.
fn writers(world: &World, server: &Server, size: &Size) -> Plan {
    let one = |n: u32| json!({"path": format!("/beside/{}.txt", n % size.writers), "content": n.to_string()});
    let request = |params| call_bytes(1, world.key(Who::Admin), None, "write", &params);
    let requests = (0..size.writers * WRITES_EACH).map(|n| String::from_utf8(request(one(n))).expect("text")).collect();
    let Size { writers, seconds, requests_max, .. } = *size;
    let ends_with = "}}".to_owned();
    Plan { address: server.address(), requests, ends_with, connections: writers, seconds, requests_max }
}

fn write(client: &mut Client, path: &str, content: &str) {
    client.rpc("write", &json!({"path": path, "content": content})).expect("a file");
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
