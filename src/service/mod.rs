//! The rules of the product: what a file, a skill, an agent, a workspace is and who may do what with it.
//!
//! `<noun>.rs` reads, `<noun>_ops.rs` holds the writer messages of the noun (rules, check, calls of store functions).
//! No HTTP, no JSON-RPC, no SQL text. `ops.rs` lists every writer message.

pub mod access;
pub mod agents;
pub mod agents_ops;
pub mod append_ops;
pub mod audit;
pub mod audit_view;
pub mod backups;
pub mod bulk_ops;
pub mod bulk_read;
pub mod call;
pub mod checks;
pub mod edit;
pub mod engine_options;
pub mod error;
pub mod explain;
pub mod facts_ops;
mod file_objects;
pub mod files;
pub mod files_ops;
pub mod front_matter;
pub mod glob;
pub mod keyed;
pub mod keys;
pub mod keys_ops;
pub mod list;
pub mod located;
pub mod mounts;
pub mod names;
pub mod namespaces;
pub mod namespaces_ops;
pub mod object_filter;
pub mod object_list;
pub mod ops;
pub mod past;
pub mod pins;
pub mod questions;
pub mod reach;
pub mod sandboxes;
pub mod sandboxes_ops;
pub mod search;
pub mod search_text;
mod search_walk;
pub mod skills;
pub mod subject_list;
pub mod tree;
mod tree_changes;
pub mod tuples;
pub mod tuples_ops;
pub mod workspaces;
pub mod workspaces_ops;

pub use call::Call;
pub use error::{Lacking, ServiceError};
