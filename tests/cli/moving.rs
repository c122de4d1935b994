//! `export`, `import` and `migrate`, as a user types them.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use super::{Running, Said, arg, program, run};

/// A directory that a server has used; its admin's key.
fn used(dir: &Path) -> String {
    let mut server = Running::serve(dir, &[]);
    let url = server.url();
    let admin = std::fs::read_to_string(dir.join("admin.key")).expect("the first key").trim().to_owned();
    let made = run(["key", "create", "--user", "alice", "--name", "laptop", "--url", &url, "--key", &admin]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert_eq!(server.stop().0, 0);
    admin
}

/// The key of before is known there.
fn serves(dir: &Path, key: &str) {
    let mut server = Running::serve(dir, &[]);
    let url = server.url();
    let listed = run(["key", "list", "--url", &url, "--key", key]);
    assert!(listed.code == 0 && listed.out.contains("laptop"), "{}{}", listed.out, listed.err);
    assert_eq!(server.stop().0, 0);
}

#[test]
fn through_a_file() {
    let root = tempfile::tempdir().expect("a directory");
    let at = |name: &str| root.path().join(name);
    let admin = used(&at("data"));
    let exported = run(["export", arg(&at("bundle")), "--with-secret", "--data-dir", arg(&at("data"))]);
    assert!(exported.code == 0 && exported.out.contains("it holds the server's secret"), "{exported:?}");
    let mode = std::fs::metadata(at("bundle")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "for its owner only");
    let again = run(["export", arg(&at("bundle")), "--data-dir", arg(&at("data"))]);
    assert!(again.code == 73 && again.err.contains("not overwritten"), "{again:?}");

    let checked = run(["import", arg(&at("bundle")), "--dry-run", "--data-dir", arg(&at("new"))]);
    assert!(checked.code == 0 && checked.out.contains("the bundle is good"), "{checked:?}");
    assert!(!at("new").exists(), "nothing is written");
    let imported = run(["import", arg(&at("bundle")), "--json", "--data-dir", arg(&at("new"))]);
    assert_eq!(imported.code, 0, "{}", imported.err);
    let said: Value = serde_json::from_str(&imported.out).expect("JSON");
    assert!(said["server_secret"] == true && said["counts"]["api_keys"] == 2, "{said}");
    assert_eq!(std::fs::metadata(at("new/server.secret")).expect("there").permissions().mode() & 0o777, 0o600);
    let twice = run(["import", arg(&at("bundle")), "--data-dir", arg(&at("new"))]);
    assert!(twice.code == 65 && twice.err.contains("there is a store already"), "{twice:?}");
    let rows = run(["check", "--data-dir", arg(&at("new"))]);
    assert_eq!(rows.code, 0, "{}{}", rows.out, rows.err);
    serves(&at("new"), &admin);
}

#[test]
fn through_a_pipe_without_the_secret() {
    let root = tempfile::tempdir().expect("a directory");
    let at = |name: &str| root.path().join(name);
    used(&at("data"));
    let exported = program(["export", "-", "--data-dir", arg(&at("data"))]).output().expect("the program runs");
    assert!(exported.status.success());
    let import = |bytes: &[u8]| {
        let mut command = program(["import", "-", "--data-dir", arg(&at("new"))]);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("the program runs");
        // It may have gone before it has read everything.
        let _ = child.stdin.take().expect("piped").write_all(bytes);
        Said::of(child.wait_with_output().expect("it ends"))
    };
    let cut = import(&exported.stdout[..exported.stdout.len() - 30]);
    assert!(cut.code == 65 && cut.err.contains("standard input, line ") && !at("new").exists(), "{cut:?}");
    let imported = import(&exported.stdout);
    assert!(imported.code == 0 && imported.out.contains("secret did not travel"), "{imported:?}");
}

#[test]
fn in_one_step() {
    let root = tempfile::tempdir().expect("a directory");
    let at = |name: &str| root.path().join(name);
    let admin = used(&at("data"));
    let moved = run(["migrate", "--from", arg(&at("data")), "--to", arg(&at("new"))]);
    assert_eq!(moved.code, 0, "{}{}", moved.out, moved.err);
    let row = moved.out.lines().find(|line| line.starts_with("api_keys")).expect("a row").to_owned();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["api_keys", "2", "2"]);
    assert!(moved.out.contains("moved from") && !moved.out.contains("did not travel"), "{}", moved.out);
    serves(&at("new"), &admin);
    let renamed = run([
        "migrate",
        "--from",
        arg(&at("data")),
        "--to",
        arg(&at("renamed")),
        "--map-tenant",
        "default=acme",
        "--json",
    ]);
    assert_eq!(renamed.code, 0, "{}", renamed.err);
    let said: Value = serde_json::from_str(&renamed.out).expect("JSON");
    assert!(said["equal"] == true && said["left_out"]["meta"].is_u64(), "{said}");
}

#[cfg(feature = "postgres")]
#[test]
fn to_postgresql_and_back() {
    let Some(database) = crate::harness::postgres::fresh_database() else { return };
    let root = tempfile::tempdir().expect("a directory");
    let at = |name: &str| root.path().join(name);
    let admin = used(&at("data"));
    let there = run(["migrate", "--from", arg(&at("data")), "--to", database.url()]);
    assert!(there.code == 0 && there.out.contains("set server_secret"), "{}{}", there.out, there.err);
    let twice = run(["migrate", "--from", arg(&at("data")), "--to", database.url()]);
    assert!(twice.code == 65 && twice.err.contains("there is a store already"), "{twice:?}");
    let back = run(["migrate", "--from", database.url(), "--to", arg(&at("back"))]);
    assert_eq!(back.code, 0, "{}{}", back.out, back.err);
    std::fs::copy(at("data/server.secret"), at("back/server.secret")).expect("copied");
    serves(&at("back"), &admin);
}

#[test]
fn what_cannot_be_moved() {
    let root = tempfile::tempdir().expect("a directory");
    let at = |name: &str| root.path().join(name);
    let nothing = run(["export", arg(&at("bundle")), "--data-dir", arg(&at("nothing"))]);
    assert!(nothing.code == 66 && !at("nothing").exists() && !at("bundle").exists(), "{nothing:?}");
    let missing = run(["import", arg(&at("bundle")), "--data-dir", arg(&at("new"))]);
    assert!(missing.code == 66 && !at("new").exists(), "{missing:?}");
    std::fs::write(at("text"), "no bundle\n").expect("written");
    let foreign = run(["import", arg(&at("text")), "--data-dir", arg(&at("new"))]);
    assert!(
        foreign.code == 65 && foreign.err.contains("no bundle of nexus-lite") && !at("new").exists(),
        "{foreign:?}"
    );
    let names = run(["import", arg(&at("text")), "--map-tenant", "a", "--data-dir", arg(&at("new"))]);
    assert!(names.code == 64 && names.err.contains("OLD=NEW"), "{names:?}");

    let mut server = Running::serve(&at("data"), &[]);
    server.url();
    let busy = run(["export", arg(&at("bundle")), "--data-dir", arg(&at("data"))]);
    assert!(busy.code == 75 && !at("bundle").exists(), "{busy:?}");
    let into = run(["migrate", "--from", arg(&at("data")), "--to", arg(&at("data"))]);
    assert_eq!(into.code, 75, "{into:?}");
    assert_eq!(server.stop().0, 0);
    let left: Vec<_> = std::fs::read_dir(root.path()).expect("there").map(|e| e.expect("listed").file_name()).collect();
    assert!(left.iter().all(|name| name == "data" || name == "text"), "{left:?}");
}
