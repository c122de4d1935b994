//! `waves`, and the same load in Python.

use std::process::Command;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{Running, Said, arg, run};

/// A demo that the tests of this file share; it ends with the last of them.
struct Demo {
    url: String,
    manifest: String,
    _running: Mutex<Running>,
    _dir: tempfile::TempDir,
}

fn demo() -> Arc<Demo> {
    static SHARED: Mutex<Weak<Demo>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock();
    shared.upgrade().unwrap_or_else(|| {
        let dir = tempfile::tempdir().expect("a directory");
        let data = dir.path().join("demo");
        let mut running = Running::start(super::program(["demo", "--port", "0", "--data-dir", arg(&data)]));
        let url = running.url();
        running.line_with("Up until Ctrl-C");
        let manifest = arg(&data.join("demo-manifest.json")).to_owned();
        let demo = Arc::new(Demo { url, manifest, _running: Mutex::new(running), _dir: dir });
        *shared = Arc::downgrade(&demo);
        demo
    })
}

fn waves(demo: &Demo, more: &[&str]) -> Said {
    run(["waves", "--url", &demo.url].iter().chain(more))
}

#[test]
fn three_times_as_wide_with_the_manifest() {
    let demo = demo();
    let said = waves(&demo, &["--scale", "3", "--rounds", "2", "--expect", &demo.manifest]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("180 of 180 right"), "{}", said.out);
}

/// How many of each wave at the same moment, in the test of the incumbent's worst bug.
const WIDE: &str = "50";

#[test]
fn fifty_times_as_wide_every_answer_is_right_and_nothing_is_locked() {
    let demo = demo();
    let said = waves(&demo, &["--scale", WIDE, "--json", "--expect", &demo.manifest]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    // Right means: status 200 and every value, key and order of the body as expected.
    assert_eq!((&report["operations"], &report["right"]), (&json!(1500), &json!(1500)), "{}", said.out);
    assert!(!said.out.contains("locked") && !said.err.contains("locked"), "{}{}", said.out, said.err);
    println!("{}", said.out);
}

#[test]
fn without_a_manifest_one_serial_run_says_what_is_right() {
    let demo = demo();
    let said = waves(&demo, &["--scale", "3", "--json"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((&report["operations"], &report["right"]), (&json!(90), &json!(90)), "{}", said.out);
    assert_eq!(report["expectations"], "one serial run before the load");
    let sent: u64 = report["waves"].as_array().expect("lines").iter().filter_map(|l| l["operations"].as_u64()).sum();
    assert_eq!(sent, 90);
    assert!(waves(&demo, &["--markdown"]).out.contains("**30 of 30 right**"));
}

#[test]
fn a_skill_too_few_is_a_miss() {
    let dir = tempfile::tempdir().expect("a directory");
    let demo = demo();
    let text = std::fs::read_to_string(&demo.manifest).expect("the manifest");
    let mut manifest: Value = serde_json::from_str(&text).expect("JSON");
    // To expect one more than there is looks to the judge as an answer that lacks one.
    for operation in manifest["operations"].as_array_mut().expect("operations") {
        if operation["method"] == "skills_list" {
            let skills = operation["result"]["skills"].as_array_mut().expect("skills");
            skills.push(json!({ "name": "one-more" }));
            operation["result"]["count"] = skills.len().into();
        }
    }
    let doctored = dir.path().join("doctored.json");
    std::fs::write(&doctored, manifest.to_string()).expect("writable");
    let said = waves(&demo, &["--expect", arg(&doctored)]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    assert!(said.out.contains("12 of 30 right: FAILED") && said.out.contains("6 of 7"), "{}", said.out);
}

#[test]
fn the_control_fails() {
    let said = run(["waves", "--control", "--rounds", "2"]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    assert!(said.out.contains("FAILED") && said.out.contains("skills_list: result"), "{}", said.out);
    assert!(said.out.contains("asked one after the other it answers all of them right"), "{}", said.out);
}

#[test]
fn a_server_that_is_not_there_was_not_asked() {
    let said = run(["waves", "--url", "http://127.0.0.1:9"]);
    assert_eq!(said.code, 69, "{}{}", said.out, said.err);
    let demo = demo();
    let said =
        run(["waves", "--url", &demo.url, "--key", "sk-default_nobody_00000000_00000000000000000000000000000000"]);
    assert_eq!(said.code, 77, "{}{}", said.out, said.err);
    assert!(said.err.contains("does not know this key"), "{}", said.err);
}

#[test]
fn the_python_script_finds_the_same() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/python/seven_waves.py");
    let demo = demo();
    let run = |more: &[&str]| Command::new("python3").arg(script).args(["--url", &demo.url]).args(more).output();
    if run(&["--help"]).is_err() {
        let required = std::env::var_os("NEXUS_LITE_REQUIRE").unwrap_or_default().to_string_lossy().into_owned();
        assert!(!required.contains("python"), "NEXUS_LITE_REQUIRE asks for python, and there is no python3");
        println!("skipped: no python3");
        return;
    }
    for more in [&["--scale", "2", "--expect", &demo.manifest][..], &["--rounds", "2"]] {
        let said = Said::of(run(more).expect("python3 runs"));
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        assert!(said.out.contains("60 of 60 right: every body is right"), "{}", said.out);
    }
}
