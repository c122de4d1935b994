//! Which engine the tests run on: SQLite, or with `NEXUS_LITE_TEST_ENGINE=postgres` a PostgreSQL of our own.
//!
//! The one seam through which tests get the options of a store. A directory stands for a store on both engines: on
//! PostgreSQL it has a database of its own from the first time it is named until it is removed, so that a test which
//! opens "the same directory again" means the same on both.

use std::path::Path;

use nexus_lite::config::{Config, List, Secret};
use nexus_lite::store::{DATABASE_FILE, Options};

/// The server's, where there is no file to keep it in.
const SECRET: &str = "of-the-tests-and-of-nobody-else-at-all";

/// Leaves a test that is about SQLite's files when the other engine is tested: `sqlite_only!("why")`.
macro_rules! sqlite_only {
    ($why:literal) => {
        if $crate::harness::engine::is_postgres() {
            println!("not on PostgreSQL: {}", $why);
            return;
        }
    };
}
pub(crate) use sqlite_only;

/// Whether tests run on PostgreSQL.
pub(crate) fn is_postgres() -> bool {
    let engine = std::env::var_os("NEXUS_LITE_TEST_ENGINE").unwrap_or_default();
    match engine.to_str() {
        Some("" | "sqlite") => false,
        Some("postgres") if cfg!(feature = "postgres") => true,
        _ => panic!("NEXUS_LITE_TEST_ENGINE is sqlite or, with the feature postgres, postgres; not {engine:?}"),
    }
}

/// The options of the store that `dir` stands for.
pub(crate) fn options(dir: &Path) -> Options {
    #[cfg(feature = "postgres")]
    if is_postgres() {
        return databases::options(dir);
    }
    Options::new(dir)
}

/// The settings of a server on the store that `dir` stands for.
pub(crate) fn config(dir: &Path) -> Config {
    let mut config = Config::for_directory(dir);
    // A directory beside the data that may be mounted; it is there where a test makes it.
    let host = dir.parent().unwrap_or(dir).join(super::world::HOST_DIR);
    config.mount_dirs = List(vec![host.to_str().expect("UTF-8").to_owned()]);
    // Receivers of webhooks that a test starts.
    config.webhook_allow = List(vec!["127.0.0.1/32".to_owned()]);
    if is_postgres() {
        config.server_secret = Some(Secret::new(SECRET));
    }
    config
}

/// What a server process needs in its environment to serve the store that `dir` stands for.
pub(crate) fn environment(dir: &Path) -> Vec<(&'static str, String)> {
    #[cfg(feature = "postgres")]
    if is_postgres() {
        let url = databases::with(dir, |database| database.url().to_owned());
        return vec![("NEXUS_LITE_DATABASE_URL", url), ("NEXUS_LITE_SERVER_SECRET", SECRET.to_owned())];
    }
    let _ = dir;
    Vec::new()
}

/// Runs a statement on the store that `dir` stands for, past the store: what is durable, or what nobody would write.
/// How many rows it changed, or the number that it gave. SQLite's store must be closed, or only be looked at.
pub(crate) fn run(dir: &Path, sql: &str) -> u64 {
    #[cfg(feature = "postgres")]
    if is_postgres() {
        return databases::with(dir, |database| database.run(sql));
    }
    #[expect(clippy::disallowed_methods, reason = "past the store, which is closed")]
    let connection = rusqlite::Connection::open(dir.join(DATABASE_FILE)).expect("the database");
    let mut statement = connection.prepare(sql).expect(sql);
    if statement.column_count() == 0 {
        return statement.raw_execute().expect(sql) as u64;
    }
    statement.query_row([], |row| row.get::<_, i64>(0)).expect(sql).try_into().expect("a count")
}

#[cfg(feature = "postgres")]
mod databases {
    use std::collections::HashMap;
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, LazyLock, Mutex, PoisonError};

    use nexus_lite::store::{Options, PostgresUrl};

    use super::super::postgres::{Database, fresh_database};

    /// Connections for ordinary reads: a test has few callers at a time, and each connection costs its start.
    const READERS: usize = 3;

    static DATABASES: LazyLock<Mutex<HashMap<PathBuf, Arc<Database>>>> = LazyLock::new(Mutex::default);

    /// Asks the database that `dir` stands for, a new one if it was not named before.
    pub(super) fn with<T>(dir: &Path, ask: impl FnOnce(&Database) -> T) -> T {
        let database = {
            let mut databases = DATABASES.lock().unwrap_or_else(PoisonError::into_inner);
            // Of tests that are over.
            databases.retain(|dir, _| dir.exists());
            Arc::clone(databases.entry(dir.to_owned()).or_insert_with(|| {
                std::fs::create_dir_all(dir).expect("a directory, as the other engine would make it");
                let fresh = fresh_database().expect("NEXUS_LITE_TEST_ENGINE asks for PostgreSQL, and there is none");
                Arc::new(fresh)
            }))
        };
        ask(&database)
    }

    pub(super) fn options(dir: &Path) -> Options {
        let url = with(dir, |database| PostgresUrl::parse(database.url()).expect("our own URL"));
        let mut options = Options::postgres(url);
        options.limits.read_threads = READERS;
        options
    }
}
