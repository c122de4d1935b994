use std::time::Duration;

use nexus_lite::model::TupleRow;
use nexus_lite::service::names::EntityName;
use nexus_lite::service::relations::tuples_ops::{CreateTuple, DeleteTuple, TupleRequest};
use nexus_lite::store::{Origin, Sql, StoreError, WriteOp, WriteTx, entities, tuples};
use serde_json::json;

use super::{create, project, tuple};
use crate::harness::world::{HOME, START_US, Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, INVALID_PATH, PRECONDITION, grant, ok, read, refused, write};

const UNAUTHENTICATED: i64 = -32019;

#[tokio::test]
async fn an_owner_grants_and_the_grantee_reads() {
    let world = project().await;
    refused(&world, Who::Bob, "read", json!({"path": "/proj/a.txt"}), DENIED).await;
    let id = create(&world, Who::Alice, ("user", "bob"), "direct_viewer", ("file", "/proj/a.txt")).await;
    assert_eq!(read(&world, Who::Bob, "/proj/a.txt").await, "plans");
    for who in [Who::Stranger, Who::OtherAdmin, Who::OtherUser, Who::Agent] {
        refused(&world, who, "read", json!({"path": "/proj/a.txt"}), DENIED).await;
    }
    // The same tuple under other spellings of its path keeps its id.
    for path in ["/proj/a.txt", "/proj//a.txt/", "proj/../x"] {
        let again = tuple(("user", "bob"), "direct_viewer", ("file", path));
        let result = ok(&world, Who::Alice, "rebac_create", again.clone());
        match path.starts_with('/') {
            true => assert_eq!(result.await, json!(id)),
            // No path: an opaque object that nobody but an admin manages.
            false => drop(refused(&world, Who::Alice, "rebac_create", again, DENIED).await),
        }
    }
}

#[tokio::test]
async fn who_does_not_manage_the_object_grants_nothing() {
    let world = project().await;
    grant(&world, ("user", "bob"), "direct_editor", "/proj").await;
    let wanted = |path: &str| tuple(("user", "mallory"), "direct_viewer", ("file", path));
    for who in [Who::Bob, Who::Stranger, Who::Agent, Who::OtherAdmin, Who::OtherUser] {
        let there = refused(&world, who, "rebac_create", wanted("/proj/a.txt"), DENIED).await;
        let missing = refused(&world, who, "rebac_create", wanted("/proj/b.txt"), DENIED).await;
        assert_eq!(there.message.replace("a.txt", "b.txt"), missing.message, "{who:?}");
        let user = who.user().1;
        let text = format!(
            "Access denied: User '{user}' does not have EXECUTE permission to manage permissions on '/proj/a.txt'"
        );
        assert_eq!(there.message, text);
    }
    refused(&world, Who::Anonymous, "rebac_create", wanted("/proj/a.txt"), UNAUTHENTICATED).await;
    refused(&world, Who::Stranger, "read", json!({"path": "/proj/a.txt"}), DENIED).await;
    for who in [Who::Heir, Who::Admin, Who::Instance] {
        ok(&world, who, "rebac_create", wanted("/proj/a.txt")).await;
    }
}

#[tokio::test]
async fn an_expiry_ends_a_grant_and_a_new_one_begins_it_again() {
    let world = project().await;
    let mut wanted = tuple(("user", "bob"), "direct_viewer", ("file", "/proj/a.txt"));
    wanted["expires_at"] = json!("2026-01-02T03:05:05Z");
    let id = ok(&world, Who::Alice, "rebac_create", wanted.clone()).await;
    world.pass(Duration::from_secs(59)).await;
    read(&world, Who::Bob, "/proj/a.txt").await;
    world.pass(Duration::from_secs(1)).await;
    refused(&world, Who::Bob, "read", json!({"path": "/proj/a.txt"}), DENIED).await;

    wanted["expires_at"] = json!({"__type__": "datetime", "data": "2026-01-02T03:10:00+00:00"});
    assert_eq!(ok(&world, Who::Alice, "rebac_create", wanted.clone()).await, id);
    read(&world, Who::Bob, "/proj/a.txt").await;
    wanted["expires_at"] = json!("next tuesday");
    refused(&world, Who::Alice, "rebac_create", wanted, INVALID_PARAMS).await;
}

#[tokio::test]
async fn a_tuple_that_would_open_its_subject_needs_the_right_on_both() {
    let world = project().await;
    write(&world, Who::Admin, "/secret/x", "secret").await;
    write(&world, Who::Admin, "/mine/y", "mine").await;
    grant(&world, ("user", "mallory"), "direct_owner", "/mine").await;
    let opens = tuple(("file", "/secret/x"), "parent", ("file", "/mine"));
    refused(&world, Who::Stranger, "rebac_create", opens.clone(), DENIED).await;
    ok(&world, Who::Admin, "rebac_create", opens).await;
    // Accepted from who manages both, listed, and never read.
    refused(&world, Who::Stranger, "read", json!({"path": "/secret/x"}), DENIED).await;
    let listed = ok(&world, Who::Admin, "rebac_list_tuples", json!({"relation": "parent"})).await;
    assert_eq!(listed[0]["subject_id"], "/secret/x");

    // A tenant's admin may not reach into another tenant by naming it.
    let other = tuple(("skill", "payroll"), "tenant", ("tenant", HOME));
    let mut named = other.clone();
    named["tenant_id"] = json!(HOME);
    refused(&world, Who::OtherAdmin, "rebac_create", named, DENIED).await;
    refused(&world, Who::Stranger, "rebac_create", other, DENIED).await;
}

#[tokio::test]
async fn names_that_mean_too_much_are_refused() {
    let world = project().await;
    let object = ["file", "/proj/a.txt"];
    for (subject, relation, object) in [
        (json!(["user", "*"]), "direct_viewer", json!(object)),
        (json!(["*", "bob"]), "direct_viewer", json!(object)),
        (json!(["*", "*", "member"]), "direct_viewer", json!(object)),
        (json!(["user"]), "direct_viewer", json!(object)),
        (json!(["user", "bob", "member", "x"]), "direct_viewer", json!(object)),
        (json!(["user", "bob"]), "", json!(object)),
        (json!(["user", "bob"]), "direct_viewer", json!(["*", "*"])),
        (json!(["user", "bob"]), "direct_viewer", json!(["file", "/proj", "x"])),
        (json!(["user", "bob"]), "member", json!(["user", "alice"])),
        (json!(["user", "bob"]), "member", json!(["agent", "alice,Helper"])),
    ] {
        let wanted = json!({"subject": subject, "relation": relation, "object": object});
        refused(&world, Who::Admin, "rebac_create", wanted, INVALID_PARAMS).await;
    }
    let one = json!({"subject": ["user"], "relation": "direct_viewer", "object": object});
    let failure = refused(&world, Who::Admin, "rebac_create", one, INVALID_PARAMS).await;
    let text = "Invalid parameters: subject must be (type, id) or (type, id, relation) tuple, got ('user',)";
    assert_eq!(failure.message, text);
    for path in ["/proj/../secret", "/proj/./a", "/proj/a\u{0}"] {
        let wanted = tuple(("user", "bob"), "direct_viewer", ("file", path));
        refused(&world, Who::Admin, "rebac_create", wanted, INVALID_PATH).await;
        let wanted = tuple(("file", path), "direct_viewer", ("file", "/proj"));
        refused(&world, Who::Admin, "rebac_create", wanted, INVALID_PATH).await;
    }
    let columns = tuple(("user", "bob"), "dynamic_viewer", ("file", "/proj/a.csv"));
    refused(&world, Who::Admin, "rebac_create", columns, INVALID_PARAMS).await;
}

#[tokio::test]
async fn everybody_means_everybody_of_the_tenant() {
    let world = project().await;
    create(&world, Who::Alice, ("*", "*"), "direct_viewer", ("file", "/proj/a.txt")).await;
    for who in [Who::Bob, Who::Stranger] {
        read(&world, who, "/proj/a.txt").await;
    }
    refused(&world, Who::OtherUser, "read", json!({"path": "/proj/a.txt"}), DENIED).await;
}

#[tokio::test]
async fn the_admin_of_a_group_is_who_adds_members() {
    let world = project().await;
    let member = |who: &str| tuple(("user", who), "member", ("group", "eng"));
    refused(&world, Who::Alice, "rebac_create", member("bob"), DENIED).await;
    create(&world, Who::Admin, ("user", "alice"), "admin", ("group", "eng")).await;
    ok(&world, Who::Alice, "rebac_create", member("bob")).await;
    refused(&world, Who::Bob, "rebac_create", member("mallory"), DENIED).await;
    create(&world, Who::Alice, ("group", "eng"), "direct_viewer", ("file", "/proj")).await;
    read(&world, Who::Bob, "/proj/a.txt").await;
    refused(&world, Who::Stranger, "read", json!({"path": "/proj/a.txt"}), DENIED).await;

    write(&world, Who::Admin, "/admins.txt", "x").await;
    let admins = json!({"subject": ["group", "eng", "admin"], "relation": "direct_viewer",
                        "object": ["file", "/admins.txt"]});
    ok(&world, Who::Admin, "rebac_create", admins).await;
    read(&world, Who::Alice, "/admins.txt").await;
    refused(&world, Who::Bob, "read", json!({"path": "/admins.txt"}), DENIED).await;
}

#[tokio::test]
async fn tenants_are_crossed_by_shares_alone() {
    let world = project().await;
    let mut wanted = tuple(("user", "alice"), "direct_viewer", ("file", "/proj/a.txt"));
    wanted["tenant_id"] = json!("acme");
    let failure = refused(&world, Who::Admin, "rebac_create", wanted.clone(), INVALID_PARAMS).await;
    assert!(failure.message.contains("tenant isolation"), "{}", failure.message);
    // Who may not manage the object does not learn whose it is.
    refused(&world, Who::Stranger, "rebac_create", wanted.clone(), DENIED).await;
    refused(&world, Who::OtherAdmin, "rebac_create", wanted.clone(), DENIED).await;

    refused(&world, Who::OtherUser, "read", json!({"path": "/proj/a.txt"}), DENIED).await;
    wanted["relation"] = json!("shared-viewer");
    ok(&world, Who::Alice, "rebac_create", wanted).await;
    read(&world, Who::OtherUser, "/proj/a.txt").await;
    refused(&world, Who::OtherUser, "write", json!({"path": "/proj/a.txt", "content": "x"}), DENIED).await;
    refused(&world, Who::OtherAdmin, "read", json!({"path": "/proj/a.txt"}), DENIED).await;

    // A tuple of another tenant on a path of this one says nothing here.
    let wanted = json!({"subject": ["user", "alice"], "relation": "direct_owner", "object": ["file", "/proj/a.txt"],
                        "tenant_id": "acme"});
    refused(&world, Who::OtherAdmin, "rebac_create", wanted, DENIED).await;
}

#[tokio::test]
async fn a_grant_keeps_a_directory_that_a_write_made() {
    let world = World::new().await;
    write(&world, Who::Admin, "/kept/a", "x").await;
    write(&world, Who::Admin, "/gone/a", "x").await;
    create(&world, Who::Admin, ("user", "bob"), "direct_viewer", ("file", "/kept")).await;
    for path in ["/kept/a", "/gone/a"] {
        ok(&world, Who::Admin, "delete", json!({"path": path})).await;
    }
    assert_eq!(ok(&world, Who::Admin, "is_directory", json!({"path": "/kept"})).await, json!({"is_directory": true}));
    assert_eq!(ok(&world, Who::Admin, "is_directory", json!({"path": "/gone"})).await, json!({"is_directory": false}));
}

#[tokio::test]
async fn a_right_that_goes_earlier_in_the_batch_grants_nothing() {
    let world = project().await;
    let listed = ok(&world, Who::Admin, "rebac_list_tuples", json!({"object": ["file", "/proj"]})).await;
    let owners = listed[0]["tuple_id"].as_str().expect("an id").to_owned();
    let grants = |to: &str| CreateTuple {
        caller: world.call_as(Who::Alice).caller,
        tuple_id: world.store.random().uuid(),
        request: TupleRequest {
            subject: EntityName::subject("user", to).expect("a subject"),
            subject_relation: None,
            relation: "direct_viewer".into(),
            object: EntityName::object("file", "/proj/a.txt").expect("an object"),
            tenant: None,
            expires_at_us: None,
            columns: None,
        },
    };
    let held = world.hold_writer();
    let before = world.store.submit(Origin::system("before"), grants("bob"));
    let revoke = DeleteTuple { caller: world.call_as(Who::Admin).caller, tuple_id: owners };
    let revoked = world.store.submit(Origin::system("revoke"), revoke);
    let after = world.store.submit(Origin::system("after"), grants("mallory"));
    held.release();
    assert!(before.await.is_ok());
    assert!(revoked.await.expect("a revoke").0);
    assert!(after.await.is_err(), "granted by who has lost the right");
    read(&world, Who::Bob, "/proj/a.txt").await;
    refused(&world, Who::Stranger, "read", json!({"path": "/proj/a.txt"}), DENIED).await;
}

/// Grants on many paths that do not exist.
struct PreGrants(u32);

impl WriteOp for PreGrants {
    const NAME: &'static str = "test_pre_grants";
    type Output = ();
    type Error = StoreError;
    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        let subject = entities::intern(tx, HOME, "user", "bob")?;
        for n in 0..self.0 {
            let object = entities::intern(tx, HOME, "file", &format!("/waiting/{n}"))?;
            let tuple = TupleRow {
                tuple_id: format!("waiting-{n}"),
                object,
                relation: "direct_viewer".into(),
                subject,
                subject_relation: None,
                created_at_us: START_US,
                expires_at_us: None,
                condition: None,
                created_by: "system".into(),
                rev: tx.rev(),
            };
            tuples::put(tx, tuple)?;
        }
        Ok(())
    }
    fn bytes(&self) -> usize {
        64
    }
}

#[tokio::test]
async fn grants_on_missing_paths_are_bounded() {
    let world = project().await;
    world.store.submit(Origin::system("test"), PreGrants(10_000)).await.expect("grants");
    let wanted = |path| tuple(("user", "bob"), "direct_viewer", ("file", path));
    refused(&world, Who::Admin, "rebac_create", wanted("/waiting/more"), PRECONDITION).await;
    ok(&world, Who::Admin, "rebac_create", wanted("/proj/a.txt")).await;
    ok(&world, Who::Admin, "rebac_delete", json!({"tuple_id": "waiting-7"})).await;
    ok(&world, Who::Admin, "rebac_create", wanted("/waiting/more")).await;
}
