//! Programs in sandboxes of the real server, on the walls that this machine has: what they can do, and what they must not.

// A cgroup for each run, where somebody has left us a directory for it.
mod cgroups;
// Every way out that we know, tried.
mod escapes;
// The files of the tree in sandboxes, and back.
mod files;
// What a run is: output, exit codes, rights, ends, the command line.
mod runs;
// The way from a program to the server, and that there is no other.
mod server;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::client::{Client, Failure, LIVENESS};
use crate::harness::process::Process;

/// What the variable `NEXUS_LITE_REQUIRE` holds where it is a failure that bubblewrap is not installed.
const REQUIRED: &str = "bubblewrap";

/// What a program may take that works for long, seconds: several times what it takes while all other tests run beside it.
const AMPLE: f64 = 120.0;

/// The walls of this machine.
pub(crate) fn walls() -> Vec<&'static str> {
    let all = if Path::new("/usr/bin/bwrap").exists() { vec!["bubblewrap", "landlock"] } else { vec!["landlock"] };
    let required = std::env::var_os("NEXUS_LITE_REQUIRE").unwrap_or_default().to_string_lossy().into_owned();
    assert!(
        all.len() == 2 || !required.contains(REQUIRED),
        "NEXUS_LITE_REQUIRE asks for bubblewrap, and there is none"
    );
    all
}

/// A server whose sandboxes are confined by one kind of walls.
struct Scene {
    server: Process,
    key: String,
    dir: tempfile::TempDir,
}

impl Scene {
    fn new(walls: &str) -> Self {
        Self::with(walls, &[])
    }

    /// As [`new`](Self::new), with more settings.
    fn with(walls: &str, more: &[&str]) -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        // Where the server is root, its sandboxes are other users, who must come through.
        let open = |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o711)).expect("ours");
        open(dir.path());
        let sandboxes = dir.path().join("sandboxes");
        let args = ["--sandbox", walls, "--sandbox-dir", sandboxes.to_str().expect("UTF-8"), "--log", "warn"];
        let server = Process::start_with(&dir.path().join("data"), "", &[&args, more].concat());
        let key = server.admin_key();
        Self { server, key, dir }
    }

    fn client(&self) -> Client {
        Client::new(self.server.address(), Some(&self.key))
    }

    /// The sandbox of this name; its id.
    fn sandbox(&self, name: &str) -> String {
        let made = self.client().rpc("sandbox_get_or_create", &json!({"name": name})).expect("made");
        made["sandbox_id"].as_str().expect("an id").to_owned()
    }

    /// Where a sandbox has its files.
    fn files(&self, id: &str) -> PathBuf {
        self.dir.path().join("sandboxes").join(id)
    }

    /// Whether a language can be run here; one that cannot is refused, and the refusal names what is missing.
    fn speaks(&self, language: &str) -> bool {
        let made = self.client().rpc("sandbox_get_or_create", &json!({"name": "asked"})).expect("made");
        let languages = made["capabilities"]["languages"].as_array().expect("a list");
        if languages.iter().any(|known| known == language) {
            return true;
        }
        let id = made["sandbox_id"].as_str().expect("an id");
        let refusal = self.try_run(id, language, "1", 5.0).expect_err("refused");
        assert!(refusal.code == -32013 && refusal.message.contains("there is no "), "{refusal:?}");
        false
    }

    fn try_run(&self, id: &str, language: &str, code: &str, seconds: f64) -> Result<Value, Failure> {
        try_run(self.client(), id, language, code, seconds)
    }

    /// Runs a program that must run.
    fn run(&self, id: &str, language: &str, code: &str, seconds: f64) -> Value {
        run(self.client(), id, language, code, seconds)
    }

    /// A pipe in a sandbox, and what comes out of it: all that is written until nobody is left who could write.
    fn pipe(&self, id: &str) -> Pipe {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let path = self.files(id).join("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o666), 0).expect("a pipe");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).expect("ours");
        let (told, first) = mpsc::channel();
        let (ended, end) = mpsc::channel();
        std::thread::spawn(move || {
            use std::io::Read as _;
            let mut pipe = std::fs::File::open(path).expect("a pipe");
            let mut byte = [0; 1];
            let began = pipe.read_exact(&mut byte).is_ok();
            // Whoever does not ask does not wait.
            let _ = told.send(began);
            let mut rest = Vec::new();
            let _ = pipe.read_to_end(&mut rest);
            let _ = ended.send(());
        });
        Pipe { first, end }
    }
}

fn try_run(client: Client, id: &str, language: &str, code: &str, seconds: f64) -> Result<Value, Failure> {
    let params = json!({"sandbox_id": id, "language": language, "code": code, "timeout": seconds});
    client.granting(Duration::from_secs_f64(seconds)).rpc("sandbox_run", &params)
}

fn run(client: Client, id: &str, language: &str, code: &str, seconds: f64) -> Value {
    try_run(client, id, language, code, seconds).unwrap_or_else(|e| panic!("{language} {code}: {e:?}"))
}

/// What is known of the programs that hold a pipe.
struct Pipe {
    first: mpsc::Receiver<bool>,
    end: mpsc::Receiver<()>,
}

impl Pipe {
    /// Waits until the first byte has come.
    fn wait(&self) {
        assert_eq!(self.first.recv_timeout(LIVENESS), Ok(true), "the program has begun");
    }

    /// Waits until all who could write are dead.
    fn wait_for_the_end(&self) {
        self.end.recv_timeout(LIVENESS).expect("everything that came of the run is dead");
    }
}

/// A program that says it has begun, has children in the background, and does not end.
const HOLDS_ON: &str = "exec 7>pipe; sleep 1000 & (sleep 1000 & sleep 1000) & printf x >&7; sleep 1000";
