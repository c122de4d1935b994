//! A real browser without a window: what it makes of a page, what it asked for on the way, and what it complained of.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use super::require::absent;

/// What the variable `NEXUS_LITE_REQUIRE` holds where it is a failure that there is no browser.
const REQUIRED: &str = "chromium";
/// Names of the program, the smallest one first.
const PROGRAMS: [&str; 4] = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];
/// Alone, on pages of ours, and without a word to its makers.
const ALONE: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--enable-logging=stderr",
];
/// How long scripts of a page may go on, in milliseconds of the page's own time.
const BUDGET: &str = "--virtual-time-budget=20000";

/// What became of a page.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The page as it was in the end, as HTML.
    pub(crate) dom: String,
    /// Every address that was asked for, for whatever reason.
    pub(crate) asked: Vec<String>,
    /// What stands on the console.
    pub(crate) console: Vec<String>,
}

/// Loads a page, with a profile of its own; `None`, with a printed reason, where there is no browser.
pub(crate) fn load(url: &str) -> Option<Seen> {
    let Some(program) = program() else {
        absent(REQUIRED, &format!("none of {PROGRAMS:?} is on the PATH"));
        return None;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let log = dir.path().join("net.json");
    let output = Command::new(program)
        .args(ALONE)
        .arg(BUDGET)
        .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
        .arg(format!("--log-net-log={}", log.display()))
        .args(["--dump-dom", url])
        .env("HOME", dir.path())
        .output()
        .expect("the browser runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    let log = std::fs::read_to_string(&log).expect("it keeps a log of the network");
    let console = told.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    Some(Seen { dom: String::from_utf8_lossy(&output.stdout).into_owned(), asked: asked(&log), console })
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    PROGRAMS.into_iter().flat_map(|name| dirs.iter().map(move |dir| dir.join(name))).find(|file| file.is_file())
}

/// Every address in a log of the network.
fn asked(log: &str) -> Vec<String> {
    let log: Value = serde_json::from_str(log).expect("a whole log");
    let events = log["events"].as_array().expect("events");
    let mut all: Vec<String> =
        events.iter().filter_map(|event| event["params"]["url"].as_str()).map(str::to_owned).collect();
    all.sort();
    all.dedup();
    all
}
