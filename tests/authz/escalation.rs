//! Nobody gives himself what he does not have by writing a tuple: each counterexample of D.2.1, and who may write what
//! on whom, for tuples that can open their subject.

use serde_json::{Value, json};

use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, grant, ok, read, refused, write};

/// Projects are read by the members of the organisation they name: a tuple *on* the organisation opens the project.
fn project_rules() -> Value {
    json!({
        "relations": {"org": {}, "owner": {}, "org_member": {"tupleToUserset": {"tupleset": "org", "computedUserset": "member"}}},
        "permissions": {"read": ["owner", "org_member"], "manage": ["owner"]},
    })
}

fn org_rules() -> Value {
    json!({"relations": {"member": {}, "admin": {}}, "permissions": {"manage": ["admin"]}})
}

fn tuple(subject: [&str; 2], relation: &str, object: [&str; 2]) -> Value {
    json!({"subject": subject, "relation": relation, "object": object})
}

async fn give(world: &World, who: Who, subject: [&str; 2], relation: &str, object: [&str; 2]) -> String {
    let id = ok(world, who, "rebac_create", tuple(subject, relation, object)).await;
    id.as_str().expect("an id").to_owned()
}

async fn organisations() -> World {
    let world = World::new().await;
    for (kind, rules) in [("project", project_rules()), ("org", org_rules())] {
        ok(&world, Who::Instance, "namespace_create", json!({"object_type": kind, "config": rules})).await;
    }
    give(&world, Who::Admin, ["user", "mallory"], "admin", ["org", "evil"]).await;
    give(&world, Who::Admin, ["user", "alice"], "owner", ["project", "payroll"]).await;
    world
}

async fn may_read(world: &World, user: &str) -> bool {
    let question = json!({"subject": ["user", user], "permission": "read", "object": ["project", "payroll"]});
    ok(world, Who::Admin, "rebac_check", question).await.as_bool().expect("yes or no")
}

#[tokio::test]
async fn a_forward_tupleset_needs_the_right_on_both_ends() {
    let world = organisations().await;
    give(&world, Who::Stranger, ["user", "mallory"], "member", ["org", "evil"]).await;
    let opens = tuple(["project", "payroll"], "org", ["org", "evil"]);
    // She manages the organisation, alice the project; neither is enough.
    for who in [Who::Stranger, Who::Alice, Who::Heir, Who::Bob, Who::OtherUser, Who::Agent] {
        refused(&world, who, "rebac_create", opens.clone(), DENIED).await;
    }
    // What another tenant calls so is his own.
    ok(&world, Who::OtherAdmin, "rebac_create", opens.clone()).await;
    assert!(!may_read(&world, "mallory").await);
    give(&world, Who::Admin, ["user", "alice"], "admin", ["org", "evil"]).await;
    let id = ok(&world, Who::Alice, "rebac_create", opens.clone()).await;
    assert!(may_read(&world, "mallory").await, "alice manages both");
    // Changing and deleting it take the same.
    let mut longer = opens;
    longer["expires_at"] = json!("2027-01-01T00:00:00Z");
    refused(&world, Who::Stranger, "rebac_create", longer, DENIED).await;
    refused(&world, Who::Stranger, "rebac_delete", json!({"tuple_id": id}), DENIED).await;
    assert!(may_read(&world, "mallory").await);
    assert_eq!(ok(&world, Who::Heir, "rebac_delete", json!({"tuple_id": id})).await, json!(true));
    assert!(!may_read(&world, "mallory").await);
}

#[tokio::test]
async fn the_right_on_the_subject_counts_when_the_turn_comes() {
    use nexus_lite::service::names::EntityName;
    use nexus_lite::service::relations::tuples_ops::{CreateTuple, DeleteTuple, TupleRequest};
    use nexus_lite::store::Origin;

    let world = organisations().await;
    give(&world, Who::Stranger, ["user", "mallory"], "member", ["org", "evil"]).await;
    let owner = give(&world, Who::Admin, ["user", "mallory"], "owner", ["project", "payroll"]).await;
    let opens = CreateTuple {
        caller: world.call_as(Who::Stranger).caller,
        tuple_id: world.store.random().uuid(),
        request: TupleRequest {
            subject: EntityName::subject("project", "payroll").expect("a subject"),
            subject_relation: None,
            relation: "org".into(),
            object: EntityName::object("org", "evil").expect("an object"),
            tenant: None,
            expires_at_us: None,
            columns: None,
        },
    };
    let held = world.hold_writer();
    let goes = DeleteTuple { caller: world.call_as(Who::Alice).caller, tuple_id: owner };
    let goes = world.store.submit(Origin::system("goes"), goes);
    let opens = world.store.submit(Origin::system("opens"), opens);
    held.release();
    assert!(goes.await.expect("alice owns it, too").0);
    opens.await.expect_err("the project is no longer hers");
    assert!(!may_read(&world, "mallory").await);
}

#[tokio::test]
async fn a_file_is_not_opened_by_calling_another_its_parent() {
    let world = World::new().await;
    write(&world, Who::Instance, "/secret/x", "secret").await;
    write(&world, Who::Instance, "/mine/y", "mine").await;
    grant(&world, ("user", "mallory"), "direct_owner", "/mine").await;
    let read_it = json!({"path": "/secret/x"});
    for (child, parent) in
        [("/secret/x", "/mine"), ("/secret", "/mine"), ("/secret/x", "/mine/y"), ("/mine", "/secret")]
    {
        refused(&world, Who::Stranger, "rebac_create", tuple(["file", child], "parent", ["file", parent]), DENIED)
            .await;
        refused(&world, Who::Stranger, "read", read_it.clone(), DENIED).await;
    }
    // Made by who may, it opens nothing, and she may not take it away.
    let id = give(&world, Who::Instance, ["file", "/secret/x"], "parent", ["file", "/mine"]).await;
    refused(&world, Who::Stranger, "read", read_it.clone(), DENIED).await;
    refused(&world, Who::Stranger, "rebac_delete", json!({"tuple_id": id}), DENIED).await;
    // As a userset neither: the members of her directory are nobody.
    give(&world, Who::Stranger, ["user", "mallory"], "member", ["file", "/mine"]).await;
    refused(&world, Who::Stranger, "read", read_it, DENIED).await;
}

#[tokio::test]
async fn a_skill_is_not_opened_by_giving_it_to_a_tenant() {
    let world = World::new().await;
    let question = |who: &str| json!({"subject": ["user", who], "permission": "read", "object": ["skill", "payroll"]});
    // Who could be a member of `tenant:evil` is its admin's matter alone; and the skill is not hers.
    for wanted in [
        tuple(["user", "mallory"], "member", ["tenant", "evil"]),
        tuple(["skill", "payroll"], "tenant", ["tenant", "evil"]),
        tuple(["user", "mallory"], "owner", ["tenant", "evil"]),
        tuple(["user", "mallory"], "owner", ["skill", "payroll"]),
    ] {
        for who in [Who::Stranger, Who::Alice, Who::Agent, Who::OtherUser] {
            refused(&world, who, "rebac_create", wanted.clone(), DENIED).await;
        }
    }
    give(&world, Who::Admin, ["user", "mallory"], "member", ["tenant", "evil"]).await;
    assert_eq!(ok(&world, Who::Admin, "rebac_check", question("mallory")).await, json!(false));
    // The owner of a skill does not manage tenants.
    give(&world, Who::Admin, ["user", "alice"], "owner", ["skill", "payroll"]).await;
    let opens = tuple(["skill", "payroll"], "tenant", ["tenant", "evil"]);
    refused(&world, Who::Alice, "rebac_create", opens.clone(), DENIED).await;
    ok(&world, Who::Admin, "rebac_create", opens).await;
    assert_eq!(ok(&world, Who::Admin, "rebac_check", question("mallory")).await, json!(true));
    // The admin of the other tenant gives his own `tenant:evil` and `skill:payroll` to whom he likes, and nobody here.
    give(&world, Who::OtherAdmin, ["user", "bob"], "member", ["tenant", "evil"]).await;
    give(&world, Who::OtherAdmin, ["skill", "payroll"], "tenant", ["tenant", "evil"]).await;
    assert_eq!(ok(&world, Who::Admin, "rebac_check", question("bob")).await, json!(false));
}

#[tokio::test]
async fn nobody_is_a_member_of_a_person() {
    let world = World::new().await;
    write(&world, Who::Instance, "/proj/a.txt", "plans").await;
    grant(&world, ("user", "alice"), "direct_owner", "/proj").await;
    grant(&world, ("agent", "alice,Helper"), "direct_viewer", "/proj").await;
    for object in [["user", "alice"], ["agent", "alice,Helper"]] {
        for who in [Who::Bob, Who::Alice, Who::Admin, Who::Instance, Who::OtherAdmin] {
            refused(&world, who, "rebac_create", tuple(["user", "bob"], "member", object), INVALID_PARAMS).await;
        }
        // Another relation on a person is its tenant's admin's to write, and means nothing for files.
        refused(&world, Who::Bob, "rebac_create", tuple(["user", "bob"], "owner", object), DENIED).await;
        give(&world, Who::Admin, ["user", "bob"], "owner", object).await;
    }
    refused(&world, Who::Bob, "read", json!({"path": "/proj/a.txt"}), DENIED).await;
}

#[tokio::test]
async fn a_grantee_neither_lengthens_nor_widens_his_grant() {
    let world = World::new().await;
    write(&world, Who::Instance, "/proj/a.txt", "plans").await;
    grant(&world, ("user", "alice"), "direct_owner", "/proj").await;
    let mut viewer = tuple(["user", "bob"], "direct_viewer", ["file", "/proj/a.txt"]);
    viewer["expires_at"] = json!("2026-01-02T04:00:00Z");
    let id = ok(&world, Who::Alice, "rebac_create", viewer.clone()).await;
    assert_eq!(read(&world, Who::Bob, "/proj/a.txt").await, "plans");
    viewer.as_object_mut().expect("an object").remove("expires_at");
    refused(&world, Who::Bob, "rebac_create", viewer, DENIED).await;
    for relation in ["direct_editor", "direct_owner", "shared-viewer", "parent"] {
        refused(&world, Who::Bob, "rebac_create", tuple(["user", "bob"], relation, ["file", "/proj/a.txt"]), DENIED)
            .await;
    }
    refused(&world, Who::Bob, "rebac_delete", json!({"tuple_id": id}), DENIED).await;
    let listed = ok(&world, Who::Alice, "rebac_list_tuples", json!({"subject": ["user", "bob"]})).await;
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    assert!(listed[0]["expires_at"].to_string().contains("04:00:00"), "{listed}");
}
