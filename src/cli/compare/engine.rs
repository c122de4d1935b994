//! Where a run takes place: an empty directory, a cluster of our own, or an empty database of the user's.
//!
//! Owns what it made and removes it. Must never write to what is not empty.

use std::path::{Path, PathBuf};

use super::super::Failure;
use super::super::scratch::Scratch;
use super::Plan;
use super::cluster::Cluster;
use super::interrupt::Interrupt;
use super::memory::Watch;
use crate::config::{Config, ConfigError, Secret};
use crate::model::{OsRandom, RandomSource as _};
use crate::store::Status;

/// What an engine is called on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// SQLite in a data directory.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Kind {
    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// An error if this program was built without it.
    pub fn check_built(self) -> Result<(), Failure> {
        if self == Self::Postgres && !cfg!(feature = "postgres") {
            // It says how to build one that has it.
            let error = ConfigError::NotBuilt;
            return Err(Failure::new(error.exit_status(), error.to_string()));
        }
        Ok(())
    }
}

/// A key for the admin of the demo's data: nobody knows it, so any server may serve it.
#[must_use]
pub fn admin_key() -> String {
    format!("sk-default_admin_{}_{}", OsRandom.hex(4), OsRandom.hex(16))
}

/// One place, empty when it is prepared.
#[derive(Debug)]
pub struct Place {
    kind: Kind,
    url: Option<Secret>,
    /// Of the hashes of keys; a database alone has no place for it.
    secret: String,
    // In this order they are dropped: first the server, then what it writes to.
    cluster: Option<Cluster>,
    scratch: Scratch,
}

impl Place {
    /// Makes it.
    pub fn prepare(kind: Kind, plan: &Plan, interrupt: &Interrupt) -> Result<Self, Failure> {
        let scratch = Scratch::new("nexus-lite-compare")?;
        let cluster = match (kind, &plan.database_url) {
            (Kind::Postgres, None) => Some(Cluster::start(plan.postgres_bin.as_deref(), interrupt)?),
            _ => None,
        };
        let url = match kind {
            Kind::Sqlite => None,
            Kind::Postgres => cluster.as_ref().map(|cluster| cluster.url().clone()).or(plan.database_url.clone()),
        };
        Ok(Self { kind, url, secret: OsRandom.hex(32), cluster, scratch })
    }

    /// Which engine.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where the server's data is; of PostgreSQL nothing is written there.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.path().join("data")
    }

    /// The directory of the run: the data of SQLite, the server's log.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.scratch.path()
    }

    /// The settings of its store.
    #[must_use]
    pub fn config(&self) -> Config {
        let mut config = Config::for_directory(self.data_dir());
        config.database_url.clone_from(&self.url);
        config.server_secret = Some(Secret::new(&self.secret));
        config
    }

    /// What the server is started with, beside what every server of a run is.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        ["--log-format", "json"].map(str::to_owned).to_vec()
    }

    /// The secrets that the server is started with: a command line can be read by everybody.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let mut set = vec![("NEXUS_LITE_SERVER_SECRET", self.secret.clone())];
        set.extend(self.url.as_ref().map(|url| ("NEXUS_LITE_DATABASE_URL", url.expose().to_owned())));
        set
    }

    /// The engine and its version.
    #[must_use]
    pub fn version(&self, status: &Status) -> String {
        match &self.cluster {
            Some(cluster) => cluster.version.clone(),
            None => format!("{} {}", self.kind.name(), status.engine_version),
        }
    }

    /// In words, for the report.
    #[must_use]
    pub fn describe(&self) -> &'static str {
        match (self.kind, &self.cluster) {
            (Kind::Sqlite, _) => "a directory of its own, synchronous=FULL",
            (Kind::Postgres, Some(_)) => "a cluster of its own on this machine, PostgreSQL's default settings",
            (Kind::Postgres, None) => "the database of the given URL",
        }
    }

    /// Begins to watch the memory of a database server that is ours.
    pub fn watch_memory(&self) -> Result<Option<Watch>, Failure> {
        self.cluster.as_ref().map(|cluster| Watch::start(cluster.pid())).transpose()
    }
}
