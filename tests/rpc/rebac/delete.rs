use serde_json::json;

use super::{create, project};
use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, grant, ok, read, refused, write};

#[tokio::test]
async fn a_grant_that_is_taken_back_is_gone_at_once() {
    let world = project().await;
    let id = create(&world, Who::Alice, ("user", "bob"), "direct_viewer", ("file", "/proj/a.txt")).await;
    read(&world, Who::Bob, "/proj/a.txt").await;
    assert_eq!(ok(&world, Who::Alice, "rebac_delete", json!({"tuple_id": id})).await, json!(true));
    refused(&world, Who::Bob, "read", json!({"path": "/proj/a.txt"}), DENIED).await;
    for who in [Who::Admin, Who::Instance] {
        assert_eq!(ok(&world, who, "rebac_delete", json!({"tuple_id": id})).await, json!(false));
    }
}

#[tokio::test]
async fn nobody_learns_from_a_refusal_whether_a_tuple_is_there() {
    let world = project().await;
    let id = create(&world, Who::Alice, ("user", "bob"), "direct_editor", ("file", "/proj/a.txt")).await;
    for who in [Who::Bob, Who::Stranger, Who::Agent, Who::OtherUser] {
        let there = refused(&world, who, "rebac_delete", json!({"tuple_id": id}), DENIED).await;
        let missing = refused(&world, who, "rebac_delete", json!({"tuple_id": "nope"}), DENIED).await;
        assert_eq!(there.message.replace(&id, "nope"), missing.message, "{who:?}");
    }
    // For the admin of another tenant it is not there.
    assert_eq!(ok(&world, Who::OtherAdmin, "rebac_delete", json!({"tuple_id": id})).await, json!(false));
    read(&world, Who::Bob, "/proj/a.txt").await;
    assert_eq!(ok(&world, Who::Heir, "rebac_delete", json!({"tuple_id": id})).await, json!(true));
}

#[tokio::test]
async fn the_owner_of_a_file_can_be_taken_from_it() {
    let world = World::new().await;
    write(&world, Who::Admin, "/drop/readme", "x").await;
    grant(&world, ("user", "bob"), "direct_editor", "/drop").await;
    write(&world, Who::Bob, "/drop/bobs", "x").await;
    let listed = ok(&world, Who::Admin, "rebac_list_tuples", json!({"object": ["file", "/drop/bobs"]})).await;
    let id = listed[0]["tuple_id"].as_str().expect("an id").to_owned();
    assert!(id.starts_with("owner-"), "{id}");
    let owns = json!({"subject": ["user", "bob"], "permission": "execute", "object": ["file", "/drop/bobs"]});
    assert_eq!(ok(&world, Who::Bob, "rebac_check", owns.clone()).await, json!(true));

    for who in [Who::Stranger, Who::OtherUser] {
        refused(&world, who, "rebac_delete", json!({"tuple_id": id}), DENIED).await;
    }
    assert_eq!(ok(&world, Who::OtherAdmin, "rebac_delete", json!({"tuple_id": id})).await, json!(false));
    for bad in ["owner-1", "owner-999999", "owner-x", "owner-"] {
        assert_eq!(ok(&world, Who::Admin, "rebac_delete", json!({"tuple_id": bad})).await, json!(false), "{bad}");
    }
    assert_eq!(ok(&world, Who::Admin, "rebac_delete", json!({"tuple_id": id})).await, json!(true));
    assert_eq!(ok(&world, Who::Bob, "rebac_check", owns).await, json!(false));
    let listed = ok(&world, Who::Admin, "rebac_list_tuples", json!({"object": ["file", "/drop/bobs"]})).await;
    assert_eq!(listed, json!([]));
    assert_eq!(ok(&world, Who::Admin, "rebac_delete", json!({"tuple_id": id})).await, json!(false));
}
