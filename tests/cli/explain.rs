//! `explain`: the page as people read it, word for word, and that its advice works when it is typed.

use super::{Running, Said, arg, run};

const DENIED: &str = "\
DENY  user:bob does NOT have 'read' on file:/docs/a.txt (expanded to relations: editor, viewer, owner)
nearly:
  user:bob direct_editor /docs/a.txt (until 2020-01-01T00:00:00.000000+00:00) ended 2020-01-01T00:00:00.000000+00:00
any one of these would allow it:
  1. grant again what has ended: user:bob direct_editor file:/docs/a.txt
     nexus-lite grant user:bob direct_editor /docs/a.txt
  2. join: user:bob member group:eng
     nexus-lite grant user:bob member group:eng
  3. grant: user:bob direct_viewer file:/docs/a.txt
     nexus-lite grant user:bob direct_viewer /docs/a.txt
  4. grant above: user:bob direct_viewer file:/docs
     nexus-lite grant user:bob direct_viewer /docs
  5. grant above: user:bob direct_viewer file:/
     nexus-lite grant user:bob direct_viewer /
";

const ALLOWED: &str = "\
ALLOW  user:bob has 'read' on file:/docs/a.txt (expanded to relations: editor, viewer, owner)
  read on /docs/a.txt: by viewer
    viewer on /docs/a.txt: by parent_viewer
      parent_viewer on /docs/a.txt: by viewer on its directory
        viewer on /docs: by direct_viewer
          direct_viewer on /docs: by the tuple group:eng#member direct_viewer /docs
            member on group:eng: by the tuple user:bob member group:eng
";

#[test]
fn a_page_for_people_and_its_advice() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Running::serve(dir.path(), &[]);
    server.url();
    assert_eq!(server.stop().0, 0);
    let on_it = |args: &[&str]| -> Said { run(args.iter().chain(&["--data-dir", arg(dir.path())])) };
    let done = |args: &[&str]| {
        let said = on_it(args);
        assert_eq!(said.code, 0, "{args:?}: {}", said.err);
        said.out
    };
    done(&["grant", "group:eng#member", "direct_viewer", "/docs"]);
    done(&["grant", "user:bob", "direct_editor", "/docs/a.txt", "--expires", "2020-01-01T00:00:00Z"]);
    let question = ["explain", "user:bob", "read", "/docs/a.txt"];
    assert_eq!(done(&question), DENIED);

    let json: serde_json::Value = serde_json::from_str(&done(&[&question[..], &["--json"]].concat())).expect("JSON");
    assert_eq!((&json["result"], &json["verdict"]), (&false.into(), &"deny".into()));

    // The second advice, as it is typed.
    let advice =
        DENIED.lines().find(|line| line.ends_with("group:eng") && line.contains("nexus-lite")).expect("a line");
    let typed: Vec<&str> = advice.split_whitespace().skip(1).collect();
    done(&typed);
    assert_eq!(done(&question), ALLOWED);

    assert_eq!(on_it(&["explain", "group:eng#member", "read", "/docs"]).code, 64);
    assert_eq!(on_it(&["explain", "user:bob", "read", "/docs/../x"]).code, 65);
}
