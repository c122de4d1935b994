//! `who-can` and `what-can`.

use serde_json::{Value, json};

use super::{Running, Said, arg, run};

#[test]
fn who_can_and_what_can_on_a_stopped_and_on_a_running_server() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Running::serve(dir.path(), &[]);
    server.url();
    assert_eq!(server.stop().0, 0);
    let on_it = |args: &[&str]| -> Said { run(args.iter().chain(&["--data-dir", arg(dir.path())])) };
    let ok = |args: &[&str]| {
        let said = on_it(args);
        assert_eq!(said.code, 0, "{args:?}: {}", said.err);
        said.out
    };
    ok(&["grant", "group:eng#member", "direct_viewer", "/docs"]);
    ok(&["grant", "user:alice", "member", "group:eng"]);
    ok(&["grant", "user:bob", "direct_viewer", "/docs/a.txt"]);
    let who = ok(&["who-can", "read", "/docs/a.txt"]);
    let names: Vec<&str> = who.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["user:alice", "user:bob"], "{who}");
    assert_eq!(ok(&["who-can", "read", "/docs/a.txt", "--type", "agent"]), "nobody\n");
    ok(&["grant", "*", "direct_viewer", "/docs/a.txt"]);
    assert!(ok(&["who-can", "read", "/docs/a.txt"]).ends_with("everybody of default\n"));
    let json: Value = serde_json::from_str(&ok(&["who-can", "read", "/docs", "--json"])).expect("JSON");
    assert_eq!(json["subjects"], json!([{"subject": ["user", "alice"], "tenant_id": "default"}]));
    assert_eq!(ok(&["what-can", "user:alice", "read"]), "nothing\n", "no file is there yet");
    assert_eq!(ok(&["what-can", "user:alice", "member", "group"]), "group:eng\n");
    // More than one page.
    let ids: Vec<String> = (0..3).map(|i| format!("memory:m{i}")).collect();
    ids.iter().for_each(|id| drop(ok(&["grant", "user:alice", "viewer", id])));
    assert_eq!(ok(&["what-can", "user:alice", "read", "memory"]), ids.join("\n") + "\n");
    assert_eq!(on_it(&["what-can", "alice", "read"]).code, 64);
    assert_eq!(on_it(&["what-can", "user:alice", "read", "memory", "--below", "/a"]).code, 65);

    let made = on_it(&["key", "create", "--user", "alice", "--name", "laptop"]).out;
    let mut server = Running::serve(dir.path(), &[]);
    let url = server.url();
    let online = |args: &[&str]| run(args.iter().chain(&["--url", &url, "--key", made.trim()]));
    let mine = online(&["what-can", "user:alice", "read", "memory"]);
    assert_eq!((mine.code, mine.out), (0, ids.join("\n") + "\n"), "{}", mine.err);
    let theirs = online(&["what-can", "user:bob", "read"]);
    assert_eq!((theirs.code, theirs.out.as_str()), (77, ""), "{}", theirs.err);
    assert_eq!(online(&["who-can", "read", "/docs"]).code, 77);
    assert_eq!(server.stop().0, 0);
}
