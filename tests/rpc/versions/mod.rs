//! The past of files.

mod diff_versions;
mod get_metadata;
mod list_versions;
mod moving;
mod retention;
mod rollback;
mod undelete;

pub(crate) use super::files::shared_world;
