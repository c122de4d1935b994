use std::time::Duration;

use serde_json::{Value, json};

use super::{create, project, tuple};
use crate::harness::world::{Who, World};
use crate::rpc::{INVALID_PARAMS, grant, ok, refused, write};

/// `subject relation object` of each tuple.
async fn listed(world: &World, who: Who, filter: Value) -> Vec<String> {
    let rows = ok(world, who, "rebac_list_tuples", filter).await;
    let text = |row: &Value, key: &str| row[key].as_str().expect(key).to_owned();
    let shown = |row: &Value| {
        let (subject, object) = (text(row, "subject_id"), text(row, "object_id"));
        format!("{subject} {} {object}", text(row, "relation"))
    };
    rows.as_array().expect("rows").iter().map(shown).collect()
}

#[tokio::test]
async fn everybody_sees_what_concerns_them() {
    let world = project().await;
    create(&world, Who::Alice, ("user", "bob"), "direct_viewer", ("file", "/proj/a.txt")).await;
    write(&world, Who::Admin, "/else", "x").await;
    grant(&world, ("user", "bob"), "direct_viewer", "/else").await;
    grant(&world, ("agent", "alice,Helper"), "direct_viewer", "/else").await;
    let (owner, viewer) = ("alice direct_owner /proj", "bob direct_viewer /proj/a.txt");
    let (bobs, helpers) = ("bob direct_viewer /else", "alice,Helper direct_viewer /else");
    for (who, wanted) in [
        (Who::Alice, vec![owner, viewer, helpers]),
        (Who::Heir, vec![owner, viewer, helpers]),
        (Who::Bob, vec![viewer, bobs]),
        (Who::Agent, vec![helpers]),
        (Who::Stranger, vec![]),
        (Who::OtherUser, vec![]),
        (Who::OtherAdmin, vec![]),
        (Who::Admin, vec![owner, viewer, bobs, helpers]),
        (Who::Instance, vec![owner, viewer, bobs, helpers]),
    ] {
        let mut found = listed(&world, who, json!({})).await;
        let mut wanted: Vec<String> = wanted.into_iter().map(str::to_owned).collect();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted, "{who:?}");
    }
}

#[tokio::test]
async fn filters_narrow_by_either_end_and_by_relation() {
    let world = project().await;
    create(&world, Who::Admin, ("agent", "admin,UntrustedAgent"), "direct_viewer", ("file", "/proj")).await;
    create(&world, Who::Admin, ("user", "bob"), "no-such", ("file", "/proj")).await;
    create(&world, Who::Admin, ("user", "bob"), "member", ("group", "eng")).await;
    for (filter, wanted) in [
        (json!({"subject": ["user", "bob"]}), vec!["bob no-such /proj", "bob member eng"]),
        (json!({"subject": ["user", "bob"], "object": ["group", "eng"]}), vec!["bob member eng"]),
        (json!({"subject": ["user", "bob"], "relation": "member"}), vec!["bob member eng"]),
        (json!({"relation_in": ["member", "no-such"]}), vec!["bob no-such /proj", "bob member eng"]),
        (json!({"relation_in": []}), vec![]),
        (json!({"relation": "owner-of"}), vec![]),
        (json!({"object": ["file", "/proj/"], "relation": "no-such"}), vec!["bob no-such /proj"]),
        (json!({"object_type": "group"}), vec!["bob member eng"]),
        // What the public reproduction client sends, and what shows that its empty answer is right.
        (json!({"subject_type": "agent", "subject_id": "admin"}), vec![]),
        (
            json!({"subject_type": "agent", "subject_id": "admin,UntrustedAgent"}),
            vec!["admin,UntrustedAgent direct_viewer /proj"],
        ),
    ] {
        let shown = filter.to_string();
        let mut found = listed(&world, Who::Admin, filter).await;
        // Of one moment: their order is that of their ids.
        found.sort_by(|a, b| b.cmp(a));
        assert_eq!(found, wanted, "{shown}");
    }
    let twice = json!({"subject": ["user", "bob"], "subject_id": "alice"});
    refused(&world, Who::Admin, "rebac_list_tuples", twice, INVALID_PARAMS).await;
    refused(&world, Who::Admin, "rebac_list_tuples", json!({"subject": ["user"]}), INVALID_PARAMS).await;
}

#[tokio::test]
async fn the_creator_of_a_file_is_listed_as_its_owner() {
    let world = project().await;
    write(&world, Who::Alice, "/proj/mine.txt", "x").await;
    let of_alice = json!({"subject": ["user", "alice"], "relation": "direct_owner"});
    let wanted = ["alice direct_owner /proj", "alice direct_owner /proj/mine.txt"];
    for who in [Who::Alice, Who::Admin] {
        assert_eq!(listed(&world, who, of_alice.clone()).await, wanted, "{who:?}");
    }
    for who in [Who::Bob, Who::Stranger, Who::OtherAdmin, Who::OtherUser, Who::Agent] {
        assert_eq!(listed(&world, who, of_alice.clone()).await, Vec::<String>::new(), "{who:?}");
    }
    let on_file = json!({"object": ["file", "/proj/mine.txt"]});
    assert_eq!(listed(&world, Who::Alice, on_file.clone()).await, [wanted[1]]);
    assert_eq!(listed(&world, Who::Stranger, on_file).await, Vec::<String>::new());
    ok(&world, Who::Alice, "rename", json!({"old_path": "/proj/mine.txt", "new_path": "/proj/moved.txt"})).await;
    let moved = ["alice direct_owner /proj", "alice direct_owner /proj/moved.txt"];
    assert_eq!(listed(&world, Who::Alice, of_alice).await, moved);
}

#[tokio::test]
async fn rows_have_the_shape_that_clients_read() {
    let world = project().await;
    let mut wanted = tuple(("user", "bob"), "direct_viewer", ("file", "/proj/a.txt"));
    wanted["expires_at"] = json!("2026-01-02T04:00:00Z");
    let id = ok(&world, Who::Alice, "rebac_create", wanted).await;
    let filter = json!({"subject": ["user", "bob"]});
    let rows = ok(&world, Who::Bob, "rebac_list_tuples", filter.clone()).await;
    let row = json!({
        "tuple_id": id, "subject_type": "user", "subject_id": "bob", "relation": "direct_viewer",
        "object_type": "file", "object_id": "/proj/a.txt",
        "created_at": {"__type__": "datetime", "data": "2026-01-02T03:04:05.000000+00:00"},
        "expires_at": {"__type__": "datetime", "data": "2026-01-02T04:00:00.000000+00:00"},
        "tenant_id": "default",
    });
    assert_eq!(rows, json!([row]));
    world.pass(Duration::from_secs(3600)).await;
    assert_eq!(listed(&world, Who::Bob, filter).await, Vec::<String>::new(), "it has ended");
}
