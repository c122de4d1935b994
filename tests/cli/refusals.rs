//! What is refused: each with its exit code, its reason and what to do.

use std::net::TcpListener;

use super::{Running, arg, run};

#[test]
fn a_directory_in_use() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Running::serve(dir.path(), &[]);
    server.url();
    for command in [&["serve", "--port", "0"][..], &["key", "list"], &["check"]] {
        let said = run(command.iter().chain(&["--data-dir", arg(dir.path())]));
        assert_eq!(said.code, 75, "{command:?}: {}", said.err);
        let wanted = format!("is in use by pid {} (since 20", server.pid());
        assert!(said.err.contains(&wanted) && said.err.contains("Use --data-dir or stop it"), "{}", said.err);
    }
    // Killed without a word, it holds nothing.
    server.child.kill().expect("our own child");
    server.child.wait().expect("our own child");
    let mut next = Running::serve(dir.path(), &[]);
    next.url();
}

#[test]
fn a_port_in_use() {
    let dir = tempfile::tempdir().expect("a directory");
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    for command in ["serve", "demo"] {
        let data = dir.path().join(command);
        let said = run([command, "--port", &port, "--data-dir", arg(&data)]);
        assert_eq!(said.code, 69, "{}", said.err);
        assert!(said.err.contains(&format!("127.0.0.1:{port} is in use; try --port ")), "{}", said.err);
        assert!(said.err.contains("(free)"), "{}", said.err);
    }
}

#[test]
fn a_database_that_is_not_ours_or_newer() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("nexus.sqlite");
    let refused = |what: &str, wanted: &str| {
        let before = std::fs::read(&file).expect("readable");
        for command in [&["serve", "--port", "0"][..], &["check"]] {
            let said = run(command.iter().chain(&["--data-dir", arg(dir.path())]));
            assert_eq!(said.code, 65, "{what}: {}", said.err);
            assert!(said.err.contains(wanted) && said.err.contains("Nothing was changed"), "{what}: {}", said.err);
        }
        assert_eq!(std::fs::read(&file).expect("readable"), before, "{what}: untouched");
    };
    std::fs::write(&file, "Dear diary, ").expect("writable");
    refused("a text", "not a SQLite database");
    std::fs::remove_file(&file).expect("there");
    let sql = |text: &str| {
        #[expect(clippy::disallowed_methods, reason = "another program's database")]
        let conn = rusqlite::Connection::open(&file).expect("opened");
        conn.execute_batch(text).expect("executed");
    };
    sql("CREATE TABLE t (x); INSERT INTO t VALUES (1)");
    refused("foreign", "another program");
    std::fs::remove_file(&file).expect("there");

    let mut server = Running::serve(dir.path(), &[]);
    server.url();
    assert_eq!(server.stop().0, 0);
    sql("PRAGMA journal_mode = DELETE; PRAGMA user_version = 999");
    refused("newer", "version 999");
}

#[test]
fn a_typo() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let file = dir.path().join("nexus.toml");
    std::fs::write(&file, "# my server\nhost = \"127.0.0.1\"\nprot = 8081\n").expect("writable");
    let said = run(["serve", "--config", arg(&file), "--data-dir", arg(&data)]);
    assert_eq!(said.code, 78, "{}", said.err);
    assert!(said.err.contains("unknown key `prot`, did you mean `port`?"), "{}", said.err);
    assert!(said.err.contains("nexus.toml line 3"), "{}", said.err);

    let said = run(["serve", "--prot", "1"]);
    assert_eq!(said.code, 64, "{}", said.err);
    assert!(said.err.contains("--port"), "{}", said.err);
    let said = run(["serve", "--port", "http", "--data-dir", arg(&data)]);
    assert_eq!(said.code, 78, "{}", said.err);
    assert!(said.err.contains("a port from 0 to 65535") && !data.exists(), "{}", said.err);
    assert_eq!(run(["sevre"]).code, 64);
    assert_eq!(run(["--version"]).code, 0);
}

#[test]
fn a_directory_without_a_database() {
    let dir = tempfile::tempdir().expect("a directory");
    let missing = dir.path().join("missing");
    for command in [&["check"][..], &["key", "list"]] {
        let said = run(command.iter().chain(&["--data-dir", arg(&missing)]));
        assert_eq!(said.code, 66, "{}", said.err);
        assert!(said.err.starts_with("error: ") && said.err.contains(" hint: "), "{}", said.err);
        assert!(!missing.exists(), "a look makes nothing");
    }
}
