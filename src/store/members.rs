//! What lies in a directory, as a listing sees it: the few columns that it needs, borrowed from their row.
//!
//! Owns the narrow reads of `nodes`, whose rows are many: the whole row of a node (`nodes.rs`) takes three times as
//! long. Changes nothing; knows nothing of who may see a node.

use std::ops::ControlFlow;

use super::nodes::{content_hex, kind_of};
use super::statements::statements;
use super::{Row, Sql, StoreError};
use crate::model::{NodeFacts, NodeId};
use crate::params;

statements! {
    /// What a plain listing needs of what lies in a directory, from a name on, by name.
    MEMBERS = "SELECT name, id, tenant, type, owner, implicit, mixed FROM nodes \
         WHERE parent = ?1 AND name >= ?2 ORDER BY name";
    /// The same, and what a listing tells of a file.
    MEMBERS_WITH_DETAILS = "SELECT name, id, tenant, type, owner, implicit, mixed, content, size, version, mime, \
         created_at_us, modified_at_us FROM nodes WHERE parent = ?1 AND name >= ?2 ORDER BY name";
}

/// A node in a directory.
#[derive(Debug)]
pub struct Member<'r> {
    /// The last component of its path.
    pub name: &'r str,
    /// What permissions depend on.
    pub facts: NodeFacts<'r>,
    /// A directory that a write made by itself.
    pub implicit: bool,
    /// What a listing tells of it, if that was asked for.
    pub details: Option<Details>,
}

/// What a listing tells of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// BLAKE3 of the body, hex; `None` for a directory.
    pub content: Option<String>,
    /// Bytes.
    pub size: u64,
    /// The version, from 1; 0 of a directory.
    pub version: u64,
    /// MIME type, if known.
    pub mime: Option<String>,
    /// Unix time, µs.
    pub created_at_us: i64,
    /// Unix time, µs.
    pub modified_at_us: i64,
}

/// Gives what lies in a directory to `each`, by name from the name `from` on, until it breaks; `""` comes before all
/// names.
pub fn each(
    tx: &impl Sql,
    directory: NodeId,
    from: &str,
    details: bool,
    mut each: impl FnMut(Member<'_>) -> Result<ControlFlow<()>, StoreError>,
) -> Result<(), StoreError> {
    let statement = if details { MEMBERS_WITH_DETAILS } else { MEMBERS };
    tx.each(statement, params![directory, from], |row| {
        let facts = NodeFacts {
            id: row.id(1)?,
            tenant: row.text(2)?,
            kind: kind_of(row.int(3)?),
            owner: row.opt_entity(4)?,
            mixed: row.bool(6)?,
        };
        let details = details.then(|| details_at(row, 7)).transpose()?;
        each(Member { name: row.text(0)?, facts, implicit: row.bool(5)?, details })
    })
}

/// The six columns from `at` on.
fn details_at(row: &Row<'_>, at: usize) -> Result<Details, StoreError> {
    Ok(Details {
        content: content_hex(row, at)?,
        size: row.id(at + 1)?,
        version: row.id(at + 2)?,
        mime: row.opt_string(at + 3)?,
        created_at_us: row.int(at + 4)?,
        modified_at_us: row.int(at + 5)?,
    })
}
