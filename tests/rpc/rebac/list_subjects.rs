use serde_json::{Value, json};

use super::{create, project};
use crate::harness::world::{ELSEWHERE, HOME, Who};
use crate::rpc::{DENIED, INVALID_PARAMS, grant, grant_across, ok, refused, write};

fn on(path: &str) -> Value {
    json!({"permission": "read", "object": ["file", path]})
}

fn names(answer: &Value) -> Vec<String> {
    let subjects = answer["subjects"].as_array().expect("subjects");
    let name = |s: &Value| format!("{}|{}:{}", s["tenant_id"], s["subject"][0], s["subject"][1]).replace('"', "");
    subjects.iter().map(name).collect()
}

#[tokio::test]
async fn everybody_by_every_way_with_their_tenants() {
    let world = project().await;
    grant(&world, ("user", "bob"), "direct_viewer", "/proj/a.txt").await;
    grant(&world, ("group", "eng"), "direct_viewer", "/proj").await;
    grant_across(&world, Some(ELSEWHERE), ("user", "alice"), "shared-viewer", "/proj/a.txt").await;
    create(&world, Who::Admin, ("user", "grace"), "member", ("group", "eng")).await;
    create(&world, Who::Admin, ("agent", "alice,Helper"), "member", ("group", "eng")).await;
    // Of the admin, who wrote it.
    let answer = ok(&world, Who::Alice, "rebac_list_subjects", on("/proj/a.txt")).await;
    let wanted =
        ["acme|user:alice", "default|user:admin", "default|user:alice", "default|user:bob", "default|user:grace"];
    assert_eq!(names(&answer), wanted);
    assert_eq!(
        (&answer["everybody"], &answer["undecided"], &answer["complete"]),
        (&json!([]), &json!([]), &json!(true))
    );
    assert_eq!(answer["revision"], json!(world.head().await));
    let agents = json!({"permission": "read", "object": ["file", "/proj/a.txt"], "subject_type": "agent"});
    assert_eq!(names(&ok(&world, Who::Alice, "rebac_list_subjects", agents).await), ["default|agent:alice,Helper"]);
    let owners = json!({"permission": "direct_owner", "object": ["file", "/proj/a.txt"]});
    assert_eq!(names(&ok(&world, Who::Alice, "rebac_list_subjects", owners).await), ["default|user:admin"]);
    for who in [Who::Bob, Who::Stranger, Who::Grace, Who::OtherUser, Who::Agent] {
        let failure = refused(&world, who, "rebac_list_subjects", on("/proj/a.txt"), DENIED).await;
        assert!(!format!("{failure:?}").contains("eng"), "{failure:?}");
    }
}

/// T6: a list never says just `*`.
#[tokio::test]
async fn the_public_is_told_with_its_exceptions() {
    let world = project().await;
    let rules = json!({
        "relations": {"viewer": {}, "banned": {}, "owner": {}},
        "permissions": {"read": {"intersection": ["viewer", {"exclusion": "banned"}]}},
    });
    ok(&world, Who::Instance, "namespace_create", json!({"object_type": "doc", "config": rules})).await;
    create(&world, Who::Admin, ("*", "*"), "viewer", ("doc", "d")).await;
    create(&world, Who::Admin, ("user", "bob"), "banned", ("doc", "d")).await;
    create(&world, Who::Admin, ("user", "alice"), "owner", ("doc", "d")).await;
    create(&world, Who::Admin, ("user", "alice"), "viewer", ("doc", "d")).await;
    let params = json!({"permission": "read", "object": ["doc", "d"]});
    let answer = ok(&world, Who::Alice, "rebac_list_subjects", params.clone()).await;
    let except = json!([{"subject": ["user", "bob"], "tenant_id": HOME}]);
    assert_eq!(answer["everybody"], json!([{"tenant_id": HOME, "answer": "yes", "except": except}]));
    assert_eq!(names(&answer), ["default|user:alice"], "no bare star");
    let check = |user: &str| json!({"subject": ["user", user], "permission": "read", "object": ["doc", "d"]});
    assert_eq!(ok(&world, Who::Admin, "rebac_check", check("bob")).await, json!(false));
    assert_eq!(ok(&world, Who::Admin, "rebac_check", check("whoever")).await, json!(true));
    refused(&world, Who::Bob, "rebac_list_subjects", params.clone(), DENIED).await;
    let across = json!({"permission": "read", "object": ["doc", "d"], "tenant_id": HOME});
    refused(&world, Who::OtherAdmin, "rebac_list_subjects", across, DENIED).await;
    assert_eq!(names(&ok(&world, Who::OtherAdmin, "rebac_list_subjects", params).await), Vec::<String>::new());
}

#[tokio::test]
async fn a_path_that_is_not_there_has_who_its_directory_has() {
    let world = project().await;
    write(&world, Who::Alice, "/proj/sub/of-alice.txt", "x").await;
    assert_eq!(
        names(&ok(&world, Who::Alice, "rebac_list_subjects", on("/proj/sub/new.txt")).await),
        ["default|user:alice"]
    );
    refused(&world, Who::Alice, "rebac_list_subjects", on("/elsewhere/new.txt"), DENIED).await;
    let wrong = json!({"permission": "read", "object": ["file", "/proj"], "subject_type": ""});
    refused(&world, Who::Alice, "rebac_list_subjects", wrong, INVALID_PARAMS).await;
}
