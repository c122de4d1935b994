//! Directories in the making: whoever fills one claims it, so that another process can tell it from one that a crash
//! has left.
//!
//! The claim is an advisory lock on the directory itself, given back by the kernel however the process ends. It moves
//! along when the directory is renamed.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::StoreError;
use super::files::Files;

/// How often a new directory is made again that somebody took for a leftover before it was claimed.
const ATTEMPTS: u32 = 3;

/// A claimed directory; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    dir: File,
}

impl Claim {
    /// Claims a directory that is there; `None` if somebody else has it.
    pub(super) fn take(dir: &Path) -> Result<Option<Self>, StoreError> {
        let file = File::open(dir).map_err(|e| StoreError::io("opening", dir, e))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { dir: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(StoreError::io("claiming", dir, e)),
        }
    }

    /// Makes `dir` below `base` and claims it.
    pub(super) fn make(files: &Files, base: &Path, dir: &Path) -> Result<Self, StoreError> {
        for _ in 0..ATTEMPTS {
            files.make_dirs(base, dir)?;
            if let Some(claim) = Self::take(dir)?.filter(|claim| claim.is_at(dir)) {
                return Ok(claim);
            }
        }
        let taken = std::io::Error::other("another process takes it away");
        Err(StoreError::io("making", dir, taken))
    }

    /// Whether the directory still has this name.
    fn is_at(&self, dir: &Path) -> bool {
        let number = |found: std::io::Result<std::fs::Metadata>| found.map(|found| (found.dev(), found.ino())).ok();
        let own = number(self.dir.metadata());
        own.is_some() && own == number(std::fs::metadata(dir))
    }
}

/// Removes what is at `dir` if nobody claims it; whether it is gone.
pub(super) fn clear(files: &Files, dir: &Path) -> Result<bool, StoreError> {
    let claim = match Claim::take(dir) {
        Ok(Some(claim)) => claim,
        Ok(None) => return Ok(false),
        Err(_) if !dir.exists() => return Ok(true),
        Err(error) => return Err(error),
    };
    let removed = files.remove_all(dir).map_err(|e| StoreError::io("clearing", dir, e));
    drop(claim);
    removed.map(|()| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_claimed_stays_and_what_is_left_goes() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("new");
        let files = Files::default();
        let claim = Claim::make(&files, dir.path(), &path).expect("made");
        std::fs::write(path.join("file"), "x").expect("written");
        assert!(!clear(&files, &path).expect("looked at"), "it is in use");
        let moved = dir.path().join("moved");
        std::fs::rename(&path, &moved).expect("renamed");
        assert!(!clear(&files, &moved).expect("looked at"), "still in use under its other name");
        drop(claim);
        assert!(clear(&files, &moved).expect("cleared") && !moved.exists());
        assert!(clear(&files, &moved).expect("nothing to do"));
    }
}
