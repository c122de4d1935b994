//! Putting a backup in the place of a data directory.
//!
//! Invariant: at every moment there is either the old directory under its name or the whole restored one, and the old
//! one is kept.

use std::path::{Path, PathBuf};

use super::read::manifest;
use super::{Manifest, hash_file, part_path, unusable};
use crate::model::time::iso_utc;
use crate::model::{Clock as _, SystemClock};
use crate::store::backend::sqlite::RwConnection;
use crate::store::files::Files;
use crate::store::lock::LockFile;
use crate::store::{Durability, StoreError, meta};

/// A backup unpacked beside the directory that it will replace, every byte compared with the manifest.
#[derive(Debug)]
pub struct Staged {
    /// Where it is now; what belongs to the directory and is not in a backup is put here before the swap.
    pub path: PathBuf,
    /// What it says about itself.
    pub manifest: Manifest,
    target: PathBuf,
    files: Files,
    /// Held until the swap, so that no server starts on the directory that is about to go.
    lock: Option<LockFile>,
    swapped: bool,
}

/// Unpacks the backup in `backup` beside `target`, verified. Refused while a server runs in `target`.
pub fn stage(backup: &Path, target: &Path) -> Result<Staged, StoreError> {
    stage_through(backup, target, Files::default())
}

/// As [`stage`], through `files`.
pub fn stage_through(backup: &Path, target: &Path, files: Files) -> Result<Staged, StoreError> {
    let manifest = manifest(backup)?;
    let lock = if target.exists() { Some(LockFile::take(target)?) } else { None };
    let path = sibling(target, "restoring")?;
    match files.remove_all(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(StoreError::io("clearing", &path, e)),
        _ => {}
    }
    let parent = path.parent().unwrap_or(Path::new("."));
    files.make_dirs(parent, &path)?;
    let staged = Staged { path, manifest, target: target.to_owned(), files, lock, swapped: false };
    for part in std::iter::once(&staged.manifest.database).chain(&staged.manifest.blobs) {
        let (from, to) = (part_path(backup, part)?, part_path(&staged.path, part)?);
        let folder = to.parent().unwrap_or(&staged.path);
        let files = &staged.files;
        files.make_dirs(&staged.path, folder)?;
        files.copy(&from, &to).map_err(|e| StoreError::io("copying", &from, e))?;
        files.sync(&to).map_err(|e| StoreError::io("syncing", &to, e))?;
        let (blake3, bytes) = hash_file(&to)?;
        if blake3 != part.blake3 || bytes != part.bytes {
            let what = format!("{} is not what was backed up ({bytes} of {} bytes)", part.path, part.bytes);
            return Err(unusable(backup, what, "Use another backup. Nothing was changed"));
        }
        files.sync_dir(folder).map_err(|e| StoreError::io("syncing", folder, e))?;
    }
    staged.begin_new_life()?;
    Ok(staged)
}

impl Staged {
    /// Revisions after a restore are other revisions: the old name of the life goes, the first start makes a new one.
    fn begin_new_life(&self) -> Result<(), StoreError> {
        let database = self.path.join(crate::store::open::DATABASE_FILE);
        let wal_bytes = crate::store::Limits::default().wal_bytes;
        let conn = RwConnection::open(&database, None, Durability::Full, wal_bytes, &std::sync::Arc::default())?;
        meta::forget_incarnation(&conn)
    }

    /// Puts it in the place of the target. Returns where the old directory is kept, if there was one.
    pub fn swap(mut self) -> Result<Option<PathBuf>, StoreError> {
        let sync_dir = |dir: &Path| self.files.sync_dir(dir).map_err(|e| StoreError::io("syncing", dir, e));
        sync_dir(&self.path)?;
        let parent = self.target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let kept = if self.target.exists() {
            let time: String =
                iso_utc(SystemClock.now_us()).chars().take(19).filter(|c| !matches!(c, '-' | ':')).collect();
            let kept = sibling(&self.target, &format!("before-restore-{time}Z"))?;
            exchange(&self.files, &self.path, &self.target, &kept)?;
            Some(kept)
        } else {
            self.files.rename(&self.path, &self.target).map_err(|e| StoreError::io("naming", &self.target, e))?;
            None
        };
        self.swapped = true;
        sync_dir(parent)?;
        // The lock was on a file of the old directory.
        self.lock = None;
        Ok(kept)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.swapped {
            // The first error is the one to tell; the next restore clears it.
            let _ = self.files.remove_all(&self.path);
        }
    }
}

/// Swaps two names in one step where the file system can; else in two, the old directory kept under its new name.
fn exchange(files: &Files, new: &Path, target: &Path, kept: &Path) -> Result<(), StoreError> {
    let failed = |e: std::io::Error| StoreError::io("replacing", target, e);
    if files.exchange(new, target).is_ok() {
        return files.rename(new, kept).map_err(failed);
    }
    files.rename(target, kept).map_err(failed)?;
    files.rename(new, target).map_err(failed)
}

/// `<target>.<suffix>`, beside it.
fn sibling(target: &Path, suffix: &str) -> Result<PathBuf, StoreError> {
    let name = target
        .file_name()
        .ok_or_else(|| unusable(target, "it is no directory that can be replaced", "Name the data directory itself"))?;
    Ok(target.with_file_name(format!("{}.{suffix}", name.to_string_lossy())))
}
