//! `demo`.

use nexus_lite::auth::DEMO_KEY;
use nexus_lite::cli::waves::plan::SANDBOX_NAMES;
use serde_json::json;

use super::{Running, address, arg, run};
use crate::harness::client::Client;
#[cfg(feature = "postgres")]
use crate::harness::postgres;
use crate::sandbox::walls;

#[test]
fn once_is_thirty_of_thirty_on_an_empty_directory_and_again_on_the_same() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("demo");
    for round in ["first", "again"] {
        let said = run(["demo", "--once", "--port", "0", "--data-dir", arg(&data)]);
        assert_eq!(said.code, 0, "{round}: {}{}", said.out, said.err);
        assert!(said.out.contains("30 of 30 right: every body is right"), "{round}: {}", said.out);
        assert!(said.out.contains("right bodies from the demo's manifest"), "{round}: {}", said.out);
        assert!(!said.err.contains("ERROR") && !said.err.contains("locked"), "{round}: {}", said.err);
    }
    let checked = run(["check", "--data-dir", arg(&data)]);
    assert_eq!(checked.code, 0, "{}{}", checked.out, checked.err);
}

#[test]
#[cfg(feature = "postgres")]
fn the_demo_of_a_database_is_found_again_and_nothing_else_becomes_one() {
    let Some(database) = postgres::fresh_database() else { return };
    for round in ["first", "again"] {
        let said = run(["demo", "--once", "--port", "0", "--database-url", database.url()]);
        assert_eq!(said.code, 0, "{round}: {}{}", said.out, said.err);
        assert!(said.out.contains("30 of 30 right: every body is right"), "{round}: {}", said.out);
        assert!(said.out.contains("right bodies from the demo's manifest"), "{round}: {}", said.out);
        assert!(!said.err.contains("ERROR"), "{round}: {}", said.err);
        let key = said.out.contains("sk-default_admin_dddddddd_");
        assert!(key && !said.out.contains(":nexus@") && !said.err.contains(":nexus@"), "{round}: {}", said.out);
    }
    // The key is the demo's: elsewhere it is refused, and another secret makes another store of it.
    let mut serve = super::program(["serve", "--port", "0", "--database-url", database.url()]);
    let said = super::Said::of(serve.env("NEXUS_LITE_SERVER_SECRET", "5".repeat(64)).output().expect("it runs"));
    assert_eq!(said.code, 78, "{}{}", said.out, said.err);

    let Some(foreign) = postgres::fresh_database() else { return };
    let mut serve = super::program(["serve", "--port", "0", "--database-url", foreign.url()]);
    serve.env("NEXUS_LITE_SERVER_SECRET", "5".repeat(64));
    let mut served = Running::start(serve);
    served.url();
    assert_eq!(served.stop().0, 0);
    let said = run(["demo", "--once", "--port", "0", "--database-url", foreign.url()]);
    assert_eq!(said.code, 65, "{}{}", said.out, said.err);
    assert!(said.err.contains("holds no complete demo; nothing was changed"), "{}", said.err);
}

#[test]
fn what_a_changed_demo_must_answer_is_asked_first() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("demo");
    let start = || Running::start(super::program(["demo", "--port", "0", "--data-dir", arg(&data)]));
    let mut demo = start();
    let url = demo.url();
    demo.line_with("Up until Ctrl-C");
    assert!(demo.out.contains("admin,UntrustedAgent (shown once): sk-"), "{}", demo.out);
    let mut client = Client::new(address(&url), Some(DEMO_KEY));
    let path = "/tenant:default/user:admin/workspace/hello.txt";
    client.rpc("write", &json!({ "path": path, "content": "hello" })).expect("the demo's key opens the demo");
    assert_eq!(demo.stop().0, 0);

    let mut again = start();
    again.line_with("30 of 30 right");
    assert!(again.out.contains("right bodies from one serial run"), "{}", again.out);
}

#[test]
fn programs_run_in_the_sandboxes_of_the_sixth_wave() {
    // Without bubblewrap a server of root needs a directory that everybody may pass through, and the demo has none.
    if !walls().contains(&"bubblewrap") {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let mut demo = Running::start(super::program(["demo", "--port", "0", "--data-dir", arg(&dir.path().join("demo"))]));
    let url = demo.url();
    demo.line_with("30 of 30 right");
    let mut client = Client::new(address(&url), Some(DEMO_KEY));
    for name in SANDBOX_NAMES {
        let made = client.rpc("sandbox_get_or_create", &json!({ "name": name })).expect("made");
        assert_eq!(made["capabilities"]["run"], true, "{made}");
        let params = json!({"sandbox_id": made["sandbox_id"], "language": "python", "code": "print(6 * 7)"});
        assert_eq!(client.rpc("sandbox_run", &params).expect("run")["stdout"], "42\n");
    }
    assert_eq!(demo.stop().0, 0);
}

#[test]
fn the_untrusted_agent_reads_what_it_was_granted_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut demo = Running::start(super::program(["demo", "--port", "0", "--data-dir", arg(&dir.path().join("demo"))]));
    let url = demo.url();
    let line = demo.line_with("admin,UntrustedAgent (shown once)");
    let key = line.split_whitespace().last().expect("the key");
    let mut agent = Client::new(address(&url), Some(key));
    let home = "/tenant:default/user:admin";
    agent.rpc("read", &json!({ "path": format!("{home}/skill/skill-creator/SKILL.md") })).expect("granted");
    for path in ["skill/pdf/SKILL.md", "workspace/.placeholder", "resource/.placeholder", "agent/UntrustedAgent/no"] {
        let refused = agent.rpc("read", &json!({ "path": format!("{home}/{path}") })).expect_err(path);
        assert!(matches!(refused.code, -32004 | -32000), "{path}: {refused:?}");
    }
    let skills = agent.rpc("skills_list", &json!({})).expect("what it may see");
    assert_eq!(skills["count"], 1, "{skills}");
}

#[test]
fn it_is_reached_from_this_machine_only_and_takes_no_foreign_directory() {
    let said = run(["demo", "--once", "--host", "0.0.0.0"]);
    assert_eq!(said.code, 64, "{}", said.err);
    assert!(said.err.contains("loopback"), "{}", said.err);

    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("thesis.txt"), "not yours").expect("writable");
    let said = run(["demo", "--once", "--port", "0", "--data-dir", arg(dir.path())]);
    assert_eq!(said.code, 65, "{}", said.err);
    assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 1, "nothing was made");
}
