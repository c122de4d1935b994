//! The rules of the product: what a file, a skill, an agent, a workspace is and who may do what with it.
//!
//! A noun reads; its `ops.rs` (or `<verb>_ops.rs`) holds the writer messages: rules, check, calls of
//! store functions. What several nouns need (access, names, paths, one call) lies beside them.
//! No HTTP, no JSON-RPC, no SQL text. `ops.rs` lists every writer message.

pub mod access;
pub mod agents;
pub mod audit;
pub mod backups;
pub mod call;
pub mod columns;
pub mod error;
pub mod events;
pub mod facts_ops;
pub mod files;
pub mod keyed;
pub mod keys;
pub mod located;
pub mod memories;
pub mod mounts;
pub mod names;
pub mod ops;
pub mod playbooks;
pub mod quotas;
pub mod records;
pub mod relations;
pub mod sandboxes;
pub mod search;
pub mod skills;
pub mod subscriptions;
pub mod trajectories;
pub mod versions;
pub mod workspaces;

pub use call::{Base, Call};
pub use error::{Lacking, ServiceError};
