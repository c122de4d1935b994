//! The file commands, on a stopped and on a running server, and contexts.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Running, Said, arg, program, run};

/// Bytes of a file that is sent as a stream.
const LARGE: usize = 5 << 20;

/// A data directory whose server has run once.
fn begun() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Running::serve(&dir.path().join("data"), &[]);
    server.url();
    assert_eq!(server.stop().0, 0);
    dir
}

fn good(said: Said) -> String {
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    said.out
}

/// What people do in an hour, by one door or the other.
fn an_hour(here: &Path, nexus: &dyn Fn(&[&str]) -> Said) {
    let ok = |args: &[&str]| good(nexus(args));
    let notes = here.join("notes");
    fs::create_dir_all(notes.join("deep/er")).expect("made");
    fs::write(notes.join("a.txt"), "one\ntwo\n").expect("written");
    fs::write(notes.join("deep/er/b c.txt"), "TODO: ü\n").expect("written");
    let large: Vec<u8> = (0..LARGE).map(|at| ((at * 31) >> 3) as u8).collect();
    fs::write(notes.join("large.bin"), &large).expect("written");

    ok(&["put", "-r", arg(&notes), "/docs/"]);
    assert_eq!(ok(&["ls", "/docs/notes"]), "a.txt\ndeep/\nlarge.bin\n");
    let all = "/docs/notes/a.txt\n/docs/notes/deep/\n/docs/notes/deep/er/\n/docs/notes/deep/er/b c.txt\n/docs/notes/large.bin\n";
    assert_eq!(ok(&["ls", "-R", "/docs/notes"]), all);
    assert!(ok(&["ls", "-l", "/docs/notes"]).contains("5.0M  "), "sizes for people");
    let rows: Value = serde_json::from_str(&ok(&["ls", "/docs/notes", "--json"])).expect("JSON");
    assert_eq!(rows["files"][2]["size"], LARGE);
    assert_eq!(ok(&["cat", "/docs/notes/a.txt", "/docs/notes/deep/er/b c.txt"]), "one\ntwo\nTODO: ü\n");
    assert_eq!(ok(&["find", "**/*.txt", "/docs"]), "/docs/notes/a.txt\n/docs/notes/deep/er/b c.txt\n");
    assert_eq!(ok(&["grep", "-i", "todo", "/docs"]), "/docs/notes/deep/er/b c.txt:1:TODO: ü\n");
    assert_eq!(ok(&["grep", "two", "/docs", "-C", "1"]), "/docs/notes/a.txt-1-one\n/docs/notes/a.txt:2:two\n");
    assert_eq!(nexus(&["grep", "nowhere", "/docs"]).code, 1);
    assert!(ok(&["du", "/docs/notes"]).ends_with("5.0M  3  /docs/notes\n"));

    let back = here.join("back");
    ok(&["get", "-r", "/docs/notes", arg(&back)]);
    assert_eq!(fs::read(back.join("large.bin")).expect("fetched"), large);
    assert_eq!(fs::read_to_string(back.join("deep/er/b c.txt")).expect("fetched"), "TODO: ü\n");
    let again = nexus(&["get", "/docs/notes/a.txt", arg(&back)]);
    assert_eq!(again.code, 73, "{}", again.err);
    assert!(again.err.contains("--force"), "{}", again.err);
    ok(&["get", "/docs/notes/a.txt", arg(&back), "--force"]);

    ok(&["mkdir", "-p", "/docs/more/x"]);
    ok(&["cp", "-r", "/docs/notes/deep", "/docs/more"]);
    assert_eq!(ok(&["cat", "/docs/more/deep/er/b c.txt"]), "TODO: ü\n");
    ok(&["mv", "/docs/notes/a.txt", "/docs/more"]);
    assert_eq!(ok(&["ls", "/docs/more"]), "a.txt\ndeep/\nx/\n");

    fs::write(here.join("a.txt"), "one\nthree\n").expect("written");
    ok(&["put", arg(&here.join("a.txt")), "/docs/more/a.txt"]);
    assert_eq!(nexus(&["diff", "/docs/notes/large.bin"]).err.lines().count(), 1, "it has one version");
    let diff = nexus(&["diff", "/docs/more/a.txt"]);
    assert_eq!(diff.code, 1, "they differ: {}", diff.err);
    assert!(diff.out.contains("\n-two\n+three\n"), "{}", diff.out);
    let log = ok(&["log", "/docs/more/a.txt"]);
    assert_eq!(log.lines().map(|line| line.split_whitespace().next()).collect::<Vec<_>>(), [Some("v2"), Some("v1")]);
    ok(&["undo", "/docs/more/a.txt"]);
    assert_eq!(ok(&["cat", "/docs/more/a.txt"]), "one\ntwo\n");
    ok(&["rollback", "/docs/more/a.txt", "v2"]);
    assert_eq!(ok(&["cat", "/docs/more/a.txt"]), "one\nthree\n");
    assert_eq!(nexus(&["rollback", "/docs/more/a.txt", "9"]).code, 65);
    let new = nexus(&["put", "--new", arg(&here.join("a.txt")), "/docs/more/a.txt"]);
    assert_eq!(new.code, 65, "it is there: {}", new.err);

    let refused = nexus(&["rm", "/docs/more", "/docs/more/none"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("/docs/more: ") && refused.err.contains("/docs/more/none: "), "{}", refused.err);
    ok(&["rm", "-r", "/docs/more"]);
    assert_eq!(nexus(&["ls", "/docs/more"]).code, 1);
    assert_eq!(nexus(&["cat", "/docs/more/a.txt"]).code, 65);
    assert_eq!(nexus(&["get", "/docs/notes"]).code, 64, "a directory without -r");
    assert_eq!(nexus(&["put", arg(&here.join("none")), "/docs/x"]).code, 66);
}

#[test]
fn an_hour_of_files_on_a_stopped_server() {
    let dir = begun();
    let data = dir.path().join("data");
    an_hour(dir.path(), &|args| run(args.iter().chain(&["--data-dir", arg(&data)])));
}

#[test]
fn an_hour_of_files_on_a_running_server_by_its_context() {
    let dir = begun();
    let data = dir.path().join("data");
    let key = good(run(["key", "create", "--admin", "--name", "laptop", "--data-dir", arg(&data)])).trim().to_owned();
    let mut server = Running::serve(&data, &[]);
    let url = server.url();
    let kept = dir.path().join("home/contexts.json");
    let with =
        |args: &[&str]| Said::of(program(args).env("NEXUS_LITE_CONTEXTS", &kept).output().expect("the program runs"));
    let none = with(&["context", "use", "home"]);
    assert_eq!(none.code, 64, "{}", none.err);
    good(with(&["context", "add", "home", "--url", &url, "--key", &key]));
    good(with(&["context", "add", "other", "--url", "http://127.0.0.1:1", "--key", "sk-other"]));
    let shown = good(with(&["context", "list"])) + &good(with(&["context", "list", "--json"]));
    assert!(shown.starts_with("* home   http://") && !shown.contains("sk-"), "{shown}");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(fs::metadata(&kept).expect("kept").permissions().mode() & 0o777, 0o600);

    an_hour(dir.path(), &with);

    let gone = with(&["ls", "--context", "other"]);
    assert_eq!(gone.code, 69, "nobody listens there: {}", gone.err);
    assert_eq!(with(&["ls", "--context", "nobody"]).code, 64);
    good(with(&["context", "use", "other"]));
    assert_eq!(with(&["ls"]).code, 69);
    good(with(&["context", "remove", "other"]));
    assert_eq!(with(&["ls", "--context", "home"]).code, 0);
    let denied = run(["cat", "/docs/notes/large.bin", "--url", &url, "--key", "sk-wrong"]);
    assert!(denied.code != 0 && denied.out.is_empty(), "{}", denied.err);
    assert_eq!(server.stop().0, 0);
}

#[test]
fn shells_are_told_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let text = good(run(["completions", shell]));
        for command in ["put", "snapshot", "context", "serve"] {
            assert!(text.contains(command), "{shell}: {command}");
        }
    }
}
