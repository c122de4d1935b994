//! The local provider: one private directory per sandbox, and programs that are confined to it.

use std::io::{Error, ErrorKind};
use std::os::fd::AsFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::io::Errno;

use super::cgroup::{Cgroups, Home};
use super::files::{self, FOLDER, Files};
use super::host::Held;
use super::launch::{self, Lifeline};
use super::limits::Limits;
use super::orders::{Orders, Report, Walls, Work};
use super::socket::{Attendant, Socket};
use super::{Capabilities, Job, Language, Provider, RunError, SandboxError, bubblewrap, host, tree};
use crate::config::SandboxWalls;
use crate::model::{OsRandom, RandomSource as _};

/// Who may enter a sandbox's directory: its user alone, which is the server's unless that is root.
const DIRECTORY_MODE: u32 = 0o700;
/// Who may pass through the directory that holds them: everybody, where each sandbox is a user of its own.
const ROOT_MODE: u32 = 0o711;
/// How every id begins.
pub const ID_PREFIX: &str = "sb-";
/// The directory of the server's socket, which nobody else comes to.
const SOCKET_DIRECTORY: &str = ".server";
/// Random bytes of the name of a program's file.
const FILE_BYTES: usize = 4;

/// Private directories under one root.
#[derive(Debug)]
pub struct LocalProvider {
    root: PathBuf,
    wanted: SandboxWalls,
    cgroups: Cgroups,
    /// Tried once, when it is first asked about.
    held: OnceLock<Result<Held, String>>,
    socket: Socket,
}

impl LocalProvider {
    /// Directories under `root`, which is made with the first of them.
    #[must_use]
    pub fn new(root: PathBuf, wanted: SandboxWalls, cgroups: Cgroups) -> Self {
        Self { root, wanted, cgroups, held: OnceLock::new(), socket: Socket::default() }
    }

    /// What confines here, or why nothing does.
    fn held(&self) -> &Result<Held, String> {
        self.held.get_or_init(|| {
            let found = host::walls(self.wanted, &self.root, &self.cgroups);
            match &found {
                Ok(Held { walls, cgroups, .. }) => {
                    let controllers = cgroups.as_ref().map(Home::controllers);
                    tracing::info!(walls = walls.name(), cgroup = ?controllers, "sandboxes can run programs");
                }
                Err(why) => tracing::warn!(%why, "sandboxes run nothing"),
            }
            found
        })
    }

    /// The directory of a sandbox. An id is one plain component, so that no id leads out of the root.
    fn directory(&self, id: &str) -> Result<PathBuf, Error> {
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(Error::new(ErrorKind::InvalidInput, "the id is not a plain name"));
        }
        Ok(self.root.join(id))
    }

    /// Where programs of a sandbox find the copy of the tree.
    fn seen(&self, directory: &Path) -> String {
        match self.held() {
            Ok(Held { walls: Walls::Bubblewrap(_), .. }) => bubblewrap::MOUNT.to_owned(),
            Ok(Held { walls: Walls::Landlock, .. }) | Err(_) => directory.join(FOLDER).display().to_string(),
        }
    }

    /// Where the server listens for programs, if it does.
    fn server(&self) -> Result<Option<PathBuf>, Error> {
        let directory = self.root.join(SOCKET_DIRECTORY);
        match private(false).create(&directory) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        self.socket.path(&directory.canonicalize()?)
    }

    fn failed(&self, step: &'static str, id: &str) -> impl FnOnce(Error) -> SandboxError {
        let (provider, id) = (self.name(), id.to_owned());
        move |source| SandboxError { provider, step, id, source }
    }
}

/// Makes directories as they must be here.
pub(super) fn private(recursive: bool) -> std::fs::DirBuilder {
    let root = rustix::process::geteuid().is_root();
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(recursive).mode(if recursive && root { ROOT_MODE } else { DIRECTORY_MODE });
    builder
}

impl Provider for LocalProvider {
    fn name(&self) -> &'static str {
        "local"
    }

    fn capabilities(&self) -> Capabilities {
        let languages = || Language::ALL.into_iter().filter(|language| language.interpreter().is_some()).collect();
        let nothing = Capabilities { mount: true, pause: true, ..Capabilities::default() };
        match self.held() {
            Ok(Held { walls, reaches, cgroups }) => {
                let server = *reaches && self.socket.is_attended();
                let cgroup = cgroups.as_ref().map(|home| home.controllers().to_vec());
                Capabilities { run: true, server, walls: Some(walls.name()), cgroup, languages: languages(), ..nothing }
            }
            Err(why) => Capabilities { run_refused: Some(why.clone()), ..nothing },
        }
    }

    fn run(&self, id: &str, job: Job, lifeline: &Lifeline) -> Result<Report, RunError> {
        let refused = |why: &String| RunError::Refused(why.clone());
        let held = self.held().as_ref().map_err(refused)?;
        let language = job.language;
        let (program, ending) = language.program();
        let interpreter = language.interpreter().ok_or_else(|| {
            RunError::Refused(format!(
                "there is no {program} in /usr/bin or /usr/local/bin, which {} needs",
                language.name()
            ))
        })?;
        let launcher = launch::program().ok_or_else(|| RunError::Refused("no program confines".into()))?;
        let failed = |e| RunError::Failed(self.failed("run a program in", id)(e));
        let directory = self.directory(id).and_then(|path| path.canonicalize()).map_err(failed)?;
        let mut environment = job.environment;
        environment.push(("NEXUS_MOUNT".to_owned(), self.seen(&directory)));
        let socket = if job.server { self.server().map_err(failed)? } else { None };
        environment.extend(socket.is_some().then(|| ("NEXUS_SOCKET".to_owned(), bubblewrap::SOCKET.to_owned())));
        let file = format!(".run-{}.{ending}", OsRandom.hex(FILE_BYTES));
        let orders = Orders {
            directory: directory.clone(),
            walls: held.walls.clone(),
            socket,
            user: host::user(id),
            work: Work::Program { interpreter, file: file.clone(), code: job.code },
            environment,
            limits: Limits { time: job.time, ..Limits::default() },
            cgroup: held.cgroups.as_ref().map(Home::next),
            token: host::token(),
        };
        let report = launch::run(launcher, orders, lifeline);
        // The program may have removed it itself.
        let _ = std::fs::remove_file(directory.join(file));
        let report = report.map_err(failed)?;
        match &report.refused {
            Some(why) => Err(RunError::Failed(self.failed("confine", id)(Error::other(why.clone())))),
            None => Ok(report),
        }
    }

    fn attend(&self, attendant: Attendant) {
        self.socket.attend(attendant);
    }

    fn create(&self, id: &str) -> Result<(), SandboxError> {
        let make = || {
            let directory = self.directory(id)?;
            private(true).create(&self.root)?;
            private(false).create(&directory)?;
            match host::user(id) {
                None => Ok(()),
                user => std::os::unix::fs::chown(&directory, user, user),
            }
        };
        make().map_err(self.failed("create", id))
    }

    fn verify(&self, id: &str) -> Result<bool, SandboxError> {
        let look = || Ok(self.directory(id)?.is_dir());
        look().map_err(self.failed("look at", id))
    }

    fn destroy(&self, id: &str) -> Result<(), SandboxError> {
        let remove = || {
            self.directory(id)?;
            match tree::open(&self.root) {
                Err(Errno::NOENT) => return Ok(()),
                root => tree::remove(root?.as_fd(), id)?,
            }
            files::forget_all(&self.root, id)
        };
        remove().map_err(self.failed("remove", id))
    }

    fn files(&self, id: &str) -> Result<Files, SandboxError> {
        let open = || {
            let directory = self.directory(id)?.canonicalize()?;
            Files::open(&self.root, id, host::user(id), self.seen(&directory))
        };
        open().map_err(self.failed("look at the files of", id))
    }

    fn list(&self) -> Result<Vec<String>, SandboxError> {
        let look = || {
            let entries = match std::fs::read_dir(&self.root) {
                Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
                other => other?,
            };
            let names = entries.map(|e| e.map(|e| e.file_name().to_string_lossy().into_owned()));
            // What is called otherwise is not ours, whatever the directory is.
            names.filter(|name| name.as_ref().is_ok_and(|name| name.starts_with(ID_PREFIX))).collect()
        };
        look().map_err(self.failed("list", "*"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_sandbox_is_a_directory_that_nobody_else_may_enter() {
        let dir = tempfile::tempdir().expect("a directory");
        let local = LocalProvider::new(dir.path().join("sandboxes"), SandboxWalls::Off, Cgroups::Nowhere);
        assert_eq!(local.list().expect("none"), Vec::<String>::new());
        local.create("sb-1").expect("made");
        let made = dir.path().join("sandboxes/sb-1");
        assert_eq!(std::fs::metadata(&made).expect("there").permissions().mode() & 0o777, 0o700);
        assert_eq!(std::fs::metadata(dir.path().join("sandboxes")).expect("there").permissions().mode() & 0o066, 0);
        std::fs::write(made.join("file"), "x").expect("written");
        assert_eq!((local.verify("sb-1").expect("ok"), local.verify("two").expect("ok")), (true, false));
        assert_eq!(local.list().expect("one"), ["sb-1"]);
        assert!(local.create("sb-1").is_err(), "an id is made once");
        local.destroy("sb-1").expect("removed");
        local.destroy("sb-1").expect("nothing to do");
        assert!(!made.exists());
    }

    #[test]
    fn no_id_leads_out_of_the_root() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("other")).expect("made");
        let local = LocalProvider::new(dir.path().join("sandboxes"), SandboxWalls::Off, Cgroups::Nowhere);
        for id in ["..", "../other", "a/b", "", ".", "/etc"] {
            assert!(local.create(id).is_err() && local.verify(id).is_err() && local.destroy(id).is_err(), "{id:?}");
        }
        assert!(dir.path().join("other").exists());
    }
}
