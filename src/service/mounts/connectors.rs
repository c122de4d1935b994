//! The types of backends: what they are called, and what is missing to use one.
//!
//! Owns that list. Says the truth: one of them is built, and each other says that it is not.

/// A type of backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connector {
    /// The name, as `add_mount` takes it.
    pub name: &'static str,
    /// For people.
    pub description: &'static str,
    /// `storage`, `api` or `oauth`.
    pub category: &'static str,
    /// Names of its settings.
    pub requires: &'static [&'static str],
    /// What is missing to use it; `None` = nothing.
    pub missing: Option<&'static str>,
}

const NOT_BUILT: Option<&str> =
    Some("this connector is not built into this server: mount a local directory that another program fills");

/// Every type that clients may know.
pub const CONNECTORS: &[Connector] = &[
    connector("gcs", "Google Cloud Storage, content-addressed", "storage", &["bucket", "project_id"]),
    connector("gcs_connector", "Google Cloud Storage, as files", "storage", &["bucket", "project_id"]),
    connector("gdrive_connector", "Google Drive", "oauth", &["token_manager_db", "user_email"]),
    connector("gmail_connector", "Gmail", "oauth", &["token_manager_db", "user_email"]),
    connector("hn_connector", "Hacker News", "api", &[]),
    Connector {
        name: super::LOCAL,
        description: "A directory of this machine, below one that `mount_dirs` allows",
        category: "storage",
        requires: &["data_dir"],
        missing: None,
    },
    connector("s3_connector", "Amazon S3, as files", "storage", &["bucket"]),
    connector("x_connector", "X", "api", &["token_manager_db"]),
];

const fn connector(
    name: &'static str,
    description: &'static str,
    category: &'static str,
    requires: &'static [&'static str],
) -> Connector {
    Connector { name, description, category, requires, missing: NOT_BUILT }
}
