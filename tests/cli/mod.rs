//! The command line, as a process: what it prints, how it ends, what it refuses.

// demo: provision, serve, thirty of thirty.
mod demo;
// waves: against a demo, against a doctored manifest, against the failing control, from Python.
mod waves;
// waves --compare: the same program on one engine after the other.
mod compare;
// serve: banner, warning, keys, signals.
mod serve;
// What is refused, with which exit code and which advice.
mod refusals;
// key create, list, revoke: on a stopped and on a running server.
mod keys;
// doctor: findings, remedies, and that it changes nothing.
mod doctor;
// backup, restore: on a running and on a stopped server.
mod backup;
// export, import, migrate.
mod moving;
// namespace: files without a server; list, get, put and delete through the door.
mod namespace;
// audit tail, query, export.
mod audit;
// ls, cat, put, get, rm, mv, cp, mkdir, find, grep, du, log, diff, rollback, undo, snapshot; contexts.
mod files;
// generate methods, openapi, openrpc.
mod generate;
// watch, and hook add, list, remove, test.
mod watch;
// grant and revoke.
mod grant;
// agent, share, unshare, shares.
mod agents;
// quota get, set, list, on a stopped and on a running server.
mod quota;
// Files in a newcomer's first hour: writing, history, undoing, large files.
mod session;
// who-can and what-can.
mod can;
// skill: made and validated here; imported, listed, exported, published there.
mod skills;
// memory: kept, found, changed, forgotten, through both doors.
mod memory;
// Clients that mean harm: memory, log, descriptors.
mod hostile;
// selftest: servers of its own, killed and compared.
mod selftest;
// explain: what people read, and that its advice works.
mod explain;

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::client::LIVENESS;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_nexus-lite");

/// The program with arguments and without the environment's settings.
fn program<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NEXUS_")) {
        command.env_remove(name);
    }
    // Nobody's own contexts.
    command.env("NEXUS_LITE_CONTEXTS", "/nonexistent/contexts.json");
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a finished command has said.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs a command to its end.
fn run<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>) -> Said {
    Said::of(program(args).output().expect("the program runs"))
}

/// A path as an argument.
fn arg(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A command that stays up.
struct Running {
    child: Child,
    lines: Receiver<String>,
    /// Everything it has printed so far.
    out: String,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the program runs");
        let (told, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| told.send(line)));
        Self { child, lines, out: String::new() }
    }

    fn serve(data_dir: &Path, more: &[&str]) -> Self {
        Self::start(program(["serve", "--port", "0", "--data-dir", arg(data_dir)].iter().chain(more)))
    }

    /// Waits for a line that contains `wanted`.
    fn line_with(&mut self, wanted: &str) -> String {
        loop {
            match self.lines.recv_timeout(LIVENESS) {
                Ok(line) => {
                    self.out.push_str(&line);
                    self.out.push('\n');
                    if line.contains(wanted) {
                        return line;
                    }
                }
                Err(e) => {
                    let log = self.errors();
                    panic!("no line with {wanted:?}: {e}; it said:\n{}\n{log}", self.out);
                }
            }
        }
    }

    /// Where it listens.
    fn url(&mut self) -> String {
        let line = self.line_with("API  ");
        let url = line.split_whitespace().nth(1).expect("API http://…");
        url.to_owned()
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, signal).expect("our own child");
    }

    /// Asks it to stop and waits until it has; its exit code and its log.
    fn stop(mut self) -> (i32, String) {
        self.signal(Signal::TERM);
        let status = self.child.wait().expect("our own child");
        let errors = self.errors();
        (status.code().unwrap_or(-1), errors)
    }

    fn errors(&mut self) -> String {
        // Reading to the end needs an end.
        let _ = self.child.kill();
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut text).expect("UTF-8");
        }
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `http://127.0.0.1:8080` → its address.
fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").parse().expect("an address")
}
