//! What lies in a directory, as a listing sees it: the few columns that it needs, borrowed from their row.
//!
//! Owns the narrow reads of `nodes`, whose rows are many: the whole row of a node (`nodes.rs`) takes three times as
//! long. Changes nothing; knows nothing of who may see a node.

use std::ops::ControlFlow;

use super::footprint::Scope;
use super::nodes::{content_hex, kind_of};
use super::statements::statements;
use super::{Row, Sql, StoreError};
use crate::model::{NodeFacts, NodeId, NodeKind};
use crate::params;

statements! {
    /// What a plain listing needs of what lies in a directory, from a name on, by name.
    MEMBERS = "SELECT name, id, tenant, type, owner, implicit, mixed FROM nodes \
         WHERE parent = ?1 AND name >= ?2 ORDER BY name";
    /// The same, and what a listing tells of a file.
    MEMBERS_WITH_DETAILS = "SELECT name, id, tenant, type, owner, implicit, mixed, content, size, version, mime, \
         created_at_us, modified_at_us FROM nodes WHERE parent = ?1 AND name >= ?2 ORDER BY name";
}

/// A node in a directory. Reading columns is most of a listing's work, so that those which not every row needs are read
/// when they are asked for.
#[derive(Debug)]
pub struct Member<'r> {
    /// The last component of its path.
    pub name: &'r str,
    /// The tenant it belongs to.
    pub tenant: &'r str,
    /// File or directory.
    pub kind: NodeKind,
    row: &'r Row<'r>,
}

impl<'r> Member<'r> {
    fn new(row: &'r Row<'r>) -> Result<Self, StoreError> {
        Ok(Self { name: row.text(0)?, tenant: row.text(2)?, kind: kind_of(row.int(3)?), row })
    }

    /// What permissions depend on.
    pub fn facts(&self) -> Result<NodeFacts<'r>, StoreError> {
        let Self { tenant, kind, row, .. } = *self;
        Ok(NodeFacts { id: row.id(1)?, tenant, kind, owner: row.opt_entity(4)?, mixed: row.bool(6)? })
    }

    /// Whether it is a directory that a write made by itself.
    pub fn is_implicit(&self) -> Result<bool, StoreError> {
        self.row.bool(5)
    }

    /// What a listing tells of it; only where [`each`] was asked for details.
    pub fn details(&self) -> Result<Details, StoreError> {
        let row = self.row;
        Ok(Details {
            content: content_hex(row, 7)?,
            size: row.id(8)?,
            version: row.id(9)?,
            mime: row.opt_string(10)?,
            created_at_us: row.int(11)?,
            modified_at_us: row.int(12)?,
        })
    }
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
    tx.each_in(Scope::Members(directory), statement, params![directory, from], |row| each(Member::new(row)?))
}
