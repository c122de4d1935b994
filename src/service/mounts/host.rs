//! The files of the machine, as far as a mount may see them: one directory, and nothing outside of it.
//!
//! The only place of the service that touches the host. Every name is opened with `openat2` below the directory that
//! was opened first (`RESOLVE_BENEATH`, no symbolic links, no magic links): what a name leads to is decided by the kernel
//! at the moment of opening and never by a text that was looked at before. Only regular files are read; nothing waits for
//! a pipe or a device. Functions block: callers run them where blocking is allowed. Knows no permissions and no tree.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat, fchmod, fstat, mkdirat, openat2,
    renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use crate::model::ContentHash;

/// Names of files that a write-back makes beside the one it writes.
pub(super) const TEMPORARY: &str = ".nexus-lite-sync-";
/// How everything below the directory is opened.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
/// A file that was changed less than this before it was read may change again without its times telling, ns.
const SETTLED_NS: i128 = 2_000_000_000;

/// Why a name of the host was not taken. The text is for people and names no path of the machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum HostError {
    /// Nothing of this name.
    #[error("it is not there any more")]
    Gone,
    /// A link, which may lead out of the directory.
    #[error("a symbolic link, which is not followed")]
    Link,
    /// Something else has taken a directory's place.
    #[error("not a directory")]
    NoDirectory,
    /// A pipe, a socket or a device.
    #[error("not a regular file")]
    Special,
    /// More bytes than are taken.
    #[error("larger than {limit} bytes")]
    TooLarge {
        /// The limit, bytes.
        limit: u64,
    },
    /// It is not what it should be; nothing was changed.
    #[error("conflict: the host's file has changed since the last sync")]
    Changed,
    /// The system.
    #[error("{step}: {what}")]
    System {
        /// What was tried.
        step: &'static str,
        /// What the system said.
        what: String,
    },
}

impl HostError {
    fn of(step: &'static str, error: Errno) -> Self {
        match error {
            Errno::NOENT => Self::Gone,
            Errno::LOOP | Errno::XDEV => Self::Link,
            Errno::NOTDIR => Self::NoDirectory,
            // A socket cannot be opened, nor a device that is not there.
            Errno::NXIO | Errno::NODEV => Self::Special,
            error => Self::System { step, what: error.to_string() },
        }
    }
}

/// What lies in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// A regular file: its name.
    File(String),
    /// A directory: its name.
    Directory(String),
    /// What is not taken: its name, as far as it can be shown, and why.
    Refused(String, HostError),
}

/// A file that was read.
#[derive(Debug)]
pub(super) struct HostFile {
    /// Of what was read, whatever has become of the file since.
    pub(super) etag: String,
    pub(super) body: Bytes,
    /// By which it is known to be unchanged; empty = not to be trusted.
    pub(super) stamp: String,
}

/// An open directory of the machine.
#[derive(Debug)]
pub(super) struct Host {
    root: OwnedFd,
}

/// The directory of a mount's settings, if it lies in one that the configuration allows: that one and what is below it.
pub(super) fn allowed<'a>(allowed: &'a [PathBuf], dir: &str) -> Option<(&'a Path, PathBuf)> {
    let dir = Path::new(dir);
    let plain = dir.is_absolute() && dir.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
    if !plain || dir.as_os_str().as_encoded_bytes().contains(&0) {
        return None;
    }
    allowed.iter().find_map(|top| Some((top.as_path(), dir.strip_prefix(top).ok()?.to_owned())))
}

impl Host {
    /// Opens the directory `below` an allowed one. The allowed one may be reached by links, for whoever wrote the
    /// configuration meant it; nothing below it may.
    pub(super) fn open(top: &Path, below: &Path) -> Result<Self, HostError> {
        const STEP: &str = "opening the directory";
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = openat2(CWD, top, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS);
        let top = top.map_err(|e| HostError::of(STEP, e))?;
        let root = open_directory(&top, below).map_err(|e| HostError::of(STEP, e))?;
        Ok(Self { root })
    }

    /// What lies in the directory `path`, by name.
    pub(super) fn list(&self, path: &str) -> Result<Vec<Entry>, HostError> {
        let step = "listing a directory";
        let of = |e| HostError::of(step, e);
        let dir = open_directory(&self.root, Path::new(path)).map_err(of)?;
        let mut entries = Vec::new();
        for entry in Dir::read_from(&dir).map_err(of)? {
            let entry = entry.map_err(of)?;
            let name = match entry.file_name().to_str() {
                Ok("." | "..") => continue,
                Ok(name) => name.to_owned(),
                Err(_) => {
                    let shown = entry.file_name().to_bytes().escape_ascii().to_string();
                    let what = "the name is no UTF-8".to_owned();
                    entries.push(Entry::Refused(shown, HostError::System { step: "reading a name", what }));
                    continue;
                }
            };
            let kind = match entry.file_type() {
                FileType::Unknown => match statat(&dir, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                    Err(Errno::NOENT) => continue,
                    Err(error) => {
                        entries.push(Entry::Refused(name, of(error)));
                        continue;
                    }
                },
                kind => kind,
            };
            entries.push(match kind {
                FileType::RegularFile => Entry::File(name),
                FileType::Directory => Entry::Directory(name),
                FileType::Symlink => Entry::Refused(name, HostError::Link),
                _ => Entry::Refused(name, HostError::Special),
            });
        }
        entries.sort_by(|a, b| a.name().cmp(b.name()));
        Ok(entries)
    }

    /// Opens the regular file at `path`.
    fn look(&self, path: &str) -> Result<(File, Stat), HostError> {
        let step = "opening a file";
        // Without waiting: of a pipe that has taken the file's place meanwhile nobody is the other end.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = openat2(&self.root, path, flags, Mode::empty(), BENEATH).map_err(|e| HostError::of(step, e))?;
        let stat = fstat(&file).map_err(|e| HostError::of(step, e))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok((File::from(file), stat)),
            _ => Err(HostError::Special),
        }
    }

    /// Reads a file, unless its stamp is `known`: `None`.
    pub(super) fn read(
        &self,
        path: &str,
        known: Option<&str>,
        limit: u64,
        now_ns: i128,
    ) -> Result<Option<HostFile>, HostError> {
        let (mut file, before) = self.look(path)?;
        if known.is_some_and(|known| !known.is_empty() && known == stamp(&before)) {
            return Ok(None);
        }
        if size(&before) > limit {
            return Err(HostError::TooLarge { limit });
        }
        let failed = |e: std::io::Error| HostError::System { step: "reading a file", what: e.kind().to_string() };
        let mut body = Vec::with_capacity(usize::try_from(size(&before)).unwrap_or_default());
        // It may grow while it is read.
        std::io::Read::by_ref(&mut file).take(limit + 1).read_to_end(&mut body).map_err(failed)?;
        if body.len() as u64 > limit {
            return Err(HostError::TooLarge { limit });
        }
        let after = fstat(&file).map_err(|e| HostError::of("reading a file", e))?;
        let whole = stamp(&before) == stamp(&after) && size(&after) == body.len() as u64;
        let settled = whole && now_ns - changed_ns(&after) > SETTLED_NS;
        let stamp = if settled { stamp(&after) } else { String::new() };
        Ok(Some(HostFile { etag: ContentHash::of(&body).to_hex(), body: body.into(), stamp }))
    }

    /// Makes the file at `path` what `body` is, if the host has there what `expected` names (`None` = nothing). Durable
    /// when it returns. What is found in its place is put back.
    pub(super) fn write(
        &self,
        path: &str,
        body: &[u8],
        expected: Option<&str>,
        temporary: &str,
    ) -> Result<(), HostError> {
        let of = |e| HostError::of("writing a file", e);
        let (dir, name) = self.directory_of(path, expected.is_none())?;
        let mode = match expected {
            Some(_) => self.look(path).map(|(_, stat)| Mode::from_raw_mode(stat.st_mode & 0o777)).ok(),
            None => None,
        };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat2(&dir, temporary, flags, Mode::from_raw_mode(0o666), BENEATH).map_err(of)?;
        let mut made = File::from(made);
        let failed = |e: std::io::Error| HostError::System { step: "writing a file", what: e.kind().to_string() };
        let written = made.write_all(body).map_err(failed).and_then(|()| {
            mode.map_or(Ok(()), |mode| fchmod(&made, mode)).map_err(of)?;
            made.sync_all().map_err(failed)
        });
        let placed = written.and_then(|()| match expected {
            None => renameat_with(&dir, temporary, &dir, name, RenameFlags::NOREPLACE).map_err(|e| match e {
                Errno::EXIST => HostError::Changed,
                e => of(e),
            }),
            Some(etag) => exchange(&dir, temporary, name, etag),
        });
        if placed.is_err() {
            // What has this name is ours: it was made here, and what came in its place was put back.
            let _ours = unlinkat(&dir, temporary, AtFlags::empty());
        }
        placed?;
        File::from(dir).sync_all().map_err(failed)
    }

    /// Removes the file at `path`, if it is what `expected` names.
    pub(super) fn remove(&self, path: &str, expected: &str, temporary: &str) -> Result<(), HostError> {
        let of = |e| HostError::of("removing a file", e);
        let (dir, name) = self.directory_of(path, false)?;
        // Aside first, so that what is looked at is what is removed.
        renameat_with(&dir, name, &dir, temporary, RenameFlags::NOREPLACE).map_err(of)?;
        if !has(&dir, temporary, expected) {
            renameat_with(&dir, temporary, &dir, name, RenameFlags::NOREPLACE).map_err(of)?;
            return Err(HostError::Changed);
        }
        unlinkat(&dir, temporary, AtFlags::empty()).map_err(of)
    }

    /// The directory that `path` lies in and its last name; directories that are missing are made where `make` is set.
    fn directory_of<'p>(&self, path: &'p str, make: bool) -> Result<(OwnedFd, &'p str), HostError> {
        let of = |e| HostError::of("opening a directory", e);
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        match open_directory(&self.root, Path::new(above)) {
            Ok(dir) => return Ok((dir, name)),
            Err(Errno::NOENT) if make => {}
            Err(error) => return Err(of(error)),
        }
        let mut dir = open_directory(&self.root, Path::new("")).map_err(of)?;
        for part in above.split('/') {
            match mkdirat(&dir, part, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(of(error)),
            }
            dir = open_directory(&dir, Path::new(part)).map_err(of)?;
        }
        Ok((dir, name))
    }
}

impl Entry {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::File(name) | Self::Directory(name) | Self::Refused(name, _) => name,
        }
    }
}

/// Opens a directory below an open one.
fn open_directory(top: &OwnedFd, below: &Path) -> Result<OwnedFd, Errno> {
    let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat2(top, below, flags, Mode::empty(), BENEATH)
}

/// Exchanges two files of one directory and removes the one that was at `name`, if it is what `expected` names; else
/// exchanges them again.
fn exchange(dir: &OwnedFd, temporary: &str, name: &str, expected: &str) -> Result<(), HostError> {
    let of = |e| HostError::of("replacing a file", e);
    let swap = || renameat_with(dir, temporary, dir, name, RenameFlags::EXCHANGE);
    swap().map_err(|e| match e {
        Errno::NOENT => HostError::Changed,
        e => of(e),
    })?;
    if !has(dir, temporary, expected) {
        swap().map_err(of)?;
        return Err(HostError::Changed);
    }
    unlinkat(dir, temporary, AtFlags::empty()).map_err(of)
}

/// Whether a name is a regular file with this etag.
fn has(dir: &OwnedFd, name: &str, etag: &str) -> bool {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let Ok(file) = openat2(dir, name, flags, Mode::empty(), BENEATH) else { return false };
    let regular = fstat(&file).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
    regular && hash_of(&mut File::from(file)).is_ok_and(|hash| hash == etag)
}

/// The hash of everything in a file.
fn hash_of(file: &mut File) -> Result<String, ErrorKind> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).map_err(|e| e.kind())?;
    Ok(hasher.finalize().to_hex().to_string())
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

/// The later of the two times at which a file or what is said of it has changed, ns since the epoch.
fn changed_ns(stat: &Stat) -> i128 {
    let ns = |seconds: i64, ns: i128| i128::from(seconds) * 1_000_000_000 + ns;
    ns(stat.st_mtime, stat.st_mtime_nsec.into()).max(ns(stat.st_ctime, stat.st_ctime_nsec.into()))
}

/// What is different when a file has changed: the time of the last change of its state cannot be set by hand.
fn stamp(stat: &Stat) -> String {
    let (modified, changed) = ((stat.st_mtime, stat.st_mtime_nsec), (stat.st_ctime, stat.st_ctime_nsec));
    format!("{}:{}.{}:{}.{}:{}", stat.st_size, modified.0, modified.1, changed.0, changed.1, stat.st_ino)
}
