//! `selftest`: a short run passes, and a server that loses is told as one.

use serde_json::{Value, json};

use super::{arg, run};

/// Minutes of the runs here.
const SHORT: &str = "0.25";

#[test]
fn a_short_run_passes_and_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let said = run(["selftest", "--soak", SHORT, "--seed", "7", "--json", "--dir", arg(dir.path())]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.err.starts_with("seed 7\n"), "the seed comes first: {}", said.err);
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    println!("{report}");
    let number = |name: &str| report[name].as_u64().unwrap_or_default();
    assert_eq!((&report["seed"], &report["findings"]), (&json!(7), &json!([])));
    assert!(number("kills") >= 2 && number("acknowledged") > 50 && number("compared") > 20, "{report}");
    assert!(number("drills") >= 1 && number("backups") == number("backups_good"), "{report}");
    assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 0, "what it made is gone");
}

#[test]
#[cfg(feature = "faults")]
fn a_server_that_loses_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let said = run(["selftest", "--soak", SHORT, "--lose", "--dir", arg(dir.path())]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    assert!(said.out.starts_with("seed ") && said.out.contains("FAILED: "), "{}", said.out);
    assert!(said.out.contains("LOST /selftest/c"), "{}", said.out);
    assert!(said.err.contains("kept for a look: "), "{}", said.err);
    assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 1, "what it made is there");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for minutes in ["0", "-1", "nan", "inf", "99999999", "x"] {
        let said = run(["selftest", &format!("--soak={minutes}")]);
        assert_eq!(said.code, 64, "{minutes}: {}", said.err);
    }
}
