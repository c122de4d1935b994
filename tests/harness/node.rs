//! Programs of npm, pinned, for tests that ask somebody else's tool what it makes of ours.
//!
//! As with the environments of Python: one directory for each set of packages under `target/`, made by whoever needs it
//! first. Invariant: a directory with the file `ready` in it is whole; one without is made anew.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use nexus_lite::model::ContentHash;

use super::require::absent;

/// What the variable `NEXUS_LITE_REQUIRE` holds where it is a failure that there is no Node, or no packages.
const REQUIRED: &str = "node";
/// Says that a directory is whole.
const READY: &str = "ready";
/// How many letters of the hash of a set name its directory.
const NAME_CHARS: usize = 16;

/// Where the programs of these packages are, each `name@version`; `None`, with a printed reason, where there is no npm,
/// or the packages cannot be had.
pub(crate) fn programs(packages: &[&str]) -> Option<PathBuf> {
    made(packages).map_err(|problem| absent(REQUIRED, &problem)).ok()
}

fn made(packages: &[&str]) -> Result<PathBuf, String> {
    let hash = ContentHash::of(packages.join("\n").as_bytes()).to_hex();
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node");
    fs::create_dir_all(&root).map_err(|e| format!("{}: {e}", root.display()))?;
    let dir = root.join(&hash[..NAME_CHARS]);
    let lock = File::create(dir.with_extension("lock")).map_err(|e| format!("{}: {e}", dir.display()))?;
    // Ends with the file, however this process does.
    lock.lock().map_err(|e| format!("{}: {e}", dir.display()))?;
    if !dir.join(READY).is_file() {
        install(&dir, packages)?;
    }
    Ok(dir.join("node_modules").join(".bin"))
}

fn install(dir: &Path, packages: &[&str]) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("{}: {e}", dir.display());
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(failed)?;
    }
    fs::create_dir_all(dir).map_err(failed)?;
    // Nothing that a package brings is run before a test asks for it.
    let how = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--save-exact", "--prefix"];
    let output = Command::new("npm").args(how).arg(dir).args(packages).output().map_err(|e| format!("npm: {e}"))?;
    if !output.status.success() {
        return Err(format!("npm: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    fs::write(dir.join(READY), packages.join("\n")).map_err(failed)
}
