//! A fuzzer for OpenAPI (schemathesis) on the real program: every operation of our own document, all its checks.
//!
//! What it finds is either a wrong answer or a wrong document; both are ours.

use std::path::Path;
use std::process::Command;

use crate::harness::process::Process;
use crate::harness::python;

/// What the fuzzer needs.
const PACKAGES: &str = include_str!("python/fuzzer-requirements.txt");
/// Requests an operation, beside those that try out the borders of its parameters.
const EXAMPLES: &str = "50";
/// Fixed, so that a failure comes again.
const SEED: &str = "1";

#[test]
fn the_document_tells_the_truth() {
    let packages: Vec<&str> = PACKAGES.lines().filter(|line| !line.is_empty()).collect();
    let Some(python) = python::venv(&packages) else { return };
    let dir = tempfile::tempdir().expect("a directory");
    // One of the checks sends wrong keys to every operation; how often that is borne is another test.
    let server = Process::start_with(&dir.path().join("data"), "", &["--wrong-keys-per-minute", "0"]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/python");
    let url = format!("http://{}", server.address());
    let said = Command::new(python.with_file_name("schemathesis"))
        .arg("--config-file")
        .arg(folder.join("schemathesis.toml"))
        .arg("run")
        .arg(format!("{url}/openapi.json"))
        .args(["--url", &url, "--header", &format!("Authorization: Bearer {}", server.admin_key())])
        // Its place is taken by one of the hooks.
        .args(["--checks", "all", "--exclude-checks", "negative_data_rejection"])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", SEED, "--workers", "2"])
        // It keeps notes where it is started.
        .current_dir(dir.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONPATH", &folder)
        .output()
        .expect("the fuzzer runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    let log = server.log();
    assert!(!log.contains("panicked"), "{log}");
}
