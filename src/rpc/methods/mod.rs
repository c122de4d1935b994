//! One folder per noun, one file per verb. `rpc/registry.rs` lists them.
