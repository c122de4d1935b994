//! What of a row decides, without the row: few columns, borrowed, so that a listing need not read the others.

use super::{EntityId, NodeId, NodeKind, NodeRow};

/// What permissions depend on, of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeFacts<'n> {
    /// The id.
    pub id: NodeId,
    /// The tenant it belongs to.
    pub tenant: &'n str,
    /// File or directory.
    pub kind: NodeKind,
    /// The owner column.
    pub owner: Option<EntityId>,
    /// A directory below which a node of another tenant was made or moved.
    pub mixed: bool,
}

impl<'n> From<&'n NodeRow> for NodeFacts<'n> {
    fn from(row: &'n NodeRow) -> Self {
        Self { id: row.id, tenant: &row.tenant, kind: row.kind, owner: row.owner, mixed: row.mixed }
    }
}
