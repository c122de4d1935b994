//! `agent`, `share`, `unshare`, `shares`.

use super::{Running, Said, arg, run};

#[test]
fn an_agent_has_no_rights_until_somebody_gives_it_some() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Running::serve(dir.path(), &[]);
    let url = server.url();
    let admin = std::fs::read_to_string(dir.path().join("admin.key")).expect("the first key").trim().to_owned();
    let with = |key: &str, args: &[&str]| -> Said { run(args.iter().chain(&["--url", &url, "--key", key])) };

    let made = with(&admin, &["agent", "create", "bot", "--description", "counts"]);
    assert_eq!(made.code, 0, "{}", made.err);
    let key = made.out.lines().next().expect("a key").to_owned();
    assert!(key.starts_with("sk-default_bot_"), "{}", made.out);
    assert!(made.out.contains("no rights but on its own directory"), "{}", made.out);
    assert_eq!(with(&admin, &["agent", "create", "bot"]).code, 64, "a name is given once");
    for args in [["agent", "list"].as_slice(), &["agent", "show", "bot"]] {
        let shown = with(&admin, args);
        assert!(
            shown.out.starts_with("bot ") && shown.out.contains(" key ") && !shown.out.contains("sk-"),
            "{}",
            shown.out
        );
    }

    // The refusal says what is missing and how it is given, and that works when it is pasted.
    let local = dir.path().join("a b.txt");
    std::fs::write(&local, "text").expect("a file");
    assert_eq!(with(&admin, &["put", arg(&local), "/docs/a b.txt"]).code, 0);
    let denied = with(&key, &["cat", "/docs/a b.txt"]);
    assert_ne!(denied.code, 0);
    assert!(denied.err.contains("the permission 'read' on '/docs/a b.txt' is missing"), "{}", denied.err);
    let command = "nexus-lite grant agent:bot direct_viewer '/docs/a b.txt'";
    assert!(denied.err.contains(command), "{}", denied.err);
    assert_eq!(with(&admin, &["grant", "agent:bot", "direct_viewer", "/docs/a b.txt"]).code, 0);
    assert_eq!(with(&key, &["cat", "/docs/a b.txt"]).out, "text");

    let gone = with(&admin, &["agent", "delete", "bot"]);
    assert_eq!((gone.code, gone.out.as_str()), (0, "deleted agent:bot\n"), "{}", gone.err);
    assert_eq!(with(&admin, &["agent", "delete", "bot"]).code, 1);
    assert_eq!(with(&admin, &["agent", "show", "bot"]).code, 1);
    assert_ne!(with(&key, &["cat", "/docs/a b.txt"]).code, 0);
    assert_eq!(with(&admin, &["agent", "list"]).out, "no agents\n");
}

#[test]
fn a_folder_is_shared_and_taken_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Running::serve(dir.path(), &[]);
    server.url();
    assert_eq!(server.stop().0, 0);
    let on_it = |args: &[&str]| -> Said { run(args.iter().chain(&["--data-dir", arg(dir.path())])) };

    let lent = on_it(&["share", "/docs", "bob", "--as", "editor", "--for", "7d"]);
    assert_eq!(lent.code, 0, "{}", lent.err);
    assert!(lent.out.starts_with("shared file:/docs with bob as editor until 2"), "{}", lent.out);
    assert_eq!(on_it(&["share", "/docs", "group:eng", "--for", "1h"]).code, 0);
    for args in [["shares"].as_slice(), &["shares", "/docs"], &["shares", "--incoming", "bob"]] {
        let shown = on_it(args);
        assert!(shown.out.starts_with("editor  file:/docs  ") && shown.out.contains("until 2"), "{}", shown.out);
    }
    for who in ["bob", "group:eng"] {
        let ended = on_it(&["unshare", "/docs", who]);
        assert_eq!(
            (ended.code, ended.out.contains("no longer shared")),
            (0, true),
            "{who}: {}{}",
            ended.out,
            ended.err
        );
        assert_eq!(on_it(&["unshare", "/docs", who]).code, 1, "{who}");
    }
    assert_eq!(on_it(&["shares"]).out, "no shares\n");
    assert_eq!(on_it(&["share", "/docs", "bob", "--for", "soon"]).code, 64);
    assert_eq!(on_it(&["share", "/docs", "bob", "--as", "boss"]).code, 64);
}
