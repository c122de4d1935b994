//! Starts a keeper and waits for its report, on a thread that may block.
//!
//! Invariant: whoever lets go of the lifeline ends the run, and so does the end of this process: the keeper's input is closed.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::orders::{CHILD_ARGUMENT, Message, Orders, Report, Started};
use crate::model::time::monotonic;

/// How long a keeper may take beyond the time of its run before its input is closed.
const PATIENCE: Duration = Duration::from_secs(10);
/// And from then on until it is killed with all it keeps.
const LAST_PATIENCE: Duration = Duration::from_secs(5);
/// How often is looked for that.
const TICK: Duration = Duration::from_millis(250);
/// Largest report, bytes: both outputs, with every character escaped.
const REPORT_BYTES_MAX: usize = 32 << 20;
/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// The program that answers to [`CHILD_ARGUMENT`].
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Names the program that confines, once: `nexus-lite` itself, or for a program that embeds this library a copy of it.
/// Without one nothing is run.
pub fn use_program(path: impl Into<PathBuf>) {
    // The first word holds: a process is one program.
    let _ = PROGRAM.set(path.into());
}

/// The program, if one was named.
pub(super) fn program() -> Option<&'static Path> {
    PROGRAM.get().map(PathBuf::as_path)
}

/// Holds a run; cutting it ends the run, now or as soon as it begins.
#[derive(Debug, Default)]
pub struct Lifeline(Mutex<Ends>);

#[derive(Debug, Default)]
struct Ends {
    cut: bool,
    input: Option<ChildStdin>,
}

impl Lifeline {
    /// Ends the run and everything that came of it.
    pub fn cut(&self) {
        let mut ends = self.0.lock();
        ends.cut = true;
        ends.input = None;
    }

    /// Takes the keeper's input; closes it if the line is cut already.
    fn tie(&self, input: Option<ChildStdin>) {
        let mut ends = self.0.lock();
        ends.input = input.filter(|_| !ends.cut);
    }
}

/// Runs `orders` under a keeper to the end. Blocks.
pub(super) fn run(program: &Path, orders: Orders, lifeline: &Lifeline) -> std::io::Result<Report> {
    let cgroup = orders.cgroup.clone();
    let report = keep(program, orders, lifeline);
    if let Some(cgroup) = cgroup {
        // There is nothing to do, but for a keeper that could not.
        cgroup.remove();
    }
    report
}

fn keep(program: &Path, orders: Orders, lifeline: &Lifeline) -> std::io::Result<Report> {
    let time = orders.limits.time;
    let mut command = Command::new(program);
    command.arg(CHILD_ARGUMENT).env_clear().current_dir("/");
    let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut line = serde_json::to_vec(&Message::Keep(orders))?;
    line.push(b'\n');
    let mut input = keeper.stdin.take();
    // A keeper that has ended already says why below.
    let _ = input.as_mut().map(|input| input.write_all(&line));
    lifeline.tie(input);
    let (pid, began) = (Pid::from_child(&keeper), monotonic());
    let mut said = Vec::new();
    let mut chunk = vec![0; CHUNK];
    let mut out = keeper.stdout.take();
    while let Some(pipe) = &mut out {
        let tick = Timespec::try_from(TICK).map_err(std::io::Error::other)?;
        let readable = match poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&tick)) {
            Ok(ready) => ready > 0,
            Err(rustix::io::Errno::INTR) => false,
            Err(e) => return Err(e.into()),
        };
        if readable {
            match pipe.read(&mut chunk) {
                Ok(0) => out = None,
                Ok(n) if said.len() + n <= REPORT_BYTES_MAX => said.extend_from_slice(&chunk[..n]),
                Ok(_) => lifeline.cut(),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        let taken = began.elapsed();
        if taken > time + PATIENCE {
            lifeline.cut();
        }
        if taken > time + PATIENCE + LAST_PATIENCE {
            let started = said.split(|byte| *byte == b'\n').next().and_then(|line| serde_json::from_slice(line).ok());
            let group = started.and_then(|Started { group }| Pid::from_raw(group));
            // They are ended in this order, so that nobody is left to whom the group could be handed on.
            let _ = group.map(|group| kill_process_group(group, Signal::KILL));
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    let mut why = String::new();
    let _ = keeper.stderr.take().map(|pipe| pipe.take(CHUNK as u64).read_to_string(&mut why));
    let status = keeper.wait()?;
    let last = said.split(|byte| *byte == b'\n').nth(1).unwrap_or_default();
    serde_json::from_slice(last).map_err(|_| {
        let why = why.trim();
        std::io::Error::other(format!("its keeper ended with {status} and without a report: {why}"))
    })
}
