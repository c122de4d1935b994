//! Files and directories, one method a file.

pub mod delete;
pub mod exists;
pub mod glob;
pub mod grep;
pub mod is_directory;
pub mod list;
pub mod mkdir;
pub mod read;
pub mod rename;
pub mod rmdir;
pub mod stat;
pub mod write;

pub use delete::Delete;
pub use exists::Exists;
pub use glob::Glob;
pub use grep::Grep;
pub use is_directory::IsDirectory;
pub use list::List;
pub use mkdir::Mkdir;
pub use read::Read;
pub use rename::Rename;
pub use rmdir::Rmdir;
pub use stat::Stat;
pub use write::Write;
