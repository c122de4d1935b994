//! The files of a connected sandbox: a copy below its directory, and what was copied.
//!
//! Knows paths and bytes, never who may read them. What programs have made of the copy is looked at without following
//! anything: links, second names of files, pipes, sockets and devices are told and not taken. The list of what was copied
//! lies beside the sandboxes, where no program comes to.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, fchown, mkdirat, openat2, renameat_with, statat};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use serde::{Deserialize, Serialize};

use super::tree::{self, BENEATH, Next};

/// The directory of a sandbox in which the copy lies.
pub const FOLDER: &str = "nexus";
/// Where it lies if not everything of it was brought back.
const KEPT: &str = "nexus-kept";
/// So many kept ones stay.
const KEPT_MAX: usize = 100;
/// Where the lists are, beside the sandboxes.
const LISTS: &str = ".connected";
/// Files that are copied in, or brought back, at most.
pub const FILES_MAX: usize = 10_000;
/// Bytes of all of them together.
pub const BYTES_MAX: u64 = 256 << 20;
/// How deep they may lie.
pub const DEPTH_MAX: usize = 100;
/// What a file may have grown since it was looked at, bytes: all that are read at a time are in memory, and programs run on.
const GROWTH_MAX: u64 = 1 << 20;
/// Names that are told of what was not taken.
const LEFT_MAX: usize = 1_000;

/// A file as it was copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// The version that the server had.
    pub etag: String,
    /// BLAKE3 of what was copied, hex; another one than the etag where whoever connected sees a part of it.
    pub hash: String,
}

/// What was copied, for whom.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Connection {
    /// Whether the copy is whole.
    pub whole: bool,
    /// The directory of the tree.
    pub workspace: String,
    /// The tenant of whoever connected.
    pub tenant: String,
    /// The user.
    pub user: String,
    /// The agent that acted.
    pub agent: Option<String>,
    /// Unix time, µs.
    pub at_us: i64,
    /// Each file, by its path without the leading slash.
    pub files: BTreeMap<String, Copied>,
    /// Files that whoever connected may not read.
    pub withheld: u64,
}

/// What has become of a copy.
#[derive(Debug, Default)]
pub struct Found {
    /// Regular files and their sizes, by path.
    pub files: Vec<(String, u64)>,
    /// What is not taken, and why; the first of them.
    pub left: Vec<(String, String)>,
    /// Paths of which, and below which, nothing is known.
    pub unknown: Vec<String>,
}

impl Found {
    fn leave(&mut self, path: &str, why: impl Into<String>) {
        self.unknown.push(path.to_owned());
        if self.left.len() < LEFT_MAX {
            self.left.push((path.to_owned(), why.into()));
        }
    }

    /// Whether it is known that nothing is at `path`, if it is not among the files.
    #[must_use]
    pub fn knows(&self, path: &str) -> bool {
        let hides = |unknown: &String| {
            unknown.is_empty()
                || path.strip_prefix(unknown.as_str()).is_some_and(|r| r.is_empty() || r.starts_with('/'))
        };
        !self.unknown.iter().any(hides)
    }
}

/// The copy of one sandbox.
#[derive(Debug)]
pub struct Files {
    sandbox: OwnedFd,
    owner: Option<u32>,
    list: PathBuf,
    seen: String,
}

impl Files {
    /// Of the sandbox `id` below `root`, whose programs are `owner` and see the copy as `seen`.
    pub(super) fn open(root: &Path, id: &str, owner: Option<u32>, seen: String) -> Result<Self, Error> {
        Ok(Self { sandbox: tree::open(&root.join(id))?, owner, list: list_of(root, id), seen })
    }

    /// Where programs find the copy.
    #[must_use]
    pub fn seen(&self) -> &str {
        &self.seen
    }

    /// What was copied; `None` if nothing is connected.
    pub fn connection(&self) -> Result<Option<Connection>, Error> {
        let text = match std::fs::read(&self.list) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        serde_json::from_slice(&text).map(Some).map_err(Error::other)
    }

    /// Remembers what was copied.
    pub fn remember(&self, connection: &Connection) -> Result<(), Error> {
        let above = self.list.parent().unwrap_or(&self.list);
        match super::local::private(false).create(above) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        let written = self.list.with_extension("new");
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&written)?;
        file.write_all(&serde_json::to_vec(connection)?)?;
        file.sync_all()?;
        std::fs::rename(written, &self.list)
    }

    /// Begins a copy: what a copy that was not ended has left is removed. An error if something else has the folder's name.
    pub fn begin(&self, connection: &Connection) -> Result<(), Error> {
        if self.connection()?.is_some() {
            tree::remove(self.sandbox.as_fd(), FOLDER)?;
        }
        self.remember(connection)?;
        let made = mkdirat(&self.sandbox, FOLDER, Mode::from_raw_mode(0o700));
        let made = made.and_then(|()| self.hand_over(&tree::open_below(&self.sandbox, FOLDER)?));
        if let Err(error) = made {
            self.forget()?;
            return Err(error.into());
        }
        Ok(())
    }

    /// Copies one file in.
    pub fn put(&self, path: &str, body: &[u8]) -> Result<(), Error> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let dir = self.directory(above)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat2(&dir, name, flags, Mode::from_raw_mode(0o600), BENEATH)?;
        self.hand_over(&file)?;
        std::fs::File::from(file).write_all(body)
    }

    /// A directory of the copy, made if it is missing.
    fn directory(&self, path: &str) -> Result<OwnedFd, Errno> {
        let mut dir = tree::open_below(&self.sandbox, FOLDER)?;
        match tree::open_below(&dir, path) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
        for part in path.split('/') {
            let made = mkdirat(&dir, part, Mode::from_raw_mode(0o700));
            let below = match made {
                Ok(()) | Err(Errno::EXIST) => tree::open_below(&dir, part)?,
                Err(error) => return Err(error),
            };
            if made.is_ok() {
                self.hand_over(&below)?;
            }
            dir = below;
        }
        Ok(dir)
    }

    /// Makes the sandbox's user the owner of what was made.
    fn hand_over(&self, made: &OwnedFd) -> Result<(), Errno> {
        let Some(user) = self.owner else { return Ok(()) };
        fchown(made, Some(Uid::from_raw(user)), Some(Gid::from_raw(user)))
    }

    /// Looks at what has become of the copy. An error if it is more than may be brought back.
    pub fn look(&self) -> Result<Found, Error> {
        let mut found = Found::default();
        let top = match tree::open_below(&self.sandbox, FOLDER) {
            Ok(top) => top,
            Err(error) => {
                found.leave("", format!("the directory of the copy cannot be opened: {error}"));
                return Ok(found);
            }
        };
        let (mut bytes, mut met) = (0_u64, 0_usize);
        let mut lost = Vec::new();
        tree::walk(
            top.as_fd(),
            |one| {
                met += 1;
                if found.files.len() > FILES_MAX || bytes > BYTES_MAX || met > 4 * FILES_MAX {
                    return Next::End;
                }
                let deep = one.path.bytes().filter(|byte| *byte == b'/').count() >= DEPTH_MAX;
                match tree::kind(one.stat) {
                    _ if !one.is_plain => found.leave(one.path, "its name is no UTF-8"),
                    FileType::Directory if deep => found.leave(one.path, "it lies too deep"),
                    FileType::Directory => return Next::In,
                    FileType::RegularFile if one.stat.st_nlink > 1 => found.leave(one.path, SECOND_NAME),
                    FileType::RegularFile => {
                        let size = u64::try_from(one.stat.st_size).unwrap_or_default();
                        bytes += size;
                        found.files.push((one.path.to_owned(), size));
                    }
                    FileType::Symlink => found.leave(one.path, "a symbolic link, which is not followed"),
                    _ => found.leave(one.path, SPECIAL),
                }
                Next::Past
            },
            |path, error| lost.push((path.to_owned(), error)),
        );
        for (path, error) in lost {
            found.leave(&path, error.to_string());
        }
        if found.files.len() > FILES_MAX || bytes > BYTES_MAX || met > 4 * FILES_MAX {
            return Err(Error::other(format!(
                "there are more than {FILES_MAX} files or {} MiB in it; nothing was brought back",
                BYTES_MAX >> 20
            )));
        }
        found.files.sort();
        Ok(found)
    }

    /// Reads a file of the copy that had `size` bytes when it was looked at, whatever it has become since; or says why it is
    /// not taken.
    pub fn take(&self, path: &str, size: u64) -> Result<Vec<u8>, String> {
        let (file, stat) = tree::open_below(&self.sandbox, FOLDER)
            .and_then(|top| tree::open_file(top.as_fd(), path))
            .map_err(|error| match error {
            Errno::LOOP | Errno::XDEV => "a symbolic link, which is not followed".to_owned(),
            Errno::NXIO | Errno::NODEV => SPECIAL.to_owned(),
            error => error.to_string(),
        })?;
        match tree::kind(&stat) {
            FileType::RegularFile if stat.st_nlink > 1 => return Err(SECOND_NAME.to_owned()),
            FileType::RegularFile => {}
            _ => return Err(SPECIAL.to_owned()),
        }
        if self.owner.is_some_and(|owner| owner != stat.st_uid) {
            return Err("it belongs to somebody else".to_owned());
        }
        let mut body = Vec::new();
        let most = size + GROWTH_MAX;
        file.take(most + 1).read_to_end(&mut body).map_err(|error| error.to_string())?;
        if body.len() as u64 > most {
            return Err("it grew while it was brought back; try again when nothing writes to it".to_owned());
        }
        Ok(body)
    }

    /// Ends the connection: the copy is removed, or where `keep` is set laid aside; the name that it has then.
    pub fn end(&self, keep: bool) -> Result<Option<String>, Error> {
        let kept = if keep { self.lay_aside()? } else { None };
        if kept.is_none() {
            tree::remove(self.sandbox.as_fd(), FOLDER)?;
        }
        self.forget()?;
        Ok(kept)
    }

    fn lay_aside(&self) -> Result<Option<String>, Error> {
        if statat(&self.sandbox, FOLDER, AtFlags::SYMLINK_NOFOLLOW).is_err() {
            return Ok(None);
        }
        for number in 1..=KEPT_MAX {
            let name = format!("{KEPT}-{number}");
            match renameat_with(&self.sandbox, FOLDER, &self.sandbox, &name, RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(Some(name)),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::other(format!("there are {KEPT_MAX} copies already that were laid aside; remove some")))
    }

    fn forget(&self) -> Result<(), Error> {
        forget(&self.list)
    }
}

const SECOND_NAME: &str = "the file has a second name (a hard link), and may be another's";
const SPECIAL: &str = "a pipe, a socket or a device";

/// Where the list of a sandbox is.
fn list_of(root: &Path, id: &str) -> PathBuf {
    root.join(LISTS).join(format!("{id}.json"))
}

/// Forgets what was copied into the sandbox `id`, which is gone.
pub(super) fn forget_all(root: &Path, id: &str) -> Result<(), Error> {
    forget(&list_of(root, id))
}

fn forget(list: &Path) -> Result<(), Error> {
    match std::fs::remove_file(list) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Connection {
        Connection {
            whole: false,
            workspace: "/".into(),
            tenant: "default".into(),
            user: "a".into(),
            agent: None,
            at_us: 0,
            files: BTreeMap::new(),
            withheld: 0,
        }
    }

    #[test]
    fn nothing_is_taken_that_is_no_file_of_the_copy() {
        let root = tempfile::tempdir().expect("a directory");
        let sandbox = root.path().join("sb-1");
        std::fs::create_dir(&sandbox).expect("made");
        std::fs::write(root.path().join("secret"), "of the machine").expect("written");
        let files = Files::open(root.path(), "sb-1", None, "/seen".into()).expect("there");
        files.begin(&empty()).expect("begun");
        files.put("a/b/file", b"1").expect("copied");
        files.put("plain", b"2").expect("copied");
        assert!(files.put("plain", b"3").is_err(), "a file is made once");
        let copy = sandbox.join(FOLDER);
        std::os::unix::fs::symlink(root.path(), copy.join("out")).expect("a link");
        std::os::unix::fs::symlink(root.path().join("secret"), copy.join("link")).expect("a link");
        std::fs::hard_link(root.path().join("secret"), copy.join("second")).expect("a name");
        rustix::fs::mknodat(rustix::fs::CWD, copy.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0)
            .expect("a pipe");
        let found = files.look().expect("looked at");
        let names: Vec<_> = found.files.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(names, ["a/b/file", "plain"]);
        let mut left: Vec<_> = found.left.iter().map(|(path, _)| path.as_str()).collect();
        left.sort_unstable();
        assert_eq!(left, ["link", "out", "pipe", "second"]);
        for path in ["link", "out/secret", "second", "pipe", "../../secret", "a/b", "none"] {
            assert!(files.take(path, 1).is_err(), "{path}");
        }
        assert_eq!(files.take("a/b/file", 1).expect("taken"), b"1");
        let grown = std::fs::OpenOptions::new().write(true).open(copy.join("a/b/file")).expect("there");
        grown.set_len(GROWTH_MAX + 1).expect("a hole");
        assert_eq!(files.take("a/b/file", 1).expect("a little more").len() as u64, GROWTH_MAX + 1);
        grown.set_len(GROWTH_MAX + 2).expect("a hole");
        assert!(files.take("a/b/file", 1).expect_err("too much").starts_with("it grew"));
        assert!(!found.knows("out/secret") && !found.knows("link") && found.knows("gone"));
    }

    #[test]
    fn a_copy_that_was_not_ended_is_begun_again_and_one_that_was_is_laid_aside_or_gone() {
        let root = tempfile::tempdir().expect("a directory");
        let sandbox = root.path().join("sb-1");
        std::fs::create_dir(&sandbox).expect("made");
        let files = Files::open(root.path(), "sb-1", None, "/seen".into()).expect("there");
        assert!(files.connection().expect("readable").is_none());
        files.begin(&empty()).expect("begun");
        files.put("file", b"1").expect("copied");
        files.begin(&empty()).expect("begun again");
        files.put("file", b"2").expect("copied");
        assert_eq!(files.end(true).expect("ended").as_deref(), Some("nexus-kept-1"));
        assert_eq!(std::fs::read(sandbox.join("nexus-kept-1/file")).expect("kept"), b"2");
        assert!(files.connection().expect("readable").is_none());
        std::fs::create_dir(sandbox.join(FOLDER)).expect("the program's own");
        assert!(files.begin(&empty()).is_err(), "what is not ours stays");
        assert!(sandbox.join(FOLDER).exists() && files.connection().expect("readable").is_none());
    }
}
