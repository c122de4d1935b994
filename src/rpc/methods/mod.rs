//! One folder per noun, one file per verb. `rpc/registry.rs` lists them.

pub mod admin;
pub mod agents;
pub mod files;
pub mod mounts;
pub mod namespaces;
pub mod rebac;
pub mod sandboxes;
pub mod sharing;
pub mod skills;
pub mod versions;
pub mod workspaces;
