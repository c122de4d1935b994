//! `namespace`.

use std::path::PathBuf;

use serde_json::Value;

use super::{Running, Said, arg, run};

const DOC: &str = "
relations:
  owner: {}
  viewer: {}
  banned: {}
  not_banned: {exclusion: banned}
permissions:
  read: {intersection: [viewer, not_banned]}
  manage: [owner]
";

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("writable");
        path
    }
}

fn namespace(args: &[&str]) -> Said {
    run(["namespace"].iter().chain(args))
}

#[test]
fn rules_are_looked_at_without_a_server() {
    let files = Files::new();
    let doc = files.file("doc.yaml", DOC);
    let fine = namespace(&["validate", arg(&doc)]);
    assert_eq!((fine.code, fine.out.as_str()), (0, "1 types, 0 errors, 0 warnings\n"), "{}", fine.err);

    let odd = files.file("odd.json", r#"{"doc": {"relations": {"viewer": {}}, "permissions": {"read": ["viewr"]}}}"#);
    let warned = namespace(&["validate", arg(&odd)]);
    assert_eq!(warned.code, 0, "{}", warned.err);
    assert!(
        warned.out.contains("doc: warning: permissions.read[0]: ") && warned.out.contains("did you mean 'viewer'?")
    );

    let wrong = files.file(
        "wrong.yaml",
        "a: {relations: {r: {unoin: [x]}}, permissions: {}}\nb: {relations: {x: {exclusion: x}}, permissions: {}}\n",
    );
    let refused = namespace(&["validate", arg(&wrong), arg(&doc)]);
    assert_eq!(refused.code, 65, "{}", refused.err);
    for says in [
        "a: error: relations.r: unknown operator 'unoin'",
        "hint: did you mean 'union'?",
        "b: error: b relations.x: excludes something that depends on it",
        "3 types, 2 errors, 0 warnings",
    ] {
        assert!(refused.out.contains(says), "{says:?} is missing in {}", refused.out);
    }
    let machine = namespace(&["validate", "--json", arg(&wrong)]);
    let machine: Value = serde_json::from_str(&machine.out).expect("JSON");
    assert_eq!((&machine["valid"], &machine["findings"][0]["place"]), (&false.into(), &"relations.r".into()));
}

#[test]
fn a_further_file_is_in_force_for_the_others() {
    let files = Files::new();
    let through = "{tupleToUserset: {tupleset: team, computedUserset: lead}}";
    let doc = files.file("doc.yaml", &format!("relations: {{team: {{}}, x: {through}}}\npermissions: {{read: [x]}}\n"));
    let team = files.file("team.yaml", "relations: {lead: {}}\npermissions: {read: [lead]}\n");
    let alone = namespace(&["validate", arg(&doc)]);
    assert!(alone.out.contains("'lead' behind 'team'"), "{}", alone.out);
    let both = namespace(&["validate", arg(&doc), arg(&team)]);
    assert_eq!(both.out, "2 types, 0 errors, 0 warnings\n");
    let twice = namespace(&["validate", arg(&doc), arg(&doc)]);
    assert_eq!((twice.code, twice.err.contains("'doc' has rules twice")), (65, true), "{}", twice.err);
}

#[test]
fn files_that_are_none() {
    let files = Files::new();
    assert_eq!(namespace(&["validate", arg(&files.0.path().join("nothing.yaml"))]).code, 66);
    for (name, text) in [("list.yaml", "[1]"), ("word.yaml", "word"), ("empty.yaml", "{}"), ("broken.yaml", "{a: [")] {
        let path = files.file(name, text);
        assert_eq!(namespace(&["validate", arg(&path)]).code, 65, "{name}");
        assert_eq!(namespace(&["test", arg(&path)]).code, 65, "{name}");
    }
    assert_eq!(namespace(&["validate"]).code, 64);
}

#[test]
fn cases_hold_or_are_told() {
    let files = Files::new();
    let given = format!(
        "namespaces:\n  doc:{}\ntuples: [user:a viewer doc:1, user:b viewer doc:1, user:b banned doc:1]\n",
        DOC.replace('\n', "\n    ")
    );
    let right = "assert_true: [user:a read doc:1]\nassert_false: [user:b read doc:1, user:c read doc:1]\n";
    let holds = files.file("holds.yaml", &format!("{given}{right}"));
    let held = namespace(&["test", arg(&holds)]);
    assert_eq!((held.code, held.out.as_str()), (0, "3 assertions in 1 cases hold\n"), "{}", held.err);

    let turned = "assert_true: [user:b read doc:1]\nassert_false: [user:a read doc:1, user:c read doc:1]\n";
    let fails = files.file("fails.yaml", &format!("{given}{turned}"));
    let failed = namespace(&["test", arg(&holds), arg(&fails)]);
    assert_eq!(failed.code, 1, "{}", failed.err);
    for says in [
        "fails.yaml: user:b read doc:1: expected yes, the engine says no\n",
        "fails.yaml: user:a read doc:1: expected no, the engine says yes\n",
        "2 of 6 assertions in 2 cases do not hold\n",
    ] {
        assert!(failed.out.contains(says), "{says:?} is missing in {}", failed.out);
    }
    let misspelt = files.file("misspelt.yaml", &format!("{given}{right}assert_fales: []\n"));
    let refused = namespace(&["test", arg(&misspelt)]);
    assert_eq!((refused.code, refused.err.contains("assert_fales")), (65, true), "{}", refused.err);
}

#[test]
fn rules_go_in_and_out_through_the_door() {
    let dir = tempfile::tempdir().expect("a directory");
    let files = Files::new();
    let doc = files.file("doc.yaml", DOC);
    let mut server = Running::serve(dir.path(), &[]);
    let url = server.url();
    let admin = std::fs::read_to_string(dir.path().join("admin.key")).expect("the first key").trim().to_owned();
    let online = |args: &[&str]| namespace(&[args, &["--url", &url, "--key", &admin]].concat());

    let put = online(&["put", arg(&doc)]);
    assert_eq!((put.code, put.out.as_str()), (0, "the rules of 'doc' are in force\n"), "{}", put.err);
    let list = online(&["list"]);
    assert!(list.out.contains("doc              stored      4 relations; read, manage\n"), "{}", list.out);
    assert!(list.out.contains("file             built in   16 relations; read, write, execute\n"), "{}", list.out);
    let odd = files.file("odd.yaml", "relations: {viewer: {}}\npermissions: {read: [viewr]}\n");
    let put = online(&["put", "--type", "note", arg(&odd)]);
    assert!(put.code == 0 && put.out.contains("warning: permissions.read[0]"), "{}{}", put.out, put.err);
    // What a list gives can be put again and looked at.
    let exported = files.file("all.json", &online(&["list", "--json"]).out);
    assert_eq!(namespace(&["validate", arg(&exported)]).code, 0);
    assert_eq!(server.stop().0, 0);

    let offline = |args: &[&str]| namespace(&[args, &["--data-dir", arg(dir.path())]].concat());
    let got = offline(&["get", "doc"]);
    let rules: Value = serde_json::from_str(&got.out).expect("JSON");
    assert_eq!(rules["relations"]["not_banned"]["exclusion"], "banned");
    assert_eq!(offline(&["get", "nope"]).code, 1);
    let used = run(["grant", "user:a", "viewer", "doc:1", "--data-dir", arg(dir.path())]);
    assert_eq!(used.code, 0, "{}", used.err);
    let kept = offline(&["delete", "doc"]);
    assert_eq!((kept.code, kept.err.contains("'user:a viewer doc:1'")), (65, true), "{}", kept.err);
    let taken = run(["revoke", "user:a", "viewer", "doc:1", "--data-dir", arg(dir.path())]);
    assert_eq!(taken.code, 0, "{}", taken.err);
    let gone = offline(&["delete", "doc"]);
    assert_eq!((gone.code, gone.out.as_str()), (0, "deleted the rules of 'doc'\n"), "{}", gone.err);
    assert_eq!(offline(&["delete", "doc"]).code, 1);
    let wrong = files.file("wrong.yaml", "relations: {x: {exclusion: x}}\npermissions: {}\n");
    let refused = offline(&["put", arg(&wrong)]);
    assert_eq!((refused.code, refused.err.contains("hint: take one name out")), (65, true), "{}", refused.err);
}
