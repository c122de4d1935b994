//! What a run uses, seen from outside: the memory of its processes, and what it has written.
//!
//! Reads a directory that a hostile program writes to: follows no link, goes no deeper than it says, and counts no further than
//! the limit.

use std::collections::HashSet;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::tree::{self, Next};

/// How deep directories may lie in one another.
const DEPTH_MAX: usize = 128;
/// Bytes of a block as file systems count them.
const BLOCK: u64 = 512;
/// What the kernel writes behind the name of a file that has none any more.
const NAMELESS: &str = " (deleted)";

/// The numbers of all processes.
fn processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().to_str()?.parse().ok())
}

/// A field of `stat` behind the name, which may hold anything.
fn stat(pid: u32, field: usize) -> Option<u64> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.get(text.rfind(')')? + 1..)?.split_whitespace().nth(field)?.parse().ok()
}

fn session(pid: u32) -> Option<u32> {
    const SESSION: usize = 3;
    stat(pid, SESSION)?.try_into().ok()
}

/// When a process was started, in ticks since the machine was: with its number, what no other process has.
pub(super) fn started(pid: u32) -> Option<u64> {
    const START: usize = 19;
    stat(pid, START)
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The processes of the session `of`, without `of` itself.
pub(super) fn members(of: u32) -> Vec<u32> {
    processes().filter(|pid| *pid != of && session(*pid) == Some(of)).collect()
}

/// The memory that processes hold which is no file's, bytes.
pub(super) fn memory(members: &[u32]) -> u64 {
    let of = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        (field(&status, "RssAnon:") + field(&status, "RssShmem:")) << 10
    };
    members.iter().map(of).sum()
}

/// Processes and threads of a user.
pub(super) fn tasks_of(uid: u32) -> u64 {
    let of = |pid: u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        (field(&status, "Uid:") == u64::from(uid)).then(|| field(&status, "Threads:"))
    };
    processes().filter_map(of).sum()
}

/// Whether more lies in `directory`, or is held open without a name, than `bytes` and `files`.
pub(super) fn is_over(directory: &Path, members: &[u32], bytes: u64, files: u64) -> bool {
    let mut sum = Sum { bytes, files };
    sum.below(directory).is_none() || sum.nameless(members).is_none()
}

/// What is left of the limits; `None` where one is passed.
struct Sum {
    bytes: u64,
    files: u64,
}

impl Sum {
    fn take(&mut self, blocks: u64) -> Option<()> {
        self.files = self.files.checked_sub(1)?;
        self.bytes = self.bytes.checked_sub(blocks * BLOCK)?;
        Some(())
    }

    fn below(&mut self, directory: &Path) -> Option<()> {
        // What has gone since costs nothing.
        let Ok(top) = tree::open(directory) else { return Some(()) };
        let mut fits = Some(());
        tree::walk(
            top.as_fd(),
            |one| {
                let deep = one.path.bytes().filter(|byte| *byte == b'/').count() >= DEPTH_MAX;
                fits = fits.and_then(|()| self.take(u64::try_from(one.stat.st_blocks).unwrap_or_default()));
                fits = fits.filter(|()| !deep);
                if fits.is_some() { Next::In } else { Next::End }
            },
            |_, _| {},
        );
        fits
    }

    /// Files that processes still hold and that have no name.
    fn nameless(&mut self, members: &[u32]) -> Option<()> {
        let mut seen = HashSet::new();
        for pid in members {
            let (open, mapped) = (format!("/proc/{pid}/fd"), format!("/proc/{pid}/maps"));
            for entry in std::fs::read_dir(open).into_iter().flatten().flatten() {
                let is_nameless = entry.path().read_link().is_ok_and(|to| to.to_string_lossy().ends_with(NAMELESS));
                let Some(meta) = is_nameless.then(|| entry.path().metadata().ok()).flatten() else { continue };
                if meta.is_file() && seen.insert(meta.ino()) {
                    self.take(meta.blocks())?;
                }
            }
            let maps = std::fs::read(mapped).unwrap_or_default();
            for line in String::from_utf8_lossy(&maps).lines().filter(|line| line.ends_with(NAMELESS)) {
                let mut fields = line.split_whitespace();
                let ends = fields.next().and_then(|range| range.split_once('-'));
                let Some(inode) = fields.nth(3).and_then(|inode| inode.parse().ok()) else { continue };
                let number = |text: &str| u64::from_str_radix(text, 16).unwrap_or(0);
                let size = ends.map_or(0, |(from, to)| number(to).saturating_sub(number(from)));
                if seen.insert(inode) {
                    self.bytes = self.bytes.checked_sub(size)?;
                }
            }
        }
        Some(())
    }
}
