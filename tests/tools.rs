//! Tests of the tools that other tests trust: a checker that sees nothing, or a disk that does nothing, proves nothing.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nexus_lite::cli::load::checker::{self, Record, Report};
use nexus_lite::cli::load::generator;
use nexus_lite::cli::load::state::{CallerFacts, Entry};
use nexus_lite::model::{Change, ContentHash, Delta, EntityRow, NodeKind, NodeRow, ROOT_NODE, TupleRow};
use serde_json::{Value, json};

use crate::harness::vfs::{self, Disk, File};

#[derive(Default)]
struct Counting {
    writes: AtomicU64,
    syncs: AtomicU64,
    fail_syncs: AtomicU64,
}

impl Disk for Counting {
    fn write(&self, file: &File, _at: i64, _data: &[u8]) -> Result<(), i32> {
        assert!(file.path.is_some() && file.flags != 0, "{file:?}");
        self.writes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
    fn sync(&self, _file: &File) -> Result<(), i32> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        if self.fail_syncs.load(Ordering::SeqCst) > 0 { Err(rusqlite::ffi::SQLITE_IOERR_FSYNC) } else { Ok(()) }
    }
}

fn open(path: &Path, vfs: &str) -> rusqlite::Connection {
    let connection =
        rusqlite::Connection::open_with_flags_and_vfs(path, rusqlite::OpenFlags::default(), vfs).expect("opens");
    connection.pragma_update(None, "journal_mode", "WAL").expect("shared memory is forwarded");
    connection.pragma_update(None, "synchronous", "FULL").expect("a pragma");
    connection
}

#[test]
fn the_file_system_forwards_counts_and_fails() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.db");
    let disk = Arc::new(Counting::default());
    vfs::register("counting", Arc::<Counting>::clone(&disk));
    {
        let (one, two) = (open(&path, "counting"), open(&path, "counting"));
        one.execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)").expect("writes");
        let syncs = disk.syncs.load(Ordering::SeqCst);
        two.execute_batch("INSERT INTO t VALUES (2)").expect("the other connection writes");
        assert_eq!(disk.syncs.load(Ordering::SeqCst), syncs + 1, "one sync a commit");
        disk.fail_syncs.store(1, Ordering::SeqCst);
        let failed = one.execute_batch("INSERT INTO t VALUES (3)").expect_err("a sync that fails fails the commit");
        assert_eq!(failed.sqlite_error_code(), Some(rusqlite::ErrorCode::SystemIoFailure));
        disk.fail_syncs.store(0, Ordering::SeqCst);
    }
    assert!(disk.writes.load(Ordering::SeqCst) > 0);
    let builtin = open(&path, "unix");
    let sum: i64 = builtin.query_row("SELECT SUM(a) FROM t", [], |row| row.get(0)).expect("the built-in one reads it");
    assert_eq!(sum, 3, "what was acknowledged is there");
}

const SKILL: &str = "---\nname: s\ndescription: d\n---\n";
/// What the server calls its body.
fn etag() -> String {
    ContentHash::of(SKILL.as_bytes()).to_hex()
}

const ALICE: u32 = 1;
const SECRET: u32 = 2;

fn entity(id: u32, kind: &str, name: &str) -> Change {
    Change::Entity(Delta::insert(EntityRow { id, tenant: "default".into(), kind: kind.into(), name: name.into() }))
}

fn node(id: u64, parent: u64, name: &str, kind: NodeKind) -> NodeRow {
    let content = (kind == NodeKind::File).then(etag);
    NodeRow {
        id,
        parent,
        name: name.into(),
        tenant: "default".into(),
        kind,
        owner: None,
        implicit: false,
        mixed: false,
        content,
        size: 3,
        version: 1,
        mime: None,
        created_at_us: 0,
        modified_at_us: 0,
        created_by: "user:admin".into(),
    }
}

fn grant() -> TupleRow {
    TupleRow {
        tuple_id: "t".into(),
        object: SECRET,
        relation: "direct_viewer".into(),
        subject: ALICE,
        subject_relation: None,
        created_at_us: 0,
        expires_at_us: None,
        condition: None,
        created_by: "user:admin".into(),
        rev: 2,
    }
}

/// 1: /skill/s/SKILL.md is written; 2: alice may read /skill; 3: she may not any more.
fn run() -> Vec<Entry> {
    let nodes = [
        node(2, ROOT_NODE, "skill", NodeKind::Directory),
        node(3, 2, "s", NodeKind::Directory),
        node(4, 3, "SKILL.md", NodeKind::File),
    ];
    let entry = |rev, changes| Entry { rev, op: "test".into(), changes };
    vec![
        entry(1, nodes.into_iter().map(|node| Change::Node(Delta::insert(node))).collect()),
        entry(
            2,
            vec![
                entity(ALICE, "user", "alice"),
                entity(SECRET, "file", "/skill"),
                Change::Tuple(Delta::insert(grant())),
            ],
        ),
        entry(3, vec![Change::Tuple(Delta::delete(grant()))]),
    ]
}

fn check(method: &str, params: Value, rev: u64, result: &Value) -> Report {
    let field = if method == "read" && result.get("code").is_some() { "error" } else { "result" };
    let body = json!({"jsonrpc": "2.0", "id": 1, field: result}).to_string();
    let record = Record {
        client: 0,
        who: "alice".into(),
        method: method.into(),
        params,
        status: 200,
        rev: Some(rev),
        body: "b".into(),
        took_us: 1,
    };
    let facts = CallerFacts { tenant: "default".into(), user: "alice".into(), is_admin: false };
    let bodies = HashMap::from([("b".to_owned(), body)]);
    let callers = HashMap::from([("alice".to_owned(), facts)]);
    checker::verify(&[record], &bodies, &run(), &callers, |_| Some(SKILL.into()))
}

#[test]
fn the_checker_sees_every_kind_of_wrong_answer() {
    let skill = json!({"name": "s", "description": "d", "version": null, "author": null, "tier": "system",
        "file_path": "/skill/s/SKILL.md", "requires": []});
    let (full, none) = (json!({"skills": [skill], "count": 1}), json!({"skills": [], "count": 0}));
    let list = json!({"path": "/skill", "recursive": false});
    let asks = json!({"subject": ["user", "alice"], "permission": "read", "object": ["file", "/skill/x"]});
    let written = |etag: &str| json!({"path": "/skill/s/SKILL.md", "etag": etag});
    let file = json!({"path": "/skill/s/SKILL.md"});
    let bytes = generator::wire_bytes;
    let denied = json!({"code": -32004, "message": "no"});
    let said = json!({"bytes_written": {"etag": etag(), "version": 1, "size": 3}});
    let right = [
        ("skills_list", json!({}), 2, full.clone()),
        ("skills_list", json!({}), 1, none.clone()),
        ("skills_list", json!({}), 3, none.clone()),
        ("list", list.clone(), 2, json!({"files": ["/skill/s"]})),
        ("list", list.clone(), 3, json!({"files": []})),
        ("rebac_check", asks.clone(), 2, json!(true)),
        ("rebac_check", asks.clone(), 3, json!(false)),
        ("write", written(&etag()), 1, said.clone()),
        ("read", file.clone(), 2, bytes(SKILL)),
        ("read", file.clone(), 3, denied.clone()),
        ("read", json!({"path": "/skill/s/other"}), 2, json!({"code": -32000})),
    ];
    for (method, params, rev, result) in right {
        let report = check(method, params.clone(), rev, &result);
        assert_eq!((report.right_total(), report.wrong_total()), (1, 0), "{method} {params} at {rev}: {report:?}");
    }
    let wrong = [
        ("skills_list", json!({}), 2, none, "a short answer"),
        ("skills_list", json!({}), 3, full, "what was revoked"),
        ("list", list.clone(), 3, json!({"files": ["/skill/s"]}), "what was revoked"),
        ("list", list, 2, json!({"files": ["/skill/s", "/skill/t"]}), "what is not there"),
        ("rebac_check", asks, 3, json!(true), "a stale decision"),
        ("write", written("bb"), 1, said.clone(), "another body"),
        ("write", written(&etag()), 2, said.clone(), "another revision"),
        ("write", written(&etag()), 9, said, "a revision that never was"),
        ("read", file.clone(), 2, bytes("another"), "another body"),
        ("read", file.clone(), 2, denied, "a refusal of what was granted"),
        ("read", file.clone(), 2, json!({"code": -32603}), "a failure"),
        ("read", file, 3, bytes(SKILL), "what was revoked"),
    ];
    for (method, params, rev, result, what) in wrong {
        let report = check(method, params, rev, &result);
        assert_eq!((report.right_total(), report.wrong_total()), (0, 1), "{method}: {what} went unnoticed");
    }
}
