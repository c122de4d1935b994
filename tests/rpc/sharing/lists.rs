use serde_json::{Value, json};

use super::{ids, project, share};
use crate::harness::world::{HOME, Who};
use crate::rpc::{DENIED, grant, ok, refused, write};

#[tokio::test]
async fn a_share_is_shown_with_everything_about_it() {
    let world = project().await;
    let id = share(&world, Who::Alice, "/proj", "bob", "editor").await;
    let created = json!({"__type__": "datetime", "data": "2026-01-02T03:04:05.000000+00:00"});
    let out = ok(&world, Who::Alice, "list_outgoing_shares", json!({"resource": ["file", "/proj/"]})).await;
    let wanted = json!([{"share_id": id, "resource_type": "file", "resource_id": "/proj", "recipient_id": "bob",
                         "permission_level": "editor", "created_at": created, "expires_at": null}]);
    assert_eq!(out, wanted);
    let incoming = ok(&world, Who::Bob, "list_incoming_shares", json!({"user_id": "bob"})).await;
    let wanted = json!([{"share_id": id, "resource_type": "file", "resource_id": "/proj", "owner_tenant_id": HOME,
                         "permission_level": "editor", "created_at": created, "expires_at": null}]);
    assert_eq!(incoming, wanted);
}

#[tokio::test]
async fn pages_put_together_are_the_whole_list() {
    let world = project().await;
    let mut made = Vec::new();
    for number in 0..23 {
        made.push(share(&world, Who::Alice, &format!("/proj/f{}", number % 5), &format!("u{number}"), "viewer").await);
    }
    let page = |offset: usize| json!({"limit": 7, "offset": offset});
    let mut seen: Vec<String> = Vec::new();
    loop {
        let part = ok(&world, Who::Alice, "list_outgoing_shares", page(seen.len())).await;
        let part: Vec<String> = ids(&part).into_iter().map(str::to_owned).collect();
        if part.is_empty() {
            break;
        }
        seen.extend(part);
    }
    let whole = ok(&world, Who::Alice, "list_outgoing_shares", json!({})).await;
    assert_eq!(seen, ids(&whole));
    seen.sort_unstable();
    made.sort_unstable();
    assert_eq!(seen, made, "each once");
    assert_eq!(ok(&world, Who::Alice, "list_outgoing_shares", json!({"limit": 0})).await, json!([]));
}

#[tokio::test]
async fn each_sees_what_is_his_to_see() {
    let world = project().await;
    write(&world, Who::Admin, "/secret/x.txt", "x").await;
    let on_project = share(&world, Who::Alice, "/proj/a.txt", "bob", "viewer").await;
    let on_secret = share(&world, Who::Admin, "/secret/x.txt", "edith", "viewer").await;
    let outgoing = async |who| ok(&world, who, "list_outgoing_shares", json!({})).await;
    for who in [Who::Alice, Who::Heir] {
        assert_eq!(ids(&outgoing(who).await), [on_project.as_str()], "{who:?}");
    }
    for who in [Who::Admin, Who::Instance] {
        let seen = outgoing(who).await;
        let mut seen = ids(&seen);
        seen.sort_unstable();
        let mut both = [on_project.as_str(), on_secret.as_str()];
        both.sort_unstable();
        assert_eq!(seen, both, "{who:?}");
    }
    for who in [Who::Bob, Who::Edith, Who::Agent, Who::Stranger, Who::OtherUser, Who::OtherAdmin] {
        assert_eq!(outgoing(who).await, json!([]), "{who:?}");
        let named = json!({"resource": ["file", "/proj/a.txt"]});
        assert_eq!(ok(&world, who, "list_outgoing_shares", named).await, json!([]), "{who:?}");
    }
    let elsewhere = json!({"tenant_id": "acme"});
    assert_eq!(ok(&world, Who::Alice, "list_outgoing_shares", elsewhere).await, json!([]));

    let of_bob = json!({"user_id": "bob"});
    for who in [Who::Bob, Who::Admin, Who::Instance] {
        let seen = ok(&world, who, "list_incoming_shares", of_bob.clone()).await;
        assert_eq!(ids(&seen), [on_project.as_str()], "{who:?}");
    }
    for who in [Who::Alice, Who::Edith, Who::Agent, Who::Stranger, Who::OtherUser] {
        let there = refused(&world, who, "list_incoming_shares", of_bob.clone(), DENIED).await;
        let missing = refused(&world, who, "list_incoming_shares", json!({"user_id": "bib"}), DENIED).await;
        assert_eq!(there.message.replace("bob", "bib"), missing.message);
    }
    assert_eq!(ok(&world, Who::OtherAdmin, "list_incoming_shares", of_bob).await, json!([]), "another bob");
}

#[tokio::test]
async fn who_made_a_share_sees_it_while_he_may_read_what_is_shared() {
    let world = project().await;
    grant(&world, ("user", "edith"), "direct_owner", "/proj/a.txt").await;
    let id = share(&world, Who::Edith, "/proj/a.txt", "bob", "viewer").await;
    let of_edith = async || ok(&world, Who::Edith, "list_outgoing_shares", json!({})).await;
    assert_eq!(ids(&of_edith().await), [id.as_str()]);
    let tuples = ok(&world, Who::Alice, "rebac_list_tuples", json!({"object": ["file", "/proj/a.txt"]})).await;
    let is_hers = |row: &&Value| row["subject_id"] == "edith";
    let hers = tuples.as_array().expect("rows").iter().find(is_hers).expect("her grant")["tuple_id"].clone();
    ok(&world, Who::Alice, "rebac_delete", json!({"tuple_id": hers})).await;
    assert_eq!(of_edith().await, json!([]), "the path is not hers to know any more");
    grant(&world, ("user", "edith"), "direct_viewer", "/proj").await;
    assert_eq!(ids(&of_edith().await), [id.as_str()]);
    // And only what she made herself.
    share(&world, Who::Alice, "/proj/a.txt", "grace", "viewer").await;
    assert_eq!(ids(&of_edith().await), [id.as_str()]);
}
