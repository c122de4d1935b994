//! `rebac_check` and `rebac_check_batch` with `at_rev` and `at_time`.

use std::time::Duration;

use nexus_lite::model::time::iso_utc;
use nexus_lite::service::files::ops::FreeDetached;
use nexus_lite::store::{Origin, StoreError, WriteOp, WriteTx, entities, meta};
use serde_json::{Value, json};

use super::{create, project, tuple};
use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, ok, refused, write};

const TOO_OLD: i64 = -32014;
const IN_FUTURE: i64 = -32025;

/// "May bob … ?" with `at` added.
fn question(permission: &str, path: &str, at: (&str, Value)) -> Value {
    json!({"subject": ["user", "bob"], "permission": permission, "object": ["file", path], (at.0): at.1})
}

async fn at_rev(world: &World, who: Who, permission: &str, path: &str, rev: u64) -> bool {
    let answer = ok(world, who, "rebac_check", question(permission, path, ("at_rev", json!(rev)))).await;
    answer.as_bool().expect("yes or no")
}

async fn at_time(world: &World, path: &str, us: i64) -> bool {
    let answer = ok(world, Who::Bob, "rebac_check", question("read", path, ("at_time", json!(iso_utc(us))))).await;
    answer.as_bool().expect("yes or no")
}

#[tokio::test]
async fn a_revoked_grant_was_one() {
    let world = project().await;
    let before = world.head().await;
    let id = create(&world, Who::Alice, ("user", "bob"), "direct_viewer", ("file", "/proj")).await;
    let granted = world.head().await;
    ok(&world, Who::Alice, "rebac_delete", json!({"tuple_id": id})).await;
    let revoked = world.head().await;
    for who in [Who::Alice, Who::Bob, Who::Admin] {
        for (rev, answer) in [(before, false), (granted, true), (revoked, false)] {
            assert_eq!(at_rev(&world, who, "read", "/proj/a.txt", rev).await, answer, "{who:?} at {rev}");
        }
    }
    assert!(!at_rev(&world, Who::Bob, "read", "/proj", 0).await, "nothing was before the first revision");
    // There was no such directory yet, so she managed none.
    refused(&world, Who::Alice, "rebac_check", question("read", "/proj", ("at_rev", json!(0))), DENIED).await;
    let batch = json!({"checks": [[["user", "bob"], "read", ["file", "/proj"]]], "at_rev": granted});
    assert_eq!(ok(&world, Who::Alice, "rebac_check_batch", batch.clone()).await, json!([true]));
    assert_eq!(ok(&world, Who::Stranger, "rebac_check_batch", batch).await, json!([null]));
}

#[tokio::test]
async fn a_time_is_its_last_revision_with_what_had_expired_by_then() {
    let world = project().await;
    let start = world.store.clock().now_us();
    world.pass(Duration::from_secs(10)).await;
    let mut grant = tuple(("user", "bob"), "direct_viewer", ("file", "/proj"));
    grant["expires_at"] = json!(iso_utc(start + 20_000_000));
    ok(&world, Who::Alice, "rebac_create", grant).await;
    let granted = world.head().await;
    world.pass(Duration::from_secs(20)).await;
    for (second, answer) in [(0, false), (9, false), (10, true), (19, true), (20, false), (30, false)] {
        assert_eq!(at_time(&world, "/proj", start + second * 1_000_000).await, answer, "second {second}");
    }
    assert!(at_rev(&world, Who::Bob, "read", "/proj", granted).await, "at the time of its row it had not expired");
    assert!(!at_time(&world, "/proj", 1_000_000).await, "nothing was before the first revision");
}

#[tokio::test]
async fn paths_and_owners_are_those_of_then() {
    let world = project().await;
    create(&world, Who::Alice, ("user", "bob"), "direct_editor", ("file", "/proj")).await;
    write(&world, Who::Bob, "/proj/sub/of-bob.txt", "x").await;
    let written = world.head().await;
    ok(&world, Who::Alice, "rename", json!({"old_path": "/proj/sub", "new_path": "/proj/moved"})).await;
    let moved = world.head().await;
    let (there, here) = ("/proj/sub/of-bob.txt", "/proj/moved/of-bob.txt");
    for (path, rev, owned) in
        [(there, written, true), (here, written, false), (there, moved, false), (here, moved, true)]
    {
        assert_eq!(at_rev(&world, Who::Bob, "execute", path, rev).await, owned, "{path} at {rev}");
    }
    // Removed with its directory: no change of the log names it, and in the end no row either.
    ok(&world, Who::Alice, "rmdir", json!({"path": "/proj", "recursive": true})).await;
    while world.store.submit(Origin::system("free"), FreeDetached).await.expect("freed").0 {}
    for (path, rev, owned) in
        [(there, written, true), (here, written, false), (there, moved, false), (here, moved, true)]
    {
        assert_eq!(at_rev(&world, Who::Bob, "execute", path, rev).await, owned, "{path} at {rev}, freed");
    }
    let head = world.head().await;
    assert!(!at_rev(&world, Who::Bob, "execute", here, head).await, "now it is gone");
}

#[tokio::test]
async fn who_takes_a_path_over_learns_nothing_of_who_had_it() {
    let world = project().await;
    let bob = create(&world, Who::Alice, ("user", "bob"), "direct_editor", ("file", "/proj")).await;
    write(&world, Who::Bob, "/proj/x.txt", "of bob").await;
    let then = world.head().await;
    ok(&world, Who::Bob, "delete", json!({"path": "/proj/x.txt"})).await;
    ok(&world, Who::Alice, "rebac_delete", json!({"tuple_id": bob})).await;
    create(&world, Who::Alice, ("user", "mallory"), "direct_editor", ("file", "/proj")).await;
    write(&world, Who::Stranger, "/proj/x.txt", "of mallory").await;
    let question = |at| question("execute", "/proj/x.txt", ("at_rev", json!(at)));
    let head = world.head().await;
    assert_eq!(ok(&world, Who::Stranger, "rebac_check", question(head)).await, json!(false), "it is hers now");
    refused(&world, Who::Stranger, "rebac_check", question(then), DENIED).await;
    for who in [Who::Bob, Who::Admin, Who::Instance, Who::Alice] {
        assert_eq!(ok(&world, who, "rebac_check", question(then)).await, json!(true), "{who:?}");
    }
    for who in [Who::OtherAdmin, Who::OtherUser, Who::Agent] {
        let now = refused(&world, who, "rebac_check", question(head), DENIED).await;
        assert_eq!(refused(&world, who, "rebac_check", question(then), DENIED).await.message, now.message, "{who:?}");
    }
}

#[tokio::test]
async fn a_later_agent_of_a_name_is_not_the_former() {
    let world = project().await;
    let agent = json!({"agent_id": "alice,Twice", "name": "Twice"});
    ok(&world, Who::Alice, "register_agent", agent.clone()).await;
    let then = world.head().await;
    ok(&world, Who::Alice, "delete_agent", json!({"agent_id": "alice,Twice"})).await;
    world.pass(Duration::from_secs(1)).await;
    ok(&world, Who::Alice, "register_agent", agent).await;
    let now = world.head().await;
    write(&world, Who::Admin, "/not-hers", "x").await;
    let question = |at: u64| json!({"subject": ["agent", "alice,Twice"], "permission": "read", "object": ["file", "/not-hers"], "at_rev": at});
    assert_eq!(ok(&world, Who::Alice, "rebac_check", question(now)).await, json!(false));
    refused(&world, Who::Alice, "rebac_check", question(then), DENIED).await;
}

#[tokio::test]
async fn what_is_no_moment_of_the_past_is_refused() {
    let world = project().await;
    let head = world.head().await;
    let ask = |at: (&'static str, Value)| question("read", "/proj", at);
    let mut both = ask(("at_rev", json!(1)));
    both["at_time"] = json!(iso_utc(0));
    refused(&world, Who::Bob, "rebac_check", both, INVALID_PARAMS).await;
    let failure = refused(&world, Who::Bob, "rebac_check", ask(("at_rev", json!(head + 1))), IN_FUTURE).await;
    assert_eq!((&failure.data["code"], &failure.data["revision"]), (&json!("revision_in_future"), &json!(head)));
    let tomorrow = json!(iso_utc(world.store.clock().now_us() + 86_400_000_000));
    refused(&world, Who::Bob, "rebac_check", ask(("at_time", tomorrow)), IN_FUTURE).await;
    for wrong in [json!(-1), json!("1"), json!(1.5)] {
        refused(&world, Who::Bob, "rebac_check", ask(("at_rev", wrong)), INVALID_PARAMS).await;
    }
    world.pass(Duration::from_secs(5)).await;
    world.store.submit(Origin::system("forget"), Forget { floor: 3 }).await.expect("forgotten");
    for at in [("at_rev", json!(0)), ("at_rev", json!(3)), ("at_time", json!(iso_utc(1_000_000)))] {
        let failure = refused(&world, Who::Bob, "rebac_check", ask(at), TOO_OLD).await;
        assert_eq!((&failure.data["code"], &failure.data["first_revision"]), (&json!("revision_too_old"), &json!(4)));
    }
    ok(&world, Who::Bob, "rebac_check", ask(("at_rev", json!(4)))).await;
}

#[tokio::test]
async fn an_explanation_is_that_of_then() {
    let world = project().await;
    create(&world, Who::Alice, ("group", "eng"), "direct_viewer", ("file", "/proj")).await;
    let member = create(&world, Who::Admin, ("user", "bob"), "member", ("group", "eng")).await;
    let then = world.head().await;
    ok(&world, Who::Alice, "rename", json!({"old_path": "/proj/a.txt", "new_path": "/proj/b.txt"})).await;
    ok(&world, Who::Admin, "rebac_delete", json!({"tuple_id": member})).await;
    let asked = |path: &str| question("read", path, ("at_rev", json!(then)));
    let told = ok(&world, Who::Alice, "rebac_explain", asked("/proj/a.txt")).await;
    assert_eq!((&told["result"], &told["around"]), (&json!(true), &Value::Null), "{told}");
    let proof = told["proof"].to_string();
    assert!(proof.contains("eng") && proof.contains("bob"), "{proof}");
    assert!(!told.to_string().contains(&member), "a tuple that is gone has no id to act on: {told}");
    let mut now = asked("/proj/b.txt");
    now.as_object_mut().expect("an object").remove("at_rev");
    assert_eq!(ok(&world, Who::Alice, "rebac_explain", now).await["result"], json!(false));
    for who in [Who::Stranger, Who::OtherAdmin, Who::OtherUser, Who::Agent] {
        refused(&world, who, "rebac_explain", asked("/proj/a.txt"), DENIED).await;
    }
    let head = world.head().await;
    refused(&world, Who::Alice, "rebac_explain", question("read", "/proj", ("at_rev", json!(head + 1))), IN_FUTURE)
        .await;
}

/// Forgets the log up to a revision, as retention does.
struct Forget {
    floor: u64,
}

impl WriteOp for Forget {
    const NAME: &'static str = "test_forget";
    type Output = ();
    type Error = StoreError;
    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        tx.exec("DELETE FROM changelog WHERE rev <= ?1", nexus_lite::params![self.floor])?;
        meta::put(tx, meta::FLOOR_REV, &self.floor.to_string())?;
        entities::intern(tx, "default", "plug", "something to record").map(|_| ())
    }
    fn bytes(&self) -> usize {
        64
    }
}
