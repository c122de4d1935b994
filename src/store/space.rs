//! Space on the disk: how much there is, what happens when there is little, and which disks are not used at all.
//!
//! Owns the look at the file system (injected, as time and chance are), the watermark below which only what frees space
//! is taken, and the ballast: a file that holds space back, given up when the disk is full so that deletes and a
//! checkpoint can run. Must never know who asks for what: a message says itself whether it makes the store larger.
//!
//! Invariant: what is refused here is refused before anything of it is written; reads are never refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use serde::Serialize;

use super::StoreError;
use super::ballast;
use super::error::Place;
use super::files::Files;
use super::metrics::Metrics;
use super::options::Limits;

/// With less than this a start gives the ballast up before it opens the database: the index of the log (32 KiB), the
/// rows of the start, the lock. Bytes.
pub(super) const START_BYTES: u64 = 1 << 20;
/// The ballast is made anew when this many times its size is free.
const BALLAST_TIMES: u64 = 4;
/// Above the watermark by this share of it, writes are taken again: no going back and forth.
const LEAVE_SHARE: u64 = 8;
/// Ticks for which nothing that grows is taken after a write has met a full disk, whatever the file system says of its
/// free space (quotas and reserves are not in it).
const HOLD_TICKS: u32 = 5;
/// Ticks until the ballast is tried again when it could not be made.
const RETRY_TICKS: u32 = 60;
/// Fewer free files than this is a full disk, too.
const FILES_MIN: u64 = 64;
/// What a file system says of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Look {
    /// Bytes that may still be written by this user.
    pub free: u64,
    /// Size of the file system, bytes.
    pub total: u64,
    /// Files that may still be made; `None` = it does not count them.
    pub files_free: Option<u64>,
    /// The magic number of its kind (`statfs`); 0 = not known.
    pub kind: u64,
    /// The largest size of a file of this process (`RLIMIT_FSIZE`), bytes; `None` = no limit.
    pub file_size_max: Option<u64>,
}

impl Look {
    /// The kind as people call it.
    #[must_use]
    pub fn kind_name(&self) -> &'static str {
        KINDS.iter().chain(NETWORKS).find(|(kind, _)| *kind == self.kind).map_or("unknown", |(_, name)| name)
    }

    /// Whether other machines, or another program, stand between this one and the disk: locks, shared memory and syncs
    /// are then not what a database needs.
    #[must_use]
    pub fn is_network(&self) -> bool {
        NETWORKS.iter().any(|(kind, _)| *kind == self.kind)
    }
}

/// Magic numbers of local file systems (linux/magic.h), for messages.
const KINDS: &[(u64, &str)] = &[
    (0xEF53, "ext4"),
    (0x0102_1994, "tmpfs"),
    (0x5846_5342, "xfs"),
    (0x9123_683E, "btrfs"),
    (0x2FC1_2FC1, "zfs"),
    (0x794C_7630, "overlayfs"),
    (0xF2F5_2010, "f2fs"),
    (0xCA45_1A4E, "bcachefs"),
    (0x4d44, "vfat"),
    (0x2011_BAB0, "exfat"),
    (0x7366_746E, "ntfs"),
];

/// Those that are not local.
const NETWORKS: &[(u64, &str)] = &[
    (0x6969, "nfs"),
    (0x517B, "smb"),
    (0xFE53_4D42, "smb2"),
    (0xFF53_4D42, "cifs"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "fuse"),
    (0x5346_414F, "afs"),
    (0x6B41_4653, "kafs"),
    (0x7375_7245, "coda"),
    (0x564C, "ncp"),
    (0x00C3_6400, "ceph"),
    (0x0BD0_0BD0, "lustre"),
    (0x786F_4256, "vboxsf"),
    (0xBACB_ACBC, "vmhgfs"),
];

/// Where a [`Look`] comes from. Tests make their own.
pub trait Probe: Send + Sync + std::fmt::Debug {
    /// Looks at the file system of `dir`.
    fn look(&self, dir: &Path) -> std::io::Result<Look>;
}

/// A probe that clones share.
pub type SharedProbe = Arc<dyn Probe>;

/// What the operating system says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Machine;

impl Probe for Machine {
    fn look(&self, dir: &Path) -> std::io::Result<Look> {
        let found = rustix::fs::statvfs(dir)?;
        let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
        Ok(Look {
            free: found.f_bavail.saturating_mul(found.f_frsize),
            total: found.f_blocks.saturating_mul(found.f_frsize),
            files_free: (found.f_files > 0).then_some(found.f_favail),
            kind: kind(dir)?,
            file_size_max: limit,
        })
    }
}

#[cfg(target_os = "linux")]
fn kind(dir: &Path) -> std::io::Result<u64> {
    // The width and the sign of the field differ between machines; magic numbers have 32 bits.
    #[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, reason = "the lower 32 bits are the number")]
    Ok(u64::from(rustix::fs::statfs(dir)?.f_type as u32))
}

#[cfg(not(target_os = "linux"))]
fn kind(_: &Path) -> std::io::Result<u64> {
    Ok(0)
}

/// Looks at the file system of `dir`, without a store: for tools.
pub fn look(dir: &Path) -> Result<Look, StoreError> {
    Machine.look(dir).map_err(|e| StoreError::io("looking at the disk of", dir, e))
}

/// Refuses a file system on which a database is not safe.
pub(super) fn refuse_network(dir: &Path, look: &Look, allowed: bool) -> Result<(), StoreError> {
    if !look.is_network() {
        return Ok(());
    }
    let kind = look.kind_name();
    if allowed {
        tracing::warn!(
            kind,
            dir = %dir.display(),
            "the data directory is on a network file system, as allow_network_fs permits: a server on another machine \
             may not see this one's lock, and what is acknowledged is as durable as that file system's sync"
        );
        return Ok(());
    }
    Err(StoreError::Unsuitable {
        place: Place::Network,
        path: dir.display().to_string(),
        what: format!("it is on a network file system ({kind}), whose locks and syncs a database cannot rely on"),
        remedy: "Give a --data-dir on a local disk; if no other machine ever uses this one, --allow-network-fs".into(),
    })
}

/// The space of an open store, as `status` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpaceStatus {
    /// Bytes that may still be written, by the last look.
    pub free_bytes: u64,
    /// Size of the file system, bytes.
    pub total_bytes: u64,
    /// With less than this, only what frees space is taken. Bytes.
    pub floor_bytes: u64,
    /// The kind of the file system.
    pub kind: &'static str,
    /// Size of the ballast that is there, bytes; 0 = none now.
    pub ballast_bytes: u64,
    /// Why only reads and deletes are taken, and what to do; `None` = everything is taken.
    pub degraded: Option<String>,
}

/// The watch over the disk of one open store.
pub(super) struct Space {
    probe: SharedProbe,
    files: Files,
    dir: PathBuf,
    /// The largest files of the store: a limit on the size of a file is theirs.
    large: [PathBuf; 2],
    floor: u64,
    ballast: u64,
    /// What admission asks.
    low: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    look: Option<Look>,
    degraded: Option<String>,
    hold: u32,
    retry: u32,
    /// Size of the ballast that is there; 0 = none.
    ballast: u64,
}

impl Space {
    /// A watch that has not looked yet.
    pub(super) fn new(probe: SharedProbe, files: &Files, dir: &Path, large: [PathBuf; 2], limits: &Limits) -> Self {
        let floor = limits.wal_bytes.saturating_mul(2).max(limits.free_floor_bytes);
        let state = Mutex::default();
        let (dir, files, ballast) = (dir.to_owned(), files.clone(), limits.ballast_bytes);
        Self { probe, files, dir, large, floor, ballast, low: AtomicBool::new(false), state }
    }

    /// Before the database is opened: refuses a network file system, takes note of the ballast, and gives it up when
    /// there is not even space to start.
    pub(super) fn start(&self, allow_network: bool) -> Result<(), StoreError> {
        let look = self.fresh().map_err(|e| StoreError::io("looking at the disk of", &self.dir, e))?;
        refuse_network(&self.dir, &look, allow_network)?;
        let mut state = self.state.lock();
        match ballast::size(&self.dir) {
            Some(0) => self.drop_ballast(&mut state, "it holds nothing back"),
            // Of another setting, perhaps: changed by the first tick that has space for it.
            size => state.ballast = size.unwrap_or(0),
        }
        if look.free < START_BYTES && state.ballast > 0 {
            self.drop_ballast(&mut state, "there is no space left to start");
        }
        Ok(())
    }

    /// Whether there is a disk to watch: a database server has its own, which only its errors tell of.
    fn is_here(&self) -> bool {
        !self.dir.as_os_str().is_empty()
    }

    /// Whether a message that makes the store larger is refused now.
    pub(super) fn is_low(&self) -> bool {
        self.low.load(Ordering::Relaxed)
    }

    /// Refuses a file of `bytes` that would leave less than the watermark.
    pub(super) fn room_for(&self, bytes: u64, metrics: &Metrics) -> Result<(), StoreError> {
        self.look_again(metrics);
        let state = self.state.lock();
        let room = state.look.is_none_or(|look| look.free >= self.floor.saturating_add(bytes));
        if room && state.degraded.is_none() { Ok(()) } else { Err(StoreError::Full) }
    }

    /// Looks, and takes or refuses what grows from now on.
    pub(super) fn look_again(&self, metrics: &Metrics) {
        if !self.is_here() {
            return;
        }
        let look = match self.fresh() {
            Ok(look) => look,
            Err(error) => {
                tracing::warn!(%error, dir = %self.dir.display(), "the space on the disk is not known");
                return;
            }
        };
        let mut state = self.state.lock();
        state.look = Some(look);
        let few_files = look.files_free.is_some_and(|files| files < FILES_MIN);
        let enough = self.floor.saturating_add(if state.degraded.is_some() { self.floor / LEAVE_SHARE } else { 0 });
        if look.free < enough || few_files {
            if state.degraded.is_none() {
                let what = if look.free < enough {
                    format!("{} bytes are left on the disk, {} must be", look.free, self.floor)
                } else {
                    format!("no more than {FILES_MIN} files can be made on the disk")
                };
                self.degrade(&mut state, &what);
            }
        } else if state.degraded.is_some() && state.hold == 0 {
            state.degraded = None;
            self.low.store(false, Ordering::Relaxed);
            tracing::info!(free = look.free, "there is space on the disk again: all writes are taken");
        }
        self.report(&state, metrics);
    }

    /// Once a second: looks, and makes the ballast anew when there is space for it.
    pub(super) fn tick(&self, metrics: &Metrics) {
        if !self.is_here() {
            return;
        }
        {
            let mut state = self.state.lock();
            state.hold = state.hold.saturating_sub(1);
            state.retry = state.retry.saturating_sub(1);
        }
        self.look_again(metrics);
        let mut state = self.state.lock();
        let Some(look) = state.look else { return };
        let fits = look.file_size_max.is_none_or(|max| max >= self.ballast);
        let leaves = self.floor + self.floor / LEAVE_SHARE + self.ballast;
        let other = self.ballast > 0 && state.ballast != self.ballast;
        let wanted = other && state.degraded.is_none() && state.retry == 0 && fits;
        if !wanted || look.free <= self.ballast.saturating_mul(BALLAST_TIMES) || look.free < leaves {
            return;
        }
        match ballast::make(&self.files, &self.dir, self.ballast) {
            Ok(()) => {
                state.ballast = self.ballast;
                tracing::info!(bytes = self.ballast, "space is held back for the day when the disk is full");
            }
            Err(error) => {
                (state.ballast, state.retry) = (0, RETRY_TICKS);
                tracing::warn!(%error, "no space could be held back for the day when the disk is full");
            }
        }
        self.report(&state, metrics);
    }

    /// A write has met a full disk: takes nothing that grows, and gives the ballast up. Returns whether that has
    /// given space back.
    pub(super) fn met_full(&self, metrics: &Metrics) -> bool {
        if !self.is_here() {
            return false;
        }
        let mut state = self.state.lock();
        state.hold = HOLD_TICKS;
        if state.degraded.is_none() {
            self.degrade(&mut state, "a write has met a full disk");
        }
        let had = state.ballast > 0;
        if had {
            self.drop_ballast(&mut state, "the disk is full");
        }
        self.report(&state, metrics);
        had && state.ballast == 0
    }

    /// What `status` shows.
    pub(super) fn status(&self) -> SpaceStatus {
        let state = self.state.lock();
        SpaceStatus {
            free_bytes: state.look.map_or(0, |look| look.free),
            total_bytes: state.look.map_or(0, |look| look.total),
            floor_bytes: self.floor,
            kind: state.look.map_or("unknown", |look| look.kind_name()),
            ballast_bytes: state.ballast,
            degraded: state.degraded.clone(),
        }
    }

    /// What there is now: free space, or what is left below the largest size of a file.
    fn fresh(&self) -> std::io::Result<Look> {
        let mut look = self.probe.look(&self.dir)?;
        if let Some(max) = look.file_size_max {
            let largest =
                self.large.iter().filter_map(|file| std::fs::metadata(file).ok()).map(|file| file.len()).max();
            look.free = look.free.min(max.saturating_sub(largest.unwrap_or(0)));
        }
        Ok(look)
    }

    fn degrade(&self, state: &mut State, what: &str) {
        let text = format!(
            "storage full: {what}; reads, deletes and revokes are taken, nothing that grows. Free space on the disk \
             of {}",
            self.dir.display()
        );
        tracing::error!(reason = text, "degraded");
        state.degraded = Some(text);
        self.low.store(true, Ordering::Relaxed);
    }

    fn drop_ballast(&self, state: &mut State, why: &str) {
        match ballast::drop(&self.files, &self.dir) {
            Ok(()) => {
                tracing::warn!(bytes = state.ballast, why, "the space that was held back is given up");
                state.ballast = 0;
            }
            Err(error) => tracing::error!(%error, "the space that was held back could not be given up"),
        }
    }

    fn report(&self, state: &State, metrics: &Metrics) {
        metrics.disk_free_bytes.set(state.look.map_or(0.0, |look| look.free as f64));
        metrics.disk_degraded.set(if state.degraded.is_some() { 1.0 } else { 0.0 });
        metrics.ballast_bytes.set(state.ballast as f64);
    }
}
