//! Which engine the tests run on: SQLite, or with `NEXUS_LITE_TEST_ENGINE=postgres` a PostgreSQL of our own.
//!
//! The one seam through which tests get the options of a store. A directory stands for a store on both engines: on
//! PostgreSQL it has a database of its own from the first time it is named until it is removed, so that a test which
//! opens "the same directory again" means the same on both.

use std::path::Path;

use nexus_lite::config::Config;
use nexus_lite::store::Options;

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
    if is_postgres() {
        // There is no file to keep it in.
        config.server_secret = Some(nexus_lite::config::Secret::new("of-the-tests-and-of-nobody-else-at-all"));
    }
    config
}

#[cfg(feature = "postgres")]
mod databases {
    use std::collections::HashMap;
    use std::path::{Path, PathBuf};
    use std::sync::{LazyLock, Mutex};

    use nexus_lite::store::{Options, PostgresUrl};

    use super::super::postgres::{Database, fresh_database};

    /// Connections for ordinary reads: a test has few callers at a time, and each connection costs its start.
    const READERS: usize = 3;

    static DATABASES: LazyLock<Mutex<HashMap<PathBuf, Database>>> = LazyLock::new(Mutex::default);

    pub(super) fn options(dir: &Path) -> Options {
        let mut databases = DATABASES.lock().expect("no panic");
        // Of tests that are over.
        databases.retain(|dir, _| dir.exists());
        let database = databases.entry(dir.to_owned()).or_insert_with(|| {
            std::fs::create_dir_all(dir).expect("a directory, as the other engine would make it");
            fresh_database().expect("NEXUS_LITE_TEST_ENGINE asks for PostgreSQL, and there is none")
        });
        let mut options = Options::postgres(PostgresUrl::parse(database.url()).expect("our own URL"));
        options.limits.read_threads = READERS;
        options
    }
}
