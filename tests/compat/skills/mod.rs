//! `skills-ref`, the reference validator of agentskills.io, and ours: the same verdict on every skill.
//!
//! Verdicts are compared as lists of texts, in their order. Of YAML that cannot be read only the beginning is the same:
//! the rest is in the words of a parser.

// Skills that are known to be tricky, those of the reference's own tests among them.
mod cases;
// Skills put together by chance.
mod generated;
// What the installer makes of the public ones.
mod installed;

use std::io::Write as _;
use std::process::{Command, Stdio};

use nexus_lite::service::skills::strict::{self, BAD_YAML};
use serde_json::{Value, json};

use crate::harness::python;

/// The reference, pinned with what it stands on.
const PACKAGES: [&str; 4] = ["skills-ref==0.1.1", "strictyaml==1.7.3", "click==8.1.8", "python-dateutil==2.9.0"];
/// Reads `[[directory, text], …]`, makes each skill and says what the reference says of it.
const SCRIPT: &str = r#"
import json, pathlib, sys, tempfile
from skills_ref.validator import validate

out = []
with tempfile.TemporaryDirectory() as root:
    for number, (directory, text) in enumerate(json.load(sys.stdin)):
        skill = pathlib.Path(root) / str(number) / directory
        skill.mkdir(parents=True)
        (skill / "SKILL.md").write_bytes(text.encode())
        try:
            out.append(validate(skill))
        except Exception as error:
            out.append(["raised " + type(error).__name__])
json.dump(out, sys.stdout)
"#;

/// A skill: the name of its directory and its SKILL.md.
type Skill = (String, String);

/// What the reference says of each; `None` where there is no Python.
fn reference(skills: &[Skill]) -> Option<Vec<Vec<String>>> {
    let python = python::venv(&PACKAGES)?;
    let mut child = Command::new(python)
        .args(["-X", "utf8", "-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python runs");
    let input = json!(skills).to_string();
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{:?}", output.status);
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    Some(serde_json::from_value(said).expect("lists of texts"))
}

/// Without the words of a parser. On characters that no YAML has the reference itself fails: unreadable as well.
fn comparable(said: &str) -> String {
    let unreadable = said.starts_with(BAD_YAML) || said.starts_with("raised ");
    if unreadable { BAD_YAML.to_owned() } else { said.to_owned() }
}

/// Compares both verdicts on every skill; how many were valid, and how many were not.
fn compare(skills: &[Skill]) -> Option<(usize, usize)> {
    let theirs = reference(skills)?;
    let (mut wrong, mut valid) = (Vec::new(), 0);
    for ((directory, text), theirs) in skills.iter().zip(&theirs) {
        let theirs: Vec<String> = theirs.iter().map(|said| comparable(said)).collect();
        let found = strict::validate(text, Some(directory));
        let ours: Vec<String> = found.iter().map(|finding| comparable(&finding.message)).collect();
        valid += usize::from(theirs.is_empty());
        if ours != theirs {
            wrong.push(format!("directory {directory:?}\n{text:?}\n  reference: {theirs:?}\n  ours:      {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), skills.len(), wrong.join("\n"));
    Some((valid, skills.len() - valid))
}
