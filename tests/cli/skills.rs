//! `skill`: on this machine without a server, and on one through the door.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Running, Said, arg, program, run};

fn good(said: Said) -> String {
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    said.out
}

/// Runs a command in a directory.
fn within(dir: &Path, args: &[&str]) -> Said {
    Said::of(program(args).current_dir(dir).output().expect("the program runs"))
}

#[test]
fn a_new_skill_is_valid_and_findings_have_lines() {
    let dir = tempfile::tempdir().expect("a directory");
    let here = dir.path();
    assert_eq!(good(within(here, &["skill", "new", "pdf-tools"])), "made ./pdf-tools/SKILL.md\n");
    assert_eq!(good(within(here, &["skill", "validate", "pdf-tools"])), "Valid skill: pdf-tools\n");
    assert_eq!(good(within(&here.join("pdf-tools"), &["skill", "validate"])), "Valid skill: .\n");
    assert_eq!(good(within(here, &["skill", "validate", "pdf-tools/SKILL.md"])), "Valid skill: pdf-tools\n");
    for template in ["data-analysis", "code-generation", "document-processing", "api-integration"] {
        good(within(here, &["skill", "new", template, "--template", template, "-d", "Use when: always"]));
        good(within(here, &["skill", "validate", template]));
    }
    assert_eq!(within(here, &["skill", "new", "pdf-tools"]).code, 73, "it is there");
    assert_eq!(within(here, &["skill", "new", "Not_Good"]).code, 64);
    assert_eq!(within(here, &["skill", "new", "x", "--template", "none"]).code, 64);

    let bad = here.join("bad");
    fs::create_dir(&bad).expect("made");
    fs::write(bad.join("skill.md"), "---\ndescription: d\nversion: 1\nname: Bad-\n---\n").expect("written");
    let said = within(here, &["skill", "validate", "bad"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert_eq!(
        said.err,
        "Validation failed for bad:\n  - Unexpected fields in frontmatter: version. Only ['allowed-tools', \
         'compatibility', 'description', 'license', 'metadata', 'name'] are allowed. (line 3)\n  - Skill name 'Bad-' \
         must be lowercase (line 4)\n  - Skill name cannot start or end with a hyphen (line 4)\n  - Directory name \
         'bad' must match skill name 'Bad-' (line 4)\n"
    );
    let said = within(here, &["skill", "validate", "bad", "--json"]);
    let json: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((said.code, &json["valid"], &json["errors"][1]["line"]), (1, &false.into(), &4.into()));
    let none = within(here, &["skill", "validate", "nowhere"]);
    assert_eq!(
        (none.code, none.err.as_str()),
        (1, "Validation failed for nowhere:\n  - Path does not exist: nowhere\n")
    );
    fs::write(here.join("a.txt"), "x").expect("written");
    assert!(within(here, &["skill", "validate", "a.txt"]).err.contains("  - Not a directory: a.txt\n"));
    fs::create_dir(here.join("empty")).expect("made");
    assert!(within(here, &["skill", "validate", "empty"]).err.contains("  - Missing required file: SKILL.md\n"));
}

/// What people do with skills, by one door or the other.
fn an_hour(here: &Path, nexus: &dyn Fn(&[&str]) -> Said) {
    let ok = |args: &[&str]| good(nexus(args));
    good(within(here, &["skill", "new", "tables", "-d", "Reads tables"]));
    fs::create_dir(here.join("tables/scripts")).expect("made");
    fs::write(here.join("tables/scripts/run.py"), "print(1)\n").expect("written");
    let imported = ok(&["skill", "import", arg(&here.join("tables"))]);
    assert!(
        imported.starts_with("imported /tenant:default/user:") && imported.ends_with("/skill/tables/\n"),
        "{imported}"
    );
    assert_eq!(nexus(&["skill", "import", arg(&here.join("tables"))]).code, 65, "it is there");
    ok(&["skill", "import", arg(&here.join("tables")), "--overwrite"]);
    assert_eq!(ok(&["skill", "list"]), "tables  personal  Reads tables\n");
    assert!(ok(&["skill", "search", "reads", "tables"]).trim_end().ends_with("  tables"));
    assert_eq!(nexus(&["skill", "search", "nowhere"]).code, 1);
    ok(&["skill", "fork", "tables", "charts"]);
    let info = ok(&["skill", "info", "charts"]);
    assert!(info.starts_with("name        charts\ntier        personal\n") && info.contains("minded"), "{info}");
    ok(&["skill", "publish", "charts"]);
    let rows: Value = serde_json::from_str(&ok(&["skill", "list", "--tier", "tenant", "--json"])).expect("JSON");
    assert_eq!((&rows["count"], &rows["skills"][0]["name"]), (&1.into(), &"charts".into()));
    let saved = here.join("tables.skill");
    ok(&["skill", "export", "tables", "-o", arg(&saved), "--format", "claude"]);
    assert_eq!(nexus(&["skill", "export", "tables", "-o", arg(&saved)]).code, 73, "it is there");
    ok(&["skill", "export", "tables", "-o", arg(&saved), "--force"]);
    ok(&["skill", "import", arg(&saved), "--tier", "tenant"]);
    fs::write(here.join("evil.zip"), b"PK\x05\x06").expect("written");
    let evil = nexus(&["skill", "import", arg(&here.join("evil.zip"))]);
    assert_eq!(evil.code, 65);
    assert!(evil.err.contains("Invalid ZIP file: File is not a zip file"), "{}", evil.err);
    reviews(&ok, &|args| nexus(args).code);
    std::os::unix::fs::symlink("/etc/passwd", here.join("tables/link")).expect("made");
    let link = nexus(&["skill", "import", arg(&here.join("tables")), "--overwrite"]);
    assert!(link.code == 65 && link.err.contains("a link or a device"), "{}", link.err);
}

/// A skill is submitted and decided about, once so and once so.
fn reviews(ok: &dyn Fn(&[&str]) -> String, code: &dyn Fn(&[&str]) -> i32) {
    assert_eq!(ok(&["skill", "approvals"]), "no submissions that you may see\n");
    let first = ok(&["skill", "submit", "tables", "--comments", "ready\nI think", "--reviewer", "edith"]);
    let first = first.trim();
    let pending = ok(&["skill", "approvals"]);
    assert!(
        pending.starts_with(&format!("{first}  tables  user:")) && pending.contains("  pending  ready\n"),
        "{pending}"
    );
    let done = ok(&["skill", "approve", first, "-c", "good"]);
    assert_eq!(done, format!("approved {first}\n"));
    assert_eq!(code(&["skill", "reject", first]), 65, "it is decided");
    let second = ok(&["skill", "submit", "charts"]);
    let second = second.trim();
    assert_eq!(ok(&["skill", "reject", second, "--comments", "not yet"]), format!("rejected {second}\n"));
    assert_eq!(code(&["skill", "approve", "nowhere"]), 65);
    assert!(ok(&["skill", "approvals"]).starts_with(second), "newest first");
    let approved = ok(&["skill", "approvals", "--status", "approved"]);
    assert!(approved.starts_with(first) && approved.contains("  approved by user:"), "{approved}");
    assert!(!approved.contains(second), "{approved}");
    let rows: Value = serde_json::from_str(&ok(&["skill", "approvals", "charts", "--json"])).expect("JSON");
    assert_eq!((&rows["count"], &rows["approvals"][0]["status"]), (&1.into(), &"rejected".into()));
    assert_eq!(code(&["skill", "approvals", "--status", "gone"]), 64);
}

#[test]
fn an_hour_of_skills_on_a_stopped_and_on_a_running_server() {
    let dir = tempfile::tempdir().expect("a directory");
    for online in [false, true] {
        let here = dir.path().join(if online { "online" } else { "offline" });
        fs::create_dir(&here).expect("made");
        let data = here.join("data");
        let mut first = Running::serve(&data, &[]);
        first.url();
        assert_eq!(first.stop().0, 0);
        if !online {
            an_hour(&here, &|args| run(args.iter().chain(&["--data-dir", arg(&data)])));
            continue;
        }
        let key =
            good(run(["key", "create", "--admin", "--name", "laptop", "--data-dir", arg(&data)])).trim().to_owned();
        let mut server = Running::serve(&data, &[]);
        let url = server.url();
        an_hour(&here, &|args| run(args.iter().chain(&["--url", &url, "--key", &key])));
        assert_eq!(server.stop().0, 0);
    }
}
