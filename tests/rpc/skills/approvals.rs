//! `skills_submit_approval`, `skills_approve`, `skills_reject`, `skills_list_approvals`.

use serde_json::json;

use super::super::*;
use super::{PERSONAL, TENANT};

/// A world where alice has a skill, and edith keeps the tenant's.
async fn office() -> World {
    let world = World::new().await;
    ok(&world, Who::Alice, "skills_create", json!({"name": "tool", "description": "d"})).await;
    ok(&world, Who::Admin, "mkdir", json!({"path": TENANT, "parents": true})).await;
    grant(&world, ("user", "edith"), "direct_editor", TENANT).await;
    world
}

async fn submit(world: &World, more: Value) -> String {
    let mut params = json!({"skill_name": "tool", "submitted_by": "alice"});
    params.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let made = ok(world, Who::Alice, "skills_submit_approval", params).await;
    assert_eq!((&made["skill_name"], &made["submitted_by"]), (&json!("tool"), &json!("alice")));
    made["approval_id"].as_str().expect("an id").to_owned()
}

fn decision(id: &str, by: &str) -> Value {
    json!({"approval_id": id, "reviewed_by": by})
}

async fn statuses(world: &World, who: Who, params: Value) -> Vec<String> {
    let found = ok(world, who, "skills_list_approvals", params).await;
    let rows = found["approvals"].as_array().expect("rows");
    assert_eq!(found["count"], rows.len());
    rows.iter().map(|row| row["status"].as_str().expect("a status").to_owned()).collect()
}

#[tokio::test]
async fn who_may_not_write_there_publishes_what_was_approved() {
    let world = office().await;
    let publish = json!({"skill_name": "tool"});
    refused(&world, Who::Alice, "skills_publish", publish.clone(), DENIED).await;
    let id = submit(&world, json!({"comments": "please"})).await;
    refused(&world, Who::Alice, "skills_publish", publish.clone(), DENIED).await;
    for who in [Who::Alice, Who::Heir] {
        let failure = refused(&world, who, "skills_approve", decision(&id, "alice"), DENIED).await;
        assert!(failure.data["hint"].as_str().expect("a hint").contains(TENANT), "{failure:?}");
    }
    // Others do not know of it, and hear what they hear of an id that nobody has.
    for who in [Who::Bob, Who::Stranger, Who::Agent, Who::OtherAdmin, Who::OtherUser] {
        let name = who.user().1;
        let there = refused(&world, who, "skills_approve", decision(&id, name), VALIDATION).await;
        let missing = refused(&world, who, "skills_approve", decision("nope", name), VALIDATION).await;
        assert_eq!(there.message.replace(&id, "nope"), missing.message, "{who:?}");
    }
    let approved = ok(&world, Who::Edith, "skills_approve", decision(&id, "edith")).await;
    let wanted = json!({"approval_id": id, "reviewed_by": "edith", "reviewer_type": "user", "status": "approved"});
    assert_eq!(approved, wanted);
    for (who, by, method) in [(Who::Edith, "edith", "skills_reject"), (Who::Admin, "admin", "skills_approve")] {
        let failure = refused(&world, who, method, decision(&id, by), PRECONDITION).await;
        assert_eq!((&failure.data["status"], &failure.data["reviewed_by"]), (&json!("approved"), &json!("edith")));
    }
    ok(&world, Who::Alice, "skills_publish", publish.clone()).await;
    // What is published is the reviewer's: who submitted it may not change it behind the review.
    let published = format!("{TENANT}/tool/SKILL.md");
    refused(&world, Who::Alice, "write", json!({"path": published, "content": "x"}), DENIED).await;
    assert!(read(&world, Who::Edith, &published).await.contains("# tool"));
    // An approval is good for once.
    ok(&world, Who::Admin, "rmdir", json!({"path": format!("{TENANT}/tool"), "recursive": true})).await;
    refused(&world, Who::Alice, "skills_publish", publish, DENIED).await;
}

#[tokio::test]
async fn an_approval_is_of_the_files_as_they_were() {
    let world = office().await;
    let id = submit(&world, json!({})).await;
    ok(&world, Who::Admin, "skills_approve", decision(&id, "admin")).await;
    write(&world, Who::Alice, &format!("{PERSONAL}/tool/later.sh"), "rm -rf").await;
    refused(&world, Who::Alice, "skills_publish", json!({"skill_name": "tool"}), DENIED).await;
    ok(&world, Who::Alice, "delete", json!({"path": format!("{PERSONAL}/tool/later.sh")})).await;
    // Only who submitted it, and only to the tenant.
    refused(&world, Who::Bob, "skills_publish", json!({"skill_name": "tool"}), VALIDATION).await;
    let to_all = json!({"skill_name": "tool", "target_tier": "system"});
    refused(&world, Who::Alice, "skills_publish", to_all, DENIED).await;
    ok(&world, Who::Alice, "skills_publish", json!({"skill_name": "tool"})).await;
}

#[tokio::test]
async fn reviewers_narrow_who_may_decide() {
    let world = office().await;
    grant(&world, ("user", "grace"), "direct_editor", TENANT).await;
    let id = submit(&world, json!({"reviewers": ["grace", "bob"]})).await;
    // Edith may write there and was not named; bob was named and may not write there.
    let edith = refused(&world, Who::Edith, "skills_approve", decision(&id, "edith"), DENIED).await;
    assert!(edith.data["hint"].as_str().expect("a hint").contains("grace, bob"), "{edith:?}");
    refused(&world, Who::Bob, "skills_approve", decision(&id, "bob"), DENIED).await;
    // In nobody's name but one's own.
    refused(&world, Who::Grace, "skills_approve", decision(&id, "edith"), DENIED).await;
    let rejected = json!({"approval_id": id, "reviewed_by": "grace", "comments": "too long"});
    assert_eq!(ok(&world, Who::Grace, "skills_reject", rejected).await["status"], "rejected");
    refused(&world, Who::Alice, "skills_publish", json!({"skill_name": "tool"}), DENIED).await;
    let own = submit(&world, json!({"reviewers": ["alice"]})).await;
    refused(&world, Who::Alice, "skills_approve", decision(&own, "alice"), DENIED).await;
    // The admin decides about all, also in another's name.
    let done = ok(&world, Who::Admin, "skills_approve", decision(&own, "edith")).await;
    assert_eq!(done["reviewed_by"], "edith");
    let wrong = json!({"approval_id": own, "reviewed_by": "admin", "tenant_id": "acme"});
    refused(&world, Who::Admin, "skills_approve", wrong, INVALID_PARAMS).await;
}

#[tokio::test]
async fn lists_what_one_may_know_of() {
    let world = office().await;
    assert_eq!(ok(&world, Who::Alice, "skills_list_approvals", json!({})).await, json!({"approvals": [], "count": 0}));
    let first = submit(&world, json!({"comments": "please"})).await;
    world.pass(std::time::Duration::from_secs(1)).await;
    submit(&world, json!({"reviewers": ["bob"]})).await;
    ok(&world, Who::Edith, "skills_approve", decision(&first, "edith")).await;
    for who in [Who::Alice, Who::Heir, Who::Edith, Who::Admin, Who::Instance] {
        assert_eq!(statuses(&world, who, json!({})).await, ["pending", "approved"], "{who:?}");
    }
    assert_eq!(statuses(&world, Who::Bob, json!({})).await, ["pending"], "he was named");
    for who in [Who::Stranger, Who::Agent, Who::OtherAdmin, Who::OtherUser] {
        assert_eq!(statuses(&world, who, json!({})).await, Vec::<String>::new(), "{who:?}");
    }
    assert_eq!(statuses(&world, Who::Alice, json!({"status": "approved"})).await, ["approved"]);
    assert_eq!(statuses(&world, Who::Alice, json!({"skill_name": "other"})).await, Vec::<String>::new());
    let bad = refused(&world, Who::Alice, "skills_list_approvals", json!({"status": "maybe"}), INVALID_PARAMS).await;
    assert!(bad.message.contains("pending, approved, rejected"), "{}", bad.message);
    let rows = ok(&world, Who::Alice, "skills_list_approvals", json!({"status": "approved"})).await;
    let row = &rows["approvals"][0];
    assert_eq!((&row["approval_id"], &row["reviewed_by"]), (&json!(first), &json!("edith")));
    assert!(row["submitted_at"].is_string() && row["reviewed_at"].is_string() && row["comments"] == "please", "{row}");
}

#[tokio::test]
async fn submitting_takes_the_right_to_read_and_ones_own_name() {
    let world = office().await;
    let params = |by: &str| json!({"skill_name": "tool", "submitted_by": by});
    refused(&world, Who::Alice, "skills_submit_approval", params("bob"), DENIED).await;
    refused(&world, Who::Bob, "skills_submit_approval", params("bob"), VALIDATION).await;
    refused(&world, Who::Alice, "skills_submit_approval", params(""), INVALID_PARAMS).await;
    let made = ok(&world, Who::Heir, "skills_submit_approval", params("alice")).await;
    assert_eq!((&made["submitted_by"], &made["reviewers"]), (&json!("alice"), &Value::Null));
}
