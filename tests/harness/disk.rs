//! A disk that writes down everything that is done to it, in one order with what was acknowledged.
//!
//! Owns the log. Stands under SQLite ([`Disk`]) and under the files outside it ([`FileWatch`]) at the same time; both
//! go on to the real disk, so that the store runs as always. Shared memory is never written down: recovery makes it
//! anew. What becomes of the log when the power goes is decided in `image.rs`.

use std::collections::HashSet;
use std::ffi::c_int;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nexus_lite::model::Rev;
use nexus_lite::store::{FileOp, FileWatch, Files, Options, Turn};
use parking_lot::Mutex;
use rusqlite::ffi;

use super::vfs::{self, Disk, File};

/// One line of the log.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A new, empty file.
    Create(PathBuf),
    /// A new directory.
    MakeDir(PathBuf),
    /// Bytes at a place of a file; `None` = at its end.
    Write(PathBuf, Option<usize>, Arc<[u8]>),
    /// A file is cut, or made longer.
    Truncate(PathBuf, usize),
    /// The content of a file is durable.
    Sync(PathBuf),
    /// The names in a directory are durable.
    SyncDir(PathBuf),
    /// A file has another name.
    Rename(PathBuf, PathBuf),
    /// A file has a further name.
    Link(PathBuf, PathBuf),
    /// A file has no name.
    Remove(PathBuf),
    /// A reply was received that named this revision.
    Acknowledged(Rev),
}

/// What the disk does not do although it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// It does what it says.
    Nothing,
    /// No sync of a file does anything.
    Syncs,
    /// No sync of a directory of blobs does anything.
    DirectorySyncs,
}

/// The disk.
pub(crate) struct Recorder {
    lie: Lie,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    log: Vec<Event>,
    /// Names that are there.
    names: HashSet<PathBuf>,
    /// Files of SQLite whose first sync makes their directory durable as well.
    fresh: HashSet<PathBuf>,
}

impl Recorder {
    pub(crate) fn new(lie: Lie) -> Arc<Self> {
        Arc::new(Self { lie, state: Mutex::default() })
    }

    /// Puts the disk under a store that will be opened with `options`.
    pub(crate) fn under(self: &Arc<Self>, options: &mut Options) {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("recorder-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        vfs::register(&name, Arc::<Self>::clone(self));
        options.vfs = Some(name);
        options.files = Files::watched(Arc::<Self>::clone(self));
    }

    /// A reply that named `rev` was received.
    pub(crate) fn acknowledged(&self, rev: Rev) {
        self.state.lock().log.push(Event::Acknowledged(rev));
    }

    /// The log, which begins anew.
    pub(crate) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.state.lock().log)
    }
}

impl State {
    fn create(&mut self, path: &Path) {
        if self.names.insert(path.to_owned()) {
            self.log.push(Event::Create(path.to_owned()));
        }
    }

    fn remove(&mut self, path: &Path) {
        if self.names.remove(path) {
            self.log.push(Event::Remove(path.to_owned()));
        }
    }
}

impl Disk for Recorder {
    fn open(&self, file: &File) -> Result<(), c_int> {
        let Some(path) = &file.path else { return Ok(()) };
        let mut state = self.state.lock();
        if file.flags & ffi::SQLITE_OPEN_CREATE != 0 && !state.names.contains(path) {
            state.create(path);
            // The built-in file system makes the name of a journal durable with its first sync.
            if file.flags & (ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL) != 0 {
                state.fresh.insert(path.clone());
            }
        }
        Ok(())
    }

    fn write(&self, file: &File, at: i64, data: &[u8]) -> Result<(), c_int> {
        if let Some(path) = &file.path {
            let at = usize::try_from(at).expect("a place in a file");
            self.state.lock().log.push(Event::Write(path.clone(), Some(at), data.into()));
        }
        Ok(())
    }

    fn truncate(&self, file: &File, size: i64) -> Result<(), c_int> {
        if let Some(path) = &file.path {
            let size = usize::try_from(size).expect("a size");
            self.state.lock().log.push(Event::Truncate(path.clone(), size));
        }
        Ok(())
    }

    fn sync(&self, file: &File) -> Result<(), c_int> {
        let (Some(path), false) = (&file.path, self.lie == Lie::Syncs) else { return Ok(()) };
        let mut state = self.state.lock();
        state.log.push(Event::Sync(path.clone()));
        if state.fresh.remove(path) {
            let dir = path.parent().expect("a file lies in a directory").to_owned();
            state.log.push(Event::SyncDir(dir));
        }
        Ok(())
    }

    fn delete(&self, path: &Path) -> Result<(), c_int> {
        self.state.lock().remove(path);
        Ok(())
    }
}

impl FileWatch for Recorder {
    fn before(&self, op: FileOp<'_>) -> io::Result<Turn> {
        let mut state = self.state.lock();
        match op {
            FileOp::Create(path) => state.create(path),
            FileOp::MakeDir(path) => {
                if state.names.insert(path.to_owned()) {
                    state.log.push(Event::MakeDir(path.to_owned()));
                }
            }
            FileOp::Write(path, bytes) => state.log.push(Event::Write(path.to_owned(), None, bytes.into())),
            FileOp::Sync(_) if self.lie == Lie::Syncs => {}
            FileOp::Sync(path) => state.log.push(Event::Sync(path.to_owned())),
            FileOp::SyncDir(dir) if self.lie == Lie::DirectorySyncs && dir.iter().any(|name| name == "blobs") => {}
            FileOp::SyncDir(dir) => state.log.push(Event::SyncDir(dir.to_owned())),
            FileOp::Rename(from, to) => {
                state.names.remove(from);
                state.names.insert(to.to_owned());
                state.log.push(Event::Rename(from.to_owned(), to.to_owned()));
            }
            FileOp::Link(from, to) => {
                state.names.insert(to.to_owned());
                state.log.push(Event::Link(from.to_owned(), to.to_owned()));
            }
            FileOp::Remove(path) => state.remove(path),
            FileOp::RemoveAll(dir) => {
                let below: Vec<_> = state.names.iter().filter(|name| name.starts_with(dir)).cloned().collect();
                below.iter().for_each(|path| state.remove(path));
            }
            FileOp::Copy(..) | FileOp::Exchange(..) => panic!("{op:?} is not modelled: backups are tested elsewhere"),
        }
        Ok(Turn::Do)
    }
}
