//! The cases of `cases/*.yaml` and of the examples, run as `namespace test` runs them: each trap and each counterexample that one snapshot
//! can express, with what must follow and, as often, what must not.

use std::path::PathBuf;

use nexus_lite::rebac::cases;

fn files() -> Vec<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let folders = ["tests/authz/cases", "examples/rules"];
    let entries = folders.iter().flat_map(|folder| std::fs::read_dir(root.join(folder)).expect("the folder"));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

#[test]
fn every_case_holds() {
    let (mut failed, mut run, mut asserted) = (Vec::new(), 0, 0);
    for file in files() {
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).expect("readable");
        let cases = cases::read(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let results = cases::run(&cases).unwrap_or_else(|e| panic!("{name}: {e}"));
        failed.extend(results.failed.iter().map(|failed| format!("{name}: {failed}")));
        (run, asserted) = (run + results.cases, asserted + results.assertions);
    }
    assert!(failed.is_empty(), "{} of {asserted} assertions do not hold:\n{}", failed.len(), failed.join("\n"));
    assert!(run >= 60 && asserted >= 370, "{run} cases with {asserted} assertions: some were lost");
}
