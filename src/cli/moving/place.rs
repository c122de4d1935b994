//! Where a store is, or shall be: a data directory or a PostgreSQL database.

use std::path::PathBuf;

use crate::auth::SECRET_FILE;
use crate::cli::{Failure, exit, offline};
use crate::config::{Config, Secret};
use crate::store::{Faults, Options, Store};
#[cfg(feature = "postgres")]
use crate::store::{PostgresUrl, bundle};

/// How long reading a store may take.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// One end of a move.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// A data directory.
    Directory(PathBuf),
    /// A database of a PostgreSQL server.
    #[cfg(feature = "postgres")]
    Postgres(PostgresUrl),
}

impl Place {
    /// That of the settings: the database that is named there, else the data directory.
    pub(super) fn of(config: &Config) -> Result<Self, Failure> {
        match &config.database_url {
            Some(url) => Self::parse(url.expose()),
            None => Ok(Self::Directory(config.data_dir.clone())),
        }
    }

    /// A `postgres://` address, or a directory.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            #[cfg(feature = "postgres")]
            return PostgresUrl::parse(text).map(Self::Postgres).map_err(|e| Failure::new(exit::USAGE, e.to_string()));
            #[cfg(not(feature = "postgres"))]
            return Err(Failure::new(exit::UNAVAILABLE, "this program was built without PostgreSQL")
                .hint("use one that was built with --features postgres"));
        }
        Ok(Self::Directory(text.into()))
    }

    /// As people call it; without a password.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Directory(dir) => dir.display().to_string(),
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => url.place(),
        }
    }

    /// How it is opened.
    pub(super) fn options(&self) -> Result<Options, Failure> {
        let mut options = match self {
            Self::Directory(dir) => Options::new(dir),
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => Options::postgres(url.clone()),
        };
        let failed = |e: crate::config::ConfigError| Failure::new(e.exit_status(), e.to_string());
        options.faults = Faults::planned(&offline::faults()?).map_err(failed)?;
        Ok(options)
    }

    /// Opens the store that is there, without what a server needs; one that is not there is not made.
    pub(super) fn open(&self) -> Result<Store, Failure> {
        match self {
            Self::Directory(dir) => offline::require_database(dir)?,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => bundle::require_store(&self.options()?)?,
        }
        let mut options = self.options()?;
        // A table is one statement, however long it is.
        options.limits.read_deadline = LONGEST;
        Ok(Store::builder(options).open()?)
    }

    /// The file that the server's secret is in, or shall be in; `None` where there is no disk of the server.
    pub(super) fn secret_file(&self) -> Option<PathBuf> {
        match self {
            Self::Directory(dir) => Some(dir.join(SECRET_FILE)),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => None,
        }
    }

    /// The secret that the keys there are hashed with: that of the settings, else that of the file.
    pub(super) fn secret(&self, setting: Option<&Secret>) -> Result<Option<Secret>, Failure> {
        if let Some(secret) = setting {
            return Ok(Some(secret.clone()));
        }
        let Some(file) = self.secret_file().filter(|file| file.exists()) else { return Ok(None) };
        let text = std::fs::read_to_string(&file).map_err(|e| Failure::file("reading", &file, &e))?;
        Ok(Some(Secret::new(text.trim())))
    }
}
