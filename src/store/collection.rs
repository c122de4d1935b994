//! Collecting bodies that nobody needs any more.
//!
//! Owns the table `unused`: since when nothing names a body. A body is needed by each row of `versions` that names it
//! (every node has one, and what a snapshot needs has one), by each row of `memories`, and by whoever has it pinned
//! (`pins`). It is collected when
//! nothing has named it for a day, so that a request that has just looked it up still finds it.
//!
//! **The row goes first, in a transaction; the file after its COMMIT.** The other way round a crash in between would
//! leave a row whose body is gone, and the next write of the same bytes, which finds the row, would be lost. What a
//! crash leaves this way is a file without a row; those, and files of uploads that were refused, are swept.

use std::path::{Path, PathBuf};

use super::backend::Conn;
use super::pins::Collecting;
use super::shared::Shared;
use super::statements::statements;
use super::tx::{Loader, Sql};
use super::{StoreError, blobs};
use crate::model::ContentHash;
use crate::params;

/// Bodies that one step looks at.
const STEP_ROWS: u64 = 1_000;
/// Directories of blob files that one step looks into.
const STEP_DIRECTORIES: u32 = 256;
/// Blob files after which a step ends with its directory.
const STEP_FILES: usize = 1_000;
/// Directories of blob files there are at most: two bytes of the hash.
const DIRECTORIES: u32 = 1 << 16;

statements! {
    /// Bodies in the order of their hash: size, whether a file, whether named, since when not.
    COLLECT_STEP = "SELECT c.hash, c.size, CASE WHEN c.body IS NULL THEN 1 ELSE 0 END, \
         COALESCE(\
         (SELECT 1 FROM versions AS v WHERE v.content = c.hash LIMIT 1), \
         (SELECT 1 FROM memories AS m WHERE m.content = c.hash LIMIT 1), 0), \
         (SELECT u.since_us FROM unused AS u WHERE u.hash = c.hash) \
         FROM contents AS c WHERE c.hash > ?1 ORDER BY c.hash LIMIT ?2";
    /// Nothing names a body from now on.
    COLLECT_MARK = "INSERT INTO unused (hash, since_us) VALUES (?1, ?2) ON CONFLICT (hash) DO NOTHING";
    /// Something does, or it is gone.
    COLLECT_UNMARK = "DELETE FROM unused WHERE hash = ?1";
    /// The end of a body.
    COLLECT_DROP = "DELETE FROM contents WHERE hash = ?1";
    /// The end of its parts.
    COLLECT_DROP_PARTS = "DELETE FROM chunks WHERE hash = ?1";
    /// Whether a body has a row.
    COLLECT_HAS_ROW = "SELECT 1 FROM contents WHERE hash = ?1";
}

/// What is to be done about one body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Mark,
    Unmark,
    Collect { bytes: u64, file: bool },
}

/// What a look has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    todo: Vec<(ContentHash, What)>,
    /// Where the next look begins; `None` = all were looked at.
    pub(super) next: Option<ContentHash>,
}

/// What was collected.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Collected {
    pub(super) bodies: u64,
    pub(super) bytes: u64,
}

/// Something names a body, or named it until now.
pub(super) fn used(conn: Conn<'_>, hash: &[u8]) -> Result<(), StoreError> {
    conn.exec(COLLECT_UNMARK, params![hash])
}

/// Looks at the bodies behind a hash. `grace_us`: how long one stays that nothing names.
pub(super) fn look(tx: &Loader<'_>, after: Option<ContentHash>, grace_us: i64) -> Result<Found, StoreError> {
    let (mut found, mut looked, mut last) = (Found::default(), 0, None);
    let due = tx.now_us().saturating_sub(grace_us);
    let after = after.as_ref().map_or(&[][..], |hash| &hash.as_bytes()[..]);
    let rows = tx.query(COLLECT_STEP, params![after, STEP_ROWS], |row| {
        let hash = row
            .blob(0)?
            .try_into()
            .map_err(|_| StoreError::Corrupt { what: "a content address is not 32 bytes".into() })?;
        let (bytes, file, named) = (row.id(1)?, row.bool(2)?, row.bool(3)?);
        Ok((ContentHash::from_bytes(hash), bytes, file, named, row.opt_int(4)?))
    })?;
    for (hash, bytes, file, named, since) in rows {
        (looked, last) = (looked + 1, Some(hash));
        let what = match since {
            Some(_) if named => What::Unmark,
            Some(since) if since <= due => What::Collect { bytes, file },
            None if !named => What::Mark,
            _ => continue,
        };
        found.todo.push((hash, what));
    }
    found.next = last.filter(|_| looked == STEP_ROWS);
    Ok(found)
}

impl Found {
    /// Whether there is nothing to do.
    pub(super) fn is_idle(&self) -> bool {
        self.todo.is_empty()
    }

    /// Writes what was found, in a transaction of the caller. `collecting`: nobody can pin anything meanwhile.
    pub(super) fn write(
        &self,
        conn: Conn<'_>,
        collecting: &Collecting<'_>,
        now_us: i64,
    ) -> Result<Collected, StoreError> {
        let mut collected = Collected::default();
        for (hash, what) in &self.todo {
            let key = &hash.as_bytes()[..];
            match what {
                What::Mark => conn.exec(COLLECT_MARK, params![key, now_us])?,
                What::Unmark => used(conn, key)?,
                What::Collect { .. } if collecting.is_pinned(*hash) => {}
                What::Collect { bytes, file } => {
                    conn.exec(COLLECT_DROP, params![key])?;
                    used(conn, key)?;
                    if *file && !conn.is_lite() {
                        conn.exec(COLLECT_DROP_PARTS, params![key])?;
                    }
                    collected.bodies += 1;
                    collected.bytes += bytes;
                }
            }
        }
        Ok(collected)
    }

    /// Removes the files of what was collected, after COMMIT.
    pub(super) fn remove_files(&self, shared: &Shared, collecting: &Collecting<'_>) {
        let files = self.todo.iter().filter(|(_, what)| matches!(what, What::Collect { file: true, .. }));
        for (hash, _) in files.filter(|(hash, _)| !collecting.is_pinned(*hash)) {
            remove(shared, &blobs::path(&shared.data_dir, *hash));
        }
    }
}

/// Removes a file that nothing names. What cannot be removed is met again by the next sweep.
fn remove(shared: &Shared, path: &Path) -> bool {
    match shared.files.remove(path) {
        Ok(()) => true,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => {
            tracing::warn!(%error, "the file of a body that is gone could not be removed; it is tried again");
            false
        }
    }
}

/// Removes blob files without a row from some directories, from number `from` on; how many, and where to go on.
/// Left are those of uploads under way, and, with a `grace_us`, those that were written more lately than that.
pub(super) fn sweep(
    tx: &Loader<'_>,
    shared: &Shared,
    collecting: &Collecting<'_>,
    from: u32,
    grace_us: i64,
) -> Result<(u64, Option<u32>), StoreError> {
    let (mut number, mut directories, mut files, mut removed) = (from, 0, 0, 0);
    while number < DIRECTORIES && directories < STEP_DIRECTORIES && files < STEP_FILES {
        let (first, second) = (number >> 8, number & 0xff);
        let folder = shared.data_dir.join(blobs::BLOBS_DIR).join(format!("{first:02x}"));
        if second == 0 && !folder.is_dir() {
            number += 256;
            continue;
        }
        (number, directories) = (number + 1, directories + 1);
        for path in entries(&folder.join(format!("{second:02x}"))) {
            files += 1;
            let name = path.file_name().and_then(std::ffi::OsStr::to_str);
            let Some(hash) = name.and_then(ContentHash::from_hex) else { continue };
            if collecting.is_pinned(hash) || is_young(&path, tx.now_us(), grace_us) {
                continue;
            }
            let named = tx.query_one(COLLECT_HAS_ROW, params![&hash.as_bytes()[..]], |_| Ok(()))?.is_some();
            removed += u64::from(!named && remove(shared, &path));
        }
    }
    Ok((removed, (number < DIRECTORIES).then_some(number)))
}

/// What lies in a directory; nothing if it is not there.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(found) = std::fs::read_dir(directory) else { return Vec::new() };
    found.filter_map(Result::ok).map(|entry| entry.path()).collect()
}

/// Whether a file was written less than `grace_us` ago.
fn is_young(path: &Path, now_us: i64, grace_us: i64) -> bool {
    if grace_us == 0 {
        return false;
    }
    let written = std::fs::metadata(path).and_then(|file| file.modified()).ok();
    let written = written.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let written_us = written.and_then(|at| i64::try_from(at.as_micros()).ok());
    written_us.is_none_or(|at| at > now_us.saturating_sub(grace_us))
}
