//! `rollback`.

use serde_json::{Value, json};

use super::super::*;
use super::shared_world;

const PATH: &str = "/w/alice/a.txt";

#[tokio::test]
async fn makes_the_next_version_of_the_same_bytes() {
    let world = shared_world().await;
    let first = write(&world, Who::Alice, PATH, "one").await;
    write(&world, Who::Alice, PATH, "two").await;
    assert_eq!(ok(&world, Who::Alice, "rollback", json!({"path": PATH, "version": 1})).await, Value::Null);
    assert_eq!(read(&world, Who::Bob, PATH).await, "one");
    let rows = ok(&world, Who::Bob, "list_versions", json!({"path": PATH})).await;
    assert_eq!(rows.as_array().map(Vec::len), Some(3));
    assert_eq!(
        (&rows[0]["version"], &rows[0]["source_type"], &rows[0]["change_reason"]),
        (&json!(3), &json!("rollback"), &json!("Rollback to version 1"))
    );
    assert_eq!(rows[0]["content_hash"], first["etag"]);
}

#[tokio::test]
async fn only_whoever_may_write_and_what_is_there() {
    let world = shared_world().await;
    write(&world, Who::Alice, PATH, "one").await;
    write(&world, Who::Alice, PATH, "two").await;
    let head = world.head().await;
    for who in [Who::Bob, Who::Edith, Who::Agent, Who::Stranger, Who::OtherUser, Who::OtherAdmin] {
        for path in [PATH, "/w/alice/none"] {
            refused(&world, who, "rollback", json!({"path": path, "version": 1}), DENIED).await;
        }
    }
    refused(&world, Who::Anonymous, "rollback", json!({"path": PATH, "version": 1}), -32019).await;
    for version in [0, 9] {
        let missing =
            refused(&world, Who::Alice, "rollback", json!({"path": PATH, "version": version}), NOT_FOUND).await;
        assert!(missing.message.contains(&format!("(version {version})")), "{}", missing.message);
    }
    refused(&world, Who::Alice, "rollback", json!({"path": "/w/alice", "version": 1}), PRECONDITION).await;
    refused(&world, Who::Alice, "rollback", json!({"path": "/w/alice/none", "version": 1}), NOT_FOUND).await;
    assert_eq!(world.head().await, head);
    for who in [Who::Heir, Who::Admin, Who::Instance] {
        ok(&world, who, "rollback", json!({"path": PATH, "version": 1})).await;
    }
    let rows = ok(&world, Who::Alice, "list_versions", json!({"path": PATH})).await;
    assert_eq!(rows[2]["created_by"], "user:alice,agent:alice,Heir");
}

#[tokio::test]
async fn never_over_a_version_that_was_not_seen() {
    let world = shared_world().await;
    write(&world, Who::Alice, PATH, "one").await;
    let seen = write(&world, Who::Alice, PATH, "two").await["etag"].clone();
    // Both passed the first check on the same version; the writer takes the write first.
    let held = world.hold_writer();
    let params = json!({"path": PATH, "version": 1, "if_match": seen});
    let both = futures_util::future::join(
        world.rpc(Who::Alice, "write", json!({"path": PATH, "content": "three"})),
        world.rpc(Who::Alice, "rollback", params),
    );
    let release = async {
        tokio::task::yield_now().await;
        held.release();
    };
    let ((written, rolled), ()) = futures_util::future::join(both, release).await;
    let written = written.expect("nothing stands against a plain write");
    match rolled {
        Err(conflict) => {
            assert_eq!(conflict.code, CONFLICT);
            assert_eq!(conflict.data["current_etag"], written["etag"]);
        }
        // An engine over a network may have let it go first; then the write came over it.
        Ok(_) => assert!(!world.store.has_disk()),
    }
    assert_eq!(read(&world, Who::Alice, PATH).await, "three");
    // Without the condition both are done, and neither is lost.
    ok(&world, Who::Alice, "rollback", json!({"path": PATH, "version": 1})).await;
    let rows = ok(&world, Who::Alice, "list_versions", json!({"path": PATH})).await;
    assert!(rows.as_array().is_some_and(|rows| rows.len() >= 4), "{rows}");
}

#[tokio::test]
async fn a_skill_that_is_rolled_back_is_the_skill_it_was() {
    let world = shared_world().await;
    let path = "/tenant:default/skill/s/SKILL.md";
    let body = |description: &str| format!("---\nname: s\ndescription: {description}\n---\n");
    write(&world, Who::Admin, path, &body("first")).await;
    write(&world, Who::Admin, path, &body("second")).await;
    ok(&world, Who::Admin, "rollback", json!({"path": path, "version": 1})).await;
    let info = ok(&world, Who::Admin, "skills_info", json!({"skill_name": "s"})).await;
    assert!(info.to_string().contains("first"), "{info}");
}
