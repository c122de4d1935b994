//! A right that goes while a message of its holder waits: the message is refused when its turn comes, in the batch of
//! the change and after it, whatever the right hung on.

use std::pin::Pin;
use std::time::Duration;

use nexus_lite::auth::Caller;
use nexus_lite::model::time::iso_utc;
use nexus_lite::model::{AgentRow, NodeRow, TupleRow, VirtualPath};
use nexus_lite::service::ServiceError;
use nexus_lite::service::agents::ops::DeleteAgent;
use nexus_lite::service::keys::ops::{KeyChange, RevokeKey, UpdateKey};
use nexus_lite::service::names::EntityName;
use nexus_lite::service::relations::tuples_ops::{CreateTuple, DeleteTuple, TupleRequest};
use nexus_lite::store::{
    Mutation, Options, Origin, Sql, StoreError, WriteOp, WriteTx, agents, entities, nodes, tuples,
};
use serde_json::{Value, json};

use crate::harness::world::{HOME, START_US, Setup, Who, World};
use crate::rpc::{DENIED, grant, ok, read, refused, write};

/// What the right of the granter hangs on, and what goes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cut {
    /// Its tuple.
    Tuple,
    /// Its membership in a group that owns.
    Membership,
    /// The membership of its group in another group that owns.
    Nesting,
    /// The owner column of the file.
    Owner,
    /// Its key.
    Key,
    /// The flag that makes it an admin.
    AdminFlag,
    /// The agent that it is.
    Agent,
    /// The flag that lets the agent inherit.
    InheritFlag,
    /// The tuple of the agent's owner.
    OfOwner,
    /// The file, which is put there again by somebody else.
    File,
}

const CUTS: [Cut; 10] = [
    Cut::Tuple,
    Cut::Membership,
    Cut::Nesting,
    Cut::Owner,
    Cut::Key,
    Cut::AdminFlag,
    Cut::Agent,
    Cut::InheritFlag,
    Cut::OfOwner,
    Cut::File,
];

const FILE: &str = "/proj/a.txt";

impl Cut {
    fn granter(self) -> Who {
        match self {
            Self::Tuple | Self::Membership | Self::Nesting => Who::Alice,
            Self::Owner | Self::Key | Self::File => Who::Edith,
            Self::AdminFlag => Who::Admin,
            Self::Agent | Self::InheritFlag | Self::OfOwner => Who::Heir,
        }
    }

    /// `/proj/a.txt` with a viewer bob, and the granter's right to it. Returns the id of bob's tuple, and that of what
    /// will go, where it is a tuple.
    async fn world(self, mutation: Option<Mutation>) -> (World, String, String) {
        let tune = move |options: &mut Options| options.mutation = mutation;
        let world = World::with(Setup { tune: Box::new(tune), ..Setup::default() }).await;
        grant(&world, ("user", "edith"), "direct_editor", "/proj").await;
        let writer = if matches!(self, Self::Owner | Self::File) { Who::Edith } else { Who::Instance };
        write(&world, writer, FILE, "plans").await;
        let mut goes = String::new();
        let tuple = |subject: Value, relation: &str, object: [&str; 2]| json!({"subject": subject, "relation": relation, "object": object});
        let owned_by = |subject: Value| tuple(subject, "direct_owner", ["file", "/proj"]);
        let member = |subject: Value| tuple(subject, "member", ["group", "g"]);
        let made = match self {
            Self::Tuple | Self::Agent | Self::InheritFlag | Self::OfOwner => vec![owned_by(json!(["user", "alice"]))],
            Self::Membership => vec![owned_by(json!(["group", "g", "member"])), member(json!(["user", "alice"]))],
            Self::Nesting => {
                let inner = tuple(json!(["user", "alice"]), "member", ["group", "inner"]);
                vec![owned_by(json!(["group", "g", "member"])), inner, member(json!(["group", "inner", "member"]))]
            }
            Self::Key => vec![owned_by(json!(["user", "edith"]))],
            Self::Owner | Self::File | Self::AdminFlag => Vec::new(),
        };
        for wanted in made {
            goes = text(&ok(&world, Who::Instance, "rebac_create", wanted).await);
        }
        if matches!(self, Self::Owner) {
            let listed = ok(&world, Who::Instance, "rebac_list_tuples", json!({"object": ["file", FILE]})).await;
            goes = text(&listed[0]["tuple_id"]);
        }
        let viewer = tuple(json!(["user", "bob"]), "direct_viewer", ["file", FILE]);
        let bobs = text(&ok(&world, Who::Instance, "rebac_create", viewer).await);
        (world, bobs, goes)
    }

    /// Hands the change to the writer, now.
    fn submit(self, world: &World, goes: String) -> Waiting {
        let root = world.call_as(Who::Instance).caller;
        let key_id = world.call_as(self.granter()).caller.key_id.clone().expect("everybody has a key");
        match self {
            Self::Tuple | Self::Membership | Self::Nesting | Self::Owner | Self::OfOwner => {
                submitted(world, DeleteTuple { caller: root, tuple_id: goes })
            }
            Self::Key => submitted(world, RevokeKey { caller: root, key_id }),
            Self::AdminFlag => {
                let change = KeyChange { name: None, is_admin: Some(false), expires_days: None };
                submitted(world, UpdateKey { caller: root, key_id, change })
            }
            Self::Agent => {
                let alice = world.call_as(Who::Alice).caller;
                submitted(world, DeleteAgent { caller: alice, agent_id: "alice,Heir".into() })
            }
            Self::InheritFlag => submitted(world, Disinherit),
            Self::File => submitted(world, Replace),
        }
    }
}

/// A change that lies in the mailbox.
type Waiting = Pin<Box<dyn Future<Output = ()>>>;

fn submitted<O>(world: &World, op: O) -> Waiting
where
    O: WriteOp,
    O::Error: std::fmt::Debug,
{
    let done = world.store.submit(Origin::system("cut"), op);
    Box::pin(async move { done.await.map(|_| ()).expect("the change") })
}

fn text(id: &Value) -> String {
    id.as_str().expect("an id").to_owned()
}

/// Cuts the flag of alice's heir, past all rules.
struct Disinherit;

impl WriteOp for Disinherit {
    const NAME: &'static str = "test_disinherit";
    type Output = ();
    type Error = StoreError;
    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        let row = agents::find(tx, HOME, "alice,Heir")?.expect("the heir");
        agents::put(tx, AgentRow { inherit_permissions: false, ..row }).map(|_| ())
    }
    fn bytes(&self) -> usize {
        64
    }
}

/// Gives a file to somebody else, past all rules.
struct Replace;

impl WriteOp for Replace {
    const NAME: &'static str = "test_replace";
    type Output = ();
    type Error = StoreError;
    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        let path = VirtualPath::parse(FILE).expect("a path");
        let old = nodes::find(tx, &path)?.expect("the file");
        nodes::remove(tx, &old)?;
        let owner = Some(entities::intern(tx, HOME, "user", "carol")?);
        let id = tx.next_id();
        nodes::insert(tx, NodeRow { id, owner, ..old }).map(|_| ())
    }
    fn bytes(&self) -> usize {
        64
    }
}

fn grants(world: &World, caller: &Caller, to: &str) -> CreateTuple {
    CreateTuple {
        caller: caller.clone(),
        tuple_id: world.store.random().uuid(),
        request: TupleRequest {
            subject: EntityName::subject("user", to).expect("a subject"),
            subject_relation: None,
            relation: "direct_viewer".into(),
            object: EntityName::object("file", FILE).expect("an object"),
            tenant: None,
            expires_at_us: None,
            columns: None,
        },
    }
}

#[tokio::test]
async fn what_waits_is_refused_when_its_right_is_gone() {
    for cut in CUTS {
        for one_batch in [true, false] {
            race(cut, one_batch, None).await.unwrap_or_else(|e| panic!("{cut:?}, one batch: {one_batch}: {e}"));
        }
    }
}

/// Whether what waits for the writer is refused when its right is gone.
pub(crate) async fn race(cut: Cut, one_batch: bool, mutation: Option<Mutation>) -> Result<(), String> {
    let (world, bobs, goes) = cut.world(mutation).await;
    let granter = world.call_as(cut.granter()).caller;
    let origin = || Origin::system("granter");
    let early = grants(&world, &granter, "grace");
    let late = grants(&world, &granter, "mallory");
    let revoke = DeleteTuple { caller: granter.clone(), tuple_id: bobs };
    let wait = || (world.store.submit(origin(), late), world.store.submit(origin(), revoke));
    let held = world.hold_writer();
    let early = world.store.submit(origin(), early);
    let done = cut.submit(&world, goes);
    let (late, revoke) = if one_batch {
        let waiting = wait();
        held.release();
        done.await;
        waiting
    } else {
        held.release();
        done.await;
        wait()
    };
    early.await.map_err(|e| format!("the right was there: {e}"))?;
    let head = world.head().await;
    refusal(late.await)?;
    refusal(revoke.await)?;
    assert_eq!(world.head().await, head, "what is refused has no revision");
    refused(&world, Who::Stranger, "read", json!({"path": FILE}), DENIED).await;
    assert_eq!(read(&world, Who::Bob, FILE).await, "plans");
    assert_eq!(read(&world, Who::Grace, FILE).await, "plans");
    Ok(())
}

fn refusal<T>(answer: Result<T, ServiceError>) -> Result<(), String> {
    match answer {
        Err(ServiceError::PermissionDenied { .. } | ServiceError::Unauthenticated) => Ok(()),
        Err(other) => Err(other.to_string()),
        Ok(_) => Err("it was done".into()),
    }
}

#[tokio::test]
async fn of_two_who_throw_each_other_out_the_first_stays() {
    for alice_first in [true, false] {
        let world = World::new().await;
        write(&world, Who::Instance, FILE, "plans").await;
        let mut ids = Vec::new();
        for user in ["alice", "bob"] {
            let owner = json!({"subject": ["user", user], "relation": "direct_owner", "object": ["file", "/proj"]});
            ids.push(text(&ok(&world, Who::Instance, "rebac_create", owner).await));
        }
        let throws = |who: Who, whom: usize| {
            let op = DeleteTuple { caller: world.call_as(who).caller, tuple_id: ids[whom].clone() };
            world.store.submit(Origin::system("throws"), op)
        };
        let held = world.hold_writer();
        let (first, second) = match alice_first {
            true => (throws(Who::Alice, 1), throws(Who::Bob, 0)),
            false => (throws(Who::Bob, 0), throws(Who::Alice, 1)),
        };
        held.release();
        assert!(first.await.expect("the first").0);
        let late = second.await.expect_err("the second has no right any more");
        assert!(matches!(late, ServiceError::PermissionDenied { .. }), "{late}");
        let (stays, goes) = if alice_first { (Who::Alice, Who::Bob) } else { (Who::Bob, Who::Alice) };
        read(&world, stays, FILE).await;
        refused(&world, goes, "read", json!({"path": FILE}), DENIED).await;
    }
}

#[tokio::test]
async fn a_right_that_has_expired_when_its_turn_comes_is_none() {
    let world = World::new().await;
    write(&world, Who::Instance, FILE, "plans").await;
    let mut owner = json!({"subject": ["user", "alice"], "relation": "direct_owner", "object": ["file", "/proj"]});
    owner["expires_at"] = json!(iso_utc(START_US + 5_000_000));
    ok(&world, Who::Instance, "rebac_create", owner).await;
    let alice = world.call_as(Who::Alice).caller;
    let (early, late) = (grants(&world, &alice, "bob"), grants(&world, &alice, "mallory"));
    world.pass(Duration::from_secs(4)).await;
    world.store.submit(Origin::system("early"), early).await.expect("a second before");
    world.pass(Duration::from_secs(1)).await;
    world.store.submit(Origin::system("late"), late).await.expect_err("it has ended");
    refused(&world, Who::Stranger, "read", json!({"path": FILE}), DENIED).await;
}

/// Groups in a chain, alice in the first; the last owns the directory.
struct Chain(usize);

impl WriteOp for Chain {
    const NAME: &'static str = "test_chain";
    type Output = ();
    type Error = StoreError;
    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        let mut subject = entities::intern(tx, HOME, "user", "alice")?;
        let mut subject_relation = None;
        for n in 0..=self.0 {
            let last = n == self.0;
            let (kind, name) = if last { ("file", "/proj".to_owned()) } else { ("group", format!("g{n}")) };
            let object = entities::intern(tx, HOME, kind, &name)?;
            let tuple = TupleRow {
                tuple_id: format!("chain-{n}"),
                object,
                relation: if last { "direct_owner" } else { "member" }.into(),
                subject,
                subject_relation,
                created_at_us: START_US,
                expires_at_us: None,
                condition: None,
                created_by: "system".into(),
                rev: tx.rev(),
            };
            tuples::put(tx, tuple)?;
            (subject, subject_relation) = (object, Some("member".to_owned()));
        }
        Ok(())
    }
    fn bytes(&self) -> usize {
        64
    }
}

/// D.2.8: what a request has the time to find out, the writer may not have; then nobody is granted anything.
#[tokio::test]
async fn what_takes_the_writer_too_long_is_undecided() {
    let world = World::new().await;
    write(&world, Who::Instance, FILE, "plans").await;
    world.store.submit(Origin::system("chain"), Chain(12_000)).await.expect("a chain");
    assert_eq!(read(&world, Who::Alice, FILE).await, "plans", "a request may look at so many");
    let alice = world.call_as(Who::Alice).caller;
    let head = world.head().await;
    let held = world.hold_writer();
    let undecided = world.store.submit(Origin::system("alice"), grants(&world, &alice, "mallory"));
    let root = world.call_as(Who::Instance).caller;
    let beside = world.store.submit(Origin::system("root"), grants(&world, &root, "bob"));
    held.release();
    let error = undecided.await.expect_err("it is too far to look");
    assert!(matches!(&error, ServiceError::Indeterminate { path, .. } if path == FILE), "{error}");
    beside.await.expect("its neighbour stands");
    assert_eq!(world.head().await, head + 2, "the plug and the neighbour");
    refused(&world, Who::Stranger, "read", json!({"path": FILE}), DENIED).await;
    let write = world.rpc(Who::Alice, "write", json!({"path": FILE, "content": "x"})).await;
    assert_eq!(write.expect_err("undecided, too").data["code"], "indeterminate");
}
