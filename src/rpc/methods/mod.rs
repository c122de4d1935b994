//! One folder per noun, one file per verb. `rpc/registry.rs` lists them.

pub mod absent;
pub mod ace;
pub mod admin;
pub mod agents;
pub mod files;
pub mod memories;
pub mod mounts;
pub mod namespaces;
pub mod outside;
pub mod rebac;
pub mod sandboxes;
pub mod sharing;
pub mod skills;
pub mod versions;
pub mod workspaces;
