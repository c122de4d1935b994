//! Files outside the database: every operation that changes the disk, in one place, so that a test can stand in between.
//!
//! Owns how a file, a name and a directory become durable. Must never know what the files hold. Nothing here tries a
//! failed sync again: the kernel may have thrown away what it could not write and say yes the second time.
//! Invariant: a directory that `Files::make_dirs` has returned for is durable in its parent, also if somebody else
//! made it and was stopped before he could sync.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::StoreError;
use crate::model::{OsRandom, RandomSource as _};

/// Directories that are remembered as durable; past it they are forgotten, which costs a sync each.
const DURABLE_MAX: usize = 100_000;

/// An operation that changes the disk, as a [`FileWatch`] sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileOp<'a> {
    /// A new, empty file.
    Create(&'a Path),
    /// Bytes at the end of a file made by [`Create`](Self::Create).
    Write(&'a Path, &'a [u8]),
    /// The content of a file is made durable; its name is not.
    Sync(&'a Path),
    /// The names in a directory are made durable.
    SyncDir(&'a Path),
    /// Another name for a file or directory, replacing a file of that name.
    Rename(&'a Path, &'a Path),
    /// Two files or directories take each other's names, in one step.
    Exchange(&'a Path, &'a Path),
    /// A second name for the same file.
    Link(&'a Path, &'a Path),
    /// A copy of a file, not durable.
    Copy(&'a Path, &'a Path),
    /// A new directory.
    MakeDir(&'a Path),
    /// A file goes.
    Remove(&'a Path),
    /// A directory goes, with everything in it.
    RemoveAll(&'a Path),
}

/// What becomes of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is done.
    Do,
    /// It is not done, and its caller is told that it was: a disk that lies.
    Skip,
}

/// Stands between the store and the disk, for files outside the database. `Err` is the answer that the caller gets.
pub trait FileWatch: Send + Sync {
    /// `op` is about to be done.
    fn before(&self, op: FileOp<'_>) -> io::Result<Turn>;
}

/// The way to the disk for files outside the database; clones share it. In production nobody stands in between.
#[derive(Clone, Default)]
pub struct Files {
    watch: Option<Arc<dyn FileWatch>>,
    /// Directories whose names are known to be durable in their parents.
    durable: Arc<Mutex<HashSet<PathBuf>>>,
    /// Directories are not made durable.
    #[cfg(feature = "faults")]
    no_directory_syncs: bool,
}

/// A file that is being written for the first time.
pub(crate) struct NewFile {
    files: Files,
    path: PathBuf,
    file: File,
}

impl Files {
    /// With `watch` in between.
    pub fn watched(watch: Arc<dyn FileWatch>) -> Self {
        Self { watch: Some(watch), ..Self::default() }
    }

    /// As these, but directories are not made durable.
    pub(super) fn without_directory_syncs(self) -> Self {
        Self {
            #[cfg(feature = "faults")]
            no_directory_syncs: true,
            ..self
        }
    }

    /// Whether the operation is to be done.
    fn ask(&self, op: FileOp<'_>) -> io::Result<bool> {
        match &self.watch {
            None => Ok(true),
            Some(watch) => watch.before(op).map(|turn| turn == Turn::Do),
        }
    }

    /// Does `work` unless the operation is refused or skipped.
    fn run(&self, op: FileOp<'_>, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if self.ask(op)? { work() } else { Ok(()) }
    }

    /// Makes a new file that only its owner may read; an error if there is one.
    pub(crate) fn create(&self, path: &Path) -> io::Result<NewFile> {
        // A file that was not made cannot be written: this one is never skipped.
        self.ask(FileOp::Create(path))?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(NewFile { files: self.clone(), path: path.to_owned(), file })
    }

    /// Makes the content of the file at `path` durable.
    pub(crate) fn sync(&self, path: &Path) -> io::Result<()> {
        self.run(FileOp::Sync(path), || File::open(path)?.sync_all())
    }

    /// Makes the names in `dir` durable.
    pub(crate) fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        #[cfg(feature = "faults")]
        if self.no_directory_syncs {
            return Ok(());
        }
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        self.run(FileOp::SyncDir(dir), || File::open(dir)?.sync_all())
    }

    /// Gives the file or directory `from` the name `to`.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if from.is_dir() {
            self.forget();
        }
        self.run(FileOp::Rename(from, to), || std::fs::rename(from, to))
    }

    /// Swaps the names of two files or directories in one step; not every file system can.
    pub(crate) fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        self.forget();
        let swap = || renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).map_err(io::Error::from);
        self.run(FileOp::Exchange(one, other), swap)
    }

    /// Gives the file `from` the further name `to`.
    pub(crate) fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run(FileOp::Link(from, to), || std::fs::hard_link(from, to))
    }

    /// Copies the file `from`; not durable.
    pub(crate) fn copy(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.run(FileOp::Copy(from, to), || std::fs::copy(from, to).map(|_| ()))
    }

    /// Removes the file at `path`.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.run(FileOp::Remove(path), || std::fs::remove_file(path))
    }

    /// Removes the directory at `dir` with everything in it.
    pub(crate) fn remove_all(&self, dir: &Path) -> io::Result<()> {
        self.forget();
        self.run(FileOp::RemoveAll(dir), || std::fs::remove_dir_all(dir))
    }

    /// Makes `dir` and what is missing above it, mode 0700; what was made is durable in its parent.
    pub(crate) fn make_path(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() || dir.as_os_str().is_empty() {
            return Ok(());
        }
        let parent = dir.parent().unwrap_or(Path::new("/"));
        self.make_path(parent)?;
        match self.run(FileOp::MakeDir(dir), || DirBuilder::new().mode(0o700).create(dir)) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists || !dir.is_dir() => Err(e),
            _ => self.sync_dir(parent),
        }
    }

    /// Makes the directories from `base`, which is there, down to `dir`, mode 0700; each is durable in its parent.
    pub(crate) fn make_dirs(&self, base: &Path, dir: &Path) -> Result<(), StoreError> {
        if dir == base || self.durable.lock().contains(dir) {
            return Ok(());
        }
        let Some(parent) = dir.parent().filter(|parent| parent.starts_with(base)) else { return Ok(()) };
        self.make_dirs(base, parent)?;
        let there = dir.is_dir();
        if !there {
            match self.run(FileOp::MakeDir(dir), || DirBuilder::new().mode(0o700).create(dir)) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(StoreError::io("making", dir, e)),
                _ => {}
            }
        }
        // Also if it was there: who made it may be about to sync, or was stopped before.
        match self.sync_dir(parent) {
            // Somebody else's directory, in which ours was made for us.
            Err(e) if there && e.kind() == io::ErrorKind::PermissionDenied => {}
            synced => synced.map_err(|e| StoreError::io("syncing", parent, e))?,
        }
        let mut durable = self.durable.lock();
        if durable.len() >= DURABLE_MAX {
            durable.clear();
        }
        durable.insert(dir.to_owned());
        Ok(())
    }

    /// Names have changed: what is durable is asked anew.
    fn forget(&self) {
        self.durable.lock().clear();
    }
}

impl NewFile {
    /// Adds `bytes` at the end.
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Self { files, path, file } = self;
        files.run(FileOp::Write(path, bytes), || file.write_all(bytes))
    }

    /// Adds blocks for `bytes` that are really taken: by asking for them, or by writing where the file system cannot do
    /// that, bytes by chance, because some compress.
    pub(crate) fn take(&mut self, bytes: u64) -> io::Result<()> {
        use rustix::io::Errno;
        const CHUNK_BYTES: u64 = 64 * 1024;
        if !self.files.ask(FileOp::Write(&self.path, &[]))? {
            return Ok(());
        }
        match rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            taken => return taken.map_err(io::Error::from),
        }
        let mut left = bytes;
        while left > 0 {
            let mut chunk = vec![0; usize::try_from(left.min(CHUNK_BYTES)).unwrap_or(0)];
            OsRandom.fill(&mut chunk);
            self.file.write_all(&chunk)?;
            left -= chunk.len() as u64;
        }
        Ok(())
    }

    /// Makes the content durable.
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        self.files.run(FileOp::Sync(&self.path), || self.file.sync_all())
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Files").field("watched", &self.watch.is_some()).finish_non_exhaustive()
    }
}
