//! cgroups v2: a group of the kernel's for each run, with its limits, killed and removed with it.
//!
//! One wall more where somebody has left us a directory for it (`delegation.rs`); all others stand as they do without. Invariants:
//! a run is in its cgroup before it starts; no cgroup is touched but those in our directory; one is removed as left behind only
//! when the server that made it is gone.

use std::io::{Error, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use super::limits::Limits;
use super::orders::Walls;
use super::{delegation, watch};
use crate::model::time::monotonic;
use crate::model::{OsRandom, RandomSource as _};

/// How the cgroups of runs begin; behind it the server's number, when it was started, and something random.
const RUN: &str = "run-";
/// The cgroup that the server itself goes to where it lies in our directory: none that has others below it may hold a process.
const SERVER: &str = "server";
/// Random bytes of a name.
const NAME_BYTES: usize = 4;
/// How long the killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often is looked, at the latest.
const TICK: Duration = Duration::from_millis(20);
/// Processes that bubblewrap has in a run beside the program: itself, and the first one inside.
const OF_BUBBLEWRAP: u64 = 2;

/// What a cgroup can limit here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Controller {
    /// Memory of all together, to the byte.
    Memory,
    /// Processes and threads.
    Pids,
}

impl Controller {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Memory, Self::Pids];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
        }
    }
}

/// Where runs have their cgroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cgroups {
    /// Below this directory, or nothing is run.
    Named(PathBuf),
    /// Below the one that the service manager has delegated to this process, if it has and if that works.
    Delegated,
    /// Nowhere.
    Nowhere,
}

/// The directory in which runs have their cgroups.
#[derive(Debug, Clone)]
pub(super) struct Home {
    directory: PathBuf,
    controllers: Vec<Controller>,
    /// Whether a setting names it.
    pub named: bool,
}

impl Home {
    /// The directory, ready for runs, if there is one.
    pub(super) fn prepare(wanted: &Cgroups) -> Result<Option<Self>, String> {
        match wanted {
            Cgroups::Named(directory) => Self::of(directory, true)
                .map(Some)
                .map_err(|why| format!("the setting `sandbox_cgroup`, {}: {why}", directory.display())),
            Cgroups::Delegated => {
                Ok(delegation::found().and_then(|directory| Self::of(&directory, false).map_err(not_used).ok()))
            }
            Cgroups::Nowhere => Ok(None),
        }
    }

    fn of(directory: &Path, named: bool) -> Result<Self, String> {
        if !delegation::is_cgroup(directory) {
            return Err("it is no directory of a cgroup2 file system".into());
        }
        if delegation::own().is_ok_and(|own| delegation::is_same(&own, directory)) {
            step_aside(directory)?;
        }
        if !read(directory, "cgroup.procs")?.trim().is_empty() {
            return Err("there are processes in it: make a directory in it for this server alone".into());
        }
        let home = Self { directory: directory.to_owned(), controllers: enable(directory)?, named };
        home.clear();
        // Made once, so that what is missing is known before anything runs.
        let tried = home.next();
        let made = tried.make(&Limits::default(), &Walls::Landlock);
        tried.remove();
        made.map(|()| home).map_err(|e| e.to_string())
    }

    /// Which controllers hold here.
    pub(super) fn controllers(&self) -> &[Controller] {
        &self.controllers
    }

    /// A cgroup for one more run, not made yet.
    pub(super) fn next(&self) -> Cgroup {
        let own = std::process::id();
        let since = watch::started(own).unwrap_or_default();
        let name = format!("{RUN}{own}-{since}-{}", OsRandom.hex(NAME_BYTES));
        Cgroup { directory: self.directory.join(name), controllers: self.controllers.clone() }
    }

    /// Ends and removes what servers have left behind that were killed with their keepers.
    fn clear(&self) {
        for entry in std::fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let is_left = maker(&entry.file_name().to_string_lossy())
                .is_some_and(|(pid, since)| watch::started(pid) != Some(since));
            if is_left {
                tracing::info!(cgroup = %entry.path().display(), "a run that a killed server has left is ended");
                Cgroup { directory: entry.path(), controllers: Vec::new() }.remove();
            }
        }
    }
}

/// Tells that what was delegated does not serve, and why.
pub(super) fn not_used(why: String) {
    tracing::warn!(%why, "runs have no cgroups, though one was delegated to this server");
}

/// Puts this process, which is alone in `directory`, one deeper.
fn step_aside(directory: &Path) -> Result<(), String> {
    let own = std::process::id().to_string();
    if read(directory, "cgroup.procs")?.lines().any(|pid| pid != own) {
        return Err("other processes are in it beside this server".into());
    }
    let entries = std::fs::read_dir(directory).map_err(|e| e.to_string())?.flatten();
    let mut others = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let is_ours = |name: &str| name == SERVER || maker(name).is_some();
    if let Some(other) = others.find(|entry| !is_ours(&entry.file_name().to_string_lossy())) {
        return Err(format!("somebody has made {} in it", other.path().display()));
    }
    let aside = directory.join(SERVER);
    match std::fs::create_dir(&aside) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(format!("{}: {e}", aside.display())),
        _ => {}
    }
    enter(&aside).map_err(|e| e.to_string())
}

/// Turns on what there is for the cgroups in `directory`.
fn enable(directory: &Path) -> Result<Vec<Controller>, String> {
    let there = read(directory, "cgroup.controllers")?;
    let is_there = |controller: &Controller| there.split_whitespace().any(|name| name == controller.name());
    let controllers: Vec<Controller> = Controller::ALL.into_iter().filter(is_there).collect();
    for controller in &controllers {
        write(directory, "cgroup.subtree_control", &format!("+{}", controller.name()))
            .map_err(|e| format!("the controller `{}` could not be turned on: {e}", controller.name()))?;
    }
    Ok(controllers)
}

/// Which server has made a cgroup of this name: its number, and when it was started.
fn maker(name: &str) -> Option<(u32, u64)> {
    let mut parts = name.strip_prefix(RUN)?.split('-');
    let made = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let is_random = parts.next()?.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_random && parts.next().is_none()).then_some(made)
}

/// The cgroup of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Cgroup {
    directory: PathBuf,
    controllers: Vec<Controller>,
}

impl Cgroup {
    /// Makes it, with its limits.
    pub(super) fn make(&self, limits: &Limits, walls: &Walls) -> Result<(), Error> {
        let directory = &self.directory;
        std::fs::create_dir(directory).map_err(|e| named(directory, "", &e))?;
        if !directory.join("cgroup.kill").exists() {
            return Err(Error::other("this kernel cannot kill a cgroup (Linux 5.14 or newer can)"));
        }
        for (file, most) in self.controllers.iter().flat_map(|controller| settings(*controller, limits, walls)) {
            match write(directory, file, &most) {
                // Where the machine counts no swap there is none to forbid.
                Err(e) if file == "memory.swap.max" && e.kind() == ErrorKind::NotFound => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Starts a program in it: goes in, starts it, and goes out again. For a process with one thread alone, which is not to be
    /// killed with the run.
    pub(super) fn spawn(&self, command: &mut Command) -> Result<Child, Error> {
        let from = delegation::own().map_err(Error::other)?;
        enter(&self.directory)?;
        let child = command.spawn();
        if let Err(error) = enter(&from) {
            if let Ok(mut child) = child {
                let _ = child.kill();
                let _ = child.wait();
            }
            return Err(error);
        }
        child
    }

    /// Kills everything in it, however many come to be meanwhile.
    pub(super) fn kill(&self) {
        // What is gone has nobody in it.
        let _ = write(&self.directory, "cgroup.kill", "1");
    }

    /// Whether the kernel has ended something in it for want of memory.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        read(&self.directory, "memory.events").is_ok_and(|events| count(&events, "oom_kill") > 0)
    }

    /// Waits until the last one in it has gone, which the file tells whoever has read it; a tick at most.
    fn wait_for_a_change(&self) {
        let Ok(mut events) = std::fs::File::open(self.directory.join("cgroup.events")) else { return };
        let mut text = String::new();
        if events.read_to_string(&mut text).is_ok() && count(&text, "populated") > 0 {
            let tick = Timespec::try_from(TICK).ok();
            let _ = poll(&mut [PollFd::new(&events, PollFlags::PRI)], tick.as_ref());
        }
    }

    /// Removes it with everything in it; what cannot be removed is told in the log, and left to the next server.
    pub(super) fn remove(&self) {
        let began = monotonic();
        loop {
            self.kill();
            let error = match std::fs::remove_dir(&self.directory) {
                Err(e) if e.kind() != ErrorKind::NotFound => e,
                _ => return,
            };
            if began.elapsed() > PATIENCE {
                tracing::warn!(cgroup = %self.directory.display(), %error, "a cgroup was not removed");
                return;
            }
            self.wait_for_a_change();
        }
    }
}

/// What is written where, so that a run has its limits and no more.
fn settings(controller: Controller, limits: &Limits, walls: &Walls) -> Vec<(&'static str, String)> {
    match controller {
        Controller::Memory => vec![
            ("memory.max", limits.memory_bytes.to_string()),
            ("memory.swap.max", "0".to_owned()),
            ("memory.oom.group", "1".to_owned()),
        ],
        Controller::Pids => {
            let beside = if matches!(walls, Walls::Bubblewrap(_)) { OF_BUBBLEWRAP } else { 0 };
            vec![("pids.max", (limits.processes + beside).to_string())]
        }
    }
}

/// Puts this process into a cgroup.
fn enter(directory: &Path) -> Result<(), Error> {
    write(directory, "cgroup.procs", "0")
}

/// A line of a file of names and numbers.
fn count(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

fn read(directory: &Path, file: &str) -> Result<String, String> {
    std::fs::read_to_string(directory.join(file)).map_err(|e| named(directory, file, &e).to_string())
}

/// Writes to a file that is there: a cgroup's files are the kernel's.
fn write(directory: &Path, file: &str, text: &str) -> Result<(), Error> {
    let open = std::fs::OpenOptions::new().write(true).open(directory.join(file));
    open.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|e| named(directory, file, &e))
}

fn named(directory: &Path, file: &str, error: &Error) -> Error {
    Error::new(error.kind(), format!("{}: {error}", directory.join(file).display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(directory: &Path) -> Home {
        Home { directory: directory.to_owned(), controllers: Controller::ALL.to_vec(), named: true }
    }

    #[test]
    fn a_cgroup_tells_by_its_name_which_server_has_made_it() {
        let cgroup = home(Path::new("/none")).next();
        let name = cgroup.directory.file_name().expect("named").to_string_lossy().into_owned();
        let (pid, since) = maker(&name).expect("ours");
        assert_eq!((pid, Some(since)), (std::process::id(), watch::started(pid)));
        assert_eq!(maker("run-12-3456-0aff"), Some((12, 3456)));
        for other in ["run-12-3456", "run-12-3456-0aff-1", "run-12-3456-xyz", "run-a-1-0", "server", "ran-12-3456-0aff"]
        {
            assert_eq!(maker(other), None, "{other}");
        }
    }

    #[test]
    fn only_what_the_server_has_left_that_is_gone_is_cleared() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = home(dir.path());
        let own = home.next().directory;
        let others = ["run-1-18446744073709551615-00", "run-x", "server", "tests"].map(|name| dir.path().join(name));
        for path in others.iter().chain([&own]) {
            std::fs::create_dir(path).expect("made");
        }
        home.clear();
        assert!(!others[0].exists(), "process 1 was not started then");
        assert!(others[1..].iter().chain([&own]).all(|path| path.exists()));
    }

    #[test]
    fn what_was_limited_must_be_limited() {
        let dir = tempfile::tempdir().expect("a directory");
        let (limits, cgroup) = (Limits::default(), home(dir.path()).next());
        let refused = cgroup.make(&limits, &Walls::Landlock).expect_err("no cgroup");
        assert!(refused.to_string().contains("5.14"), "{refused}");
        let of = |controller, walls: &Walls| settings(controller, &limits, walls);
        assert_eq!(of(Controller::Memory, &Walls::Landlock)[0], ("memory.max", "1073741824".to_owned()));
        assert_eq!(of(Controller::Pids, &Walls::Landlock), [("pids.max", "128".to_owned())]);
        assert_eq!(of(Controller::Pids, &Walls::Bubblewrap("/bwrap".into())), [("pids.max", "130".to_owned())]);
        let refused = write(dir.path(), "memory.max", "1").expect_err("no such file is made");
        assert!(refused.kind() == ErrorKind::NotFound && refused.to_string().contains("memory.max"), "{refused}");
    }

    #[test]
    fn events_are_counted_by_their_whole_names() {
        let events = "low 0\noom 3\noom_kill 2\noom_group_kill 1\n";
        assert_eq!(["oom_kill", "oom", "oom_group_kill", "none"].map(|name| count(events, name)), [2, 3, 1, 0]);
        assert_eq!(count("oom_kill x", "oom_kill"), 0);
    }

    #[test]
    fn what_is_no_cgroup_is_refused_and_nowhere_is_none() {
        let dir = tempfile::tempdir().expect("a directory");
        let why = Home::prepare(&Cgroups::Named(dir.path().to_owned())).expect_err("no cgroup");
        assert!(why.contains("`sandbox_cgroup`") && why.contains("cgroup2"), "{why}");
        assert!(Home::prepare(&Cgroups::Nowhere).expect("nothing to do").is_none());
    }
}
