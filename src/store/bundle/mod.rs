//! A whole store as one stream of lines, to be moved between engines and machines: exactly one revision.
//!
//! Each line is a JSON object. The first says what the bundle is of ([`Header`]: form, schema, revision, rows of each
//! table); then one `{"<table>":{"<column>":…}}` per row, tables in the order of `store::tables`, rows in that of the
//! primary key, hashes as hex, bodies up to 64 KiB as base64 in their row; behind the rows of `contents` the larger ones,
//! in parts: `{"body":{"hash":…,"part":0,"bytes":…}}`; the last line counts again and holds the BLAKE3 of every byte
//! before it. `line` writes and reads lines, `export` reads a store, `import` checks what it reads, `target` is what it
//! is written to, `tenants` renames.
//!
//! What travels: everything that an answer may depend on, the log of changes, the replies that are remembered and the
//! denials included, so that etags, revisions, time travel and retries go on. What does not: the record of decisions
//! (a hint, and of one engine), the history of the schema, and facts of `meta` about one run. The hashes of keys do; the
//! secret that they are made with only if it is asked for. The name of the life (incarnation) stays, because it goes on;
//! where the original goes on as well, or tenants have other names, the target begins one of its own.
//!
//! Must never know who may do what. Invariants: constant memory on both sides, whatever the size; what is imported is
//! there as a whole or not at all: a store that is being filled says so in `meta`, and no server opens it.

mod checks;
mod export;
mod import;
mod line;
mod place;
mod target;
mod tenants;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::backend::Conn;
use super::statements::statements;
use crate::config::Secret;
use crate::model::Rev;

pub(super) use export::write;
pub use import::{How, Imported, import};
pub use place::free;
#[cfg(feature = "postgres")]
pub use place::require_store;
pub use tenants::{Tenants, TenantsError};

statements! {
    /// The larger bodies, each a file, where the engine has a disk.
    BUNDLE_BODIES = "SELECT hash, size FROM contents WHERE body IS NULL ORDER BY hash";
    /// The larger bodies in parts, where it has none.
    BUNDLE_CHUNKS = "SELECT c.hash, c.size, p.body FROM contents AS c JOIN chunks AS p ON p.hash = c.hash \
        WHERE c.body IS NULL ORDER BY c.hash, p.part";
    /// How many there are, and their bytes.
    BUNDLE_BODIES_SIZE = "SELECT COUNT(*), CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM contents WHERE body IS NULL";
    /// The size that a larger body must have.
    BUNDLE_BODY = "SELECT size FROM contents WHERE hash = ?1 AND body IS NULL";
    /// A fact, while nothing is open.
    BUNDLE_META = "SELECT value FROM meta WHERE key = ?1";
    /// A present body that is not there, or of another size.
    BUNDLE_NODE_BODIES = "SELECT 'the body of node ' || CAST(n.id AS TEXT) || ' is missing or of another size' \
        FROM nodes AS n WHERE n.content IS NOT NULL \
        AND NOT EXISTS (SELECT 1 FROM contents AS c WHERE c.hash = n.content AND c.size = n.size)";
    /// The same of an earlier one.
    BUNDLE_VERSION_BODIES = "SELECT 'a body of node ' || CAST(v.node AS TEXT) || ' is missing or of another size' \
        FROM versions AS v WHERE v.content IS NOT NULL \
        AND NOT EXISTS (SELECT 1 FROM contents AS c WHERE c.hash = v.content AND c.size = v.size)";
    /// The same of a memory.
    BUNDLE_MEMORY_BODIES = "SELECT 'the body of memory ' || m.memory_id || ' is missing or of another size' \
        FROM memories AS m \
        WHERE NOT EXISTS (SELECT 1 FROM contents AS c WHERE c.hash = m.content AND c.size = m.size)";
    /// Notes of no trajectory, or with gaps.
    BUNDLE_NOTES = "SELECT 'the notes of trajectory ' || n.trajectory_id || ' have gaps, or are of none' FROM \
        (SELECT trajectory_id, COUNT(*) AS held, MAX(number) AS last, MIN(number) AS first FROM trajectory_notes \
        GROUP BY trajectory_id) AS n WHERE n.first <> 1 OR n.last <> n.held \
        OR NOT EXISTS (SELECT 1 FROM trajectories AS t WHERE t.trajectory_id = n.trajectory_id)";
    /// A node that is not what its present version says.
    BUNDLE_PRESENT = "SELECT 'node ' || CAST(n.id AS TEXT) || ' has no present version that agrees' FROM nodes AS n \
        WHERE n.detached = 0 AND NOT EXISTS (SELECT 1 FROM versions AS v WHERE v.node = n.id AND v.to_rev IS NULL \
        AND v.parent = n.parent AND v.name = n.name AND v.version = n.version \
        AND (v.content = n.content OR (v.content IS NULL AND n.content IS NULL)))";
    /// A present version of no node.
    BUNDLE_GONE = "SELECT 'node ' || CAST(v.node AS TEXT) || ' is gone and has a present version' FROM versions AS v \
        WHERE v.to_rev IS NULL AND NOT EXISTS (SELECT 1 FROM nodes AS n WHERE n.id = v.node AND n.detached = 0)";
    /// A skill of no node.
    BUNDLE_SKILLS = "SELECT 'the skill of node ' || CAST(s.node AS TEXT) || ' has no file' FROM skills AS s \
        WHERE NOT EXISTS (SELECT 1 FROM nodes AS n WHERE n.id = s.node AND n.type = 0)";
}

/// The form of the lines, in the header.
pub const FORMAT: u32 = 1;
/// Bytes of a body in one line.
pub const PART_BYTES: usize = 256 * 1024;
/// Longest line, bytes: a row of the log that names every file of a large directory has some MiB.
pub const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Rows between two reports of how far it is.
const TELL_ROWS: u64 = 1_024;

/// Rows of each table.
pub type Counts = BTreeMap<String, u64>;

/// A number of bodies, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bodies {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What a bundle says about itself, in its first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The form of the lines.
    #[serde(rename = "nexus_lite_bundle")]
    pub format: u32,
    /// The program that made it.
    pub program: String,
    /// The version of the schema.
    pub schema: u64,
    /// The revision that it holds, with everything before it.
    pub rev: Rev,
    /// The life of the store that it is of.
    pub incarnation: String,
    /// When it was begun, ISO 8601, UTC.
    pub made_at: String,
    /// Whether the server's secret is in it.
    pub secret: bool,
    /// Rows of each table.
    pub counts: Counts,
    /// Bodies that are not in a row.
    pub bodies: Bodies,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    counts: Counts,
    bodies: Bodies,
    /// BLAKE3 of every byte before this line, hex.
    blake3: String,
}

/// How far it is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// What is being moved: a table, `bodies`, or `checks` at the end.
    pub step: &'static str,
    /// Rows done.
    pub rows: u64,
    /// Rows in all.
    pub rows_all: u64,
    /// Bytes of larger bodies done.
    pub bytes: u64,
    /// Their bytes in all.
    pub bytes_all: u64,
}

/// Is told how far it is, and may end it.
pub type Tell<'a> = dyn FnMut(Progress) -> ControlFlow<()> + Send + 'a;

/// What an export is made with.
#[derive(Debug, Default)]
pub struct What {
    /// How people call the target, for messages.
    pub name: String,
    /// The server's secret, if it is to travel.
    pub secret: Option<Secret>,
}

/// Why a store was not moved. Nothing is left of what was begun.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// The store at one end.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bundle, or where it should go, cannot be taken.
    #[error("{name}{}: {what}. {remedy}", line.map_or_else(String::new, |line| format!(", line {line}")))]
    Refused {
        /// The bundle or the target, as people call it.
        name: String,
        /// The line that it is about.
        line: Option<u64>,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// The stream could not be read or written.
    #[error("{step} {name} failed: {source}")]
    Io {
        /// The step, as a verb.
        step: &'static str,
        /// The bundle, as people call it.
        name: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It was ended from outside.
    #[error("stopped before it was done; nothing is left of it")]
    Stopped,
}

/// Refuses a store that is being filled, or whose filling was cut short. `place`: what people call it.
pub(super) fn refuse_unfinished(conn: Conn<'_>, place: &str) -> Result<(), StoreError> {
    match fact(conn, super::meta::IMPORTING)? {
        Some(of) => Err(unfinished(place, &of)),
        None => Ok(()),
    }
}

pub(super) fn unfinished(place: &str, of: &str) -> StoreError {
    StoreError::Unusable {
        path: place.to_owned(),
        what: format!("an import was cut short here, {of}"),
        remedy: "Nothing of it is served. Run the import again, it begins anew: nexus-lite import FILE".into(),
    }
}

/// A fact of `meta`.
fn fact(conn: Conn<'_>, key: &str) -> Result<Option<String>, StoreError> {
    let mut value = None;
    conn.each(BUNDLE_META, crate::params![key], |row| {
        value = Some(row.string(0)?);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(value)
}

/// The number that a counting statement gives.
fn count(conn: Conn<'_>, sql: &'static str) -> Result<u64, StoreError> {
    let mut counted = 0;
    conn.each(sql, &[], |row| {
        counted = row.id(0)?;
        Ok(ControlFlow::Break(()))
    })?;
    Ok(counted)
}

/// Rows of each table that travels.
fn counts(conn: Conn<'_>) -> Result<Counts, StoreError> {
    let counted = |table: &super::tables::Table| Ok((table.name.to_owned(), count(conn, table.count)?));
    super::tables::TABLES.iter().map(counted).collect()
}
