//! The published Python clients and the calls of the web UI against the real program, and the table of the client methods
//! that comes of it.
//!
//! The scripts beside this file call every operation of a client and prove its effect by a second call; what they have
//! proven makes the table. Invariant: a method that no script has proven, or that answered with anything but a typed
//! refusal, fails the test.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::process::Process;
use crate::harness::python;

/// Each method that a published client sends, a line each.
const METHODS: &str = include_str!("client_methods.txt");
/// What the scripts need.
const PACKAGES: &str = include_str!("python/requirements.txt");
/// Where the page of the web UI comes from.
const PAGE: &str = "http://localhost:5173";
/// The scripts. Each stands for a client.
const SCRIPTS: &[&str] = &["sync_client.py", "async_client.py", "langgraph_tools.py", "web_ui.py"];
/// So many of the methods work.
const WORKING_MIN: usize = 150;

/// The table that the scripts have made.
const TABLE: &str = include_str!("snapshots/integration__compat__clients__client_methods.snap");
/// What the README says of it stands between these.
const MARKS: [&str; 2] = ["<!-- differences of the clients: begin -->", "<!-- differences of the clients: end -->"];

/// What became of one method.
#[derive(Debug, Default)]
struct Proof {
    /// Which scripts have shown that it works.
    works: BTreeSet<String>,
    /// Why it was refused, in the server's words.
    refused: Option<String>,
}

/// Runs a script on the server; its ledger.
fn ledger(python: &Path, script: &str, server: &Process, host: &Path) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/python");
    let said = Command::new(python)
        .arg(folder.join(script))
        .args([format!("http://{}", server.address()), server.admin_key()])
        .arg(host)
        .arg(PAGE)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("python runs");
    let told = String::from_utf8_lossy(&said.stderr);
    let ledger: Value = serde_json::from_slice(&said.stdout).unwrap_or_else(|e| panic!("{script}: {e}\n{told}"));
    assert_eq!(ledger["failures"], serde_json::json!([]), "{script}:\n{:#}", ledger["failures"]);
    assert!(said.status.success(), "{script}: {told}");
    ledger
}

#[test]
fn every_published_client_works_unchanged() {
    let packages: Vec<&str> = PACKAGES.lines().filter(|line| !line.is_empty()).collect();
    let Some(python) = python::venv(&packages) else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let host = dir.path().join("host");
    std::fs::create_dir(&host).expect("made");
    let host_arg = host.to_str().expect("a plain path");
    let args = ["--mount-dirs", host_arg, "--cors-origins", PAGE];
    let server = Process::start_with(&dir.path().join("data"), "", &args);
    let mut proofs: BTreeMap<String, Proof> = BTreeMap::new();
    let mut differences = BTreeMap::new();
    for script in SCRIPTS {
        let ledger = ledger(&python, script, &server, &host);
        let name = ledger["script"].as_str().expect("a name");
        for (method, proof) in ledger["methods"].as_object().expect("an object") {
            let entry = proofs.entry(method.clone()).or_default();
            match proof["reason"].as_str() {
                None => drop(entry.works.insert(name.to_owned())),
                Some(reason) => entry.refused = Some(reason.to_owned()),
            }
        }
        for (operation, reason) in ledger["differences"].as_object().expect("an object") {
            differences.insert(operation.clone(), reason.as_str().expect("a reason").to_owned());
        }
    }
    let wanted: BTreeSet<&str> = METHODS.lines().collect();
    let unproven: Vec<_> = wanted.iter().filter(|method| !proofs.contains_key(**method)).collect();
    assert!(unproven.is_empty(), "nothing proves {unproven:?}");
    let strange: Vec<_> = proofs.keys().filter(|method| !wanted.contains(method.as_str())).collect();
    assert!(strange.is_empty(), "{strange:?} are missing from client_methods.txt");
    let (text, working) = table(&proofs, &differences);
    insta::assert_snapshot!("client_methods", text);
    assert!(working >= WORKING_MIN, "{working} of {} work", wanted.len());
}

/// The table as people read it, and how many methods work.
fn table(proofs: &BTreeMap<String, Proof>, differences: &BTreeMap<String, String>) -> (String, usize) {
    let works = |proof: &Proof| proof.refused.is_none() && !proof.works.is_empty();
    let working = proofs.values().filter(|proof| works(proof)).count();
    let mut text =
        format!("{working} of {} client methods work; the others are refused with a reason.\n\n", proofs.len());
    text.push_str("| method | works, shown by | or why it is refused |\n| --- | --- | --- |\n");
    for (method, proof) in proofs {
        let shown = proof.works.iter().cloned().collect::<Vec<_>>().join(", ");
        let refused = proof.refused.as_deref().unwrap_or_default();
        // Into a string: it cannot fail.
        let _ = writeln!(text, "| `{method}` | {shown} | {refused} |");
    }
    text.push_str("\nOperations of the clients that end otherwise, on purpose:\n\n");
    for (operation, reason) in differences {
        let _ = writeln!(text, "- `{operation}`: {reason}");
    }
    (text, working)
}

#[test]
fn the_readme_names_every_difference() {
    let readme = include_str!("../../README.md");
    let [begin, end] = MARKS.map(|mark| readme.find(mark).unwrap_or_else(|| panic!("the README lacks {mark}")));
    let cell = |row: &str, at: usize| row.split(" | ").nth(at).unwrap_or_default().trim_matches(['|', ' ']).to_owned();
    let said: BTreeSet<String> = readme[begin..end]
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|row| cell(row, 0).split(", ").map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let refused = TABLE.lines().filter(|line| line.starts_with("| `") && !cell(line, 2).is_empty());
    let refused: BTreeSet<String> = refused.map(|row| cell(row, 0)).collect();
    let others = TABLE.lines().filter_map(|line| line.strip_prefix("- ")?.split_once(": "));
    let wanted: BTreeSet<String> = refused.into_iter().chain(others.map(|(name, _)| name.to_owned())).collect();
    assert!(!wanted.is_empty());
    let missing: Vec<_> = wanted.difference(&said).collect();
    let stale: Vec<_> = said.difference(&wanted).collect();
    assert!(missing.is_empty() && stale.is_empty(), "the README lacks {missing:?}, and {stale:?} are none");
}
