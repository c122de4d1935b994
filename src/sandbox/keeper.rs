//! The keeper: the parent of a run, outside of its walls. It ends the run when its time, memory or disk is used up, when
//! whoever asked has gone, and when the server has ended in whatever way, which closes the keeper's input.
//!
//! Invariant: when it has ended, nothing of the run is left: all that comes of a run stays in one process group, since the
//! filter has no call that leaves one, and dies with it; behind bubblewrap it dies with its namespace, and in a cgroup with that.

use std::io::{BufRead as _, Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, setsid, waitid};

use super::bubblewrap;
use super::cgroup::Cgroup;
use super::orders::{CHILD_ARGUMENT, Ending, Message, Orders, Report, Started, Walls};
use super::program;
use super::watch;
use crate::model::time::monotonic;

/// How often is looked, at the latest.
const TICK: Duration = Duration::from_millis(20);
/// How often memory is looked at.
const MEMORY_EVERY: Duration = Duration::from_millis(40);
/// How often the disk is looked at.
const DISK_EVERY: Duration = Duration::from_millis(200);
/// A look at the disk takes at most one part in so many of the time.
const LOOK_SHARE: u32 = 8;
/// How long what was written may take to arrive when everybody who could write is dead.
const DRAIN: Duration = Duration::from_secs(1);
/// Bytes read at once.
const CHUNK: usize = 64 << 10;
/// The first open file that is neither an input nor an output.
const FIRST_FOREIGN: i32 = 3;
/// Added to a signal's number, as shells do.
const BY_SIGNAL: i32 = 128;

/// What the hidden subcommand does: reads one line and is what it says. The exit code.
#[must_use]
pub fn child() -> u8 {
    // What whoever started the server has left open is nobody's inside; it goes with the next program that is started.
    close_fds::set_fds_cloexec(FIRST_FOREIGN, &[]);
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    let message = read.map_err(|e| e.to_string()).and_then(|_| serde_json::from_str(&line).map_err(|e| e.to_string()));
    let done = match message {
        Ok(Message::Keep(orders)) => keep(orders).map_err(|e| e.to_string()),
        Ok(Message::Enter { orders, keeper }) => program::enter(&orders, keeper),
        Err(e) => Err(format!("this is for the server alone: {e}")),
    };
    match done {
        Ok(()) => 0,
        Err(text) => {
            // Whoever started it reads this; nobody is left otherwise.
            let _ = writeln!(std::io::stderr().lock(), "{text}");
            125
        }
    }
}

fn keep(orders: Orders) -> std::io::Result<()> {
    let own = setsid()?;
    spare_others();
    if let Some(cgroup) = &orders.cgroup {
        cgroup.make(&orders.limits, &orders.walls)?;
    }
    let mut child = start(&orders)?;
    let group = Pid::from_child(&child);
    let mut out = std::io::stdout().lock();
    let mut line = serde_json::to_vec(&Started { group: group.as_raw_pid() })?;
    line.push(b'\n');
    let told = out.write_all(&line).and_then(|()| out.flush());
    let mut run = Run::new(&orders, &mut child, own, group);
    if told.is_err() {
        run.end(Ending::Cancelled);
    }
    run.watch()?;
    let report = run.report(&orders.token, child.wait()?);
    if let Some(cgroup) = &orders.cgroup {
        cgroup.remove();
    }
    serde_json::to_writer(&mut out, &report)?;
    out.flush()
}

/// Where the server is kept from being killed when memory runs out, its programs are not.
fn spare_others() {
    const OWN: &str = "/proc/self/oom_score_adj";
    let is_kept = |text: String| text.trim().parse::<i32>().is_ok_and(|score| score < 0);
    if std::fs::read_to_string(OWN).is_ok_and(is_kept) {
        // More may always be taken upon oneself.
        let _ = std::fs::write(OWN, "0");
    }
}

/// Starts the child that goes behind the walls.
fn start(orders: &Orders) -> std::io::Result<Child> {
    let itself = std::env::current_exe()?;
    let mut inside = orders.clone();
    let (mut command, keeper) = match &orders.walls {
        Walls::Bubblewrap(path) => {
            let mut command = Command::new(path);
            command.args(bubblewrap::arguments(orders, &itself));
            inside.directory = bubblewrap::INSIDE.into();
            (command, 0)
        }
        Walls::Landlock => {
            // By the kernel's name, which holds also when the file was replaced.
            let mut command = Command::new("/proc/self/exe");
            command.arg(CHILD_ARGUMENT);
            (command, std::process::id())
        }
    };
    command.env_clear().process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match &orders.cgroup {
        Some(cgroup) => cgroup.spawn(&mut command)?,
        None => command.spawn()?,
    };
    let mut line = serde_json::to_vec(&Message::Enter { orders: inside, keeper })?;
    line.push(b'\n');
    // A child that has ended already has said why.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(&line));
    Ok(child)
}

/// One of the two outputs.
#[derive(Debug)]
struct Output<R> {
    pipe: Option<R>,
    kept: Vec<u8>,
    most: usize,
    truncated: bool,
}

impl<R: std::io::Read> Output<R> {
    fn new(pipe: Option<R>, most: usize) -> Self {
        Self { pipe, kept: Vec::new(), most, truncated: false }
    }

    /// Reads what is there. What is over the limit is read and forgotten, so that the program goes on.
    fn read(&mut self, chunk: &mut [u8]) {
        let Some(pipe) = &mut self.pipe else { return };
        match pipe.read(chunk) {
            Ok(0) => self.pipe = None,
            Ok(n) => {
                let room = n.min(self.most - self.kept.len());
                self.kept.extend_from_slice(&chunk[..room]);
                self.truncated |= room < n;
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => self.pipe = None,
        }
    }
}

struct Run<'a> {
    orders: &'a Orders,
    session: u32,
    group: Pid,
    began: Instant,
    ended: Option<Ending>,
    dead_at: Option<Instant>,
    stdout: Output<ChildStdout>,
    stderr: Output<ChildStderr>,
}

impl<'a> Run<'a> {
    fn new(orders: &'a Orders, child: &mut Child, own: Pid, group: Pid) -> Self {
        let most = orders.limits.output_bytes;
        Self {
            orders,
            session: own.as_raw_pid().cast_unsigned(),
            group,
            began: monotonic(),
            ended: None,
            dead_at: None,
            stdout: Output::new(child.stdout.take(), most),
            // The token comes first.
            stderr: Output::new(child.stderr.take(), most + orders.token.len() + 1),
        }
    }

    /// Ends everything that came of it.
    fn end(&mut self, why: Ending) {
        // There is nobody left, or there was nobody.
        let _ = kill_process_group(self.group, Signal::KILL);
        let cgroup = self.orders.cgroup.as_ref();
        let lacked_memory = why == Ending::Exited && cgroup.is_some_and(Cgroup::ran_out_of_memory);
        let _ = cgroup.map(Cgroup::kill);
        self.ended.get_or_insert(if lacked_memory { Ending::Memory } else { why });
        self.dead_at.get_or_insert_with(monotonic);
    }

    fn watch(&mut self) -> std::io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        let (mut looked, mut measured, mut disk_every) = (self.began, self.began, DISK_EVERY);
        let mut exited = false;
        loop {
            self.read(&mut chunk)?;
            if !exited {
                let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
                exited = waitid(WaitId::Pid(self.group), options)?.is_some();
                if exited {
                    // Not waited for yet, so that the number of the group is still its own.
                    self.end(Ending::Exited);
                }
            }
            let now = monotonic();
            let drained = self.stdout.pipe.is_none() && self.stderr.pipe.is_none();
            let late = self.dead_at.is_some_and(|at| now - at > DRAIN);
            if exited && (drained || late) {
                return Ok(());
            }
            if self.ended.is_some() {
                continue;
            }
            if now - self.began > self.orders.limits.time {
                self.end(Ending::Timeout);
            } else if now - looked > MEMORY_EVERY {
                looked = now;
                let members = watch::members(self.session);
                let limits = &self.orders.limits;
                if watch::memory(&members) > limits.memory_bytes {
                    self.end(Ending::Memory);
                } else if now - measured > disk_every {
                    if watch::is_over(&self.orders.directory, &members, limits.disk_bytes, limits.files) {
                        self.end(Ending::Disk);
                    }
                    measured = monotonic();
                    disk_every = DISK_EVERY.max((measured - now) * LOOK_SHARE);
                }
            }
        }
    }

    /// Waits for output, for the end of the input, or for the next look; reads what there is.
    fn read(&mut self, chunk: &mut [u8]) -> std::io::Result<()> {
        const STDIN: u8 = 0;
        const STDOUT: u8 = 1;
        const STDERR: u8 = 2;
        let input = std::io::stdin();
        let ready: Vec<u8> = {
            let mut asked = Vec::with_capacity(3);
            if self.ended.is_none() {
                asked.push((STDIN, PollFd::new(&input, PollFlags::IN)));
            }
            asked.extend(self.stdout.pipe.iter().map(|pipe| (STDOUT, PollFd::new(pipe, PollFlags::IN))));
            asked.extend(self.stderr.pipe.iter().map(|pipe| (STDERR, PollFd::new(pipe, PollFlags::IN))));
            let (names, mut fds): (Vec<u8>, Vec<_>) = asked.into_iter().unzip();
            let tick = Timespec::try_from(TICK).map_err(std::io::Error::other)?;
            match poll(&mut fds, Some(&tick)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
            names.into_iter().zip(fds).filter(|(_, fd)| !fd.revents().is_empty()).map(|(name, _)| name).collect()
        };
        for name in ready {
            match name {
                // Nothing is said after the orders, so this is the end.
                STDIN => {
                    let _ = input.lock().read(chunk);
                    self.end(Ending::Cancelled);
                }
                STDOUT => self.stdout.read(chunk),
                _ => self.stderr.read(chunk),
            }
        }
        Ok(())
    }

    fn report(mut self, token: &str, status: std::process::ExitStatus) -> Report {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let said = self.stderr.kept.strip_prefix(token.as_bytes()).and_then(|rest| rest.strip_prefix(b"\n"));
        let (refused, stderr) = match said.map(<[u8]>::to_vec) {
            Some(stderr) => (None, stderr),
            None => {
                let text = String::from_utf8_lossy(&self.stderr.kept).trim().to_owned();
                let text = if text.is_empty() { format!("the child ended with {status}") } else { text };
                (Some(text), Vec::new())
            }
        };
        // Ended from outside before the walls stood: no refusal.
        let refused = refused.filter(|_| self.ended == Some(Ending::Exited));
        self.stdout.kept.shrink_to_fit();
        Report {
            ended: self.ended.unwrap_or(Ending::Exited),
            exit_code: status.code().unwrap_or_else(|| BY_SIGNAL + status.signal().unwrap_or(0)),
            stdout: String::from_utf8_lossy(&self.stdout.kept).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
            stdout_truncated: self.stdout.truncated,
            stderr_truncated: self.stderr.truncated,
            millis,
            refused,
        }
    }
}
