//! Where the database is, and how a session to it begins.
//!
//! Owns the driver's thread. A URL with a password never appears in a message: only host, port and database do.

use std::future::Future;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::store::{Durability, StoreError};

use super::Session;
use super::tls;

/// The oldest PostgreSQL that is used, as `server_version_num` says it.
const VERSION_MIN: i64 = 150_000;
/// How long a connection may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long bytes that were sent may wait for an answer of the network before the connection is given up.
const NETWORK_TIMEOUT: Duration = Duration::from_secs(10);
/// Idle for this long, the connection is probed.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
/// The driver's thread.
const THREAD: &str = "nexus-pg-driver";
/// What sessions are called in `pg_stat_activity`.
const APPLICATION: &str = "nexus-lite";

/// The version as a number: 150018 is 15.18.
const SERVER_VERSION: &str = "SELECT CAST(current_setting('server_version_num') AS BIGINT)";
/// An acknowledged commit is on the server's disk, whatever was set for its other users.
const SYNCHRONOUS_IF_OFF: &str = "SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') = 'off'";

/// What a URL looks like.
const FORM: &str = "it is postgres://USER:PASSWORD@HOST:PORT/DATABASE";

/// The URL of a database, parsed: `postgres://user:password@host:port/database?sslmode=require`. Of TLS, `sslmode` and
/// `sslrootcert`, see the table in `tls.rs`: other machines are spoken to in secret unless it says otherwise.
#[derive(Clone)]
pub struct PostgresUrl {
    config: Arc<Config>,
    /// `None`: nothing is encrypted.
    tls: Option<MakeRustlsConnect>,
}

/// A URL that names no PostgreSQL database, or certificates that cannot be used. Never holds the text, which may have a password in it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct UrlError(String);

impl UrlError {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    fn form(what: &str) -> Self {
        Self(format!("the database URL {what}: {FORM}"))
    }
}

impl PostgresUrl {
    /// Parses a URL, and reads the certificates that it names or the system's, if it asks for them.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(UrlError::form("begins with another word than postgres://"));
        }
        let (wish, text) = tls::Wish::take(text)?;
        let parsed = Config::from_str(&text);
        let mut config = parsed.map_err(|e| UrlError::form(&format!("cannot be read ({})", super::words(&e))))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(UrlError::form("names no host"));
        }
        if config.get_dbname().is_none() {
            return Err(UrlError::form("names no database"));
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(NETWORK_TIMEOUT);
        }
        config.keepalives_idle(KEEPALIVE_IDLE);
        if config.get_application_name().is_none() {
            config.application_name(format!("{APPLICATION} pid {}", std::process::id()));
        }
        let tls = wish.apply(&mut config)?;
        Ok(Self { config: Arc::new(config), tls })
    }

    /// Host, port and database, for messages.
    #[must_use]
    pub fn place(&self) -> String {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let host = hosts.collect::<Vec<_>>().join(",");
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        format!("postgres://{host}:{port}/{}", self.config.get_dbname().unwrap_or_default())
    }
}

impl std::fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PostgresUrl").field(&self.place()).finish()
    }
}

/// Makes connections; clones share the driver.
#[derive(Clone)]
pub(in crate::store) struct Connector {
    url: PostgresUrl,
    durability: Durability,
    statement_time: Duration,
    driver: Arc<Driver>,
}

/// The runtime on which connections are driven.
struct Driver(Option<tokio::runtime::Runtime>);

impl Drop for Driver {
    fn drop(&mut self) {
        // Also from within another runtime, where waiting is not allowed.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Connector {
    /// Starts the driver. `statement_time`: how long one statement of a session may run.
    pub(in crate::store) fn start(
        url: PostgresUrl,
        durability: Durability,
        statement_time: Duration,
    ) -> Result<Self, StoreError> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name(THREAD).enable_all().build();
        let runtime = runtime.map_err(|e| StoreError::io("starting the thread", std::path::Path::new(THREAD), e))?;
        Ok(Self { url, durability, statement_time, driver: Arc::new(Driver(Some(runtime))) })
    }

    /// Host, port and database, for messages.
    pub(in crate::store) fn place(&self) -> String {
        self.url.place()
    }

    /// Opens a session, set up as the store counts on.
    pub(in crate::store) fn session(&self) -> Result<Session, StoreError> {
        let session = Session::new(self.connect()?, self.place().into());
        let version = super::super::Conn::Pg(&session).number(SERVER_VERSION, &[])?.unwrap_or(0);
        if version < VERSION_MIN {
            return Err(StoreError::Unusable {
                path: self.place(),
                what: format!("it is PostgreSQL {}.{}", version / 10_000, version % 10_000),
                remedy: "Use version 15 or newer. Nothing was changed".into(),
            });
        }
        let synchronous = match self.durability {
            // What the server was told is left alone (it may wait for its standbys), but for "off".
            Durability::Full => SYNCHRONOUS_IF_OFF,
            Durability::Relaxed => "SET synchronous_commit = off",
        };
        let limits = format!(
            "SET statement_timeout = {0}; SET lock_timeout = {0}; SET client_min_messages = warning; {synchronous}",
            self.statement_time.as_millis()
        );
        session.script("setting up a session", limits)?;
        Ok(session)
    }

    /// Opens a connection and waits for it.
    fn connect(&self) -> Result<Client, StoreError> {
        let PostgresUrl { config, tls } = self.url.clone();
        let opened = self.run(async move {
            let client = match tls {
                None => {
                    let (client, connection) = config.connect(NoTls).await?;
                    tokio::spawn(connection);
                    client
                }
                Some(tls) => {
                    let (client, connection) = config.connect(tls).await?;
                    tokio::spawn(connection);
                    client
                }
            };
            Ok::<_, tokio_postgres::Error>(client)
        });
        opened.map_err(|error| self.unreachable(&error))
    }

    /// The error of a database that cannot be reached.
    fn unreachable(&self, error: &tokio_postgres::Error) -> StoreError {
        let words = super::words(error);
        let reason = match tls::remedy(error) {
            Some(remedy) => format!("{words}. {remedy}"),
            None => words,
        };
        StoreError::Unreachable { place: self.place(), reason }
    }

    /// Runs a future on the driver and waits for it.
    fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, tokio_postgres::Error>> + Send + 'static,
    ) -> Result<T, tokio_postgres::Error> {
        let runtime = self.driver.0.as_ref().expect("it is there until the last clone is dropped");
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        runtime.spawn(async move {
            // Whoever waits is on the line below.
            let _ = tell.send(work.await);
        });
        told.recv().expect("the driver answers before it ends")
    }
}
