//! Blob files: bodies too large for the database, by content address under `blobs/ab/cd/`.
//!
//! A blob is durable under its name before the row that names it is written: temporary file, sync, rename, sync of
//! the directory. Reading verifies the hash.

use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::model::ContentHash;

use super::StoreError;
use super::fault::FaultPoint;
use super::files::{Files, NewFile};
use super::pins::Pin;
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
pub(super) fn put(shared: &Shared, body: &[u8]) -> Result<(ContentHash, Pin), StoreError> {
    place(shared, body).inspect_err(|error| distrust(shared, error))
}

/// After a failed sync the system may say yes the next time and have thrown the pages away: only a restart reads what
/// is there.
fn distrust(shared: &Shared, error: &StoreError) {
    if matches!(error, StoreError::Io { step: "syncing", .. }) {
        tracing::error!(%error, "the store is read-only from now on; restart the server");
        shared.read_only.get_or_init(|| error.to_string());
    }
}

fn place(shared: &Shared, body: &[u8]) -> Result<(ContentHash, Pin), StoreError> {
    let hash = ContentHash::of(body);
    // Before the look whether it is there.
    let pin = shared.pins.pin(hash);
    if verify(&shared.data_dir, hash).is_ok() {
        return durable(shared, hash).map(|()| (hash, pin));
    }
    let mut partial = Partial::create(shared)?;
    partial.write(body)?;
    partial.name(shared, hash)?;
    Ok((hash, pin))
}

/// The folder of the blob of `hash`, made if it is missing.
fn folder(shared: &Shared, hash: ContentHash) -> Result<PathBuf, StoreError> {
    let mut folder = path(&shared.data_dir, hash);
    folder.pop();
    shared.files.make_dirs(&shared.data_dir, &folder)?;
    Ok(folder)
}

/// Makes the name of a blob durable. Also if it was there: who renamed it may have been stopped before this line.
fn durable(shared: &Shared, hash: ContentHash) -> Result<(), StoreError> {
    let folder = folder(shared, hash)?;
    shared.files.sync_dir(&folder).map_err(|e| StoreError::io("syncing", &folder, e))?;
    shared.faults.hit(FaultPoint::BlobDurable);
    Ok(())
}

/// A blob file that has no name yet. Gone with whoever gives it up; what a killed process leaves is cleared at the next
/// start.
pub(super) struct Partial {
    files: Files,
    file: NewFile,
    path: PathBuf,
    hasher: blake3::Hasher,
    named: bool,
}

impl Partial {
    /// A new, empty one.
    pub(super) fn create(shared: &Shared) -> Result<Self, StoreError> {
        let partials = shared.data_dir.join(BLOBS_DIR).join(PARTIAL_DIR);
        shared.files.make_dirs(&shared.data_dir, &partials)?;
        let path = partials.join(shared.random.hex(16));
        let file = shared.files.create(&path).map_err(|e| StoreError::io("creating", &path, e))?;
        Ok(Self { files: shared.files.clone(), file, path, hasher: blake3::Hasher::new(), named: false })
    }

    /// Adds bytes of which the hash is taken on the way.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.hasher.update(bytes);
        self.write(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(|e| StoreError::io("writing", &self.path, e))
    }

    /// Gives it the name of what was [added](Self::add); durable when it returns.
    pub(super) fn finish(self, shared: &Shared) -> Result<(ContentHash, Pin), StoreError> {
        let hash = ContentHash::from_bytes(*self.hasher.finalize().as_bytes());
        let pin = shared.pins.pin(hash);
        let stored = match verify(&shared.data_dir, hash) {
            Ok(_) => durable(shared, hash),
            Err(_) => self.name(shared, hash),
        };
        stored.inspect_err(|error| distrust(shared, error))?;
        Ok((hash, pin))
    }

    fn name(mut self, shared: &Shared, hash: ContentHash) -> Result<(), StoreError> {
        folder(shared, hash)?;
        shared.faults.hit(FaultPoint::BlobWritten);
        self.file.sync_all().map_err(|e| StoreError::io("syncing", &self.path, e))?;
        shared.faults.hit(FaultPoint::BlobSynced);
        let target = path(&shared.data_dir, hash);
        self.files.rename(&self.path, &target).map_err(|e| StoreError::io("naming", &target, e))?;
        self.named = true;
        shared.faults.hit(FaultPoint::BlobRenamed);
        durable(shared, hash)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.named {
            // The error that led here is the one to tell; what is left is cleared at the next start.
            let _ = self.files.remove(&self.path);
        }
    }
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

/// At most `most` bytes of the blob of `hash` from `at` on, not verified.
pub(super) fn part(data_dir: &Path, hash: ContentHash, at: u64, most: usize) -> Result<Vec<u8>, StoreError> {
    let path = path(data_dir, hash);
    let mut bytes = Vec::with_capacity(most);
    let read = File::open(&path).and_then(|mut file| {
        file.seek(SeekFrom::Start(at))?;
        file.take(most as u64).read_to_end(&mut bytes)
    });
    match read {
        Ok(_) => Ok(bytes),
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
