//! The lock of a data directory: one process, one store.
//!
//! An advisory lock of the operating system on `LOCK`, given back by the kernel when the holder dies, however it
//! dies. Pid and time inside are only for the message.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::StoreError;
use crate::model::time::iso_utc;
use crate::model::{Clock as _, SystemClock};

/// The file's name in the data directory.
pub const LOCK_FILE: &str = "LOCK";

/// The lock, held until it is dropped.
#[derive(Debug)]
pub struct LockFile {
    _file: File,
}

/// Who has a directory.
#[derive(Debug)]
pub enum Holder {
    /// There is no file to lock: no server has ever used it.
    NoFile,
    /// Nobody. Nobody can take it either, until the file that is given here is closed.
    Nobody(File),
    /// A process.
    Process {
        /// Its id, as it wrote it down.
        pid: String,
        /// Since when, as it wrote it down.
        since: Option<String>,
    },
}

/// Looks who has `dir`, without writing anything.
pub fn holder(dir: &Path) -> Result<Holder, StoreError> {
    let path = dir.join(LOCK_FILE);
    let mut file = match File::open(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Holder::NoFile),
        opened => opened.map_err(|e| StoreError::io("opening", &path, e))?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Holder::Nobody(file)),
        Err(TryLockError::WouldBlock) => {
            let (pid, since) = note(&mut file);
            Ok(Holder::Process { pid, since })
        }
        Err(TryLockError::Error(e)) => Err(StoreError::io("locking", &path, e)),
    }
}

/// What the holder wrote down: its pid, and since when.
fn note(file: &mut File) -> (String, Option<String>) {
    let mut note = String::new();
    // The holder may be about to write it: an empty answer is still the right refusal.
    let _ = file.read_to_string(&mut note);
    let mut words = note.split_whitespace().map(str::to_owned);
    (words.next().unwrap_or_else(|| "unknown".into()), words.next())
}

impl LockFile {
    /// Takes the lock of `dir`, or says who has it.
    pub fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(LOCK_FILE);
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(|e| StoreError::io("opening", &path, e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let (pid, since) = note(&mut file);
                return Err(StoreError::Locked { dir: dir.display().to_string(), pid, since });
            }
            Err(TryLockError::Error(e)) => return Err(StoreError::io("locking", &path, e)),
        }
        // Over the old text, which needs no new block: it works on a full disk, too.
        let note = |file: &mut File| {
            let text = format!("{} {}\n", std::process::id(), iso_utc(SystemClock.now_us()));
            file.seek(SeekFrom::Start(0))?;
            file.write_all(text.as_bytes())?;
            file.set_len(text.len() as u64)
        };
        match note(&mut file) {
            // The lock is ours without it; whoever is refused learns no pid.
            Err(e) if e.kind() == std::io::ErrorKind::StorageFull => {
                tracing::warn!("no space for the pid in {LOCK_FILE}")
            }
            noted => noted.map_err(|e| StoreError::io("writing", &path, e))?,
        }
        Ok(Self { _file: file })
    }
}
