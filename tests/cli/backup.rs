//! `backup` and `restore`, as a user types them.

use std::path::Path;

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

#[test]
fn one_file_that_moves_with_its_secret() {
    let root = tempfile::tempdir().expect("a directory");
    let (dir, target, file) = (root.path().join("data"), root.path().join("other"), root.path().join("backup.nxb"));
    let mut server = Running::serve(&dir, &[]);
    let url = server.url();
    let admin = std::fs::read_to_string(dir.join("admin.key")).expect("the first key").trim().to_owned();
    let words = root.path().join("words");
    std::fs::write(&words, "correct horse battery staple\n").expect("written");
    let online = ["backup", "now", "--url", &url, "--key", &admin];
    let made = run(online.iter().chain(&["--file", arg(&file), "--passphrase-file", arg(&words)]));
    assert!(made.code == 0 && made.out.contains("holds the server's secret"), "{}{}", made.out, made.err);
    assert_eq!(run(["backup", "list", "--url", &url, "--key", &admin]).out, "no backups\n", "the directory has gone");
    let again = run(online.iter().chain(&["--file", arg(&file)]));
    assert!(again.code == 73 && again.err.contains("not overwritten"), "{}", again.err);
    let plain = root.path().join("plain.nxb");
    let made = run(online.iter().chain(&["--file", arg(&plain)]));
    assert!(made.code == 0 && made.out.contains("not encrypted"), "{}{}", made.out, made.err);
    let secret = std::fs::read(dir.join("server.secret")).expect("a secret");
    let bytes = std::fs::read(&plain).expect("a file");
    assert!(!bytes.windows(secret.len()).any(|window| window == secret), "a plain one never holds the secret");

    // How many stay.
    for _ in 0..3 {
        let listed = run(online.iter().chain(&["--keep", "2"]));
        assert_eq!(listed.code, 0, "{}", listed.err);
        // Names are by second and revision: another revision, another name.
        let user = ["key", "create", "--user", "u", "--url", &url, "--key", &admin];
        assert_eq!(run(user).code, 0);
    }
    let listed = run(["backup", "list", "--url", &url, "--key", &admin]);
    assert_eq!(listed.out.lines().count(), 2, "{}", listed.out);
    assert_eq!(run(online.iter().chain(&["--keep", "0"])).code, 64);
    assert_eq!(server.stop().0, 0);

    let locked = run(["backup", "verify", arg(&file)]);
    assert!(locked.code == 65 && locked.err.contains("it is encrypted"), "{}", locked.err);
    std::fs::write(root.path().join("wrong"), "correct horse battery stapler").expect("written");
    let wrong = ["restore", arg(&file), "--data-dir", arg(&target), "--passphrase-file"];
    let refused = run(wrong.iter().chain(&[arg(&root.path().join("wrong"))]));
    assert!(refused.code == 65 && refused.err.contains("passphrase is wrong"), "{}", refused.err);
    assert!(!target.exists());
    let good = run(["backup", "verify", arg(&file), "--passphrase-file", arg(&words)]);
    assert!(good.code == 0 && good.out.contains("good, revision"), "{}{}", good.out, good.err);
    let restored = run(wrong.iter().chain(&[arg(&words)]));
    assert!(restored.code == 0 && !restored.out.contains("no server.secret"), "{}{}", restored.out, restored.err);
    let mut server = Running::serve(&target, &[]);
    let url = server.url();
    let listed = run(["key", "list", "--url", &url, "--key", &admin]);
    assert_eq!(listed.code, 0, "the key of before is known on the other machine: {}", listed.err);
    assert_eq!(server.stop().0, 0);
    let left = |folder: &Path| std::fs::read_dir(folder).expect("listed").count();
    assert_eq!(left(root.path()), 6, "data, other, two bundles, two words: nothing else was left");
}
