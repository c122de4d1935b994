//! The past of files.

mod diff_versions;
mod get_metadata;
mod list_versions;
mod rollback;

pub(crate) use super::files::shared_world;
