//! The permission cache is a record and a warm start, never an answer: it holds what was asked for, reading moves no
//! revision, and whatever becomes of its rows, every answer stays what it was.

use std::collections::BTreeMap;
use std::time::Duration;

use nexus_lite::model::time::monotonic;
use nexus_lite::store::{Options, Sql, StoreError};
use serde_json::{Value, json};

use crate::harness::client::{Client, LIVENESS};
use crate::harness::engine;
use crate::harness::process::Process;
use crate::harness::world::{HOME, Setup, Who, World};

/// Questions asked; more than one tick writes down, fewer than the second lane holds.
const QUESTIONS: usize = 1_500;
/// Ticks after which every record must be written.
const TICKS_MAX: usize = 20;

/// One row: subject, permission, object → decision, revision.
type Rows = BTreeMap<(String, String, String), (bool, u64)>;

fn home() -> String {
    format!("/tenant:{HOME}/user:alice")
}

/// Alice owns her folder and has shared `odd` with bob.
async fn furnish(world: &World) {
    let home = home();
    world.rpc(Who::Admin, "mkdir", json!({"path": home, "parents": true})).await.expect("a home");
    let owner = json!({"subject": ["user", "alice"], "relation": "direct_owner", "object": ["file", home]});
    world.rpc(Who::Admin, "rebac_create", owner).await.expect("a grant");
    for name in ["odd/a.txt", "odd/b.txt", "even/c.txt"] {
        let file = json!({"path": format!("{home}/{name}"), "content": name});
        world.rpc(Who::Alice, "write", file).await.expect("a file");
    }
    let skill = "---\nname: s\ndescription: d\n---\nbody";
    let file = json!({"path": format!("{home}/skill/s/SKILL.md"), "content": skill});
    world.rpc(Who::Alice, "write", file).await.expect("a skill");
    let viewer =
        json!({"subject": ["user", "bob"], "relation": "direct_viewer", "object": ["file", format!("{home}/odd")]});
    world.rpc(Who::Alice, "rebac_create", viewer).await.expect("a grant");
}

/// "May bob read the `n`th path?" Every other one is below what alice has shared with him.
fn question(n: usize) -> Value {
    let folder = if n.is_multiple_of(2) { "even" } else { "odd" };
    json!({"subject": ["user", "bob"], "permission": "read", "object": ["file", format!("{}/{folder}/{n}", home())]})
}

async fn ask(world: &World, n: usize) -> bool {
    let answer = world.rpc(Who::Bob, "rebac_check", question(n)).await.expect("anybody may ask about himself");
    answer.as_bool().expect("yes or no")
}

/// Ticks until nothing waits in the second lane.
async fn settle(world: &World) {
    for _ in 0..TICKS_MAX {
        world.pass(Duration::from_secs(1)).await;
        if world.store.status().notes_waiting == 0 {
            return;
        }
    }
    panic!("{} records still wait", world.store.status().notes_waiting);
}

/// What is recorded about bob's reading.
async fn rows(world: &World) -> Rows {
    let sql = "SELECT subject_type, subject_id, permission, object_type, object_id, decision, rev \
        FROM permission_cache WHERE tenant = 'default' AND subject_id = 'bob' AND permission = 'read'";
    let read = world.store.read(move |tx| {
        tx.query(sql, &[], |row| {
            let subject = format!("{}:{}", row.text(0)?, row.text(1)?);
            let object = format!("{}:{}", row.text(3)?, row.text(4)?);
            Ok(((subject, row.string(2)?, object), (row.bool(5)?, row.id(6)?)))
        })
    });
    read.await.map_err(|e: StoreError| e).expect("the rows").into_iter().collect()
}

#[tokio::test]
async fn every_decision_asked_for_is_recorded() {
    let world = World::new().await;
    furnish(&world).await;
    let head = world.head().await;
    for n in 0..QUESTIONS {
        assert_eq!(ask(&world, n).await, !n.is_multiple_of(2), "question {n}");
    }
    settle(&world).await;
    let rows = rows(&world).await;
    for n in 0..QUESTIONS {
        let object = question(n)["object"][1].as_str().expect("a path").to_owned();
        let key = ("user:bob".to_owned(), "read".to_owned(), format!("file:{object}"));
        assert_eq!(rows.get(&key), Some(&(!n.is_multiple_of(2), head)), "question {n}");
    }
    assert_eq!(world.head().await, head, "asking and recording move no revision");
}

#[tokio::test]
async fn reading_moves_no_revision() {
    let world = World::new().await;
    furnish(&world).await;
    let head = world.head().await;
    for who in Who::KNOWN {
        for (method, params) in reads() {
            // Whether it is allowed is not the question here.
            let _ = world.rpc(who, method, params).await;
        }
    }
    settle(&world).await;
    assert_eq!(world.head().await, head);
    assert!(world.store.status().note_rows > 0, "and yet something was recorded");
}

fn reads() -> Vec<(&'static str, Value)> {
    let home = home();
    vec![
        ("skills_list", json!({})),
        ("list", json!({"path": home})),
        ("list", json!({"path": format!("{home}/odd"), "recursive": false, "details": true})),
        ("read", json!({"path": format!("{home}/odd/a.txt")})),
        ("read", json!({"path": format!("{home}/even/c.txt")})),
        ("exists", json!({"path": format!("{home}/even/c.txt")})),
        ("rebac_check", question(1)),
        ("rebac_check", question(2)),
    ]
}

/// Every answer of everybody, as text.
async fn answers(world: &World) -> Vec<String> {
    let mut answers = Vec::new();
    for who in Who::KNOWN {
        for (method, params) in reads() {
            let answer = world.rpc(who, method, params.clone()).await;
            answers.push(format!("{who:?} {method} {params}: {answer:?}"));
        }
    }
    answers
}

/// A server that is started on the record fills its closures from it; the metric says so.
#[tokio::test]
async fn a_start_warms_from_the_record() {
    let world = World::new().await;
    furnish(&world).await;
    ask(&world, 1).await;
    settle(&world).await;
    let path = world.path().to_owned();
    let dir = world.close().await;
    let server = Process::start(&path);
    let mut client = Client::new(server.address(), None);
    let asked = monotonic();
    while warm_rows(&mut client) == 0.0 {
        assert!(asked.elapsed() < LIVENESS, "nothing was warmed");
    }
    drop(server);
    drop(dir);
}

/// `permission_cache_warm_rows` of the server's metrics.
fn warm_rows(client: &mut Client) -> f64 {
    let page = client.get("/metrics").expect("the metrics");
    let page = String::from_utf8_lossy(&page.body).into_owned();
    let sample = page.lines().find(|line| !line.starts_with('#') && line.contains("permission_cache_warm_rows"));
    sample.and_then(|line| line.rsplit_once(' ')?.1.parse().ok()).unwrap_or(0.0)
}

#[tokio::test]
async fn no_answer_depends_on_the_record() {
    let world = World::new().await;
    furnish(&world).await;
    let wanted = answers(&world).await;
    settle(&world).await;
    let (keys, path) = (world.keys(), world.path().to_owned());
    let dir = world.close().await;
    let lies = "UPDATE permission_cache SET decision = 1 - decision, rev = rev - 1, at_us = at_us + 1";
    for (what, sql) in [("wrong rows of an older revision", lies), ("no rows", "DELETE FROM permission_cache")] {
        assert!(engine::run(&path, sql) > 0, "{what}");
        let world = World::again(&path, Setup::default(), keys.clone()).await;
        assert_eq!(answers(&world).await, wanted, "{what}");
        settle(&world).await;
        assert_eq!(answers(&world).await, wanted, "{what}, a second time");
        world.close().await;
    }
    let deaf = |options: &mut Options| options.limits.notes = 0;
    let world = World::again(&path, Setup { tune: Box::new(deaf), ..Setup::default() }, keys).await;
    let before = world.store.status().note_rows;
    assert_eq!(answers(&world).await, wanted, "every record dropped");
    settle(&world).await;
    assert_eq!(world.store.status().note_rows, before, "they were dropped");
    world.close().await;
    drop(dir);
}
