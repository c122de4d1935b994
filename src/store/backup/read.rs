//! Backups, read: which there are, and whether one is good.

use std::io::Read;
use std::path::Path;

use super::{
    Backup, FORMAT, MANIFEST_BYTES_MAX, MANIFEST_FILE, Manifest, PARTIAL_PREFIX, bundle, hash_file, part_path, restore,
    unusable,
};
use crate::store::blobs::BLOBS_DIR;
use crate::store::check::Violation;
use crate::store::claim::Claim;
use crate::store::files::Files;
use crate::store::open::DATABASE_FILE;
use crate::store::{Options, Store, StoreError};

/// What `verify` found.
#[derive(Debug, Clone)]
pub struct Verified {
    /// What the backup says about itself.
    pub manifest: Manifest,
    /// Parts that are missing, or not what the manifest says.
    pub damaged: Vec<String>,
    /// What the consistency check of the database says; empty if the database itself is damaged.
    pub violations: Vec<Violation>,
}

impl Verified {
    /// Whether a restore would give back all that was backed up.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.damaged.is_empty() && self.violations.is_empty()
    }
}

/// The complete backups below `root`, oldest first.
pub fn list(root: &Path) -> Result<Vec<Backup>, StoreError> {
    let entries = match std::fs::read_dir(root) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(|e| StoreError::io("reading", root, e))?,
    };
    let mut backups = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| StoreError::io("reading", root, e))?.path();
        let is_partial = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(PARTIAL_PREFIX));
        if !is_partial && path.join(MANIFEST_FILE).exists() {
            backups.push(Backup { manifest: manifest(&path)?, path });
        }
    }
    backups.sort_by(|a, b| (&a.manifest.created_at, a.manifest.rev).cmp(&(&b.manifest.created_at, b.manifest.rev)));
    Ok(backups)
}

/// What backups and verifications that were cut short, or are under way, have in `root`.
#[must_use]
pub fn partial_leftovers(root: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    entries.filter(|e| e.file_name().to_string_lossy().starts_with(PARTIAL_PREFIX)).map(|e| e.path()).collect()
}

/// The manifest of the backup in `path`.
pub(super) fn manifest(path: &Path) -> Result<Manifest, StoreError> {
    let file = path.join(MANIFEST_FILE);
    let opened = std::fs::File::open(&file).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            unusable(path, "it is no backup: it has no manifest.json", "Name the directory that `backup now` made")
        }
        _ => StoreError::io("reading", &file, e),
    })?;
    let mut text = Vec::new();
    opened.take(MANIFEST_BYTES_MAX).read_to_end(&mut text).map_err(|e| StoreError::io("reading", &file, e))?;
    parse(path, &text)
}

/// The manifest that `text` is; of the backup in `path`.
pub(super) fn parse(path: &Path, text: &[u8]) -> Result<Manifest, StoreError> {
    let read: Result<Manifest, _> = serde_json::from_slice(text);
    let manifest =
        read.map_err(|e| unusable(path, format!("its manifest cannot be read: {e}"), "Use another backup"))?;
    if manifest.format != FORMAT {
        let what = format!("its form is {}, this program knows {FORMAT}", manifest.format);
        return Err(unusable(path, what, "Use the nexus-lite that made it"));
    }
    Ok(manifest)
}

/// Reads every byte of the backup in `path`, compares it with the manifest, and checks a copy of the database by all
/// rules. Changes nothing in the backup; needs the space of one more copy of the database beside it for a while.
pub async fn verify(path: &Path) -> Result<Verified, StoreError> {
    verify_sealed(path, None).await
}

/// As [`verify`], of a directory or a bundle, sealed or not. A bundle is unpacked beside it for a while; one that is
/// damaged anywhere is an error.
pub async fn verify_sealed(path: &Path, passphrase: Option<&str>) -> Result<Verified, StoreError> {
    if path.is_file() {
        let scratch = Scratch::beside(path)?;
        let manifest = bundle::unpack(path, &scratch.path, passphrase, &Files::default())?;
        let violations = check_database(&scratch.path, &manifest).await?;
        return Ok(Verified { manifest, damaged: Vec::new(), violations });
    }
    let manifest = manifest(path)?;
    let mut damaged = Vec::new();
    for part in std::iter::once(&manifest.database).chain(&manifest.blobs) {
        match hash_file(&part_path(path, part)?) {
            Ok((blake3, bytes)) if blake3 == part.blake3 && bytes == part.bytes => {}
            Ok((_, bytes)) => damaged.push(format!("{}: {bytes} bytes, not what was backed up", part.path)),
            Err(error) => damaged.push(format!("{}: {error}", part.path)),
        }
    }
    let database_good = !damaged.iter().any(|d| d.starts_with(DATABASE_FILE));
    let violations = if database_good { check_copy(path, &manifest).await? } else { Vec::new() };
    Ok(Verified { manifest, damaged, violations })
}

/// Opens a copy, so that the backup stays as it is, and runs the rules of `schema.sql`.
async fn check_copy(path: &Path, manifest: &Manifest) -> Result<Vec<Violation>, StoreError> {
    let scratch = Scratch::beside(path)?;
    let copy = scratch.path.join(DATABASE_FILE);
    std::fs::copy(path.join(DATABASE_FILE), &copy).map_err(|e| StoreError::io("copying to", &copy, e))?;
    let blobs = path.join(BLOBS_DIR);
    if blobs.exists() {
        let blobs = blobs.canonicalize().map_err(|e| StoreError::io("finding", &blobs, e))?;
        let link = scratch.path.join(BLOBS_DIR);
        std::os::unix::fs::symlink(&blobs, &link).map_err(|e| StoreError::io("making", &link, e))?;
    }
    check_database(&scratch.path, manifest).await
}

/// Opens the database in `dir`, which is changed by that, and runs the rules of `schema.sql`.
async fn check_database(dir: &Path, manifest: &Manifest) -> Result<Vec<Violation>, StoreError> {
    restore::accept(&dir.join(DATABASE_FILE))?;
    let store = Store::builder(Options::new(dir)).open()?;
    let rev = store.published().rev;
    let report = store.check().await;
    store.close().await?;
    let mut violations = report?.violations;
    if rev != manifest.rev {
        violations.push(Violation {
            rule: "manifest",
            what: format!("the database is of revision {rev}, not {}", manifest.rev),
        });
    }
    Ok(violations)
}

/// A directory that goes when it is dropped.
struct Scratch {
    path: std::path::PathBuf,
    _claim: Claim,
}

impl Scratch {
    fn beside(path: &Path) -> Result<Self, StoreError> {
        use crate::model::random::{OsRandom, RandomSource as _};
        let root = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let dir = root.join(format!("{PARTIAL_PREFIX}verify-{}", OsRandom.hex(8)));
        let claim = Claim::make(&Files::default(), root, &dir)?;
        Ok(Self { path: dir, _claim: claim })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left behind, it is no backup and is not listed.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
