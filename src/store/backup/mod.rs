//! Backups: a directory that holds a copy of the database, the blob files that it names, and a manifest with the
//! BLAKE3 of each part.
//!
//! A backup is one revision of the store, taken while it runs: `VACUUM INTO` from a snapshot, and writers do not wait.
//! It is there under its name only when it is complete and durable. It never holds the server's secret, but for a
//! bundle that is sealed with a passphrase. `make` writes, `read` lists and verifies, `restore` puts one in the place of
//! a data directory, `bundle` makes one file of one, `seal` encrypts that.

mod bundle;
mod make;
mod read;
mod restore;
mod seal;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::claim;
use super::files::Files;
use super::open::DATABASE_FILE;
use super::statements::statements;
use crate::model::Rev;

pub use bundle::{Contents, pack};
pub(super) use make::{make, prune};
pub use read::{Verified, list, partial_leftovers, verify, verify_sealed};
pub use restore::{Staged, stage, stage_sealed, stage_through, stage_with};
pub use seal::PASSPHRASE_MIN;

statements! {
    /// Bodies that are blob files.
    BACKUP_BLOBS = "SELECT hash, size FROM contents WHERE body IS NULL ORDER BY hash";
    /// Rows of the tables that people ask about.
    BACKUP_COUNTS = "SELECT (SELECT COUNT(*) FROM nodes), (SELECT COUNT(*) FROM versions), \
        (SELECT COUNT(*) FROM tuples), (SELECT COUNT(*) FROM api_keys)";
    /// This life of the store.
    BACKUP_INCARNATION = "SELECT value FROM meta WHERE key = 'incarnation'";
}

/// The folder of backups in the data directory.
pub const BACKUPS_DIR: &str = "backups";
/// The manifest's name in a backup.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The server's secret in a sealed bundle, and its name in a data directory.
pub const SECRET_PART: &str = "server.secret";
/// What names begin with that are not complete.
const PARTIAL_PREFIX: &str = ".partial-";
/// Random hex digits at their end.
const PARTIAL_DIGITS: usize = 16;
/// The form of the backup, in the manifest.
const FORMAT: u32 = 1;
/// Largest manifest that is read, bytes: 4 million blobs.
const MANIFEST_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Below the backup's directory.
    pub path: String,
    /// Bytes.
    pub bytes: u64,
    /// BLAKE3 of the content, hex.
    pub blake3: String,
}

/// Rows, to be compared after a restore.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Files and directories.
    pub nodes: u64,
    /// Versions of files.
    pub versions: u64,
    /// Relationship tuples.
    pub tuples: u64,
    /// API keys.
    pub keys: u64,
}

/// What a backup says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of the backup.
    pub format: u32,
    /// The program that made it.
    pub program: String,
    /// The version of the schema.
    pub schema: u64,
    /// The life of the store that it is of.
    pub incarnation: String,
    /// The revision that it holds, with everything before it.
    pub rev: Rev,
    /// When it was begun, ISO 8601, UTC.
    pub created_at: String,
    /// Rows.
    pub counts: Counts,
    /// The database.
    pub database: Part,
    /// The blob files, by name.
    pub blobs: Vec<Part>,
    /// The server's secret; in a sealed bundle only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Part>,
}

/// A complete backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backup {
    /// Where it is.
    pub path: PathBuf,
    /// What it says about itself.
    pub manifest: Manifest,
}

impl Manifest {
    /// All parts, in the order of a bundle.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.database).chain(&self.blobs).chain(&self.secret)
    }

    /// Bytes of all parts.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.database.bytes + self.blobs.iter().map(|part| part.bytes).sum::<u64>()
    }
}

/// Clears, at a start, what backups and restores have left that were cut short. Nothing depends on it.
pub(super) fn clear_leftovers(files: &Files, data_dir: &Path) {
    clear_partials(files, &data_dir.join(BACKUPS_DIR));
    if let Err(error) = restore::settle(files, data_dir) {
        tracing::warn!(%error, "what a restore has left was not cleared");
    }
}

/// Removes the directories below `root` of backups and checks of backups that were cut short: those with a name of
/// ours that no process claims.
fn clear_partials(files: &Files, root: &Path) {
    let Ok(entries) = std::fs::read_dir(root) else { return };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| is_partial(path)) {
        match claim::clear(files, &path) {
            Ok(true) => tracing::info!(path = %path.display(), "cleared what a backup has left that was cut short"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "what a backup has left was not cleared"),
        }
    }
}

/// Whether it is called as `make` and `verify` call what they have not finished.
fn is_partial(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let Some(rest) = name.strip_prefix(PARTIAL_PREFIX) else { return false };
    let number = rest.strip_prefix("verify-").unwrap_or(rest);
    number.len() == PARTIAL_DIGITS && number.bytes().all(|b| b.is_ascii_hexdigit())
}

/// BLAKE3 of a file, hex, and its length in bytes; in constant memory.
fn hash_file(path: &Path) -> Result<(String, u64), StoreError> {
    let mut hasher = blake3::Hasher::new();
    let hashed = std::fs::File::open(path).and_then(|file| hasher.update_reader(file).map(|_| ()));
    hashed.map_err(|e| StoreError::io("reading", path, e))?;
    Ok((hasher.finalize().to_hex().to_string(), hasher.count()))
}

/// The refusal of something that is no backup, or none that can be used.
fn unusable(path: &Path, what: impl Into<String>, remedy: &str) -> StoreError {
    StoreError::Unusable { path: path.display().to_string(), what: what.into(), remedy: remedy.into() }
}

/// The path of a part, refused if it leads out of the backup.
fn part_path(backup: &Path, part: &Part) -> Result<PathBuf, StoreError> {
    let path = Path::new(&part.path);
    let plain = path.components().all(|c| matches!(c, std::path::Component::Normal(_)));
    let known = [DATABASE_FILE, SECRET_PART].contains(&part.path.as_str()) || part.path.starts_with("blobs/");
    if plain && known {
        return Ok(backup.join(path));
    }
    Err(unusable(backup, format!("its manifest names '{}'", part.path), "Use another backup. Nothing was changed"))
}
