//! `skills-ref`, the reference validator of agentskills.io, and ours: the same verdict on every skill.

use std::process::Command;

use crate::harness::python;

/// The reference, pinned with what it stands on.
const PACKAGES: [&str; 4] = ["skills-ref==0.1.1", "strictyaml==1.7.3", "click==8.1.8", "python-dateutil==2.9.0"];

#[test]
fn the_reference_is_there() {
    let Some(python) = python::venv(&PACKAGES) else { return };
    let output = Command::new(python).args(["-c", "import skills_ref; print(skills_ref.__version__)"]).output();
    assert_eq!(String::from_utf8_lossy(&output.expect("python runs").stdout).trim(), "0.1.1");
}
