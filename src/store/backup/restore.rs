//! Putting a backup in the place of a data directory.
//!
//! Invariant: at every moment there is either the old directory under its name or the whole restored one, and the old
//! one is kept.

use std::path::{Path, PathBuf};

use super::read::manifest;
use super::{Manifest, bundle, hash_file, part_path, unusable};
use crate::model::time::iso_utc;
use crate::model::{Clock as _, SystemClock};
use crate::store::backend::sqlite::{self, Look, RwConnection};
use crate::store::claim::{self, Claim};
use crate::store::fault::{FaultPoint, Faults};
use crate::store::files::Files;
use crate::store::lock::LockFile;
use crate::store::open::{self, DATABASE_FILE};
use crate::store::{Durability, StoreError, meta, migrate, schema};

/// What the name of the unpacked backup ends with.
const RESTORING: &str = "restoring";
/// A file in a directory that is about to be replaced, and in no other.
const REPLACED_FILE: &str = "REPLACED";

/// A backup unpacked beside the directory that it will replace, every byte compared with the manifest.
#[derive(Debug)]
pub struct Staged {
    /// Where it is now; what belongs to the directory and is not in a backup is put here before the swap.
    pub path: PathBuf,
    /// What it says about itself.
    pub manifest: Manifest,
    target: PathBuf,
    files: Files,
    faults: Faults,
    /// Held while it is filled, so that nobody takes it for a leftover.
    _claim: Claim,
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
    stage_with(backup, target, files, Faults::default())
}

/// As [`stage_through`], with armed fault points.
pub fn stage_with(backup: &Path, target: &Path, files: Files, faults: Faults) -> Result<Staged, StoreError> {
    stage_sealed(backup, target, None, files, faults)
}

/// As [`stage_with`], of a directory or a bundle, sealed or not.
pub fn stage_sealed(
    backup: &Path,
    target: &Path,
    passphrase: Option<&str>,
    files: Files,
    faults: Faults,
) -> Result<Staged, StoreError> {
    let bundle = backup.is_file();
    let known = if bundle { None } else { Some(manifest(backup)?) };
    let lock = if target.exists() { Some(LockFile::take(target)?) } else { None };
    let path = sibling(target, RESTORING)?;
    if !settle(&files, target)? {
        return Err(unusable(target, "another restore is under way there", "Wait for it. Nothing was changed"));
    }
    let parent = path.parent().unwrap_or(Path::new("."));
    let claim = Claim::make(&files, parent, &path)?;
    faults.hit(FaultPoint::RestoreBegun);
    let manifest = match known {
        Some(manifest) => manifest,
        None => bundle::unpack(backup, &path, passphrase, &files).inspect_err(|_| {
            // The first error is the one to tell; the next restore clears it.
            let _ = files.remove_all(&path);
        })?,
    };
    let target = target.to_owned();
    let staged = Staged { path, manifest, target, files, faults, _claim: claim, lock, swapped: false };
    if !bundle {
        staged.copy_parts(backup)?;
    }
    accept(&staged.path.join(DATABASE_FILE))?;
    staged.begin_new_life()?;
    Ok(staged)
}

/// Refuses a database that is foreign, newer or tampered with, before anything of it is run. It must be closed.
pub(super) fn accept(database: &Path) -> Result<(), StoreError> {
    open::look(database)?;
    let conn = sqlite::open_look(database, Look::Alone)?;
    let version = migrate::version(&conn)?;
    let differs = schema::differences(&conn, version)?;
    if differs.is_empty() {
        return Ok(());
    }
    let what = format!("its schema is not what our migrations make: {}", differs.join(", "));
    Err(unusable(database, what, "Use another backup. Nothing was changed"))
}

impl Staged {
    /// Copies the parts of the directory `backup`, each compared with the manifest.
    fn copy_parts(&self, backup: &Path) -> Result<(), StoreError> {
        let staged = self;
        for part in staged.manifest.parts() {
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
        Ok(())
    }

    /// Revisions after a restore are other revisions: the old name of the life goes, the first start makes a new one.
    fn begin_new_life(&self) -> Result<(), StoreError> {
        let database = self.path.join(DATABASE_FILE);
        let wal_bytes = crate::store::Limits::default().wal_bytes;
        let conn = RwConnection::open(&database, None, Durability::Full, wal_bytes, &std::sync::Arc::default())?;
        meta::forget_incarnation((&conn).into())
    }

    /// Puts it in the place of the target. Returns where the old directory is kept, if there was one.
    pub fn swap(mut self) -> Result<Option<PathBuf>, StoreError> {
        let files = self.files.clone();
        let sync_dir = |dir: &Path| files.sync_dir(dir).map_err(|e| StoreError::io("syncing", dir, e));
        sync_dir(&self.path)?;
        self.faults.hit(FaultPoint::RestoreStaged);
        let target = self.target.clone();
        let parent = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let kept = if self.target.exists() {
            let _old = Claim::take(&self.target)?;
            mark_replaced(&self.files, &self.target)?;
            let kept = kept_name(&self.target)?;
            // From here on the staging name may be the old directory's, which must never be cleared.
            self.swapped = true;
            exchange(&self.files, &self.path, &self.target, &kept, &self.faults)?;
            unmark(&self.files, &kept)?;
            Some(kept)
        } else {
            self.files.rename(&self.path, &self.target).map_err(|e| StoreError::io("naming", &self.target, e))?;
            None
        };
        self.swapped = true;
        sync_dir(parent)?;
        self.faults.hit(FaultPoint::RestoreKept);
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
fn exchange(files: &Files, new: &Path, target: &Path, kept: &Path, faults: &Faults) -> Result<(), StoreError> {
    let failed = |e: std::io::Error| StoreError::io("replacing", target, e);
    if files.exchange(new, target).is_ok() {
        faults.hit(FaultPoint::RestoreInPlace);
        return files.rename(new, kept).map_err(failed);
    }
    files.rename(target, kept).map_err(failed)?;
    files.rename(new, target).map_err(|e| {
        // Back under its name; if even that fails, the old directory is whole under the new one.
        let _ = files.rename(kept, target);
        failed(e)
    })
}

/// Settles what a restore of `target` has left that was cut short: the old directory, where it had been exchanged,
/// gets the name by which it is kept; what was unpacked and not exchanged is removed. `false`: a restore is under way.
pub(super) fn settle(files: &Files, target: &Path) -> Result<bool, StoreError> {
    unmark(files, target)?;
    // The root of a file system has no name beside which anything could lie.
    let Ok(left) = sibling(target, RESTORING) else { return Ok(true) };
    if !left.exists() {
        return Ok(true);
    }
    if !left.join(REPLACED_FILE).exists() {
        return claim::clear(files, &left);
    }
    let Some(_claim) = Claim::take(&left)? else { return Ok(false) };
    let kept = kept_name(target)?;
    files.rename(&left, &kept).map_err(|e| StoreError::io("naming", &kept, e))?;
    unmark(files, &kept)?;
    let parent = kept.parent().unwrap_or(Path::new("."));
    files.sync_dir(parent).map_err(|e| StoreError::io("syncing", parent, e))?;
    tracing::info!(kept = %kept.display(), "a restore had been cut short; the directory of before is kept");
    Ok(true)
}

/// Notes in the directory that is about to be replaced that it is no unpacked backup.
fn mark_replaced(files: &Files, target: &Path) -> Result<(), StoreError> {
    let file = target.join(REPLACED_FILE);
    files.create(&file).map_err(|e| StoreError::io("creating", &file, e))?;
    files.sync_dir(target).map_err(|e| StoreError::io("syncing", target, e))
}

fn unmark(files: &Files, dir: &Path) -> Result<(), StoreError> {
    let file = dir.join(REPLACED_FILE);
    match files.remove(&file) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(StoreError::io("removing", &file, e)),
        _ => Ok(()),
    }
}

/// `<target>.before-restore-<time>`, one that nothing has yet.
fn kept_name(target: &Path) -> Result<PathBuf, StoreError> {
    let time: String = iso_utc(SystemClock.now_us()).chars().take(19).filter(|c| !matches!(c, '-' | ':')).collect();
    let mut kept = sibling(target, &format!("before-restore-{time}Z"))?;
    let mut more = 1;
    while kept.exists() {
        more += 1;
        kept = sibling(target, &format!("before-restore-{time}Z-{more}"))?;
    }
    Ok(kept)
}

/// `<target>.<suffix>`, beside it.
fn sibling(target: &Path, suffix: &str) -> Result<PathBuf, StoreError> {
    let target = &std::path::absolute(target).map_err(|e| StoreError::io("finding", target, e))?;
    let name = target
        .file_name()
        .ok_or_else(|| unusable(target, "it is no directory that can be replaced", "Name the data directory itself"))?;
    Ok(target.with_file_name(format!("{}.{suffix}", name.to_string_lossy())))
}
