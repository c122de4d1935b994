//! `memory`: kept, found, changed and forgotten, on a stopped and on a running server.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;

use super::{Running, Said, arg, program, run};

fn good(said: Said) -> String {
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    said.out
}

/// What people do with memories, by one door or the other; `door` are the arguments that lead to it.
fn an_hour(door: &[&str]) {
    let nexus = |args: &[&str]| run(args.iter().chain(door));
    let ok = |args: &[&str]| good(nexus(args));
    assert!(ok(&["memory", "list"]).contains("no memories that you may see"));
    let owner = ok(&["memory", "store", "Alice owns the parser", "--name", "projects/lite/owner"]);
    let owner = owner.trim();
    let told = ["memory", "store", "Tea, not coffee", "--type", "preference", "--scope", "user", "--importance", "0.9"];
    let tea = ok(&told);
    let tea = tea.trim();
    let raw = ok(&["memory", "store", "not yet looked at", "--inactive"]);
    let raw = raw.trim();

    // A list has a line each, newest first; what is inactive is left out.
    let listed = ok(&["memory", "list"]);
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 2, "{listed}");
    assert!(lines[0].starts_with(tea) && lines[0].contains("preference") && lines[0].contains("0.9"), "{listed}");
    assert!(lines[1].starts_with(owner) && lines[1].contains("projects/lite/owner"), "{listed}");
    assert!(ok(&["memory", "list", "--state", "all"]).contains(raw));
    assert!(ok(&["memory", "list", "--scope", "user"]).starts_with(tea));
    assert!(ok(&["memory", "list", "--under", "projects"]).starts_with(owner));
    let cut = ok(&["memory", "list", "--limit", "1"]);
    assert!(cut.starts_with(tea) && cut.contains("there may be more"), "{cut}");
    let json: Value = serde_json::from_str(&ok(&["memory", "list", "--limit", "1", "--json"])).expect("JSON");
    assert_eq!((json["memories"].as_array().map(Vec::len), &json["complete"]), (Some(1), &false.into()));

    assert_eq!(ok(&["memory", "get", owner]), "Alice owns the parser\n");
    assert_eq!(ok(&["memory", "get", "projects/lite/owner"]), "Alice owns the parser\n");
    let none = nexus(&["memory", "get", "nowhere"]);
    assert_eq!((none.code, none.out.as_str()), (1, "there is no memory 'nowhere' that you may see\n"));
    assert!(ok(&["memory", "search", "parser"]).starts_with(owner));
    assert_eq!(nexus(&["memory", "search", "cocoa"]).code, 1);

    // The same name again replaces it: the id stays.
    let again = ok(&["memory", "store", "Bob owns the parser", "--name", "projects/lite/owner"]);
    assert_eq!(again.trim(), owner);
    assert_eq!(ok(&["memory", "update", tea, "Water", "--importance", "0.1"]), format!("changed {tea}\n"));
    assert_eq!(ok(&["memory", "get", tea]), "Water\n");
    assert_eq!(nexus(&["memory", "update", tea]).code, 64, "nothing to change");

    assert_eq!(ok(&["memory", "approve", raw]), "approved 1 memories\n");
    assert!(ok(&["memory", "list"]).contains(raw));
    assert_eq!(ok(&["memory", "deactivate", raw]), "deactivated 1 memories\n");
    assert!(!ok(&["memory", "list"]).contains(raw));
    let forgot = nexus(&["memory", "forget", raw, owner, "nowhere"]);
    assert_eq!(forgot.code, 1, "one of them is not there: {}", forgot.err);
    assert!(forgot.out.starts_with("forgot 2 memories\nnowhere: "), "{}", forgot.out);
    assert_eq!(ok(&["memory", "forget", tea]), "forgot 1 memories\n");
    assert!(ok(&["memory", "list", "--state", "all"]).contains("no memories that you may see"));

    // From the standard input: as text, or as bytes that are none.
    for (bytes, shown) in [(&b"piped\nin\n"[..], "piped\nin\n"), (&[0xff, 0xfe], "(no text)\n")] {
        let arguments: Vec<&str> = ["memory", "store", "-"].iter().chain(door).copied().collect();
        let mut child = program(arguments).stdin(Stdio::piped()).spawn().expect("the program runs");
        child.stdin.take().expect("piped").write_all(bytes).expect("taken");
        let id = good(Said::of(child.wait_with_output().expect("it ends")));
        assert_eq!(ok(&["memory", "get", id.trim()]), shown);
    }
}

#[test]
fn an_hour_of_memories_on_a_stopped_and_on_a_running_server() {
    let dir = tempfile::tempdir().expect("a directory");
    for online in [false, true] {
        let here = dir.path().join(if online { "online" } else { "offline" });
        fs::create_dir(&here).expect("made");
        let data = here.join("data");
        let mut first = Running::serve(&data, &[]);
        first.url();
        assert_eq!(first.stop().0, 0);
        if !online {
            an_hour(&["--data-dir", arg(&data)]);
            continue;
        }
        let key =
            good(run(["key", "create", "--admin", "--name", "laptop", "--data-dir", arg(&data)])).trim().to_owned();
        let mut server = Running::serve(&data, &[]);
        let url = server.url();
        an_hour(&["--url", &url, "--key", &key]);
        assert_eq!(server.stop().0, 0);
    }
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_opened() {
    for wrong in [
        &["memory", "store", "x", "--name", "nokey"][..],
        &["memory", "store", "x", "--importance", "2"],
        &["memory", "store", "x", "--scope", "everybody"],
        &["memory", "list", "--state", "gone"],
        &["memory", "list", "--limit", "0"],
        &["memory", "search"],
        &["memory", "forget"],
    ] {
        assert_eq!(run(wrong.iter().chain(&["--data-dir", "/nonexistent/nexus"])).code, 64, "{wrong:?}");
    }
}
