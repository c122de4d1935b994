//! Blob files: bodies too large for the database, by content address under `blobs/ab/cd/`.
//!
//! A blob is durable under its name before the row that names it is written: temporary file, sync, rename, sync of
//! the directory. Reading verifies the hash.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::model::ContentHash;

use super::StoreError;
use super::fault::FaultPoint;
use super::files::Files;
use super::shared::Shared;

/// The folder in the data directory.
pub const BLOBS_DIR: &str = "blobs";
/// The folder in [`BLOBS_DIR`] for files that have no name yet.
pub(super) const PARTIAL_DIR: &str = "partial";

/// Where the blob of `hash` lies.
#[must_use]
pub fn path(data_dir: &Path, hash: ContentHash) -> PathBuf {
    let hex = hash.to_hex();
    data_dir.join(BLOBS_DIR).join(&hex[..2]).join(&hex[2..4]).join(hex)
}

/// Removes what writes that were cut short have left. At start, before any write.
pub(super) fn clear_partial(files: &Files, data_dir: &Path) -> Result<(), StoreError> {
    let dir = data_dir.join(BLOBS_DIR).join(PARTIAL_DIR);
    if !dir.exists() {
        return Ok(());
    }
    match files.remove_all(&dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io("clearing", &dir, e)),
        _ => Ok(()),
    }
}

/// Stores `body`; durable when it returns. Storing it again costs a read.
pub(super) fn put(shared: &Shared, body: &[u8]) -> Result<ContentHash, StoreError> {
    let stored = place(shared, body);
    if let Err(error @ StoreError::Io { step: "syncing", .. }) = &stored {
        // The system may say yes the next time and have thrown the pages away: only a restart reads what is there.
        tracing::error!(%error, "the store is read-only from now on; restart the server");
        shared.read_only.lock().get_or_insert_with(|| error.to_string());
    }
    stored
}

fn place(shared: &Shared, body: &[u8]) -> Result<ContentHash, StoreError> {
    let (hash, files) = (ContentHash::of(body), &shared.files);
    let target = path(&shared.data_dir, hash);
    let folder = target.parent().unwrap_or(&shared.data_dir);
    files.make_dirs(&shared.data_dir, folder)?;
    if get(&shared.data_dir, hash).is_err() {
        let partials = shared.data_dir.join(BLOBS_DIR).join(PARTIAL_DIR);
        files.make_dirs(&shared.data_dir, &partials)?;
        let partial = partials.join(shared.random.hex(16));
        let written = write(shared, &partial, body)
            .and_then(|()| files.rename(&partial, &target).map_err(|e| StoreError::io("naming", &target, e)));
        if let Err(error) = written {
            // The first error is the one to tell; what is left is cleared at the next start.
            let _ = files.remove(&partial);
            return Err(error);
        }
        shared.faults.hit(FaultPoint::BlobRenamed);
    }
    // Also if it was there: who renamed it may have been stopped before this line.
    files.sync_dir(folder).map_err(|e| StoreError::io("syncing", folder, e))?;
    shared.faults.hit(FaultPoint::BlobDurable);
    Ok(hash)
}

fn write(shared: &Shared, partial: &Path, body: &[u8]) -> Result<(), StoreError> {
    let mut file = shared.files.create(partial).map_err(|e| StoreError::io("creating", partial, e))?;
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

/// Reads the blob of `hash` in constant memory and verifies it; its bytes.
pub(super) fn verify(data_dir: &Path, hash: ContentHash) -> Result<u64, StoreError> {
    let path = path(data_dir, hash);
    let mut hasher = blake3::Hasher::new();
    match File::open(&path).and_then(|file| hasher.update_reader(file).map(|_| ())) {
        Ok(()) if hasher.finalize().as_bytes() == hash.as_bytes() => Ok(hasher.count()),
        Ok(()) => Err(StoreError::Corrupt { what: format!("the blob {hash} holds something else than was stored") }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(StoreError::Corrupt { what: format!("the blob {hash} is missing") })
        }
        Err(e) => Err(StoreError::io("reading", &path, e)),
    }
}
