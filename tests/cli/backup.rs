//! `backup` and `restore`, as a user types them.

use serde_json::Value;

use super::{Running, arg, run};

#[test]
fn from_a_running_server_to_another_directory() {
    let (dir, other) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let mut server = Running::serve(dir.path(), &[]);
    let url = server.url();
    let admin = std::fs::read_to_string(dir.path().join("admin.key")).expect("the first key").trim().to_owned();
    let none = run(["backup", "list", "--url", &url, "--key", &admin]);
    assert_eq!((none.code, none.out.as_str()), (0, "no backups\n"), "{}", none.err);
    let made = run(["backup", "now", "--json", "--url", &url, "--key", &admin]);
    assert_eq!(made.code, 0, "{}", made.err);
    let made: Value = serde_json::from_str(&made.out).expect("JSON");
    let path = made["path"].as_str().expect("a path").to_owned();
    let listed = run(["backup", "list", "--url", &url, "--key", &admin]);
    assert!(listed.out.contains(&path) && listed.out.contains("revision"), "{}", listed.out);

    let good = run(["backup", "verify", &path]);
    assert_eq!(good.code, 0, "{}{}", good.out, good.err);
    assert!(good.out.contains("good, revision"), "{}", good.out);
    let busy = run(["restore", &path, "--data-dir", arg(dir.path())]);
    assert_eq!(busy.code, 75, "a server runs there: {}", busy.err);
    assert_eq!(server.stop().0, 0);

    // A new directory has no secret: it is named, or said to be missing.
    let target = other.path().join("data");
    let secret = dir.path().join("server.secret");
    let bare = run(["restore", &path, "--data-dir", arg(&target)]);
    assert_eq!(bare.code, 0, "{}", bare.err);
    assert!(bare.out.contains("no server.secret"), "{}", bare.out);
    let again = run(["restore", &path, "--data-dir", arg(&target), "--server-secret", arg(&secret)]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(again.out.contains("is kept") && !again.out.contains("no server.secret"), "{}", again.out);
    let mut server = Running::serve(&target, &[]);
    let url = server.url();
    let listed = run(["key", "list", "--json", "--url", &url, "--key", &admin]);
    assert_eq!(listed.code, 0, "the key of before is known: {}", listed.err);
    assert_eq!(server.stop().0, 0);
}

#[test]
fn what_is_no_backup_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    for command in [vec!["backup", "verify", arg(dir.path())], vec!["restore", arg(dir.path()), "--data-dir", "x"]] {
        let refused = run(&command);
        assert_eq!(refused.code, 65, "{}", refused.err);
        assert!(refused.err.contains("no manifest.json"), "{}", refused.err);
    }
    let target = dir.path().join("data");
    let missing = run(["restore", "/nowhere/at/all", "--data-dir", arg(&target)]);
    assert_ne!(missing.code, 0);
    assert!(!target.exists());
}
