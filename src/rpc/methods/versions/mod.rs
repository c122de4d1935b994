//! The past of files and what is known beside their bodies, one method a file.

pub mod batch_get_content_ids;
pub mod diff_versions;
pub mod export_metadata;
pub mod get_metadata;
pub mod get_version;
pub mod import_metadata;
pub mod list_deleted;
pub mod list_versions;
pub mod rollback;
pub mod undelete;

pub use batch_get_content_ids::BatchGetContentIds;
pub use diff_versions::DiffVersions;
pub use export_metadata::ExportMetadata;
pub use get_metadata::GetMetadata;
pub use get_version::GetVersion;
pub use import_metadata::ImportMetadata;
pub use list_deleted::ListDeleted;
pub use list_versions::ListVersions;
pub use rollback::Rollback;
pub use undelete::Undelete;
