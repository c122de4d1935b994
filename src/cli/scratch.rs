//! A directory for one run, removed at its end.

use std::path::{Path, PathBuf};

use super::Failure;
use crate::model::{OsRandom, RandomSource as _};

/// Random bytes in the name: enough that nobody can have made it before us.
const NAME_BYTES: usize = 8;

/// A new directory below the system's directory for temporary files, mode 0700; gone when this is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes it; `prefix` begins its name.
    pub fn new(prefix: &str) -> Result<Self, Failure> {
        Self::below(&std::env::temp_dir(), prefix)
    }

    /// Makes it in `dir`.
    pub fn below(dir: &Path, prefix: &str) -> Result<Self, Failure> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = dir.join(format!("{prefix}-{}", OsRandom.hex(NAME_BYTES)));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|e| Failure::file("making", &path, &e))?;
        Ok(Self(path))
    }

    /// Keeps it; where it is.
    #[must_use]
    pub fn keep(mut self) -> PathBuf {
        // An empty path is nothing to remove.
        std::mem::take(&mut self.0)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.0.as_os_str().is_empty() {
            return;
        }
        // What is left of a temporary directory harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
