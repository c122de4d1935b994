//! The server of a self-test: this very program as a child, on a directory of its own.
//!
//! Owns the process and what `/proc` says of it. Must never touch a directory that it did not make.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::super::waves::client::Target;
use super::super::{Failure, exit};
use crate::app::ADMIN_KEY_FILE;
use crate::model::time::monotonic;
use crate::store::WAL_FILE;

/// A server that has not said where it listens after this long does not come up.
const START_MAX: Duration = Duration::from_secs(60);

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    data_dir: PathBuf,
    url: String,
    /// From the start of the process until it said where it listens.
    pub start: Duration,
}

/// What the system says of the process.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Memory that it has, bytes.
    pub memory: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// The write-ahead log, bytes.
    pub log: u64,
}

impl Server {
    /// Starts it on `data_dir`, with `more` arguments; its log is added to `log`.
    pub fn start(data_dir: &Path, log: &Path, more: &[String]) -> Result<Self, Failure> {
        Self::start_with(data_dir, log, more, &[])
    }

    /// As [`start`](Self::start), with settings that must not be read by everybody.
    pub fn start_with(
        data_dir: &Path,
        log: &Path,
        more: &[String],
        secrets: &[(&'static str, String)],
    ) -> Result<Self, Failure> {
        let began = monotonic();
        let log =
            OpenOptions::new().create(true).append(true).open(log).map_err(|e| Failure::file("opening", log, &e))?;
        let mut child = program()?
            .args(["serve", "--port", "0", "--log", "warn", "--acknowledge-single-node", "--data-dir"])
            .arg(data_dir)
            .args(more)
            .envs(secrets.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(Stdio::from(log))
            .spawn()
            .map_err(|e| Failure::new(exit::OS, format!("the server could not be started: {e}")))?;
        let out = child.stdout.take();
        let (told, heard) = mpsc::channel();
        let listen = move || {
            // Reads to the end, so that the server never writes into a closed pipe.
            for line in out.map(BufReader::new).into_iter().flat_map(BufReader::lines).map_while(Result::ok) {
                if let Some(url) = line.split_whitespace().find(|word| word.starts_with("http://")) {
                    // Nobody waits for a second one.
                    let _ = told.send(url.to_owned());
                }
            }
        };
        std::thread::Builder::new()
            .name("selftest-out".into())
            .spawn(listen)
            .map_err(|e| Failure::new(exit::OS, format!("a thread could not be started: {e}")))?;
        let mut server = Self { child, data_dir: data_dir.to_owned(), url: String::new(), start: Duration::ZERO };
        match heard.recv_timeout(START_MAX) {
            Ok(url) => server.url = url,
            Err(_) => {
                server.kill();
                let status = server.child.try_wait().ok().flatten().map_or_else(String::new, |s| format!(" ({s})"));
                return Err(Failure::new(exit::WRONG, format!("the server did not come up again{status}")));
            }
        }
        server.start = began.elapsed();
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its number among the processes.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How to ask it: as its first admin.
    pub fn target(&self) -> Result<Target, Failure> {
        let file = self.data_dir.join(ADMIN_KEY_FILE);
        let key = std::fs::read_to_string(&file).map_err(|e| Failure::file("reading", &file, &e))?;
        Ok(Target { url: self.url.clone(), key: key.trim().to_owned() })
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)?;
        // Gone already: then there is only its end to be read.
        let _ = kill_process(pid, Signal::TERM);
        self.child.wait().ok()
    }

    /// From now on none of its files may grow: the next write breaks off in the middle. `false` where the system
    /// cannot do that.
    pub fn stop_growth(&self) -> bool {
        #[cfg(target_os = "linux")]
        {
            use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
            let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
            let none = Rlimit { current: Some(1), maximum: getrlimit(Resource::Fsize).maximum };
            pid.is_some_and(|pid| prlimit(Some(pid), Resource::Fsize, none).is_ok())
        }
        #[cfg(not(target_os = "linux"))]
        false
    }

    /// How it ended, if it did so by itself.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// What it uses; `None` where the system does not say.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = std::fs::read_to_string(process.join("status")).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        let memory = line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024;
        let descriptors = std::fs::read_dir(process.join("fd")).ok()?.count() as u64;
        let log = std::fs::metadata(self.data_dir.join(WAL_FILE)).map_or(0, |file| file.len());
        Some(Usage { memory, descriptors, log })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// This program, without the settings of the user.
fn program() -> Result<Command, Failure> {
    let own = std::env::current_exe();
    let own = own.map_err(|e| Failure::new(exit::OS, format!("this program cannot be found: {e}")))?;
    let mut command = Command::new(own);
    command.env_clear().stdin(Stdio::null());
    Ok(command)
}

/// Runs this program to its end; what it said if that was not "all is well".
pub fn run(args: &[&std::ffi::OsStr]) -> Result<(), String> {
    let mut program = program().map_err(|failure| failure.message)?;
    let output = program.args(args).output().map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().replace('\n', "; ");
    let name = args.first().map(|arg| arg.to_string_lossy()).unwrap_or_default();
    Err(format!("{name} ended with {}: {} {}", output.status, text(&output.stdout), text(&output.stderr)))
}

/// Bytes of all files below `dir`.
#[must_use]
pub fn bytes_below(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() => bytes_below(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    });
    bytes.sum()
}
