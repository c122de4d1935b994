//! The real program as a process: started on a data directory, killed without warning or at a fault point, paused,
//! started again.
//!
//! It waits for what the program says, never for time to pass; a program that says nothing for 30 s fails the test.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nexus_lite::model::time::monotonic;
use nexus_lite::model::{OsRandom, RandomSource as _};
use rustix::process::{Pid, Signal, kill_process};

use super::client::{Client, LIVENESS};
use super::engine;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_nexus-lite");
/// What a thread says that waits at a fault point.
const PAUSED: &str = "paused at ";

/// The secret of a server without a directory.
pub(crate) const FAR_SECRET: &str = "a secret of no value that is long enough for a server";
/// The first key of such a server.
pub(crate) const FAR_KEY: &str =
    "sk-default_admin_0123abcd_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A running server and what is needed to start it again.
#[derive(Debug)]
pub(crate) struct Process {
    data_dir: PathBuf,
    args: Vec<String>,
    variables: Vec<(String, String)>,
    child: Child,
    address: SocketAddr,
    stdin: Option<ChildStdin>,
    /// The points at which a thread waits.
    pauses: Receiver<String>,
    /// What it has written to standard error.
    log: Arc<Mutex<String>>,
    /// From the start of each process until it answered.
    pub(crate) starts: Vec<Duration>,
}

/// A process that ended before it served.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) log: String,
}

impl Process {
    /// Starts the server on `data_dir` and waits until it answers.
    pub(crate) fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, "", &[])
    }

    /// As [`start`](Self::start), with armed fault points and more arguments.
    pub(crate) fn start_with(data_dir: &Path, faults: &str, args: &[&str]) -> Self {
        Self::start_among(data_dir, faults, args, &[])
    }

    /// Starts the server on what `data_dir` stands for, with [`FAR_KEY`] as its first key.
    pub(crate) fn start_keyed(data_dir: &Path, args: &[&str]) -> Self {
        Self::start_among(data_dir, "", args, &[("NEXUS_LITE_API_KEY", FAR_KEY)])
    }

    /// Starts the server on the PostgreSQL database at `url`, with [`FAR_KEY`] as its first key.
    pub(crate) fn start_far(url: &str, args: &[&str]) -> Self {
        let all: Vec<&str> = [&["--database-url", url], args].concat();
        let variables = [("NEXUS_LITE_SERVER_SECRET", FAR_SECRET), ("NEXUS_LITE_API_KEY", FAR_KEY)];
        Self::start_among(Path::new("nowhere"), "", &all, &variables)
    }

    fn start_among(data_dir: &Path, faults: &str, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let began = monotonic();
        let mut process = match Self::try_start_among(data_dir, faults, args, variables) {
            Ok(process) => process,
            Err(ended) => panic!("the server did not say where it listens: {:?}\n{}", ended.status, ended.log),
        };
        process.wait_until_ready();
        process.starts.push(began.elapsed());
        process
    }

    /// Starts it and waits until it says where it listens, or ends.
    pub(crate) fn try_start(data_dir: &Path, faults: &str, args: &[&str]) -> Result<Self, Ended> {
        Self::try_start_among(data_dir, faults, args, &[])
    }

    fn try_start_among(
        data_dir: &Path,
        faults: &str,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Self, Ended> {
        let mut child = program(faults)
            .envs(variables.iter().copied())
            .args(["serve", "--port", "0", "--data-dir"])
            .arg(data_dir)
            .args(args)
            .envs(engine::environment(data_dir))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{PROGRAM}: {e}"));
        let (pauses, log) = follow(&mut child);
        let stdout = child.stdout.take().expect("piped");
        let (told, heard) = mpsc::channel();
        std::thread::spawn(move || {
            // Reads to the end, so that the server never writes into a closed pipe.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(address) = address_in(&line) {
                    // Nobody waits for a second one.
                    let _ = told.send(address);
                }
            }
        });
        match heard.recv_timeout(LIVENESS) {
            Ok(address) => Ok(Self {
                data_dir: data_dir.to_owned(),
                args: args.iter().map(|arg| (*arg).to_owned()).collect(),
                variables: variables.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect(),
                stdin: child.stdin.take(),
                child,
                address,
                pauses,
                log,
                starts: Vec::new(),
            }),
            Err(e) => {
                if e == mpsc::RecvTimeoutError::Timeout {
                    let _ = child.kill();
                }
                let status = child.wait().expect("our own child");
                // Its last words may still be on their way: the reader ends with the pipe.
                while pauses.recv_timeout(LIVENESS).is_ok() {}
                let log = log.lock().expect("no panic").clone();
                Err(Ended { status, log })
            }
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key that its first start wrote down.
    pub(crate) fn admin_key(&self) -> String {
        admin_key(&self.data_dir)
    }

    /// Ends it as a power cut would end a process: SIGKILL, no last word.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
    }

    /// Its number among the processes.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, signal).expect("our own child");
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("our own child")
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_some()
    }

    /// Waits until a thread of it waits at a fault point; its name.
    pub(crate) fn paused(&self) -> String {
        self.pauses.recv_timeout(LIVENESS).unwrap_or_else(|e| panic!("no thread is paused: {e}\n{}", self.log()))
    }

    /// Lets the thread go on that waits at `point`.
    pub(crate) fn go_on(&mut self, point: &str) {
        let stdin = self.stdin.as_mut().expect("piped");
        writeln!(stdin, "{point}").expect("it waits for a line");
    }

    /// What it has written to standard error so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no panic").clone()
    }

    /// Starts it again on the same directory.
    pub(crate) fn restart(&mut self) {
        let mut starts = std::mem::take(&mut self.starts);
        let args: Vec<_> = self.args.iter().map(String::as_str).collect();
        let variables: Vec<_> = self.variables.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let again = Self::start_among(&self.data_dir, "", &args, &variables);
        starts.extend(&again.starts);
        *self = again;
        self.starts = starts;
    }

    /// As [`restart`](Self::restart), with a fault point armed that may be reached before it serves; then it is started
    /// once more without.
    pub(crate) fn restart_armed(&mut self, faults: &str) {
        let args: Vec<_> = self.args.iter().map(String::as_str).collect();
        let began = monotonic();
        let again = Self::try_start(&self.data_dir, faults, &args)
            .ok()
            .filter(|again| Client::new(again.address, None).get("/ready").is_ok_and(|answer| answer.status == 200));
        let Some(mut again) = again else { return self.restart() };
        again.starts = std::mem::take(&mut self.starts);
        again.starts.push(began.elapsed());
        *self = again;
    }

    fn wait_until_ready(&mut self) {
        let answer = Client::new(self.address, None).get("/ready").expect("it said where it listens");
        assert_eq!(answer.status, 200, "ready: {}", String::from_utf8_lossy(&answer.body));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The key that the first start on `data_dir` wrote down.
pub(crate) fn admin_key(data_dir: &Path) -> String {
    let path = data_dir.join("admin.key");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.trim().to_owned()
}

/// The program with armed fault points and without the environment's settings.
pub(crate) fn program(faults: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NEXUS_")) {
        command.env_remove(name);
    }
    command.env("NEXUS_LITE_FAULT", faults).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// By how much a run is larger than in CI: `NEXUS_LITE_SOAK`, 1 unless it is set.
pub(crate) fn soak() -> u64 {
    number("NEXUS_LITE_SOAK").unwrap_or(1)
}

/// Another one each time, unless `NEXUS_LITE_PROPERTY_SEED` says which; printed. The kernel's timing is not repeated.
#[expect(clippy::print_stdout, reason = "whoever sees a failure needs it")]
pub(crate) fn seed() -> u64 {
    let mut fresh = [0; 8];
    OsRandom.fill(&mut fresh);
    let seed = number("NEXUS_LITE_PROPERTY_SEED").unwrap_or(u64::from_le_bytes(fresh));
    println!("seed {seed}");
    seed
}

pub(crate) fn number(name: &str) -> Option<u64> {
    let set = std::env::vars_os().find(|(other, _)| other == name);
    set.map(|(_, text)| text.to_string_lossy().parse().unwrap_or_else(|_| panic!("{name} is a whole number")))
}

/// Reads standard error to its end.
fn follow(child: &mut Child) -> (Receiver<String>, Arc<Mutex<String>>) {
    let stderr = child.stderr.take().expect("piped");
    let (paused, pauses) = mpsc::channel();
    let log = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&log);
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut log = kept.lock().expect("no panic");
            log.push_str(&line);
            log.push('\n');
            drop(log);
            if let Some(point) = line.strip_prefix(PAUSED) {
                // Whoever does not ask does not wait.
                let _ = paused.send(point.to_owned());
            }
        }
    });
    (pauses, log)
}

/// The address in a line such as `API      http://127.0.0.1:8080   (health: /health)`.
fn address_in(line: &str) -> Option<SocketAddr> {
    let rest = &line[line.find("http://")? + "http://".len()..];
    rest.split(|c: char| c == '/' || c.is_whitespace()).next()?.parse().ok()
}
