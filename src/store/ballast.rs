//! The ballast: a file whose only use is that it can be removed.
//!
//! In WAL mode a full disk cannot be freed by deleting: a DELETE and the checkpoint after it are writes themselves. The
//! file is as large as the log may become, and its blocks are really taken.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::StoreError;
use super::files::Files;

/// The file's name in the data directory.
pub const BALLAST_FILE: &str = "ballast";
/// Bytes of a unit in which a file system counts what a file takes.
const BLOCK_BYTES: u64 = 512;

/// The size of the ballast that is there, bytes; 0 when its blocks are not really taken (a copy with holes).
pub(super) fn size(dir: &Path) -> Option<u64> {
    let found = std::fs::metadata(dir.join(BALLAST_FILE)).ok()?;
    Some(if found.blocks().saturating_mul(BLOCK_BYTES) >= found.len() { found.len() } else { 0 })
}

/// Takes `bytes` of the disk; durable when it returns. What could not be taken whole is given back.
pub(super) fn make(files: &Files, dir: &Path, bytes: u64) -> Result<(), StoreError> {
    let path = dir.join(BALLAST_FILE);
    drop(files, dir)?;
    let mut file = files.create(&path).map_err(|e| StoreError::io("creating", &path, e))?;
    let taken = file.take(bytes).and_then(|()| file.sync_all()).and_then(|()| files.sync_dir(dir));
    taken.map_err(|e| StoreError::io("filling", &path, e)).inspect_err(|_| {
        // The first error is the one to tell.
        let _ = files.remove(&path);
    })
}

/// Gives the space back. Whether the name is gone after a power cut is of no interest: the next start finds it, or not.
pub(super) fn drop(files: &Files, dir: &Path) -> Result<(), StoreError> {
    let path = dir.join(BALLAST_FILE);
    match files.remove(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io("removing", &path, e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn it_takes_what_it_says_and_gives_it_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let files = Files::default();
        assert_eq!(size(dir.path()), None);
        make(&files, dir.path(), 1 << 20).expect("made");
        assert_eq!(size(dir.path()), Some(1 << 20));
        drop(&files, dir.path()).expect("removed");
        drop(&files, dir.path()).expect("removed twice");
        assert_eq!(size(dir.path()), None);

        let holes = File::create(dir.path().join(BALLAST_FILE)).expect("made");
        holes.set_len(1 << 20).expect("sparse");
        assert_eq!(size(dir.path()), Some(0), "holes hold nothing back");
    }
}
