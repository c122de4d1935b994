//! One folder per noun, one file per verb. `rpc/registry.rs` lists them.

pub mod files;
pub mod skills;
