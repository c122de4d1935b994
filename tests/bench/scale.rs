//! P17 and what grows with the tree: listing, reading and checking among 10,000 and among 1,000,000 files, and the
//! writer's time for a rename, a snapshot and a removal of half of them.
//!
//! `cargo bench --bench scale`; `cargo bench --bench scale -- 10000000` has that many files in place of 1,000,000. Files of
//! 1 KiB lie 20 in a directory, four directories deep. The questions come without HTTP, whose time would hide what grows:
//! first to a server that has just started, then, judged by the target, to one that has listed each directory once and
//! whose database was read through once, so that as much of it as fits is in the system's memory. 10,000 files lie in
//! every cache after a few questions, so that the first compares a warm server with a cold one, and among more files than
//! the system has cached a server with a disk. Figures are printed and never asserted; a wrong answer is. Without
//! `--bench` a tiny round.

#[path = "scale/changes.rs"]
mod changes;
#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/client.rs"]
mod client;
#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/measure.rs"]
mod measure;
#[path = "engine.rs"]
mod plain;
#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/process.rs"]
mod process;
#[expect(dead_code, reason = "shared with others, of which each uses a part")]
#[path = "../harness/world.rs"]
mod world;

/// The engine of the benches, for a program of its own, too.
mod engine {
    pub(crate) use super::plain::{config, options};

    /// What a program on `_dir` has to be told beside its arguments.
    pub(crate) fn environment(_dir: &std::path::Path) -> [(String, String); 0] {
        []
    }
}

use std::fs::File;
use std::io::Write as _;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use nexus_lite::model::VirtualPath;
use nexus_lite::model::time::monotonic;
use nexus_lite::service::files::bulk_ops::{BULK_FILES_MAX, write_all};
use nexus_lite::store::DATABASE_FILE;
use serde_json::{Value, json};

use measure::{load_average, percentile, short};
use nexus_lite::cli::load::machine::family_memory;
use process::Process;
use world::{Setup, Who, World};

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Files that are compared, by default.
const FILES: [usize; 2] = [10_000, 1_000_000];
const FILES_TINY: [usize; 2] = [400, 800];
/// Questions of each kind.
const QUESTIONS: usize = 2_000;
const QUESTIONS_TINY: usize = 10;
/// Parts in which they are asked, in turn with the other trees.
const ROUNDS: usize = 10;
/// Bytes of a file.
const BODY_BYTES: usize = 1024;
/// Files of one directory.
const SIBLINGS: usize = 20;
/// Directories of one directory.
const DIRECTORIES: usize = 50;
/// Messages that are under way while the tree is made.
const UNDER_WAY: usize = 4;
/// The targets: growth; bytes on disk for each file; start and memory of the program.
const GROWTH: f64 = 1.5;
const DISK_BYTES: f64 = 3.0 * 1024.0;
const READY: Duration = Duration::from_secs(1);
const MEMORY_MIB: u64 = 200;

/// A tree of so many files, and the times of its questions.
struct Grown {
    files: usize,
    world: Arc<World>,
    /// After the start, and after each directory was listed and the database read through.
    took: [Times; 2],
}

/// Of each kind of question.
type Times = [Vec<Duration>; 3];

/// What is asked.
const KINDS: [&str; 3] = ["list of a 20-entry directory", "read by path", "rebac_check"];

fn say(line: &str) {
    writeln!(std::io::stdout().lock(), "{line}").expect("the terminal takes a line");
}

fn main() {
    let full = std::env::args().any(|arg| arg == "--bench");
    let ([small, large], questions) = if full { (FILES, QUESTIONS) } else { (FILES_TINY, QUESTIONS_TINY) };
    let large = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(large);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    say(&format!("load average before: {}", load_average()));
    let mut all = [small, large].map(|files| runtime.block_on(grown(files)));
    runtime.block_on(ask_all(&mut all, 0, questions));
    // The largest first: what does not fit is of it. Closing a file would give up all locks of this process on it.
    let _open = [&all[1], &all[0]].map(read_through);
    for tree in &all {
        runtime.block_on(list_all(tree));
    }
    runtime.block_on(ask_all(&mut all, 1, questions));
    for tree in &mut all {
        say(&format!("\n{} files, asked {questions} times after the start, and again", tree.files));
        tree.took.iter_mut().flatten().for_each(|took| took.sort_unstable());
        for (kind, name) in KINDS.iter().enumerate() {
            let [first, then] = [0, 1].map(|at: usize| short(percentile(&tree.took[at][kind], 0.5)));
            say(&format!("  {name:<60} {first:>9} {then:>9}"));
        }
        runtime.block_on(changes::changed(Arc::clone(&tree.world), tree.files));
    }
    growth(&all[0], &all[1]);
    say(&format!("load average after: {}", load_average()));
}

/// P17: how much longer a question takes in the larger tree than in the smallest.
fn growth(small: &Grown, large: &Grown) {
    for (kind, name) in KINDS.iter().enumerate() {
        let of = |tree: &Grown, at: usize| percentile(&tree.took[at][kind], 0.5).as_secs_f64();
        let [first, then] = [0, 1].map(|at| of(large, at) / of(small, at));
        let (what, holds) = (format!("{name}, {} files / {} files", large.files, small.files), verdict(then <= GROWTH));
        say(&format!("P17 {what:<58} {then:>9.2}   <= {GROWTH}   {holds}; after the start {first:.2}"));
    }
}

fn verdict(holds: bool) -> &'static str {
    if holds { "holds" } else { "falls short" }
}

/// The directory of a file, without the first part.
fn directory(file: usize, files: usize) -> String {
    let at = file / SIBLINGS;
    let half = if file < files / 2 { "left" } else { "right" };
    format!("{half}/a{}/b{}", at / DIRECTORIES, at % DIRECTORIES)
}

fn body(file: usize) -> Vec<u8> {
    let mut body = format!("file {file}\n").into_bytes();
    body.resize(BODY_BYTES, b'.');
    body
}

/// Makes a tree of so many files.
async fn grown(files: usize) -> Grown {
    let mut world = World::with(Setup { injected: false, ..Setup::default() }).await;
    let began = monotonic();
    fill(&world, files).await;
    say(&format!("\n{files} files in {}", short(began.elapsed())));
    let (path, keys) = (world.path().to_owned(), world.keys());
    let dir = world.close().await;
    let disk = bytes_below(&path) as f64 / files as f64;
    let holds = verdict(disk <= DISK_BYTES);
    say(&format!("  {:<60} {disk:>7.0} B   <= {DISK_BYTES}   {holds}", "disk for each file of 1 KiB"));
    served(&path);
    world = World::again(&path, Setup { injected: false, ..Setup::default() }, keys).await;
    world.keep(dir);
    Grown { files, world: Arc::new(world), took: Default::default() }
}

/// The program on this directory: how soon it answers, and what it takes when it does.
fn served(path: &Path) {
    let mut server = Process::start(path);
    let (ready, memory) = (server.starts[0], family_memory(server.id()).unwrap_or(0) >> 20);
    let holds = verdict(ready <= READY && memory <= MEMORY_MIB);
    say(&format!(
        "  {:<64} {:>10} (<= 1 s), {memory} MiB (<= {MEMORY_MIB})   {holds}",
        "ready to serve, resident",
        short(ready)
    ));
    server.kill();
}

async fn fill(world: &World, files: usize) {
    let call = world.call_as(Who::Admin);
    let numbers: Vec<usize> = (0..files).collect();
    let messages = numbers.chunks(BULK_FILES_MAX).map(|numbers| {
        let batch = numbers.iter().map(|file| {
            let path = format!("/tree/{}/f{file}.txt", directory(*file, files));
            (VirtualPath::parse(&path).expect("a path"), Bytes::from(body(*file)))
        });
        let (call, batch) = (call.clone(), batch.collect());
        async move { write_all(&call, batch).await.expect("written") }
    });
    let written = stream::iter(messages).buffer_unordered(UNDER_WAY);
    let written = written.fold(0, async |count, some| count + some.len()).await;
    assert_eq!(written, files);
    let read = json!({"subject": ["user", "alice"], "relation": "direct_viewer", "object": ["file", "/tree"]});
    world.rpc(Who::Admin, "rebac_create", read).await.expect("a grant");
}

/// Bytes of all files in a directory.
fn bytes_below(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(
            |entry| {
                if entry.path().is_dir() { bytes_below(&entry.path()) } else { entry.metadata().map_or(0, |m| m.len()) }
            },
        )
        .sum()
}

/// Reads the database once from end to end, past the server.
fn read_through(tree: &Grown) -> File {
    let began = monotonic();
    let mut database = File::open(tree.world.path().join(DATABASE_FILE)).expect("the database");
    let bytes = std::io::copy(&mut database, &mut std::io::sink()).expect("read");
    say(&format!("{} MiB of {} files read through in {}", bytes >> 20, tree.files, short(began.elapsed())));
    database
}

/// Lists each directory with files once.
async fn list_all(tree: &Grown) {
    let began = monotonic();
    for file in (0..tree.files).step_by(SIBLINGS) {
        let params = json!({"path": format!("/tree/{}", directory(file, tree.files)), "recursive": false});
        tree.world.rpc(Who::Alice, "list", params).await.expect("an answer");
    }
    say(&format!("each directory of {} files listed once in {}", tree.files, short(began.elapsed())));
}

/// Asks all questions of a phase, in turn, so that what else the machine does falls on all trees.
async fn ask_all(all: &mut [Grown], phase: usize, questions: usize) {
    let begin = phase * questions;
    for round in 0..ROUNDS {
        for tree in &mut *all {
            let part = begin + round * questions / ROUNDS..begin + (round + 1) * questions / ROUNDS;
            ask(tree, phase, part).await;
        }
    }
}

/// Asks some questions of each kind, about files all over the tree.
async fn ask(tree: &mut Grown, phase: usize, questions: Range<usize>) {
    let Grown { files, world, took } = tree;
    for at in questions {
        // A step that meets every part of the tree, and no directory twice in a row.
        let file = at.wrapping_mul(7_368_787) % *files;
        let directory = format!("/tree/{}", directory(file, *files));
        let path = format!("{directory}/f{file}.txt");
        let asked: [(&str, Value); 3] = [
            // No two alike, so that none is answered by a kept reply: the limit changes nothing else.
            ("list", json!({"path": directory, "recursive": false, "limit": SIBLINGS + at})),
            ("read", json!({"path": path})),
            ("rebac_check", json!({"subject": ["user", "alice"], "permission": "read", "object": ["file", path]})),
        ];
        for (kind, (method, params)) in asked.into_iter().enumerate() {
            let began = monotonic();
            let answer = world.rpc(Who::Alice, method, params).await.expect("an answer");
            took[phase][kind].push(began.elapsed());
            match kind {
                0 => assert_eq!(answer["files"].as_array().map(Vec::len), Some(SIBLINGS), "{directory}"),
                1 => assert_eq!(answer["__type__"], "bytes", "{path}"),
                _ => assert_eq!(answer, Value::Bool(true), "{path}"),
            }
        }
    }
}
