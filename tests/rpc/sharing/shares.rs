use std::time::Duration;

use serde_json::json;

use super::{ids, project, share};
use crate::harness::world::{ELSEWHERE, HOME, Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, INVALID_PATH, PRECONDITION, grant, list, ok, read, refused, write};

/// Whether somebody may read the file of the project now.
async fn reads(world: &World, who: Who) -> bool {
    match world.rpc(who, "read", json!({"path": "/proj/a.txt"})).await {
        Ok(_) => true,
        Err(failure) => {
            assert_eq!(failure.code, DENIED, "{who:?}: {}", failure.message);
            false
        }
    }
}

#[tokio::test]
async fn a_share_opens_at_once_and_a_revoke_closes_at_once() {
    let world = project().await;
    let on = json!({"resource": ["file", "/proj/a.txt"], "user_id": "bob"});
    for _ in 0..3 {
        assert!(!reads(&world, Who::Bob).await);
        let id = share(&world, Who::Alice, "/proj/a.txt", "bob", "viewer").await;
        assert!(reads(&world, Who::Bob).await);
        refused(&world, Who::Bob, "write", json!({"path": "/proj/a.txt", "content": "x"}), DENIED).await;
        assert_eq!(share(&world, Who::Alice, "/proj/a.txt", "bob", "viewer").await, id, "the same share");
        assert_eq!(ok(&world, Who::Alice, "revoke_share", on.clone()).await, json!(true));
        assert!(!reads(&world, Who::Bob).await);
        assert_eq!(ok(&world, Who::Alice, "revoke_share", on.clone()).await, json!(false));
        let id = share(&world, Who::Alice, "/proj/a.txt", "bob", "owner").await;
        assert!(reads(&world, Who::Bob).await);
        assert_eq!(ok(&world, Who::Alice, "revoke_share_by_id", json!({"share_id": id})).await, json!(true));
        assert!(!reads(&world, Who::Bob).await);
    }
    for who in [Who::Stranger, Who::Grace, Who::Agent, Who::OtherUser, Who::OtherAdmin] {
        assert!(!reads(&world, who).await);
    }
}

#[tokio::test]
async fn a_person_has_one_share_of_a_thing() {
    let world = project().await;
    let change = json!({"path": "/proj/a.txt", "content": "changed"});
    share(&world, Who::Alice, "/proj/a.txt", "bob", "owner").await;
    let lent = json!({"subject": ["user", "edith"], "relation": "direct_viewer", "object": ["file", "/proj/a.txt"]});
    ok(&world, Who::Bob, "rebac_create", lent.clone()).await;
    share(&world, Who::Alice, "/proj/a.txt", "bob", "editor").await;
    refused(&world, Who::Bob, "rebac_create", lent, DENIED).await;
    ok(&world, Who::Bob, "write", change.clone()).await;
    let id = share(&world, Who::Alice, "/proj/a.txt", "bob", "viewer").await;
    refused(&world, Who::Bob, "write", change, DENIED).await;
    assert!(reads(&world, Who::Bob).await);
    let shares = ok(&world, Who::Alice, "list_outgoing_shares", json!({})).await;
    assert_eq!((ids(&shares), &shares[0]["permission_level"]), (vec![id.as_str()], &json!("viewer")));
}

#[tokio::test]
async fn who_does_not_manage_a_thing_neither_shares_it_nor_ends_a_share() {
    let world = project().await;
    grant(&world, ("user", "edith"), "direct_editor", "/proj").await;
    let id = share(&world, Who::Alice, "/proj/a.txt", "bob", "viewer").await;
    let on = |path: &str| json!({"resource": ["file", path], "user_id": "mallory"});
    for who in [Who::Bob, Who::Edith, Who::Agent, Who::Stranger, Who::OtherUser, Who::OtherAdmin] {
        for method in ["share_with_user", "revoke_share"] {
            let there = refused(&world, who, method, on("/proj/a.txt"), DENIED).await;
            let missing = refused(&world, who, method, on("/proj/b.txt"), DENIED).await;
            assert_eq!(there.message.replace("a.txt", "b.txt"), missing.message, "{who:?} {method}");
        }
    }
    for who in [Who::Bob, Who::Edith, Who::Agent, Who::Stranger, Who::OtherUser] {
        let there = refused(&world, who, "revoke_share_by_id", json!({"share_id": id}), DENIED).await;
        let missing = refused(&world, who, "revoke_share_by_id", json!({"share_id": "none"}), DENIED).await;
        assert_eq!(there.message.replace(&id, "none"), missing.message);
    }
    assert_eq!(ok(&world, Who::OtherAdmin, "revoke_share_by_id", json!({"share_id": id})).await, json!(false));
    assert!(reads(&world, Who::Bob).await);
    // What is no share is not ended as one.
    let tuple = json!({"subject": ["user", "edith"], "relation": "direct_viewer", "object": ["file", "/proj/a.txt"]});
    let tuple = ok(&world, Who::Alice, "rebac_create", tuple).await;
    refused(&world, Who::Alice, "revoke_share_by_id", json!({"share_id": tuple}), DENIED).await;
    for who in [Who::Heir, Who::Admin, Who::Instance] {
        ok(&world, who, "share_with_user", on("/proj/a.txt")).await;
        assert_eq!(ok(&world, who, "revoke_share", on("/proj/a.txt")).await, json!(true), "{who:?}");
    }
}

#[tokio::test]
async fn the_tenant_of_a_share_is_that_of_the_resource() {
    let world = project().await;
    let on = |tenant: Option<&str>, user_tenant: Option<&str>| json!({"resource": ["file", "/proj/a.txt"], "user_id": "alice", "tenant_id": tenant, "user_tenant_id": user_tenant});
    let wrong = refused(&world, Who::Alice, "share_with_user", on(Some(ELSEWHERE), None), INVALID_PARAMS).await;
    assert!(wrong.message.contains("tenant isolation"), "{}", wrong.message);
    // There is an alice in both tenants: whoever rules both must say which, and who knows only his own means his own.
    let unclear = refused(&world, Who::Instance, "share_with_user", on(None, None), INVALID_PARAMS).await;
    assert!(unclear.message.contains("ambiguous") && !unclear.message.contains(ELSEWHERE), "{}", unclear.message);

    let before = world.rpc(Who::OtherUser, "read", json!({"path": "/proj/a.txt"})).await;
    assert_eq!(before.expect_err("not shared yet").code, DENIED);
    assert!(list(&world, Who::OtherUser, "/", true).await.is_empty());
    ok(&world, Who::Alice, "share_with_user", on(Some(HOME), Some(ELSEWHERE))).await;
    assert_eq!(read(&world, Who::OtherUser, "/proj/a.txt").await, "plans");
    assert!(list(&world, Who::OtherUser, "/", true).await.contains(&"/proj/a.txt".to_owned()));
    refused(&world, Who::OtherAdmin, "read", json!({"path": "/proj/a.txt"}), DENIED).await;
    let seen = ok(&world, Who::OtherUser, "list_incoming_shares", json!({"user_id": "alice"})).await;
    assert_eq!((&seen[0]["owner_tenant_id"], &seen[0]["resource_id"]), (&json!(HOME), &json!("/proj/a.txt")));
    // alice of the resource's own tenant has no such share.
    let own = ok(&world, Who::Alice, "list_incoming_shares", json!({"user_id": "alice"})).await;
    assert_eq!(own, json!([]));
    let all = json!({"resource": ["file", "/proj/a.txt"], "user_id": "alice"});
    assert_eq!(ok(&world, Who::Alice, "revoke_share", all).await, json!(true), "of whichever tenant");
    refused(&world, Who::OtherUser, "read", json!({"path": "/proj/a.txt"}), DENIED).await;

    // Meant is one of the own tenant, whoever has a key elsewhere; by the instance admin the only one who has a key.
    ok(&world, Who::OtherAdmin, "admin_create_key", json!({"user_id": "zoe", "name": "z", "tenant_id": ELSEWHERE}))
        .await;
    for (who, user, tenant) in
        [(Who::Alice, "zoe", HOME), (Who::Instance, "zoe", ELSEWHERE), (Who::Alice, "nobody-yet", HOME)]
    {
        share(&world, who, "/proj/a.txt", user, "viewer").await;
        let asked = if tenant == HOME { Who::Admin } else { Who::OtherAdmin };
        let seen = ok(&world, asked, "list_incoming_shares", json!({"user_id": user})).await;
        assert_eq!(ids(&seen).len(), 1, "{user}");
    }
    // The instance admin may say another tenant; the share is the resource's all the same.
    ok(&world, Who::Instance, "share_with_user", on(Some(ELSEWHERE), Some(ELSEWHERE))).await;
    assert_eq!(read(&world, Who::OtherUser, "/proj/a.txt").await, "plans");
}

#[tokio::test]
async fn a_share_ends_by_the_clock_and_sharing_again_sets_it_anew() {
    let world = project().await;
    let on = |ends: serde_json::Value| json!({"resource": ["file", "/proj"], "user_id": "bob", "expires_at": ends});
    let id = ok(&world, Who::Alice, "share_with_user", on(json!("2026-01-02T03:05:05Z"))).await;
    world.pass(Duration::from_secs(59)).await;
    assert!(reads(&world, Who::Bob).await);
    world.pass(Duration::from_secs(1)).await;
    assert!(!reads(&world, Who::Bob).await);
    assert_eq!(
        ok(&world, Who::Alice, "list_outgoing_shares", json!({})).await,
        json!([]),
        "what has ended is not shown"
    );
    assert_eq!(ok(&world, Who::Bob, "list_incoming_shares", json!({"user_id": "bob"})).await, json!([]));
    let wrapped = json!({"__type__": "datetime", "data": "2026-01-02T03:10:00+00:00"});
    assert_eq!(ok(&world, Who::Alice, "share_with_user", on(wrapped)).await, id);
    assert!(reads(&world, Who::Bob).await);
    assert_eq!(ok(&world, Who::Alice, "share_with_user", on(json!(null))).await, id);
    world.pass(Duration::from_secs(3600)).await;
    assert!(reads(&world, Who::Bob).await, "it does not end any more");
    refused(&world, Who::Alice, "share_with_user", on(json!("soon")), INVALID_PARAMS).await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let world = project().await;
    let file = json!(["file", "/proj/a.txt"]);
    for (resource, user, level, code) in [
        (file.clone(), "bob", "reader", INVALID_PARAMS),
        (file.clone(), "*", "viewer", INVALID_PARAMS),
        (file, "", "viewer", INVALID_PARAMS),
        (json!(["file"]), "bob", "viewer", INVALID_PARAMS),
        (json!(["file", "/proj/../x"]), "bob", "viewer", INVALID_PATH),
        (json!(["*", "*"]), "bob", "viewer", INVALID_PARAMS),
        // Its rules know no shares: it would be a promise that nobody keeps.
        (json!(["skill", "pdf"]), "bob", "viewer", PRECONDITION),
    ] {
        let params = json!({"resource": resource, "user_id": user, "relation": level});
        refused(&world, Who::Admin, "share_with_user", params, code).await;
    }
    let many = json!({"limit": 1001});
    refused(&world, Who::Alice, "list_outgoing_shares", many, INVALID_PARAMS).await;
}

/// A folder is shared with a group for an hour: its members see it at once in a listing of the root, the others' listing
/// does not show that it exists.
#[tokio::test]
async fn a_folder_is_shared_with_a_group_for_an_hour() {
    let world = project().await;
    write(&world, Who::Admin, "/other/b.txt", "other").await;
    let member = json!({"subject": ["user", "grace"], "relation": "member", "object": ["group", "eng"]});
    ok(&world, Who::Admin, "rebac_create", member).await;
    let seen = |who| list_of_root(&world, who);
    assert!(seen(Who::Grace).await.is_empty());
    for subject in [json!(["group", "eng"]), json!(["group", "eng", "member"])] {
        let ends = {
            let now_us = world.store.clock().now_us();
            nexus_lite::model::time::iso_utc(now_us + 3_600_000_000)
        };
        let lent = json!({"subject": subject, "relation": "direct_viewer", "object": ["file", "/proj"],
                          "expires_at": ends});
        ok(&world, Who::Alice, "rebac_create", lent).await;
        assert_eq!(seen(Who::Grace).await, ["/proj/"], "at once");
        assert_eq!(read(&world, Who::Grace, "/proj/a.txt").await, "plans");
        for who in [Who::Bob, Who::Stranger, Who::Agent, Who::OtherUser, Who::OtherAdmin] {
            assert!(seen(who).await.is_empty(), "{who:?}");
            assert_eq!(ok(&world, who, "exists", json!({"path": "/proj"})).await, json!({"exists": false}));
        }
        world.pass(Duration::from_secs(3_599)).await;
        assert_eq!(seen(Who::Grace).await, ["/proj/"]);
        world.pass(Duration::from_secs(1)).await;
        assert!(seen(Who::Grace).await.is_empty(), "an hour later");
        refused(&world, Who::Grace, "read", json!({"path": "/proj/a.txt"}), DENIED).await;
    }
}

async fn list_of_root(world: &World, who: Who) -> Vec<String> {
    let result = ok(world, who, "list", json!({"path": "/", "recursive": false, "details": true})).await;
    let rows = result["files"].as_array().expect("files").iter();
    rows.map(|row| format!("{}/", row["path"].as_str().expect("a path").trim_end_matches('/'))).collect()
}
