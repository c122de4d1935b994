//! Answers from the published state alone: what is remembered of where paths lead is what the tables say at that very
//! revision, whatever became of names, owners and tenants, and whoever remembered it when.

use std::collections::BTreeSet;

use nexus_lite::model::random::{RandomSource, SeededRandom};
use nexus_lite::model::{NodeKind, VirtualPath};
use nexus_lite::store::{FaultPoint, Sql, StoreError, nodes};
use serde_json::{Value, json};

use crate::harness::engine::sqlite_only;
use crate::harness::world::{Setup, Who, World};
use crate::rpc::ok;

/// Histories, and steps of each.
const HISTORIES: u64 = 3;
const STEPS: usize = 120;

/// What the histories are about: two tenants, directories in directories, files where directories were.
const DIRECTORIES: [&str; 5] = ["/", "/p", "/p/in", "/q", "/tenant:acme/r"];
const NAMES: [&str; 3] = ["a", "b", "in"];

/// Repeatable dice.
pub(super) struct Dice(pub(super) SeededRandom);

impl Dice {
    pub(super) fn below(&self, limit: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % limit as u64).expect("below a usize")
    }
    pub(super) fn one_of<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
    fn path(&self) -> String {
        below(DIRECTORIES[self.below(DIRECTORIES.len())], NAMES[self.below(NAMES.len())])
    }
}

fn below(directory: &str, name: &str) -> String {
    format!("{}/{name}", directory.trim_end_matches('/'))
}

fn paths() -> Vec<VirtualPath> {
    let files = DIRECTORIES.iter().flat_map(|directory| NAMES.map(|name| below(directory, name)));
    let deeper = NAMES.iter().map(|name| format!("/p/in/in/{name}"));
    let all: BTreeSet<String> = files.chain(deeper).chain(DIRECTORIES.map(str::to_owned)).collect();
    all.iter().map(|path| VirtualPath::parse(path).expect("a path")).collect()
}

/// One thing that happens; whether it may is not the point.
async fn step(world: &World, dice: &Dice) {
    let (path, other) = (dice.path(), dice.path());
    let who = [Who::Instance, Who::Admin, Who::Alice, Who::OtherAdmin][dice.below(4)];
    let call = |method: &'static str, params: Value| world.rpc(who, method, params);
    match dice.below(14) {
        0..5 => drop(call("write", json!({"path": path, "content": other})).await),
        5 | 6 => drop(call("mkdir", json!({"path": path, "parents": true})).await),
        7..9 => drop(world.rpc(Who::Instance, "rename", json!({"old_path": path, "new_path": other})).await),
        9 | 10 => drop(world.rpc(Who::Instance, "rmdir", json!({"path": path, "recursive": true})).await),
        11 | 12 => drop(call("delete", json!({"path": path})).await),
        _ => {
            // The owner column of a file goes.
            let of_it = json!({"object": ["file", path], "relation": "direct_owner"});
            let listed = ok(world, Who::Instance, "rebac_list_tuples", of_it).await;
            let ids = listed.as_array().expect("a list").iter().map(|row| row["tuple_id"].clone());
            for id in ids.filter(|id| id.as_str().is_some_and(|id| id.starts_with("owner-"))) {
                ok(world, Who::Instance, "rebac_delete", json!({"tuple_id": id})).await;
            }
        }
    }
}

/// What a place is compared by: tenant, whether the path leads there, whether it is a file, owner.
type Facts = (String, bool, bool, Option<u32>);

fn remembered(tx: &impl Sql, path: &VirtualPath) -> Result<Facts, StoreError> {
    nodes::place(tx, path)
        .map(|place| (place.tenant.to_string(), place.exact, place.kind == NodeKind::File, place.owner))
}

fn in_tables(tx: &impl Sql, path: &VirtualPath) -> Result<Facts, StoreError> {
    let chain = nodes::chain(tx, path)?;
    let (nearest, exact) = (chain.last().expect("the root"), chain.len() > path.components().count());
    Ok((nearest.tenant.clone(), exact, nearest.kind == NodeKind::File, nearest.owner))
}

/// The end of the path by what is remembered of the directories on the way is the end of the chain.
fn ends_alike(tx: &impl Sql, path: &VirtualPath) -> Result<bool, StoreError> {
    let (node, tenant) = nodes::end(tx, path)?;
    let mut chain = nodes::chain(tx, path)?;
    let (exact, nearest) = (chain.len() > path.components().count(), chain.pop().expect("the root"));
    Ok(*tenant == *nearest.tenant && node == exact.then_some(nearest))
}

#[tokio::test]
async fn what_is_remembered_is_what_the_tables_say() {
    sqlite_only!("there the database alone knows the newest revision, and there is no such look");
    for seed in 0..HISTORIES {
        let (world, dice) = (World::new().await, Dice(SeededRandom::new(seed)));
        world.rpc(Who::Instance, "mkdir", json!({"path": "/tenant:acme/r", "parents": true})).await.expect("a place");
        let opened = json!({"subject": ["user", "alice"], "relation": "direct_editor", "object": ["file", "/p"]});
        world.rpc(Who::Admin, "mkdir", json!({"path": "/p"})).await.expect("a place");
        world.rpc(Who::Admin, "rebac_create", opened).await.expect("a grant");
        let (mut known, mut seen) = (0, BTreeSet::new());
        for at in 0..STEPS {
            step(&world, &dice).await;
            for path in paths() {
                // Before the tables are looked at, which fills what is remembered.
                let glanced = world.store.glance(|tx| (tx.rev(), remembered(tx, &path)));
                let asked = path.clone();
                let read = world.store.read(move |tx| {
                    assert!(ends_alike(tx, &asked)?, "{asked} {seed} {at}");
                    Ok::<_, StoreError>((tx.rev(), in_tables(tx, &asked)?, remembered(tx, &asked)?))
                });
                let (rev, tables, again) = read.await.expect("a read");
                if let Some((at_rev, facts)) = glanced {
                    known += 1;
                    assert_eq!((at_rev, facts.expect("facts")), (rev, tables.clone()), "{path} {seed} {at}");
                }
                assert_eq!(again, tables, "{path} {seed} {at}");
                seen.insert(tables);
            }
        }
        let asked = STEPS * paths().len();
        assert!(known > asked / 3, "of {asked} places only {known} were known: nothing was tested");
        assert!(seen.len() > 8, "nothing happened in this history: {seen:?}");
        world.close().await;
    }
}

/// A world in which alice may write below `/p` and owns `/p/x`.
async fn world() -> World {
    let world = World::with(Setup::default()).await;
    world.rpc(Who::Admin, "mkdir", json!({"path": "/p"})).await.expect("a place");
    let opened = json!({"subject": ["user", "alice"], "relation": "direct_editor", "object": ["file", "/p"]});
    world.rpc(Who::Admin, "rebac_create", opened).await.expect("a grant");
    world.rpc(Who::Alice, "write", json!({"path": "/p/x", "content": "hers"})).await.expect("her file");
    world
}

async fn check(world: &World, permission: &str) -> (bool, u64) {
    let ask = json!({"subject": ["user", "alice"], "permission": permission, "object": ["file", "/p/x"]});
    let (answer, rev) = world.rpc_at(Who::Alice, "rebac_check", ask).await;
    (answer.expect("an answer").as_bool().expect("yes or no"), rev)
}

fn is_remembered(world: &World) -> bool {
    let path = VirtualPath::parse("/p/x").expect("a path");
    world.store.glance(|tx| remembered(tx, &path).is_ok()).unwrap_or(false)
}

async fn owner_tuple(world: &World) -> Value {
    let of_it = json!({"object": ["file", "/p/x"], "relation": "direct_owner"});
    ok(world, Who::Admin, "rebac_list_tuples", of_it).await[0]["tuple_id"].clone()
}

/// Each way of taking the file from her, checked from memory before and after. The first answer after the reply of what
/// took it is no.
#[tokio::test]
async fn no_answer_outlives_the_reply_of_what_changed_it() {
    sqlite_only!("there the database alone knows the newest revision, and there is no such look");
    for way in ["owner", "delete", "delete_and_write", "rename", "rmdir"] {
        let world = world().await;
        assert!(check(&world, "execute").await.0 && is_remembered(&world), "{way}");
        let admin = async |method: &str, params: Value| world.rpc_at(Who::Admin, method, params).await;
        let (done, rev) = match way {
            "owner" => admin("rebac_delete", json!({"tuple_id": owner_tuple(&world).await})).await,
            "rename" => admin("rename", json!({"old_path": "/p/x", "new_path": "/p/y"})).await,
            "rmdir" => admin("rmdir", json!({"path": "/p", "recursive": true})).await,
            _ => admin("delete", json!({"path": "/p/x"})).await,
        };
        done.unwrap_or_else(|failure| panic!("{way}: {failure:?}"));
        if way == "delete_and_write" {
            admin("write", json!({"path": "/p/x", "content": "his"})).await.0.expect("his file");
        }
        for _ in 0..2 {
            let (answer, seen) = check(&world, "execute").await;
            assert!(!answer && seen >= rev, "{way}: {answer} at {seen}, changed at {rev}");
        }
        assert!(is_remembered(&world), "{way}: the second answer came from the tables");
        world.close().await;
    }
}

/// Between COMMIT and publish of a revocation the answer is still that of the revision before, which it names; once
/// the revocation is answered, it is no.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_commit_and_publish_the_answer_is_of_the_revision_it_names() {
    sqlite_only!("there the database alone knows the newest revision, and there is no such look");
    for taken in ["editor", "owner"] {
        let world = world().await;
        let permission = if taken == "editor" { "write" } else { "execute" };
        if taken == "editor" {
            // So that nothing but the tuple of the directory gives it.
            let tuple = owner_tuple(&world).await;
            world.rpc(Who::Admin, "rebac_delete", json!({"tuple_id": tuple})).await.expect("the owner column goes");
        }
        let of_it = match taken {
            "editor" => json!({"object": ["file", "/p"], "relation": "direct_editor"}),
            _ => json!({"object": ["file", "/p/x"], "relation": "direct_owner"}),
        };
        let tuple = ok(&world, Who::Admin, "rebac_list_tuples", of_it).await[0]["tuple_id"].clone();
        let (before, rev) = check(&world, permission).await;
        assert!(before && is_remembered(&world));
        let paused = world.pause_at(FaultPoint::AfterCommitBeforePublish);
        let mut revoke = Box::pin(world.rpc_at(Who::Admin, "rebac_delete", json!({"tuple_id": tuple})));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(revoke.as_mut().poll(&mut context).is_pending());
        paused.reached();
        assert_eq!(check(&world, permission).await, (true, rev), "{taken}: the revocation is not published");
        paused.release();
        let (revoked, at) = revoke.await;
        revoked.expect("revoked");
        let (answer, seen) = check(&world, permission).await;
        assert!(!answer && seen >= at && at > rev, "{taken}: {answer} at {seen}, revoked at {at}");
        world.close().await;
    }
}

/// A reader that stood inside its transaction while the file became somebody else's leaves what it has found of an
/// earlier revision; nobody later takes it, not even where it replaces what a later reader has found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_reader_leaves_nothing_stale() {
    sqlite_only!("there the database alone knows the newest revision, and there is no such look");
    let world = world().await;
    let path = VirtualPath::parse("/p/x").expect("a path");
    let paused = world.pause_at(FaultPoint::AfterSnapshotBeforeState);
    let (store, asked) = (world.store.clone(), path.clone());
    let late = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(store.read(move |tx| remembered(tx, &asked).map(|facts| (tx.rev(), facts))))
    });
    paused.reached();
    world.rpc(Who::Admin, "delete", json!({"path": "/p/x"})).await.expect("gone");
    world.rpc(Who::Admin, "write", json!({"path": "/p/x", "content": "his"})).await.expect("his file");
    assert!(!check(&world, "execute").await.0 && is_remembered(&world), "what the later reader has found");
    paused.release();
    let (rev, facts) = late.join().expect("no panic").expect("a read");
    assert!(rev < world.head().await);
    assert!(!is_remembered(&world), "the entry of the late reader is of {rev} and the path leads elsewhere since");
    assert!(!check(&world, "execute").await.0, "it was his by then");
    let now = world.store.glance(|tx| remembered(tx, &path)).expect("remembered").expect("facts");
    assert_ne!(now, facts);
    world.close().await;
}

/// An answer about other objects needs no table at all; one that does is the same answer.
#[tokio::test]
async fn what_needs_a_table_is_answered_from_it() {
    let world = world().await;
    let ask = |path: &str| json!({"subject": ["user", "alice"], "permission": "execute", "object": ["file", path]});
    for path in ["/p/x", "/p/missing", "/p/x/below", "/nowhere"] {
        let first = ok(&world, Who::Alice, "rebac_check", ask(path)).await;
        for _ in 0..2 {
            assert_eq!(ok(&world, Who::Alice, "rebac_check", ask(path)).await, first, "{path}");
        }
        // Asked by an admin about her: who may ask is decided from what is remembered, too.
        assert_eq!(ok(&world, Who::Admin, "rebac_check", ask(path)).await, first, "{path}");
        let refused = world.rpc(Who::Bob, "rebac_check", ask(path)).await;
        assert!(refused.is_err(), "{path}: {refused:?}");
    }
    let member = json!({"subject": ["user", "alice"], "permission": "member", "object": ["group", "g"]});
    assert_eq!(ok(&world, Who::Alice, "rebac_check", member).await, json!(false));
    world.close().await;
}
