//! `quota`.

use serde_json::{Value, json};

use super::{Running, Said, arg, run};

fn good(said: Said) -> String {
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    said.out
}

#[test]
fn is_set_shown_and_kept_to() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Running::serve(dir.path(), &["--quota-files", "3"]);
    server.url();
    assert_eq!(server.stop().0, 0);
    let nexus = |args: &[&str]| run(args.iter().chain(&["--data-dir", arg(dir.path())]));
    let shown: Value = serde_json::from_str(&good(nexus(&["quota", "get", "--json"]))).expect("JSON");
    let none = json!({"tenant_id": "default", "bytes_used": 0, "bytes_max": null, "files_used": 0, "files_max": null,
        "is_default": true});
    assert_eq!(shown, none, "the settings of that server are not those of this command");
    let set = good(nexus(&["quota", "set", "default", "--bytes", "1KiB"]));
    assert_eq!(set, "TENANT   BYTES  OF    FILES  OF\ndefault  0      1.0K  0      no limit  its own\n");
    for bad in [
        &["set", "default"][..],
        &["set", "default", "--bytes", "much"],
        &["set", "default", "--files", "-1"],
        &["set", "default", "--default", "--files", "1"],
    ] {
        assert_eq!(nexus(&[&["quota"], bad].concat()).code, 64, "{bad:?}");
    }

    let key = good(nexus(&["key", "create", "--instance-admin", "--name", "laptop"])).trim().to_owned();
    let mut server = Running::serve(dir.path(), &["--quota-files", "3"]);
    let url = server.url();
    let nexus = |args: &[&str]| run(args.iter().chain(&["--url", &url, "--key", &key]));
    let file = dir.path().join("file");
    std::fs::write(&file, "x".repeat(1_000)).expect("a file");
    good(nexus(&["put", arg(&file), "/a"]));
    let over = nexus(&["put", arg(&file), "/b"]);
    assert_ne!(over.code, 0);
    assert!(over.err.contains("1000 bytes of 1024") && over.err.contains("quota set default --bytes"), "{}", over.err);
    good(nexus(&["quota", "set", "acme", "--default"]));
    good(nexus(&["quota", "set", "default", "--bytes", "none", "--files", "2"]));
    good(nexus(&["put", arg(&file), "/b"]));
    assert!(nexus(&["put", arg(&file), "/c"]).err.contains("2 files of 2"));
    good(nexus(&["quota", "set", "default", "--default"]));
    good(nexus(&["put", arg(&file), "/c"]));
    assert!(nexus(&["put", arg(&file), "/d"]).err.contains("3 files of 3"), "by the settings");
    let listed = good(nexus(&["quota", "list"]));
    assert!(listed.ends_with("default  2.9K   no limit  3      3   by the settings\n"), "{listed}");
    good(nexus(&["rm", "/c"]));
    good(nexus(&["put", arg(&file), "/d"]));
    assert_eq!(server.stop().0, 0);
}
