//! The engine that the benches play on: SQLite. The tests have a module of this name that may choose another.

use std::path::Path;

use nexus_lite::config::Config;
use nexus_lite::store::Options;

/// The options of the store in `dir`.
pub(crate) fn options(dir: &Path) -> Options {
    Options::new(dir)
}

/// The settings of a server on it.
pub(crate) fn config(dir: &Path) -> Config {
    Config::for_directory(dir)
}
