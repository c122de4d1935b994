//! Blob files: bodies too large for the database, by content address under `blobs/ab/cd/`.
//!
//! A blob is durable under its name before the row that names it is written: temporary file, sync, rename, sync of
//! the directory. Reading verifies the hash.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::model::ContentHash;

use super::StoreError;
use super::fault::FaultPoint;
use super::shared::Shared;

/// The folder in the data directory.
pub const BLOBS_DIR: &str = "blobs";
/// The folder in [`BLOBS_DIR`] for files that have no name yet.
const PARTIAL_DIR: &str = "partial";

/// Where the blob of `hash` lies.
#[must_use]
pub fn path(data_dir: &Path, hash: ContentHash) -> PathBuf {
    let hex = hash.to_hex();
    data_dir.join(BLOBS_DIR).join(&hex[..2]).join(&hex[2..4]).join(hex)
}

/// Removes what writes that were cut short have left. At start, before any write.
pub(super) fn clear_partial(data_dir: &Path) -> Result<(), StoreError> {
    let dir = data_dir.join(BLOBS_DIR).join(PARTIAL_DIR);
    match std::fs::remove_dir_all(&dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io("clearing", &dir, e)),
        _ => Ok(()),
    }
}

/// Stores `body`; durable when it returns. Storing it again costs a read.
pub(super) fn put(shared: &Shared, body: &[u8]) -> Result<ContentHash, StoreError> {
    let hash = ContentHash::of(body);
    let target = path(&shared.data_dir, hash);
    let folder = target.parent().unwrap_or(&shared.data_dir);
    if get(&shared.data_dir, hash).is_ok() {
        // It may have been renamed by somebody who was stopped before the next line.
        sync_dir(folder)?;
        return Ok(hash);
    }
    let partials = shared.data_dir.join(BLOBS_DIR).join(PARTIAL_DIR);
    make_dirs(&shared.data_dir, &partials)?;
    make_dirs(&shared.data_dir, folder)?;
    let partial = partials.join(shared.random.hex(16));
    let written = write(shared, &partial, body)
        .and_then(|()| std::fs::rename(&partial, &target).map_err(|e| StoreError::io("naming", &target, e)));
    if let Err(error) = written {
        // The first error is the one to tell; what is left is cleared at the next start.
        let _ = std::fs::remove_file(&partial);
        return Err(error);
    }
    shared.faults.hit(FaultPoint::BlobRenamed);
    sync_dir(folder)?;
    shared.faults.hit(FaultPoint::BlobDurable);
    Ok(hash)
}

fn write(shared: &Shared, partial: &Path, body: &[u8]) -> Result<(), StoreError> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(partial);
    let mut file = opened.map_err(|e| StoreError::io("creating", partial, e))?;
    file.write_all(body).map_err(|e| StoreError::io("writing", partial, e))?;
    shared.faults.hit(FaultPoint::BlobWritten);
    file.sync_all().map_err(|e| StoreError::io("syncing", partial, e))?;
    shared.faults.hit(FaultPoint::BlobSynced);
    Ok(())
}

/// Reads the blob of `hash` and verifies it.
pub(super) fn get(data_dir: &Path, hash: ContentHash) -> Result<Vec<u8>, StoreError> {
    let path = path(data_dir, hash);
    let mut body = Vec::new();
    let read = File::open(&path).and_then(|mut file| file.read_to_end(&mut body));
    match read {
        Ok(_) if ContentHash::of(&body) == hash => Ok(body),
        Ok(_) => Err(StoreError::Corrupt { what: format!("the blob {hash} holds something else than was stored") }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(StoreError::Corrupt { what: format!("the blob {hash} is missing") })
        }
        Err(e) => Err(StoreError::io("reading", &path, e)),
    }
}

/// Makes the folders from `base` down to `dir`; each name is durable in its parent.
pub(super) fn make_dirs(base: &Path, dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent().filter(|parent| parent.starts_with(base)) {
        make_dirs(base, parent)?;
        match DirBuilder::new().mode(0o700).create(dir) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(StoreError::io("making", dir, e));
            }
            _ => sync_dir(parent)?,
        }
    }
    Ok(())
}

/// Makes the names in `dir` durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| StoreError::io("syncing", dir, e))
}
