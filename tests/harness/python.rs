//! A Python with pinned packages of the public index, for tests that ask somebody else's program what is right.
//!
//! One virtual environment for each set of packages, kept under `target/` and made by whoever needs it first: a lock on
//! a file keeps the others waiting, in this process and in others. Invariant: an environment with the file `ready` in it
//! is whole; one without is made anew.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use nexus_lite::model::ContentHash;

use super::require::absent;

/// What the variable `NEXUS_LITE_REQUIRE` holds where it is a failure that there is no Python, or no packages.
const REQUIRED: &str = "python";
/// Says that an environment is whole.
const READY: &str = "ready";
/// How many letters of the hash of a set name its environment.
const NAME_CHARS: usize = 16;

/// The Python of an environment with these packages, each `name==version`; `None`, with a printed reason, where there is
/// no python3 with `venv`, or the packages cannot be had.
pub(crate) fn venv(packages: &[&str]) -> Option<PathBuf> {
    let made = made(packages);
    made.map_err(|problem| absent(REQUIRED, &problem)).ok()
}

fn made(packages: &[&str]) -> Result<PathBuf, String> {
    let mut pinned = packages.to_vec();
    pinned.sort_unstable();
    if let Some(loose) = pinned.iter().find(|package| !package.contains("==")) {
        return Err(format!("the package {loose} is not pinned"));
    }
    // Another Python is another set.
    let version = said(Command::new("python3").arg("--version"))?;
    let hash = ContentHash::of(format!("{version}\n{}", pinned.join("\n")).as_bytes()).to_hex();
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    fs::create_dir_all(&root).map_err(|e| format!("{}: {e}", root.display()))?;
    let dir = root.join(&hash[..NAME_CHARS]);
    let lock = File::create(dir.with_extension("lock")).map_err(|e| format!("{}: {e}", dir.display()))?;
    // Ends with the file, however this process does.
    lock.lock().map_err(|e| format!("{}: {e}", dir.display()))?;
    let python = dir.join("bin").join("python");
    if !dir.join(READY).is_file() {
        install(&dir, &python, &pinned)?;
    }
    Ok(python)
}

fn install(dir: &Path, python: &Path, packages: &[&str]) -> Result<(), String> {
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    }
    said(Command::new("python3").args(["-m", "venv"]).arg(dir))?;
    said(Command::new(python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages))?;
    fs::write(dir.join(READY), packages.join("\n")).map_err(|e| format!("{}: {e}", dir.display()))
}

/// What a command says on its standard output, if it succeeds.
fn said(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{}: {e}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let (told, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(format!("{command:?}: {}\n{told}{why}", output.status))
}
