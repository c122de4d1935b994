//! The child behind the walls: puts them up around itself, one after the other, and becomes the program.
//!
//! Invariant: it has one thread, it runs nothing before every wall stands, and it says the token only then.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rustix::process::{Gid, Signal, Uid, geteuid, getppid, set_parent_process_death_signal};
use rustix::thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::bubblewrap;
use super::fence::{self, Need};
use super::filter;
use super::orders::{Orders, Walls, Work};
use super::watch;

/// Where programs are looked for by programs.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// The directory for what is temporary, in the directory of the sandbox.
const TEMPORARY: &str = ".tmp";

/// What a probe says that came to the server's socket.
pub(super) const REACHED: &str = "reached";

/// Goes behind the walls and does the work. Comes back only to say why not, or after a probe.
pub(super) fn enter(orders: &Orders, keeper: u32) -> Result<(), String> {
    let step = |what: &'static str| move |e: rustix::io::Errno| format!("{what}: {e}");
    // What this user has running counts against its limit, unless it is a user of its own.
    let others = match (&orders.walls, orders.user) {
        (Walls::Landlock, None) => watch::tasks_of(rustix::process::getuid().as_raw()),
        _ => 0,
    };
    if let Some(user) = orders.user {
        let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(user));
        set_thread_groups(&[]).map_err(step("the groups could not be left"))?;
        set_thread_res_gid(gid, gid, gid).map_err(step("the group could not be changed"))?;
        set_thread_res_uid(uid, uid, uid).map_err(step("the user could not be changed"))?;
    }
    if geteuid().is_root() {
        return Err("it would run as root".into());
    }
    set_no_new_privs(true).map_err(step("no_new_privs could not be set"))?;
    if keeper != 0 {
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(step("it could not be tied to its keeper"))?;
        if getppid().is_none_or(|parent| parent.as_raw_pid().cast_unsigned() != keeper) {
            return Err("its keeper has ended".into());
        }
    }
    std::env::set_current_dir(&orders.directory).map_err(|e| {
        let directory = orders.directory.display();
        format!(
            "the user that programs run as cannot come to {directory} ({e}): let `sandbox_dir` name a directory that \
             everybody may pass through"
        )
    })?;
    let bubblewrap = matches!(orders.walls, Walls::Bubblewrap(_));
    let need = match (bubblewrap, orders.user) {
        (true, _) => Need::Nothing,
        (false, Some(_)) => Need::Files,
        (false, None) => Need::FilesAndSignals,
    };
    let rules = filter::program(bubblewrap || orders.user.is_some(), bubblewrap && orders.socket.is_some())?;
    orders.limits.apply(others)?;
    fence::put_up(&orders.directory, bubblewrap, need)?;
    seccompiler::apply_filter(&rules).map_err(|e| format!("the filter of system calls was refused: {e}"))?;
    work(orders)
}

fn work(orders: &Orders) -> Result<(), String> {
    match &orders.work {
        Work::Probe { foreign } => {
            probe(orders, foreign)?;
            say(&orders.token)
        }
        Work::Program { interpreter, file, code } => {
            let path = orders.directory.join(file);
            let temporary = orders.directory.join(TEMPORARY);
            let failed = |e: std::io::Error| format!("the program could not be put into its directory: {e}");
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true).mode(0o600);
            options.open(&path).and_then(|mut made| made.write_all(code.as_bytes())).map_err(failed)?;
            match std::fs::create_dir(&temporary) {
                Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(e)),
                _ => {}
            }
            let nothing = std::fs::File::open("/dev/null").map_err(failed)?;
            rustix::stdio::dup2_stdin(&nothing).map_err(|e| format!("the input could not be closed: {e}"))?;
            let mut command = Command::new(interpreter);
            command.arg(&path).env_clear().env("PATH", PATH).env("LANG", "C.UTF-8");
            command.env("HOME", &orders.directory).env("PWD", &orders.directory).env("TMPDIR", &temporary);
            command.envs(orders.environment.iter().map(|(name, value)| (name, value)));
            say(&orders.token)?;
            Err(format!("{} could not be started: {}", interpreter.display(), command.exec()))
        }
    }
}

/// The walls stand.
fn say(token: &str) -> Result<(), String> {
    writeln!(std::io::stderr().lock(), "{token}").map_err(|e| format!("nobody listens: {e}"))
}

/// Tries what must not be possible, and what must be; says [`REACHED`] if it came to the server's socket.
fn probe(orders: &Orders, foreign: &Path) -> Result<(), String> {
    let own = orders.directory.join(".probe");
    std::fs::write(&own, "x")
        .and_then(|()| std::fs::remove_file(&own))
        .map_err(|e| format!("nothing can be written: {e}"))?;
    for path in [foreign, Path::new("/etc/passwd"), Path::new("/proc/1/environ")] {
        if std::fs::read(path).is_ok_and(|read| !read.is_empty()) {
            return Err(format!("{} can be read", path.display()));
        }
    }
    if std::net::TcpStream::connect(("127.0.0.1", 9)).is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused)
        || std::net::UdpSocket::bind(("127.0.0.1", 0)).is_ok()
        || std::os::unix::net::UnixDatagram::unbound().is_ok()
    {
        return Err("a socket can be made".into());
    }
    let Some(socket) = &orders.socket else { return Ok(()) };
    if UnixStream::connect(socket).is_ok() {
        return Err("sockets of the machine can be reached".into());
    }
    if UnixStream::connect(bubblewrap::SOCKET).is_ok() {
        // Nobody who would read it has told by now why not.
        let _ = writeln!(std::io::stdout().lock(), "{REACHED}");
    }
    Ok(())
}
