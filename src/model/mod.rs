//! The words of the project: ids, paths, rows, changes, time and chance.
//!
//! Owns the plain data that every other layer speaks. Does no I/O, knows no SQL, no HTTP and no JSON-RPC.

pub mod change;
pub mod facts;
pub mod hash;
pub mod hex;
pub mod mime;
pub mod nearest;
pub mod path;
pub mod random;
pub mod records;
pub mod time;

pub use change::{
    AgentRow, ApprovalRow, Change, Delta, EntityRow, KeyRow, MountRow, NamespaceRow, NodeKind, NodeRow, QuotaRow,
    SandboxRow, SnapshotRow, SubscriptionRow, TupleRow, WorkspaceRow,
};
pub use facts::NodeFacts;
pub use hash::ContentHash;
pub use hex::hex;
pub use nearest::nearest;
pub use path::{PathError, VirtualPath};
pub use random::{OsRandom, RandomSource};
pub use records::{MemoryRow, PlaybookRow, TrajectoryNoteRow, TrajectoryRow};
pub use time::{Clock, ManualClock, SystemClock};

/// A revision: the gap-free number of a committed change. 0 = the empty store.
pub type Rev = u64;
/// The id of an entity (`entities.id`), dense, never reused.
pub type EntityId = u32;
/// The id of a node of the file tree (`nodes.id`), never reused.
pub type NodeId = u64;

/// The node id of `/`.
pub const ROOT_NODE: NodeId = 1;
/// The tenant of everything that names none.
pub const DEFAULT_TENANT: &str = "default";
