use std::time::Duration;

use serde_json::{Value, json};

use super::project;
use crate::harness::world::{ELSEWHERE, Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, grant, ok, refused};

/// The people in an answer.
async fn seen(world: &World, who: Who, more: Value) -> Vec<String> {
    let mut params = json!({"permission": "read", "object": ["file", "/proj/a.txt"]});
    for (key, value) in more.as_object().expect("parameters") {
        params[key] = value.clone();
    }
    let found = ok(world, who, "rebac_expand_with_privacy", params).await;
    found.as_array().expect("pairs").iter().map(|pair| pair[1].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn an_expansion_shows_those_who_consented() {
    let world = project().await;
    for user in ["bob", "edith", "grace"] {
        grant(&world, ("user", user), "direct_viewer", "/proj").await;
    }
    let with = |from: &str, to: &str| json!({"from_subject": ["user", from], "to_subject": ["user", to]});
    let all = seen(&world, Who::Alice, json!({"respect_consent": false})).await;
    assert_eq!(all, ["admin", "alice", "bob", "edith", "grace"]);
    assert_eq!(seen(&world, Who::Alice, json!({})).await, ["alice"], "oneself");
    let id = ok(&world, Who::Bob, "grant_consent", with("bob", "alice")).await;
    assert_eq!(ok(&world, Who::Bob, "grant_consent", with("bob", "alice")).await, id);
    assert_eq!(seen(&world, Who::Alice, json!({})).await, ["alice", "bob"]);
    // Said by the admin for somebody else; edith's key is in her own hands, and what is public is for all.
    ok(&world, Who::Admin, "make_public", json!({"resource": ["user", "edith"]})).await;
    assert_eq!(seen(&world, Who::Alice, json!({})).await, ["alice", "bob", "edith"]);
    assert_eq!(seen(&world, Who::Alice, json!({"requester": ["user", "grace"]})).await, ["edith", "grace"]);
    // It opens nothing else.
    refused(&world, Who::Stranger, "read", json!({"path": "/proj/a.txt"}), DENIED).await;

    assert_eq!(ok(&world, Who::Bob, "revoke_consent", with("bob", "alice")).await, json!(true));
    assert_eq!(ok(&world, Who::Bob, "revoke_consent", with("bob", "alice")).await, json!(false));
    assert_eq!(seen(&world, Who::Alice, json!({})).await, ["alice", "edith"]);
    assert_eq!(ok(&world, Who::Admin, "make_private", json!({"resource": ["user", "edith"]})).await, json!(true));
    assert_eq!(seen(&world, Who::Alice, json!({})).await, ["alice"]);

    let mut ending = with("grace", "alice");
    ending["expires_at"] = json!("2026-01-02T03:05:05Z");
    ok(&world, Who::Grace, "grant_consent", ending).await;
    assert_eq!(seen(&world, Who::Alice, json!({})).await, ["alice", "grace"]);
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(seen(&world, Who::Alice, json!({})).await, ["alice"]);
    for who in [Who::Bob, Who::Stranger, Who::OtherUser] {
        let params = json!({"permission": "read", "object": ["file", "/proj/a.txt"]});
        refused(&world, who, "rebac_expand_with_privacy", params, DENIED).await;
    }
}

#[tokio::test]
async fn rules_of_ones_own_decide_who_is_discovered() {
    let world = project().await;
    grant(&world, ("user", "bob"), "direct_viewer", "/proj").await;
    let rules = json!({"relations": {"public_discoverable": {}, "consent_granted": {}},
                       "permissions": {"discover": ["consent_granted"]}});
    ok(&world, Who::Instance, "namespace_create", json!({"object_type": "user", "config": rules})).await;
    ok(&world, Who::Admin, "make_public", json!({"resource": ["user", "bob"]})).await;
    assert_eq!(seen(&world, Who::Alice, json!({})).await, ["alice"], "these rules know no public people");
    let consent = json!({"from_subject": ["user", "bob"], "to_subject": ["user", "alice"]});
    ok(&world, Who::Bob, "grant_consent", consent).await;
    assert_eq!(seen(&world, Who::Alice, json!({})).await, ["alice", "bob"]);
}

#[tokio::test]
async fn nobody_consents_for_others() {
    let world = project().await;
    let wanted = json!({"from_subject": ["user", "bob"], "to_subject": ["user", "mallory"]});
    for who in [Who::Alice, Who::Agent, Who::Heir, Who::Stranger] {
        for method in ["grant_consent", "revoke_consent"] {
            refused(&world, who, method, wanted.clone(), DENIED).await;
        }
    }
    let mut elsewhere = wanted.clone();
    elsewhere["tenant_id"] = json!(ELSEWHERE);
    refused(&world, Who::Bob, "grant_consent", elsewhere, DENIED).await;
    let nobody = json!({"from_subject": ["*", "*"], "to_subject": ["user", "bob"]});
    refused(&world, Who::Admin, "grant_consent", nobody, INVALID_PARAMS).await;
    ok(&world, Who::Admin, "grant_consent", wanted).await;
}

#[tokio::test]
async fn what_is_public_is_to_be_found_and_not_to_be_read() {
    let world = project().await;
    let file = json!({"resource": ["file", "/proj/a.txt"]});
    for who in [Who::Bob, Who::Agent, Who::Stranger, Who::OtherAdmin] {
        for method in ["make_public", "make_private"] {
            refused(&world, who, method, file.clone(), DENIED).await;
        }
    }
    let id = ok(&world, Who::Alice, "make_public", file.clone()).await;
    assert_eq!(ok(&world, Who::Alice, "make_public", file.clone()).await, id);
    let rows = ok(&world, Who::Alice, "rebac_list_tuples", json!({"relation": "public_discoverable"})).await;
    assert_eq!((&rows[0]["subject_type"], &rows[0]["object_id"]), (&json!("*"), &json!("/proj/a.txt")));
    for who in [Who::Bob, Who::OtherUser] {
        refused(&world, who, "read", json!({"path": "/proj/a.txt"}), DENIED).await;
    }
    assert_eq!(ok(&world, Who::Alice, "make_private", file.clone()).await, json!(true));
    assert_eq!(ok(&world, Who::Alice, "make_private", file.clone()).await, json!(false));
    let mut wrong = file;
    wrong["tenant_id"] = json!(ELSEWHERE);
    refused(&world, Who::Alice, "make_public", wrong, INVALID_PARAMS).await;
}
