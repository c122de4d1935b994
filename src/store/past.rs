//! The tree as it was: what lay in a directory at a revision, in order of the names.
//!
//! Reads `versions`, which `versions` and `nodes` write. Knows a directory by its id, also one that is gone: its children
//! keep their intervals. Invariant: below a directory that was there at a revision, one row holds per name.

use super::statements::statements;
use super::{Sql, StoreError, nodes};
use crate::model::{NodeId, Rev};
use crate::params;

statements! {
    /// What lay in a directory at a revision behind a name, by name.
    PAST_CHILDREN = "SELECT name, node, version, content, size, mime FROM versions \
         WHERE parent = ?1 AND name > ?2 AND from_rev <= ?3 AND (to_rev IS NULL OR to_rev > ?3) \
         ORDER BY name LIMIT ?4";
}

/// A file or directory as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRow {
    /// Its name.
    pub name: String,
    /// Its id.
    pub node: NodeId,
    /// The number of the version; 0 = a directory.
    pub version: u64,
    /// BLAKE3 of the body, hex; `None` = a directory.
    pub content: Option<String>,
    /// Bytes.
    pub size: u64,
    /// MIME type, if known.
    pub mime: Option<String>,
}

/// Up to `limit` of what lay directly in a directory at `rev` behind the name `after`, by name; `""` is before all names.
pub fn children(
    tx: &impl Sql,
    directory: NodeId,
    rev: Rev,
    after: &str,
    limit: u64,
) -> Result<Vec<PastRow>, StoreError> {
    tx.query(PAST_CHILDREN, params![directory, after, rev, limit], |row| {
        Ok(PastRow {
            name: row.string(0)?,
            node: row.id(1)?,
            version: row.id(2)?,
            content: nodes::content_hex(row, 3)?,
            size: row.id(4)?,
            mime: row.opt_string(5)?,
        })
    })
}
