//! The real program as a process: started on a data directory, killed without warning, started again.
//!
//! It waits for what the program says, never for time to pass; a start that says nothing for 30 s fails the test.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nexus_lite::model::time::monotonic;

use super::client::{Client, LIVENESS};

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_nexus-lite");

/// A running server and what is needed to start it again.
#[derive(Debug)]
pub(crate) struct Process {
    data_dir: PathBuf,
    child: Child,
    address: SocketAddr,
    /// From the start of each process until it answered.
    pub(crate) starts: Vec<Duration>,
}

impl Process {
    /// Starts the server on `data_dir` and waits until it answers.
    pub(crate) fn start(data_dir: &Path) -> Self {
        let began = monotonic();
        let (child, address) = spawn(data_dir);
        let mut process = Self { data_dir: data_dir.to_owned(), child, address, starts: Vec::new() };
        process.wait_until_ready();
        process.starts.push(began.elapsed());
        process
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key that its first start wrote down.
    pub(crate) fn admin_key(&self) -> String {
        let path = self.data_dir.join("admin.key");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        text.trim().to_owned()
    }

    /// Ends it as a power cut would end a process: SIGKILL, no last word.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
    }

    /// Starts it again on the same directory.
    pub(crate) fn restart(&mut self) {
        let began = monotonic();
        (self.child, self.address) = spawn(&self.data_dir);
        self.wait_until_ready();
        self.starts.push(began.elapsed());
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

/// Starts the program and reads its output until it says where it listens.
fn spawn(data_dir: &Path) -> (Child, SocketAddr) {
    let mut child = Command::new(PROGRAM)
        .args(["serve", "--port", "0", "--data-dir"])
        .arg(data_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|e| panic!("{PROGRAM}: {e}"));
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
        Ok(address) => (child, address),
        Err(e) => {
            let _ = child.kill();
            let status = child.wait();
            panic!("the server did not say where it listens: {e} ({status:?})");
        }
    }
}

/// The address in a line such as `API      http://127.0.0.1:8080   (health: /health)`.
fn address_in(line: &str) -> Option<SocketAddr> {
    let rest = &line[line.find("http://")? + "http://".len()..];
    rest.split(|c: char| c == '/' || c.is_whitespace()).next()?.parse().ok()
}
