//! `skills`, the installer of agentskills.io, on the public skills of a server: what it installs is what lies here.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::node;
use crate::harness::process::Process;

/// The tool, pinned with what it stands on.
const PACKAGES: [&str; 2] = ["skills@1.5.18", "yaml@2.9.1"];

fn ok(client: &mut Client, method: &str, params: Value) {
    client.rpc(method, &params).unwrap_or_else(|error| panic!("{method}: {error:?}"));
}

/// Every file below a directory, with its content.
fn files(dir: &Path, below: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let entry = entry.expect("an entry");
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            all.extend(files(&entry.path(), &format!("{name}/")));
        } else {
            all.push((name, std::fs::read_to_string(entry.path()).expect("text")));
        }
    }
    all.sort();
    all
}

#[test]
fn the_installer_takes_the_public_skills_and_no_others() {
    let Some(programs) = node::programs(&PACKAGES) else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let server = Process::start(&dir.path().join("data"));
    let mut client = Client::new(server.address(), Some(&server.admin_key()));
    let front = |name: &str| format!("---\nname: {name}\ndescription: What {name} is for\n---\n\n# {name}\n");
    for (path, content) in [
        ("one-file/SKILL.md", front("one-file")),
        ("many-files/SKILL.md", front("many-files")),
        ("many-files/scripts/run.py", "print('run')\n".to_owned()),
        ("many-files/references/notes/a.md", "# Notes: ä\n".to_owned()),
        ("private/SKILL.md", front("private")),
    ] {
        ok(&mut client, "write", json!({"path": format!("/skill/{path}"), "content": content}));
    }
    for public in ["one-file", "many-files"] {
        let object = json!(["file", format!("/skill/{public}")]);
        ok(&mut client, "rebac_create", json!({"subject": ["*", "*"], "relation": "direct_viewer", "object": object}));
    }
    let (project, home) = (dir.path().join("project"), dir.path().join("home"));
    std::fs::create_dir_all(&project).expect("a directory");
    std::fs::create_dir_all(&home).expect("a directory");
    let url = format!("http://{}", server.address());
    let said = Command::new(programs.join("skills"))
        .args(["add", &url, "--yes", "--copy", "--agent", "claude-code", "--skill", "*"])
        .current_dir(&project)
        .env("HOME", &home)
        .env("DISABLE_TELEMETRY", "1")
        .output()
        .expect("the installer runs");
    let told = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{told}");
    let installed = files(&project.join(".claude/skills"), "");
    let wanted = vec![
        ("many-files/SKILL.md".to_owned(), front("many-files")),
        ("many-files/references/notes/a.md".to_owned(), "# Notes: ä\n".to_owned()),
        ("many-files/scripts/run.py".to_owned(), "print('run')\n".to_owned()),
        ("one-file/SKILL.md".to_owned(), front("one-file")),
    ];
    assert_eq!(installed, wanted, "{told}");
    // The index says so too; the installer compares the digests that it names.
    assert!(!told.contains("private"), "{told}");
}
