//! A PostgreSQL of our own: made by the machine's `initdb` in a temporary directory, gone at the end.
//!
//! Owns the process and the directory. Must never touch a server that it did not start. Its settings are PostgreSQL's
//! own (`fsync` is on), but for where it listens: a free port of the loopback address, for whoever has the password.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, getuid, kill_process};

use super::super::scratch::Scratch;
use super::super::{Failure, exit};
use super::interrupt::Interrupt;
use super::keeper::Keeper;
use crate::config::Secret;
use crate::model::time::monotonic;
use crate::model::{OsRandom, RandomSource as _};

/// Where Debian and Ubuntu put the programs, one directory per major version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Who may run the server where we are root, which it refuses.
const SERVANTS: [&str; 2] = ["postgres", "nobody"];
/// The user and the database of the cluster; `initdb` makes a database of this name in any case.
const NAME: &str = "postgres";
/// Random bytes of the password.
const PASSWORD_BYTES: usize = 16;
/// A server that does not take connections after this long does not come up.
const START_MAX: Duration = Duration::from_secs(60);
/// A server that has not stopped after this long is killed.
const STOP_MAX: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Another process may take the free port before the server does.
const PORTS_TRIED: usize = 3;
/// Characters of a program's last words that are shown.
const WORDS_SHOWN: usize = 600;

/// What to do on a machine without PostgreSQL.
pub const DOCKER: &str = "docker run --rm -d --name nexus-lite-postgres -e POSTGRES_USER=nexus \
     -e POSTGRES_PASSWORD=nexus -e POSTGRES_DB=nexus -p 5433:5432 postgres:15-alpine";
/// The URL of that.
pub const DOCKER_URL: &str = "postgres://nexus:nexus@127.0.0.1:5433/nexus";

/// A running cluster; stopped and removed when this is dropped.
#[derive(Debug)]
pub struct Cluster {
    postmaster: Child,
    url: Secret,
    /// What the server calls itself.
    pub version: String,
    // In this order they are dropped, after the server has ended.
    _keeper: Keeper,
    scratch: Scratch,
}

impl Cluster {
    /// Makes and starts one. `bin` is where `initdb` and `postgres` are, if that was said.
    pub fn start(bin: Option<&Path>, interrupt: &Interrupt) -> Result<Self, Failure> {
        let programs = Programs::find(bin).ok_or_else(|| none_found(bin))?;
        let scratch = Scratch::new("nexus-lite-postgres")?;
        let servant = servant()?;
        if let Some((uid, gid)) = servant {
            chown(scratch.path(), Some(uid), Some(gid)).map_err(|e| Failure::file("giving", scratch.path(), &e))?;
        }
        let password = OsRandom.hex(PASSWORD_BYTES);
        let program = |name: &str| programs.command(name, servant, scratch.path());
        init(program("initdb"), scratch.path(), servant, &password)?;
        let log = scratch.path().join("log");
        for _ in 0..PORTS_TRIED {
            let port = free_port()?;
            let mut postmaster = start(program("postgres"), scratch.path(), &log, port)?;
            let keeper = Keeper::start(postmaster.id(), "INT", scratch.path())
                .inspect_err(|_| signal(&postmaster, Signal::QUIT))?;
            if wait_until_ready(&mut postmaster, scratch.path(), interrupt)? {
                let url = Secret::new(format!("postgres://{NAME}:{password}@127.0.0.1:{port}/{NAME}"));
                let version = programs.version;
                return Ok(Self { postmaster, url, version, _keeper: keeper, scratch });
            }
        }
        Err(Failure::new(exit::UNAVAILABLE, format!("PostgreSQL did not start: {}", last_words(&log))))
    }

    /// How to connect to it: as its superuser.
    #[must_use]
    pub fn url(&self) -> &Secret {
        &self.url
    }

    /// The process whose descendants are the whole server.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.postmaster.id()
    }

    /// Where everything of it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.scratch.path()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // "Fast": clients are cut off, everything is written. One that does not end by itself is killed.
        signal(&self.postmaster, Signal::INT);
        let until = monotonic() + STOP_MAX;
        while monotonic() < until && matches!(self.postmaster.try_wait(), Ok(None)) {
            std::thread::park_timeout(LOOK_EVERY);
        }
        signal(&self.postmaster, Signal::QUIT);
        // It may be gone already.
        let _ = self.postmaster.wait();
    }
}

fn signal(child: &Child, signal: Signal) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may be gone already; it is not waited for yet, so nobody else has its number.
        let _ = kill_process(pid, signal);
    }
}

/// The programs of one version.
struct Programs {
    /// Empty: wherever the system finds them.
    dir: PathBuf,
    version: String,
}

impl Programs {
    /// Those of `bin`, or of the newest version of the machine.
    fn find(bin: Option<&Path>) -> Option<Self> {
        if let Some(bin) = bin {
            return Self::of(bin);
        }
        let versions = std::fs::read_dir(DEBIAN).into_iter().flatten().filter_map(Result::ok);
        let mut dirs: Vec<(u32, PathBuf)> = versions
            .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
            .collect();
        dirs.sort();
        let newest_first = dirs.iter().rev().map(|(_, dir)| dir.as_path());
        newest_first.chain([Path::new("")]).find_map(Self::of)
    }

    fn of(dir: &Path) -> Option<Self> {
        let says = |name: &str| {
            let output = Command::new(dir.join(name)).arg("--version").output().ok()?;
            let text = String::from_utf8(output.stdout).ok()?;
            output.status.success().then(|| text.trim().to_owned())
        };
        says("initdb")?;
        let version = says("postgres")?.replace("postgres (PostgreSQL)", "PostgreSQL");
        Some(Self { dir: dir.to_owned(), version })
    }

    /// A command as `servant`, without our environment and in a group of its own: Ctrl-C is ours to obey.
    fn command(&self, name: &str, servant: Option<(u32, u32)>, home: &Path) -> Command {
        let mut command = Command::new(self.dir.join(name));
        let kept = std::env::vars_os().filter(|(name, _)| name == "PATH");
        command.env_clear().envs(kept).env("LC_ALL", "C").current_dir(home).stdin(Stdio::null()).process_group(0);
        if let Some((uid, gid)) = servant {
            command.uid(uid).gid(gid);
        }
        command
    }
}

fn none_found(bin: Option<&Path>) -> Failure {
    let place = bin.map_or_else(|| format!("{DEBIAN}/*/bin or the PATH"), |bin| bin.display().to_string());
    let message = format!("there is no PostgreSQL server on this machine (no initdb and postgres in {place})");
    let hint = format!(
        "install one (Debian: apt-get install postgresql), or give it one: {DOCKER}\n       then pass --database-url {DOCKER_URL}"
    );
    Failure::new(exit::UNAVAILABLE, message).hint(hint)
}

/// Whom to run the server as: nobody else unless we are root.
fn servant() -> Result<Option<(u32, u32)>, Failure> {
    if !getuid().is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = |wanted: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(wanted))?;
        let mut fields = line.split(':').skip(2).map_while(|field| field.parse().ok());
        Some((fields.next()?, fields.next()?))
    };
    let found = SERVANTS.iter().find_map(|user| ids(user));
    let message = "PostgreSQL does not run as root, and this machine has neither a user postgres nor nobody";
    found.map(Some).ok_or_else(|| Failure::new(exit::OS, message).hint("run this as another user"))
}

/// Makes the cluster. The password is given in a file that nobody else can read.
fn init(mut initdb: Command, dir: &Path, servant: Option<(u32, u32)>, password: &str) -> Result<(), Failure> {
    let file = dir.join("password");
    let failed = |e: std::io::Error| Failure::file("writing", &file, &e);
    let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file).map_err(failed)?;
    writeln!(open, "{password}").map_err(failed)?;
    if let Some((uid, gid)) = servant {
        chown(&file, Some(uid), Some(gid)).map_err(failed)?;
    }
    // What initdb itself makes need not survive a power cut; what the server writes later is synced as ever.
    initdb.args(["--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync", "--username", NAME]);
    let output = initdb.arg("--pwfile").arg(&file).arg("--pgdata").arg(dir.join("data")).output();
    let output = output.map_err(|e| Failure::new(exit::OS, format!("initdb could not be started: {e}")))?;
    // It has done its duty.
    let _ = std::fs::remove_file(&file);
    if output.status.success() {
        return Ok(());
    }
    let said = shorten(&String::from_utf8_lossy(&output.stderr));
    Err(Failure::new(exit::OS, format!("initdb ended with {}: {said}", output.status)))
}

fn start(mut postgres: Command, dir: &Path, log: &Path, port: u16) -> Result<Child, Failure> {
    let file = OpenOptions::new().create(true).append(true).open(log).map_err(|e| Failure::file("opening", log, &e))?;
    let again = file.try_clone().map_err(|e| Failure::file("opening", log, &e))?;
    postgres.arg("-D").arg(dir.join("data")).args(["-p", &port.to_string()]);
    postgres.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
    let spawned = postgres.stdout(Stdio::from(file)).stderr(Stdio::from(again)).spawn();
    spawned.map_err(|e| Failure::new(exit::OS, format!("postgres could not be started: {e}")))
}

/// Waits until it takes connections; `false` if it ended instead.
fn wait_until_ready(postmaster: &mut Child, dir: &Path, interrupt: &Interrupt) -> Result<bool, Failure> {
    let status = dir.join("data/postmaster.pid");
    let until = monotonic() + START_MAX;
    loop {
        // The eighth line is its state; older ones than 10 have none.
        let says = std::fs::read_to_string(&status).unwrap_or_default();
        if says.lines().nth(7).is_some_and(|state| state.trim() == "ready") {
            return Ok(true);
        }
        if matches!(postmaster.try_wait(), Ok(Some(_)) | Err(_)) {
            return Ok(false);
        }
        let interrupted = interrupt.check();
        if monotonic() > until || interrupted.is_err() {
            // Nobody is connected.
            signal(postmaster, Signal::QUIT);
            let _ = postmaster.wait();
            interrupted?;
            return Ok(false);
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

fn free_port() -> Result<u16, Failure> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    bound.map(|addr| addr.port()).map_err(|e| Failure::new(exit::UNAVAILABLE, format!("there is no free port: {e}")))
}

fn last_words(log: &Path) -> String {
    shorten(&std::fs::read_to_string(log).unwrap_or_default())
}

fn shorten(text: &str) -> String {
    let text = text.trim().replace('\n', "; ");
    let from = text.char_indices().rev().nth(WORDS_SHOWN).map_or(0, |(at, _)| at);
    text[from..].to_owned()
}
