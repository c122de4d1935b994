//! The program started through other programs: on a small disk, under limits; with its log kept for the test to read.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::client::{Client, LIVENESS};

/// The program under test.
pub(super) const PROGRAM: &str = env!("CARGO_BIN_EXE_nexus-lite");

/// A disk of its own that only a process which holds its mount namespace sees. It ends with that process.
pub(super) struct SmallDisk {
    holder: Child,
    dir: PathBuf,
}

impl SmallDisk {
    /// Mounts by `script`, in which `$1` is the directory. `None`, with the reason printed, where the machine cannot.
    #[expect(clippy::print_stdout, reason = "what is skipped must be said")]
    pub(super) fn mount(dir: &Path, script: &str) -> Option<Self> {
        std::fs::create_dir_all(dir).expect("a directory to mount on");
        let script = format!("{script} && echo mounted && exec cat");
        let flags = if rustix::process::geteuid().is_root() { "-m" } else { "-rm" };
        let started = Command::new("unshare")
            .args([flags, "sh", "-c", &script, "sh"])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut holder = match started {
            Ok(holder) => holder,
            Err(error) => {
                println!("skipped: unshare cannot be run: {error}");
                return None;
            }
        };
        let mut line = String::new();
        let read = BufReader::new(holder.stdout.take().expect("piped")).read_line(&mut line);
        if read.is_ok() && line == "mounted\n" {
            return Some(Self { holder, dir: dir.to_owned() });
        }
        let said = holder.wait_with_output().expect("our own child");
        println!("skipped: no small disk on this machine: {}", String::from_utf8_lossy(&said.stderr).trim());
        None
    }

    /// The disk, as this process sees it.
    pub(super) fn seen(&self) -> PathBuf {
        let below = self.dir.strip_prefix("/").expect("an absolute path");
        Path::new("/proc").join(self.holder.id().to_string()).join("root").join(below)
    }

    /// What to put before a command so that it runs where the disk is mounted.
    pub(super) fn enter(&self) -> Vec<String> {
        let user = if rustix::process::geteuid().is_root() { "-m" } else { "-mU" };
        ["nsenter", "-t", &self.holder.id().to_string(), user, "--preserve-credentials", "--"]
            .map(str::to_owned)
            .to_vec()
    }

    /// Bytes that can still be written.
    pub(super) fn free(&self) -> u64 {
        let found = rustix::fs::statvfs(self.seen()).expect("mounted");
        found.f_bavail * found.f_frsize
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It reads until its input ends, and the mount goes with it.
        drop(self.holder.stdin.take());
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// A running server.
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
    log: tempfile::NamedTempFile,
}

/// How a server that did not come up has ended.
pub(super) struct Refused {
    pub(super) code: Option<i32>,
    pub(super) log: String,
}

impl Server {
    /// Runs `before… nexus-lite serve --data-dir data args…` and waits until it listens, or has ended.
    pub(super) fn try_start(before: &[String], data: &Path, args: &[&str]) -> Result<Self, Refused> {
        let program = [PROGRAM.to_owned()];
        let mut words = before.iter().chain(&program);
        let mut command = Command::new(words.next().expect("at least the program"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("NEXUS_")) {
            command.env_remove(name);
        }
        let log = tempfile::NamedTempFile::new().expect("a file for the log");
        let mut child = command
            .args(words)
            .args(["serve", "--port", "0", "--log", "warn", "--log-format", "json", "--data-dir"])
            .arg(data)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.reopen().expect("the same file"))
            .spawn()
            .unwrap_or_else(|e| panic!("{before:?}: {e}"));
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (told, heard) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Some(at) = line.find("http://") {
                    let rest = &line[at + "http://".len()..];
                    let end = rest.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(rest.len());
                    // Nobody waits for a second one.
                    let _ = rest[..end].parse().map(|address: SocketAddr| told.send(address));
                }
            }
        });
        match heard.recv_timeout(LIVENESS) {
            Ok(address) => Ok(Self { child, address, log }),
            Err(_) => {
                let _ = child.kill();
                let status = child.wait().expect("our own child");
                Err(Refused { code: status.code(), log: std::fs::read_to_string(log.path()).expect("UTF-8") })
            }
        }
    }

    /// As `try_start`, where it must come up.
    pub(super) fn start(before: &[String], data: &Path, args: &[&str]) -> Self {
        Self::try_start(before, data, args).unwrap_or_else(|no| panic!("it ended with {:?}: {}", no.code, no.log))
    }

    /// A connection by the holder of `key`.
    pub(super) fn client(&self, key: &str) -> Client {
        Client::new(self.address, Some(key))
    }

    /// `/ready`: the code, the word and the reason.
    pub(super) fn ready(&self) -> (u16, String, String) {
        let answer = Client::new(self.address, None).get("/ready").expect("an answer");
        let body = answer.json();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        (answer.status, text("status"), text("reason"))
    }

    /// Asks until `/ready` says `word`.
    pub(super) fn wait_until(&self, word: &str) -> String {
        let began = nexus_lite::model::time::monotonic();
        loop {
            let (_, said, reason) = self.ready();
            if said == word {
                return reason;
            }
            assert!(began.elapsed() < LIVENESS, "it says {said} ({reason}), not {word}:\n{}", self.log());
        }
    }

    /// Its log so far.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).expect("UTF-8")
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it without a word.
    pub(super) fn kill(mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
    }

    /// Asks it to stop; its exit code and its log.
    pub(super) fn stop(mut self) -> (Option<i32>, String) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, Signal::TERM).expect("our own child");
        let code = self.child.wait().expect("our own child").code();
        (code, self.log())
    }

    /// Waits until it has ended by itself; its exit code and its log.
    pub(super) fn wait(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().expect("our own child").code();
        (code, self.log())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Fills `file` until the disk has `leave` bytes.
pub(super) fn fill(file: &Path, disk: &SmallDisk, leave: u64) {
    let mut file = std::fs::File::create(file).expect("a file");
    let chunk = vec![7; 64 * 1024];
    while disk.free() > leave {
        let bytes = usize::try_from(disk.free() - leave).expect("small").min(chunk.len());
        if file.write_all(&chunk[..bytes]).is_err() {
            break;
        }
    }
}
