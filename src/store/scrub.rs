//! Reading everything: each body against its name, each rule of `schema.sql`, and the files that nobody names.
//!
//! Works on any read-only connection and holds no snapshot for long: bodies are read in pages, each page and each rule
//! a transaction of its own, so that a running server can move its log meanwhile. Constant memory. Removes nothing.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde::Serialize;

use super::backend::sqlite;
use super::statements::statements;
use super::{StoreError, blobs, check, meta};
use crate::model::{ContentHash, NodeId, ROOT_NODE, Rev};

statements! {
    /// What there is to read.
    SCRUB_TOTAL = "SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM contents";
    /// A page of bodies, by name.
    SCRUB_PAGE = "SELECT hash, size, body FROM contents WHERE hash > ?1 ORDER BY hash LIMIT ?2";
    /// Whether a row names a blob file.
    SCRUB_NAMED = "SELECT 1 FROM contents WHERE hash = ?1 AND body IS NULL";
    /// The files that hold a body, the present ones first.
    SCRUB_HOLDERS = "SELECT parent, name, version, CASE WHEN to_rev IS NULL THEN 1 ELSE 0 END AS present FROM versions \
        WHERE content = ?1 ORDER BY present DESC, from_rev DESC LIMIT ?2";
    /// The way up.
    SCRUB_PARENT = "SELECT parent, name FROM nodes WHERE id = ?1";
}

/// Bodies of one page: at most 16 MiB of the database in one transaction.
const PAGE_ROWS: i64 = 256;
/// Damaged bodies that are told; all are counted.
const DAMAGED_TOLD: usize = 100;
/// Files that are named for one damaged body.
const HOLDERS_TOLD: i64 = 5;
/// Directories above a file, at most: what a damaged tree must not turn into an endless loop.
const DEPTH_MAX: usize = 256;

/// A number of things and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Amount {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// A body that is not what was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damaged {
    /// BLAKE3 of what it should be, hex.
    pub hash: String,
    /// What is wrong with it.
    pub what: String,
    /// Files that hold it: path, version, and whether it is the present one; at most 5.
    pub holders: Vec<String>,
}

/// What a scrub has found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Scrubbed {
    /// SQLite's own checks and the rules of `schema.sql`.
    pub report: check::Report,
    /// The revision when it ended.
    pub rev: Rev,
    /// Bodies in the database that were read.
    pub inline: Amount,
    /// Blob files that were read.
    pub blobs: Amount,
    /// Bodies that are damaged, at most 100.
    pub damaged: Vec<Damaged>,
    /// How many there are.
    pub damaged_count: u64,
    /// Blob files that no row names: left by writes that were never acknowledged, or younger than this look.
    pub orphans: Amount,
    /// Files of writes that were cut short; the next start clears them.
    pub partial: Amount,
    /// Whether it was ended before its end.
    pub interrupted: bool,
}

impl Scrubbed {
    /// Whether everything that was read is as it should be.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.damaged_count == 0 && self.report.violations.is_empty()
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// What is being done.
    pub step: &'static str,
    /// Bodies done.
    pub done: Amount,
    /// Bodies in all.
    pub all: Amount,
}

/// Reads everything in `data_dir` through `conn`. `progress` is told after each step and may end it.
pub(super) fn run(
    conn: &Connection,
    data_dir: &Path,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Scrubbed, StoreError> {
    let mut scrub = Scrub { conn, data_dir, out: Scrubbed::default(), all: Amount::default(), progress };
    let ended = scrub.everything();
    let mut out = scrub.out;
    out.interrupted = matches!(ended, Ok(ControlFlow::Break(())));
    match ended {
        // The file itself is damaged: one finding more, and what was found before it is told.
        Err(error @ StoreError::Sql { .. }) => out.report.add("reading", error.to_string()),
        ended => drop(ended?),
    }
    // Where even this cannot be read, the report says so already.
    out.rev = meta::head_rev(conn.into()).unwrap_or(0);
    Ok(out)
}

struct Scrub<'a> {
    conn: &'a Connection,
    data_dir: &'a Path,
    out: Scrubbed,
    all: Amount,
    progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

/// A body of a page that is a file.
type Blob = (ContentHash, u64);

/// The name of the last row of a page, and the bodies of the page that are files.
type Page = (Vec<u8>, Vec<Blob>);

impl Scrub<'_> {
    fn tell(&mut self, step: &'static str) -> ControlFlow<()> {
        let (inline, blobs) = (self.out.inline, self.out.blobs);
        let done = Amount { count: inline.count + blobs.count, bytes: inline.bytes + blobs.bytes };
        (self.progress)(Progress { step, done, all: self.all })
    }

    fn everything(&mut self) -> Result<ControlFlow<()>, StoreError> {
        let mut all = Amount::default();
        sqlite::each(self.conn, SCRUB_TOTAL, &[], |row| {
            all = Amount { count: row.id(0)?, bytes: row.id(1)? };
            Ok(ControlFlow::Break(()))
        })?;
        self.all = all;
        if self.tell("rules").is_break() {
            return Ok(ControlFlow::Break(()));
        }
        check::all(self.conn.into(), self.data_dir, &mut self.out.report)?;
        let mut after = Vec::new();
        loop {
            if self.tell("bodies").is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let Some((last, blobs)) = self.page(&after)? else { break };
            after = last;
            for (hash, size) in blobs {
                if self.blob(hash, size)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        self.files()
    }

    /// Verifies the bodies of one page that lie in the database; the name of the last row, and those that are files.
    fn page(&mut self, after: &[u8]) -> Result<Option<Page>, StoreError> {
        let (mut last, mut blobs, mut damaged) = (None, Vec::new(), Vec::new());
        let inline = &mut self.out.inline;
        sqlite::each(self.conn, SCRUB_PAGE, crate::params![after, PAGE_ROWS], |row| {
            let (name, size) = (row.blob(0)?, row.id(1)?);
            last = Some(name.to_vec());
            let Some(hash) = <[u8; 32]>::try_from(name).ok().map(ContentHash::from_bytes) else {
                // Rule R8 names it.
                return Ok(ControlFlow::Continue(()));
            };
            match row.opt_blob(2)? {
                None => blobs.push((hash, size)),
                Some(body) => {
                    inline.add(body.len() as u64);
                    if ContentHash::of(body) != hash {
                        damaged.push(hash);
                    }
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for hash in damaged {
            self.damaged(hash, "the body in the database is not what was stored".into())?;
        }
        Ok(last.map(|last| (last, blobs)))
    }

    /// Reads a blob file.
    fn blob(&mut self, hash: ContentHash, size: u64) -> Result<ControlFlow<()>, StoreError> {
        match blobs::verify(self.data_dir, hash) {
            Ok(bytes) if bytes == size => self.out.blobs.add(bytes),
            Ok(bytes) => {
                self.out.blobs.add(bytes);
                self.damaged(hash, format!("the blob file has {bytes} bytes, its row says {size}"))?;
            }
            // It may have gone with its row, since the page was read.
            Err(_) if !self.is_named(hash)? => {}
            Err(StoreError::Corrupt { what }) => self.damaged(hash, what)?,
            Err(error) => self.damaged(hash, error.to_string())?,
        }
        Ok(self.tell("bodies"))
    }

    fn is_named(&self, hash: ContentHash) -> Result<bool, StoreError> {
        let mut named = false;
        sqlite::each(self.conn, SCRUB_NAMED, crate::params![&hash.as_bytes()[..]], |_| {
            named = true;
            Ok(ControlFlow::Break(()))
        })?;
        Ok(named)
    }

    fn damaged(&mut self, hash: ContentHash, what: String) -> Result<(), StoreError> {
        self.out.damaged_count += 1;
        if self.out.damaged.len() < DAMAGED_TOLD {
            let holders = self.holders(hash)?;
            self.out.damaged.push(Damaged { hash: hash.to_hex(), what, holders });
        }
        Ok(())
    }

    /// `version 3 of /docs/a.txt`, `version 1 of /docs/b.txt (an earlier one)`.
    fn holders(&self, hash: ContentHash) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        sqlite::each(self.conn, SCRUB_HOLDERS, crate::params![&hash.as_bytes()[..], HOLDERS_TOLD], |row| {
            found.push((row.id(0)?, row.string(1)?, row.id(2)?, row.bool(3)?));
            Ok(ControlFlow::Continue(()))
        })?;
        let word = |(parent, name, version, present)| {
            let path = self.path(parent, name)?;
            let when = if present { "" } else { " (an earlier one)" };
            Ok(format!("version {version} of {path}{when}"))
        };
        found.into_iter().map(word).collect()
    }

    /// The present path of `name` in the directory `parent`; begins with `…` where that is gone.
    fn path(&self, mut parent: NodeId, name: String) -> Result<String, StoreError> {
        let mut names = vec![name];
        while parent != ROOT_NODE && names.len() < DEPTH_MAX {
            let mut above = None;
            sqlite::each(self.conn, SCRUB_PARENT, crate::params![parent], |row| {
                above = Some((row.id(0)?, row.string(1)?));
                Ok(ControlFlow::Break(()))
            })?;
            let Some((id, name)) = above else {
                names.push("…".into());
                break;
            };
            names.push(name);
            parent = id;
        }
        names.reverse();
        Ok(format!("/{}", names.join("/")))
    }

    /// Counts the files below `blobs` that no row names.
    fn files(&mut self) -> Result<ControlFlow<()>, StoreError> {
        let root = self.data_dir.join(blobs::BLOBS_DIR);
        for first in folder(&root)? {
            if first.file_name().is_some_and(|name| name == blobs::PARTIAL_DIR) {
                for file in folder(&first)? {
                    self.out.partial.add(length(&file));
                }
                continue;
            }
            for file in folder(&first)?.iter().map(|second| folder(second)).collect::<Result<Vec<_>, _>>()?.concat() {
                let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                let named = match ContentHash::from_hex(&name) {
                    Some(hash) => self.is_named(hash)?,
                    None => false,
                };
                if !named {
                    self.out.orphans.add(length(&file));
                }
            }
            if self.tell("files").is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// What is in a folder; nothing if there is none, or if it is a file.
fn folder(path: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match std::fs::read_dir(path) {
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        read => read.map_err(|e| StoreError::io("reading", path, e))?,
    };
    let paths: Result<Vec<_>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    paths.map_err(|e| StoreError::io("reading", path, e))
}

fn length(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |file| file.len())
}
