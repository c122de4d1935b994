//! A revoked reader never gets what was written after the revoke, a new grantee never what was there before, with the
//! writer stopped between COMMIT and publish or the reader stopped inside its transaction.

use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use nexus_lite::model::{ContentHash, VirtualPath};
use nexus_lite::service::access::Permission;
use nexus_lite::service::files::ops::{DeleteFile, PutFile, PutOptions};
use nexus_lite::service::located::Located;
use nexus_lite::service::{Call, ServiceError};
use nexus_lite::store::{FaultPoint, Mutation, Sql, contents};
use serde_json::json;

use crate::harness::engine;
use crate::harness::world::{Setup, Who, World};

/// Commits, more than there are published states kept.
const MANY: usize = 100;
const FILE: &str = "/tenant:default/user:alice/x";
const OLD: &str = "what bob may see";
const SECRET: &str = "what bob may never see";
const HARMLESS: &str = "what everybody may see";

fn path() -> VirtualPath {
    VirtualPath::parse(FILE).expect("a valid path")
}

/// A world in which alice owns her folder, and a reader that waits for a publish gives up at once: so a test can ask
/// while the writer stands still, on one thread.
async fn world() -> World {
    world_without(None).await
}

/// As [`world`], with a guarantee taken out.
async fn world_without(mutation: Option<Mutation>) -> World {
    let impatient = move |options: &mut nexus_lite::store::Options| {
        options.limits.publish_wait = Duration::ZERO;
        options.mutation = mutation;
    };
    let world = World::with(Setup { tune: Box::new(impatient), ..Setup::default() }).await;
    let home = "/tenant:default/user:alice";
    let parents = json!({"path": home, "parents": true});
    world.rpc(Who::Admin, "mkdir", parents).await.expect("a home");
    let owner = json!({"subject": ["user", "alice"], "relation": "direct_owner", "object": ["file", home]});
    world.rpc(Who::Admin, "rebac_create", owner).await.expect("a grant");
    world
}

async fn put(world: &World, content: &str) {
    world.rpc(Who::Alice, "write", json!({"path": FILE, "content": content})).await.expect("alice writes");
}

async fn grant(world: &World) {
    let grant = json!({"subject": ["user", "bob"], "relation": "direct_viewer", "object": ["file", FILE]});
    world.rpc(Who::Alice, "rebac_create", grant).await.expect("alice gives");
}

/// What `call` reads: checked and fetched in one transaction.
async fn read(call: &Call) -> Result<String, ServiceError> {
    let asked = call.clone();
    call.read(move |tx| {
        let located = Located::find(tx, &path())?;
        asked.access(tx)?.require_file(located.target(), Permission::Read)?;
        let node = located.node().ok_or_else(|| ServiceError::NotFound(FILE.to_owned()))?;
        let hash = node.content.as_deref().and_then(ContentHash::from_hex).expect("a file has content");
        let body = contents::get(tx, hash)?.and_then(|content| content.body).expect("a small body");
        Ok(String::from_utf8(body).expect("text"))
    })
    .await
}

/// D.2.3 (i): one batch deletes what bob may see and puts a secret in its place. Data of the batch, rights from before
/// it: the secret would be his.
#[tokio::test]
async fn a_revoked_reader_never_gets_what_came_after() {
    let world = world().await;
    put(&world, OLD).await;
    grant(&world).await;
    let (alice, bob) = (world.call_as(Who::Alice), world.call_as(Who::Bob));
    assert_eq!(read(&bob).await.expect("bob may"), OLD);

    let secret = Bytes::from_static(SECRET.as_bytes());
    let delete = DeleteFile { caller: alice.caller.clone(), path: path(), options: PutOptions::default() };
    let create = PutFile::prepare(&alice, path(), secret, PutOptions::default()).await.expect("alice may");
    let before = world.head().await;
    let held = world.hold_writer();
    let (deleted, created) = (world.submit(&alice, delete), world.submit(&alice, create));
    // The batch that holds the writer passes the point first.
    let paused = world.pause_at_later(FaultPoint::AfterCommitBeforePublish, 1);
    held.release();
    paused.reached();

    let durable = engine::run(world.path(), "SELECT rev FROM head");
    assert_eq!(
        durable,
        before + 3,
        "the plug's revision and both of the batch are durable, the last two not published"
    );
    let while_paused = read(&bob).await;
    assert!(while_paused.is_err(), "read between COMMIT and publish: {while_paused:?}");
    paused.release();
    deleted.await.expect("deleted");
    created.await.expect("created");
    let after = read(&bob).await;
    assert!(matches!(after, Err(ServiceError::PermissionDenied { .. })), "{after:?}");
    assert_eq!(read(&alice).await.expect("it is hers"), SECRET);
}

/// D.2.3 (ii): alice replaces a secret by something harmless and then lets bob see it. Data from before, rights from
/// after: the secret would be his.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_grantee_never_gets_what_was_there_before() {
    new_grantee(None).await.expect("at its own revision bob has no right");
}

/// Whether a reader that stood inside its transaction while it was given a right is answered by its own revision.
pub(crate) async fn new_grantee(mutation: Option<Mutation>) -> Result<(), String> {
    let world = world_without(mutation).await;
    put(&world, SECRET).await;
    let bob = world.call_as(Who::Bob);
    let paused = world.pause_at(FaultPoint::AfterSnapshotBeforeState);
    let reading = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(read(&bob))
    });
    paused.reached();
    put(&world, HARMLESS).await;
    grant(&world).await;
    paused.release();
    let got = reading.join().expect("no panic");
    assert_eq!(read(&world.call_as(Who::Bob)).await.expect("now he has"), HARMLESS);
    match got {
        Err(ServiceError::PermissionDenied { .. }) => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// A reader that stood there while its revision left the ring begins again, with data and rights of one later revision.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_whose_revision_is_gone_begins_again() {
    let world = world().await;
    put(&world, SECRET).await;
    let bob = world.call_as(Who::Bob);
    let paused = world.pause_at(FaultPoint::AfterSnapshotBeforeState);
    let reading = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(read(&bob))
    });
    paused.reached();
    put(&world, HARMLESS).await;
    grant(&world).await;
    for _ in 0..MANY {
        put(&world, HARMLESS).await;
    }
    paused.release();
    assert_eq!(reading.join().expect("no panic").expect("now he may"), HARMLESS);
}

/// A transaction that has its state keeps it, however many commits come after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_overtaken_by_many_commits_keeps_its_revision() {
    let world = world().await;
    put(&world, SECRET).await;
    let call = world.call_as(Who::Bob);
    let ((opened, begun), (go_on, gate)) = (mpsc::channel(), mpsc::channel::<()>());
    let reading = std::thread::spawn(move || {
        let asked = call.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(call.read(move |tx| {
            let before = tx.rev();
            opened.send(()).expect("the test waits");
            gate.recv().expect("the test goes on");
            let located = Located::find(tx, &path())?;
            let denied = asked.access(tx)?.require_file(located.target(), Permission::Read).is_err();
            Ok::<_, ServiceError>((before, tx.rev(), denied))
        }))
    });
    begun.recv().expect("the reader's transaction has begun");
    put(&world, HARMLESS).await;
    grant(&world).await;
    for n in 0..MANY {
        put(&world, &format!("{HARMLESS} {n}")).await;
    }
    go_on.send(()).expect("the reader waits");
    let (before, after, denied) = reading.join().expect("no panic").expect("a read");
    assert_eq!((before, denied), (after, true));
}
