//! `demo`: data to try things on, and the seven waves against itself.

pub mod manifest;
pub mod provision;
pub mod script;
pub mod skills;

/// The key that everybody knows. It opens nothing but a demo.
pub const DEMO_KEY: &str = "sk-default_admin_dddddddd_eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
