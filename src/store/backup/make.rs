//! Making a backup while the store runs.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::{
    BACKUP_BLOBS, BACKUP_COUNTS, BACKUP_INCARNATION, Backup, Counts, FORMAT, MANIFEST_FILE, Manifest, PARTIAL_PREFIX,
    Part, clear_partials, hash_file, read,
};
use crate::model::time::iso_utc;
use crate::model::{ContentHash, OsRandom, RandomSource as _};
use crate::store::backend::sqlite;
use crate::store::blobs;
use crate::store::claim::Claim;
use crate::store::fault::FaultPoint;
use crate::store::files::Files;
use crate::store::open::DATABASE_FILE;
use crate::store::shared::Shared;
use crate::store::{StoreError, meta, migrate};

/// Makes a backup in a new directory below `root`. Blocks; holds nobody up. What is not complete is removed again.
pub(in crate::store) fn make(shared: &Shared, root: &Path) -> Result<Backup, StoreError> {
    // What the copy of the database names stays until it is taken along.
    let _all = shared.pins.hold();
    let now_us = shared.clock.now_us();
    let files = &shared.files;
    files.make_dirs(root.parent().unwrap_or(root), root)?;
    clear_partials(files, root);
    let partial = root.join(format!("{PARTIAL_PREFIX}{}", shared.random.hex(8)));
    let _claim = Claim::make(files, root, &partial)?;
    shared.faults.hit(FaultPoint::BackupBegun);
    let made = fill(shared, &partial, now_us).and_then(|manifest| {
        let path = root.join(name(&manifest, now_us));
        if let Some(there) = same(&path, &manifest) {
            // A second one of the same revision within a second: the first is as good.
            let removed = files.remove_all(&partial).map_err(|e| StoreError::io("clearing", &partial, e));
            return removed.and_then(|()| sync_dir(files, root)).map(|()| there);
        }
        let named = files.rename(&partial, &path).map_err(|e| StoreError::io("naming", &path, e));
        shared.faults.hit(FaultPoint::BackupNamed);
        named.and_then(|()| sync_dir(files, root))?;
        // Told to others, who may be in another directory.
        let path = std::path::absolute(&path).map_err(|e| StoreError::io("finding", &path, e))?;
        Ok(Backup { path, manifest })
    });
    if made.is_err() {
        // The first error is the one to tell; a partial backup is never listed.
        let _ = files.remove_all(&partial);
    }
    made
}

/// The backup of the same revision that has the name already.
fn same(path: &Path, manifest: &Manifest) -> Option<Backup> {
    let there = super::read::manifest(path).ok()?;
    let same = (&there.incarnation, there.rev) == (&manifest.incarnation, manifest.rev);
    same.then(|| Backup { path: path.to_owned(), manifest: there })
}

/// Removes the oldest complete backups below `root` but `keep`, which is at least 1, so that the newest one stays.
/// Returns the removed ones. None is removed while one cannot be read: it may be the newest.
pub(in crate::store) fn prune(files: &Files, root: &Path, keep: usize) -> Result<Vec<Backup>, StoreError> {
    let mut removed = read::list(root)?;
    removed.truncate(removed.len().saturating_sub(keep.max(1)));
    for backup in &removed {
        // From one step to the next it is no backup any more; what is left of it is never listed.
        let doomed = root.join(format!("{PARTIAL_PREFIX}{}", OsRandom.hex(8)));
        files.rename(&backup.path, &doomed).map_err(|e| StoreError::io("naming", &doomed, e))?;
        sync_dir(files, root)?;
        match files.remove_all(&doomed) {
            // Whoever makes a backup now clears what is left of others.
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io("removing", &doomed, e));
            }
            _ => {}
        }
    }
    Ok(removed)
}

/// `nexus-20261122T061500Z-r42`.
fn name(manifest: &Manifest, now_us: i64) -> PathBuf {
    let time: String = iso_utc(now_us).chars().take(19).filter(|c| !matches!(c, '-' | ':')).collect();
    format!("nexus-{time}Z-r{}", manifest.rev).into()
}

/// Writes all parts, each durable, and the manifest last.
fn fill(shared: &Shared, dir: &Path, now_us: i64) -> Result<Manifest, StoreError> {
    let copy = dir.join(DATABASE_FILE);
    let source = sqlite::open_copier(&shared.database, shared.vfs.as_deref())?;
    sqlite::vacuum_into(&source, &copy)?;
    drop(source);
    shared.faults.hit(FaultPoint::BackupCopied);
    sync_file(&shared.files, &copy)?;
    let database = part(dir, DATABASE_FILE)?;
    let conn = sqlite::open_reader(&copy, None)?;
    let (mut manifest, blobs) = describe(&conn, database, now_us)?;
    drop(conn);
    for (hash, bytes) in blobs {
        manifest.blobs.push(take_blob(shared, dir, hash, bytes)?);
    }
    shared.faults.hit(FaultPoint::BackupFilled);
    write_manifest(&shared.files, dir, &manifest)?;
    shared.faults.hit(FaultPoint::BackupDescribed);
    Ok(manifest)
}

/// The manifest without its blobs, and the blobs that it needs.
fn describe(conn: &Connection, database: Part, now_us: i64) -> Result<(Manifest, Vec<(ContentHash, u64)>), StoreError> {
    let (mut counts, mut incarnation, mut blobs) = (Counts::default(), String::new(), Vec::new());
    sqlite::each(conn, BACKUP_COUNTS, &[], |row| {
        counts = Counts { nodes: row.id(0)?, versions: row.id(1)?, tuples: row.id(2)?, keys: row.id(3)? };
        Ok(ControlFlow::Break(()))
    })?;
    sqlite::each(conn, BACKUP_INCARNATION, &[], |row| {
        incarnation = row.string(0)?;
        Ok(ControlFlow::Break(()))
    })?;
    sqlite::each(conn, BACKUP_BLOBS, &[], |row| {
        let hash = row
            .blob(0)?
            .try_into()
            .map_err(|_| StoreError::Corrupt { what: "a content address is not 32 bytes".into() })?;
        blobs.push((ContentHash::from_bytes(hash), row.id(1)?));
        Ok(ControlFlow::Continue(()))
    })?;
    let manifest = Manifest {
        format: FORMAT,
        program: concat!("nexus-lite ", env!("CARGO_PKG_VERSION")).into(),
        schema: migrate::version(conn)?,
        incarnation,
        rev: meta::head_rev(conn.into())?,
        created_at: iso_utc(now_us),
        counts,
        database,
        blobs: Vec::new(),
        secret: None,
    };
    Ok((manifest, blobs))
}

/// Takes a blob file into the backup: by another name for the same file, which costs nothing and cannot tear, or, on
/// another disk, by a copy. Blob files are never changed.
fn take_blob(shared: &Shared, dir: &Path, hash: ContentHash, bytes: u64) -> Result<Part, StoreError> {
    let (source, target) = (blobs::path(&shared.data_dir, hash), blobs::path(dir, hash));
    let folder = target.parent().unwrap_or(dir);
    let files = &shared.files;
    files.make_dirs(dir, folder)?;
    if files.link(&source, &target).is_err() {
        files.copy(&source, &target).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => StoreError::Corrupt { what: format!("the blob {hash} is missing") },
            _ => StoreError::io("copying", &source, e),
        })?;
        sync_file(files, &target)?;
    }
    sync_dir(files, folder)?;
    let found = std::fs::metadata(&target).map_err(|e| StoreError::io("reading", &target, e))?.len();
    if found != bytes {
        return Err(StoreError::Corrupt { what: format!("the blob {hash} has {found} bytes instead of {bytes}") });
    }
    let path = target.strip_prefix(dir).unwrap_or(&target).display().to_string();
    Ok(Part { path, bytes, blake3: hash.to_hex() })
}

fn part(dir: &Path, path: &str) -> Result<Part, StoreError> {
    let (blake3, bytes) = hash_file(&dir.join(path))?;
    Ok(Part { path: path.into(), bytes, blake3 })
}

fn write_manifest(files: &Files, dir: &Path, manifest: &Manifest) -> Result<(), StoreError> {
    let path = dir.join(MANIFEST_FILE);
    let text = serde_json::to_vec_pretty(manifest).expect("a manifest serialises");
    let written = files.create(&path).and_then(|mut file| file.write_all(&text).and_then(|()| file.sync_all()));
    written.map_err(|e| StoreError::io("writing", &path, e))?;
    sync_dir(files, dir)
}

fn sync_file(files: &Files, path: &Path) -> Result<(), StoreError> {
    files.sync(path).map_err(|e| StoreError::io("syncing", path, e))
}

fn sync_dir(files: &Files, dir: &Path) -> Result<(), StoreError> {
    files.sync_dir(dir).map_err(|e| StoreError::io("syncing", dir, e))
}
