//! What this machine can do for sandboxes: which walls hold, which languages there are.
//!
//! Invariant: walls are believed in after a child behind them has tried to get out, never because they seem to be there.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cgroup::{self, Cgroups, Home};
use super::launch::{self, Lifeline};
use super::limits::Limits;
use super::orders::{Orders, Walls, Work};
use super::program::REACHED;
use super::socket;
use crate::config::SandboxWalls;
use crate::model::{OsRandom, RandomSource as _};

/// Where programs are looked for: what everybody on the machine may run, nothing of anybody's home.
const DIRECTORIES: &[&str] = &["/usr/bin", "/bin", "/usr/local/bin"];
/// Below what an interpreter must really lie, since nothing else is open to it.
const SYSTEM: &[&str] = &["/usr/", "/bin/", "/lib/"];
/// Where users begin that are nobody else's.
const USERS_FROM: u32 = 1_900_000_000;
/// How many there are.
const USERS: u32 = 1 << 24;
/// Where they begin, and how many they are, where the machine has only a few users (a container of somebody else than root).
const FEW_USERS: (u32, u32) = (40_000, 20_000);
/// How long the test of the walls may take.
const PROBE_TIME: Duration = Duration::from_secs(20);
/// Random bytes of a token.
const TOKEN_BYTES: usize = 16;

/// Why nothing is run where nothing shall be.
const OFF: &str = "the setting `sandbox` is off";

/// A language that programs are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// `python`.
    Python,
    /// `javascript`, `js`.
    JavaScript,
    /// `bash`, `sh`.
    Bash,
}

impl Language {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Python, Self::JavaScript, Self::Bash];

    /// The language of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "python" | "python3" | "py" => Some(Self::Python),
            "javascript" | "js" | "node" => Some(Self::JavaScript),
            "bash" | "sh" => Some(Self::Bash),
            _ => None,
        }
    }

    /// Its usual name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::Bash => "bash",
        }
    }

    /// What runs it, and how its files end.
    pub(super) fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Python => ("python3", "py"),
            Self::JavaScript => ("node", "js"),
            Self::Bash => ("bash", "sh"),
        }
    }

    /// Its interpreter on this machine.
    pub(super) fn interpreter(self) -> Option<PathBuf> {
        find(self.program().0)
    }
}

/// A program of the system that everybody may run.
fn find(name: &str) -> Option<PathBuf> {
    let mut candidates = DIRECTORIES.iter().map(|directory| Path::new(directory).join(name));
    candidates.find(|path| is_of_the_system(path))
}

fn is_of_the_system(path: &Path) -> bool {
    const ANYBODY: u32 = 0o001;
    let Ok(real) = path.canonicalize() else { return false };
    let runs = real.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & ANYBODY != 0);
    runs && SYSTEM.iter().any(|root| real.starts_with(root))
}

/// The user that a sandbox runs as; `None` where the server is not root and cannot choose.
pub(super) fn user(id: &str) -> Option<u32> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let has = |user: u32| {
        map.lines().any(|line| {
            let mut numbers = line.split_whitespace().filter_map(|n| n.parse::<u64>().ok());
            let (first, count) = (numbers.next().unwrap_or(0), numbers.nth(1).unwrap_or(0));
            (first..first + count).contains(&u64::from(user))
        })
    };
    let (from, count) = if has(USERS_FROM + USERS) { (USERS_FROM, USERS) } else { FEW_USERS };
    let hash = blake3::hash(id.as_bytes());
    let [a, b, c, d, ..] = *hash.as_bytes();
    Some(from + u32::from_le_bytes([a, b, c, d]) % count)
}

/// What nobody but the child behind the walls and its keeper know.
pub(super) fn token() -> String {
    OsRandom.hex(TOKEN_BYTES)
}

/// What holds on this machine.
#[derive(Debug)]
pub(super) struct Held {
    /// What confines.
    pub walls: Walls,
    /// Whether a program behind it comes to a socket that is shown to it.
    pub reaches: bool,
    /// Where runs have their cgroups, if they have.
    pub cgroups: Option<Home>,
}

/// What holds on this machine, tried for a sandbox below `root`; or why nothing does, and what to do.
pub(super) fn walls(wanted: SandboxWalls, root: &Path, cgroups: &Cgroups) -> Result<Held, String> {
    if wanted == SandboxWalls::Off {
        return Err(OFF.into());
    }
    let Some(program) = launch::program() else {
        return Err("this program embeds the server and has named no program that confines".into());
    };
    let cgroups = Home::prepare(cgroups)?;
    match choose(wanted, program, root, cgroups.as_ref()) {
        Err(why) if cgroups.as_ref().is_some_and(|home| !home.named) => {
            let held = choose(wanted, program, root, None)?;
            cgroup::not_used(why);
            Ok(held)
        }
        other => other,
    }
}

fn choose(wanted: SandboxWalls, program: &Path, root: &Path, cgroups: Option<&Home>) -> Result<Held, String> {
    let bubblewrap = || match find("bwrap") {
        Some(path) => {
            probe(program, Walls::Bubblewrap(path), root, cgroups).map_err(|why| format!("bubblewrap: {why}"))
        }
        None => Err("bubblewrap is not installed (bwrap in /usr/bin)".to_owned()),
    };
    let landlock = || probe(program, Walls::Landlock, root, cgroups);
    match wanted {
        SandboxWalls::Off => Err(OFF.into()),
        #[cfg(feature = "faults")]
        SandboxWalls::None => {
            Err("bubblewrap is not installed; Landlock is not there: install bubblewrap, or use Linux 6.12 or newer"
                .into())
        }
        SandboxWalls::Bubblewrap => bubblewrap(),
        SandboxWalls::Landlock => landlock(),
        SandboxWalls::Auto => bubblewrap().or_else(|first| landlock().map_err(|second| format!("{first}; {second}"))),
    }
}

/// Lets a child behind the walls try to get out.
fn probe(program: &Path, walls: Walls, root: &Path, cgroups: Option<&Home>) -> Result<Held, String> {
    let failed = |e: std::io::Error| format!("the walls could not be tried in {}: {e}", root.display());
    super::local::private(true).create(root).map_err(failed)?;
    let directory = tempfile::Builder::new().prefix(".probe-").tempdir_in(root).map_err(failed)?;
    let foreign = tempfile::Builder::new().prefix(".foreign-").tempfile_in(root).map_err(failed)?;
    std::fs::write(foreign.path(), "x").map_err(failed)?;
    foreign.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).map_err(failed)?;
    let private = tempfile::Builder::new().prefix(".socket-").tempdir_in(root).map_err(failed)?;
    let served = match &walls {
        Walls::Bubblewrap(_) => {
            Some(private.path().canonicalize().and_then(|path| socket::listen(&path)).map_err(failed)?)
        }
        Walls::Landlock => None,
    };
    let user = user(".probe");
    std::os::unix::fs::chown(directory.path(), user, user).map_err(failed)?;
    let orders = Orders {
        directory: directory.path().to_owned(),
        walls: walls.clone(),
        socket: served.as_ref().map(|(_, path)| path.clone()),
        user,
        work: Work::Probe { foreign: foreign.path().to_owned() },
        environment: Vec::new(),
        limits: Limits { time: PROBE_TIME, ..Limits::default() },
        cgroup: cgroups.map(Home::next),
        token: token(),
    };
    let report = launch::run(program, orders, &Lifeline::default()).map_err(failed)?;
    match report.refused {
        Some(why) => Err(why),
        None if report.exit_code == 0 => {
            Ok(Held { walls, reaches: report.stdout.trim() == REACHED, cgroups: cgroups.cloned() })
        }
        None => Err(format!("the test of the walls ended with {:?} {}", report.ended, report.exit_code)),
    }
}
