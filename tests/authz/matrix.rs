//! Every method of the registry as everybody there is, with the smallest parameters that make sense.
//!
//! One row per method says who gets what; a method without a row and a person without a column fail. Beside that it holds for every cell: who has no right learns nothing (no
//! name, body, etag or id that he did not send); what a method of the kind `read` does moves no revision; what
//! another kind changes is a message of the list of writer messages.

use std::collections::{BTreeSet, HashSet};

use nexus_lite::rpc::registry::METHODS;
use nexus_lite::rpc::{Access, ErrorCode};
use nexus_lite::service::ops::OPS;
use nexus_lite::store::{Durability, Sql, StoreError};
use serde_json::{Value, json};

use crate::harness::client::Failure;
use crate::harness::engine;
use crate::harness::server::Server;
use crate::harness::world::Who::{
    Admin, Agent, Alice as Owner, Bob as Viewer, Edith as Editor, Grace as Member, Heir, Instance as Root, OtherAdmin,
    OtherUser, Stranger,
};
use crate::harness::world::{HOME, Setup, Who, World};

/// The columns; [`Who::Anonymous`] has a test of its own. Alice owns what a cell plays with, edith is its editor, bob
/// its viewer, and grace is in a group that is.
const COLUMNS: [Who; 11] = [Root, Admin, Owner, Editor, Viewer, Member, Heir, Agent, Stranger, OtherUser, OtherAdmin];

/// Methods about the files of a data directory: with another engine even who may call them is told that there are none.
const ON_DISK: [&str; 1] = ["admin_create_backup"];

/// What a caller gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// A result.
    Yes,
    /// A result that holds nothing the caller did not send.
    Blind,
    /// An error of this code, which holds nothing the caller did not send.
    No(ErrorCode),
}
use Outcome::{Blind, No, Yes};

const DENIED: Outcome = No(ErrorCode::PermissionDenied);

/// What everybody gets.
#[derive(Debug, Clone, Copy)]
struct Outcomes([Outcome; COLUMNS.len()]);

impl Outcomes {
    /// The same but for `who`.
    const fn but(mut self, who: &[Who], outcome: Outcome) -> Self {
        let mut at = 0;
        while at < who.len() {
            self.0[column(who[at])] = outcome;
            at += 1;
        }
        self
    }
}

/// The place of `who` in [`COLUMNS`]; somebody without a column does not compile.
const fn column(who: Who) -> usize {
    let mut at = 0;
    while COLUMNS[at] as usize != who as usize {
        at += 1;
    }
    at
}

/// Everybody gets `outcome`.
const fn all(outcome: Outcome) -> Outcomes {
    Outcomes([outcome; COLUMNS.len()])
}

/// `who` get a result, the others `outcome`.
const fn only(who: &[Who], others: Outcome) -> Outcomes {
    all(others).but(who, Yes)
}

/// One method.
struct Row {
    method: &'static str,
    outcomes: Outcomes,
    /// What must be there first, done in this order.
    before: Before,
    /// What alice does last, with what that gave back.
    then: Option<(&'static str, Params)>,
    /// The smallest sensible parameters.
    params: Params,
}

/// Calls that must succeed before a cell is tried; their results are in [`Scene::made`].
type Before = fn(&Scene) -> Vec<(Who, &'static str, Value)>;

/// Makes the parameters for one cell.
type Params = fn(&Scene) -> Value;

/// What a cell plays with: a directory of alice with a file, shared. Made anew when a cell has changed anything.
struct Scene {
    /// Unique in the run.
    tag: String,
    directory: String,
    file: String,
    /// The id of bob's right to the file.
    tuple: String,
    /// A directory of the machine that may be mounted; a file is in it.
    host: String,
    /// What the calls before gave back.
    made: Vec<Value>,
    /// What must not reach whoever has no right.
    secrets: Vec<String>,
    /// The head when all this was there.
    rev: u64,
}

/// Those whom a method of admins may answer.
const ADMINS_OF_SOMETHING: [Who; 3] = [Root, Admin, OtherAdmin];

// The same on a server that asks for no key.
#[path = "open.rs"]
mod open;
#[path = "table.rs"]
mod table;

fn home() -> String {
    format!("/tenant:{HOME}/user:alice")
}

async fn ok(world: &World, who: Who, method: &str, params: Value) -> Value {
    let said = params.to_string();
    world.rpc(who, method, params).await.unwrap_or_else(|e| panic!("{who:?} {method} {said}: {e:?}"))
}

/// Gives a relation on a file; its id.
async fn grant(world: &World, who: Who, subject: Value, relation: &str, path: &str) -> String {
    let tuple = json!({"subject": subject, "relation": relation, "object": ["file", path]});
    ok(world, who, "rebac_create", tuple).await.as_str().expect("an id").to_owned()
}

impl Scene {
    async fn new(world: &World, row: &Row, method: &str, number: usize) -> Self {
        let tag = format!("{method}-{number}");
        let directory = format!("{}/{tag}", home());
        let file = format!("{directory}/name-of-{tag}.txt");
        let body = format!("body of {tag}");
        let written = ok(world, Owner, "write", json!({"path": file, "content": body})).await;
        let etag = written["bytes_written"]["etag"].as_str().expect("an etag").to_owned();
        grant(world, Owner, json!(["user", "edith"]), "direct_editor", &directory).await;
        grant(world, Owner, json!(["user", "bob"]), "direct_viewer", &directory).await;
        grant(world, Owner, json!(["group", "readers", "member"]), "direct_viewer", &directory).await;
        let tuple = grant(world, Owner, json!(["user", "bob"]), "direct_viewer", &file).await;
        let encoded = {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.encode(&body)
        };
        let names = ["name-of-", "skill-of-", "alice,"].map(|prefix| format!("{prefix}{tag}"));
        let mut secrets = vec![directory.clone(), body, encoded, etag, tuple.clone()];
        secrets.extend(names);
        let host = world.host();
        std::fs::write(host.join("of-the-host.txt"), "of the host").expect("a file");
        let host = host.to_str().expect("UTF-8").to_owned();
        let mut scene = Self { tag, directory, file, tuple, host, made: Vec::new(), secrets, rev: 0 };
        for (who, method, params) in (row.before)(&scene) {
            let made = ok(world, who, method, params).await;
            let ids = ["key_id", "sandbox_id", "memory_id", "trajectory_id", "playbook_id", "feedback_id"]
                .into_iter()
                .filter_map(|id| made[id].as_str());
            scene.secrets.extend(ids.map(str::to_owned));
            scene.made.push(made);
        }
        if let Some((method, params)) = row.then {
            ok(world, Owner, method, params(&scene)).await;
        }
        Self { rev: world.head().await, ..scene }
    }
}

/// A world of which alice owns her home, on a disk that need not be waited for.
async fn world() -> World {
    let hasty = |options: &mut nexus_lite::store::Options| options.durability = Durability::Relaxed;
    let world = World::with(Setup { tune: Box::new(hasty), ..Setup::default() }).await;
    ok(&world, Admin, "mkdir", json!({"path": home(), "parents": true})).await;
    grant(&world, Admin, json!(["user", "alice"]), "direct_owner", &home()).await;
    let member = json!({"subject": ["user", "grace"], "relation": "member", "object": ["group", "readers"]});
    ok(&world, Admin, "rebac_create", member).await;
    world
}

#[test]
fn every_method_has_a_row() {
    // Another name of a method has the row of the method; what only refuses has a test of its own.
    let own = METHODS.iter().filter(|entry| entry.alias_of.is_none() && entry.refused.is_none());
    let listed: BTreeSet<&str> = own.map(|entry| entry.name).collect();
    let rows: Vec<&str> = table::ROWS.iter().map(|row| row.method).collect();
    let known: BTreeSet<&str> = rows.iter().copied().collect();
    assert_eq!(known.len(), rows.len(), "a method has two rows");
    assert_eq!(listed.difference(&known).collect::<Vec<_>>(), Vec::<&&str>::new(), "methods without a row");
    assert_eq!(known.difference(&listed).collect::<Vec<_>>(), Vec::<&&str>::new(), "rows without a method");
}

#[test]
fn everybody_has_a_column() {
    let columns: HashSet<Who> = COLUMNS.into_iter().collect();
    assert_eq!(columns.len(), COLUMNS.len(), "somebody has two columns");
    assert_eq!(columns, Who::KNOWN.into_iter().collect(), "Anonymous is in nobody_gets_nothing");
}

#[tokio::test]
async fn everybody_gets_what_the_table_says() {
    let world = world().await;
    let mut wrong = Vec::new();
    for (row, method) in table::ROWS.iter().flat_map(|row| names_of(row).map(move |method| (row, method))) {
        let entry = METHODS.iter().find(|entry| entry.name == row.method);
        let access = entry.expect("every_method_has_a_row says so").access;
        let mut scene = Scene::new(&world, row, method, 0).await;
        for (number, (who, outcome)) in (1..).zip(COLUMNS.into_iter().zip(row.outcomes.0)) {
            let params = (row.params)(&scene);
            let before = scene.rev;
            let (answer, _) = world.rpc_at(who, method, params.clone()).await;
            let after = world.head().await;
            let cell = format!("{method} as {who:?} with {params}");
            if outcome == Yes && engine::is_postgres() && ON_DISK.contains(&row.method) {
                let refused = answer.as_ref().is_err_and(|failure| failure.data["code"] == "not_supported");
                assert!(refused, "{cell}: {answer:?}");
                continue;
            }
            if let Some(what) = unlike(outcome, &answer) {
                wrong.push(format!("{cell}: {what}"));
            }
            if outcome != Yes {
                let said = said(&answer);
                let sent = params.to_string();
                for secret in scene.secrets.iter().filter(|s| !sent.contains(*s) && said.contains(*s)) {
                    wrong.push(format!("{cell}: the answer reveals {secret:?}: {said}"));
                }
                if after != before {
                    wrong.push(format!("{cell}: nothing was allowed, and yet the revision moved"));
                }
            }
            if outcome == Yes && row.outcomes.0.contains(&Blind) && access == Access::Read {
                let blind = world.rpc(Stranger, method, params).await;
                if blind == answer {
                    wrong.push(format!("{cell}: the answer is that of a stranger: {answer:?}"));
                }
            }
            if access == Access::Read && after != before {
                wrong.push(format!("{cell}: a read moved the revision from {before} to {after}"));
            }
            if access == Access::Admin && answer.is_ok() && !ADMINS_OF_SOMETHING.contains(&who) {
                wrong.push(format!("{cell}: a method of admins answered somebody else"));
            }
            if access != Access::Read && outcome == Yes && after == before {
                wrong.push(format!("{cell}: it writes, succeeds and changes nothing"));
            }
            for op in ops_after(&world, before).await {
                if !OPS.contains(&op.as_str()) {
                    wrong.push(format!("{cell}: {op} is not in the list of writer messages"));
                }
            }
            if after != before {
                scene = Scene::new(&world, row, method, number).await;
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The name of the row's method, and its other names.
fn names_of(row: &'static Row) -> impl Iterator<Item = &'static str> {
    let others = METHODS.iter().filter(|entry| entry.alias_of == Some(row.method)).map(|entry| entry.name);
    std::iter::once(row.method).chain(others)
}

#[tokio::test]
async fn what_is_not_available_is_refused_to_everybody_alike() {
    let world = world().await;
    let (head, mut refused) = (world.head().await, 0);
    for entry in METHODS {
        let Some(why) = entry.refused else { continue };
        refused += 1;
        let spec = nexus_lite::rpc::registry::find(entry.name).expect("it is listed");
        let params: Value = spec
            .parameters
            .iter()
            .map(|parameter| (parameter.name.clone(), json!("x")))
            .collect::<serde_json::Map<_, _>>()
            .into();
        for who in COLUMNS {
            let error = world.rpc(who, entry.name, params.clone()).await.expect_err(entry.name);
            assert_eq!(error.data["code"], "not_supported", "{} as {who:?}: {error:?}", entry.name);
            assert!(error.message.contains(why) && error.data["hint"].is_string(), "{}: {error:?}", entry.name);
        }
        let unknown = world.rpc(Owner, entry.name, json!({"nobody_sends_this": 1})).await.expect_err(entry.name);
        assert_eq!(unknown.data["code"], "invalid_params", "{}: {unknown:?}", entry.name);
    }
    assert!(refused > 15, "{refused}");
    assert_eq!(world.head().await, head, "nothing was changed");
}

#[tokio::test]
async fn nobody_gets_nothing() {
    let world = world().await;
    let server = Server::start(&world);
    let mut nobody = server.client(&world, Who::Anonymous);
    let before = world.head().await;
    for entry in METHODS {
        let answer = nobody.call(entry.name, &json!({})).expect("an answer");
        assert_eq!(answer.status, 401, "{}: {}", entry.name, String::from_utf8_lossy(&answer.body));
    }
    assert_eq!(world.head().await, before);
    server.stop().await;
}

/// What an answer says, in the form in which a client sees it.
fn said(answer: &Result<Value, Failure>) -> String {
    match answer {
        Ok(result) => result.to_string(),
        Err(failure) => format!("{} {}", failure.message, failure.data),
    }
}

/// In which way an answer is not the outcome.
fn unlike(outcome: Outcome, answer: &Result<Value, Failure>) -> Option<String> {
    match (outcome, answer) {
        (Yes | Blind, Ok(_)) => None,
        (No(code), Err(failure)) if failure.code == i64::from(code.number()) => None,
        _ => Some(format!("{answer:?} instead of {outcome:?}")),
    }
}

/// The writer messages after revision `rev`.
async fn ops_after(world: &World, rev: u64) -> Vec<String> {
    let read = world.store.read(move |tx| {
        tx.query("SELECT op FROM changelog WHERE rev > ?1 ORDER BY rev", nexus_lite::params![rev], |row| row.string(0))
    });
    read.await.map_err(|e: StoreError| e).expect("the changelog")
}
