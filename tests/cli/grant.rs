//! `grant` and `revoke`.

use super::{Running, Said, arg, run};

#[test]
fn a_grant_is_given_and_taken_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Running::serve(dir.path(), &[]);
    server.url();
    assert_eq!(server.stop().0, 0);
    let on_it = |args: &[&str]| -> Said { run(args.iter().chain(&["--data-dir", arg(dir.path())])) };

    let given = on_it(&["grant", "group:eng", "direct_viewer", "/docs", "--expires", "2099-01-01T00:00:00Z"]);
    assert_eq!(given.code, 0, "{}", given.err);
    assert!(given.out.starts_with("granted group:eng direct_viewer file:/docs until 2099"), "{}", given.out);
    // The members of a group are not the group.
    let members = on_it(&["revoke", "group:eng#member", "direct_viewer", "/docs"]);
    assert_eq!((members.code, members.out.contains("nothing to revoke")), (1, true), "{}", members.out);
    on_it(&["grant", "group:eng#member", "direct_viewer", "/docs"]);

    let plain = on_it(&["revoke", "group:eng", "direct_viewer", "/docs/", "--json"]);
    assert_eq!(plain.code, 0, "{}", plain.err);
    let id: serde_json::Value = serde_json::from_str(&plain.out).expect("JSON");
    assert!(given.out.contains(id["revoked"].as_str().expect("an id")), "{} {}", given.out, plain.out);
    assert_eq!(on_it(&["revoke", "group:eng", "direct_viewer", "/docs"]).code, 1);
    let members = on_it(&["revoke", "group:eng#member", "direct_viewer", "/docs"]);
    assert_eq!(members.code, 0, "{}", members.err);
    assert!(members.out.starts_with("revoked group:eng#member direct_viewer file:/docs ("), "{}", members.out);

    assert_eq!(on_it(&["grant", "*", "direct_viewer", "/pub"]).code, 0);
    assert_eq!(on_it(&["revoke", "*", "direct_viewer", "/pub"]).code, 0);
    assert_eq!(on_it(&["grant", "alice", "direct_viewer", "/docs"]).code, 64);
    let refused = on_it(&["grant", "user:a", "member", "user:b"]);
    assert_eq!((refused.code, refused.err.contains("has no members")), (65, true), "{}", refused.err);
}

#[test]
fn one_of_several_tenants_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Running::serve(dir.path(), &[]);
    server.url();
    assert_eq!(server.stop().0, 0);
    let on_it = |args: &[&str]| -> Said { run(args.iter().chain(&["--data-dir", arg(dir.path())])) };
    for tenant in ["default", "acme"] {
        let given = on_it(&["grant", "user:a", "owner", "memory:m", "--tenant", tenant]);
        assert_eq!(given.code, 0, "{}", given.err);
    }
    let unclear = on_it(&["revoke", "user:a", "owner", "memory:m"]);
    assert_eq!((unclear.code, unclear.err.contains("--tenant")), (64, true), "{}", unclear.err);
    assert_eq!(on_it(&["revoke", "user:a", "owner", "memory:m", "--tenant", "acme"]).code, 0);
    assert_eq!(on_it(&["revoke", "user:a", "owner", "memory:m", "--tenant", "acme"]).code, 1);
    assert_eq!(on_it(&["revoke", "user:a", "owner", "memory:m"]).code, 0);
}
