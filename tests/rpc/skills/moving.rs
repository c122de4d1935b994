//! `skills_fork`, `skills_publish`, `skills_search`.

use serde_json::json;

use super::super::*;
use super::{PERSONAL, SYSTEM, TENANT, put};

#[tokio::test]
async fn a_fork_is_a_copy_of_another_name() {
    let world = World::new().await;
    put(&world, Who::Admin, TENANT, "base", "version: 2\nrequires: [other]\n").await;
    write(&world, Who::Admin, &format!("{TENANT}/base/scripts/a.py"), "print(1)").await;
    grant(&world, ("user", "alice"), "direct_viewer", TENANT).await;
    let params = json!({"source_name": "base", "target_name": "mine", "author": "Alice"});
    let made = ok(&world, Who::Alice, "skills_fork", params.clone()).await;
    let path = format!("{PERSONAL}/mine/SKILL.md");
    assert_eq!(made, json!({"forked_path": path, "source_name": "base", "target_name": "mine", "tier": "personal"}));
    assert_eq!(read(&world, Who::Alice, &format!("{PERSONAL}/mine/scripts/a.py")).await, "print(1)");
    let info = ok(&world, Who::Alice, "skills_info", json!({"skill_name": "mine"})).await;
    assert_eq!(
        (&info["version"], &info["author"], &info["requires"]),
        (&json!("2"), &json!("Alice"), &json!(["other"]))
    );
    assert!(read(&world, Who::Alice, &path).await.contains("forked_from: base\n"));
    refused(&world, Who::Alice, "skills_fork", params.clone(), VALIDATION).await;
    for who in [Who::Bob, Who::Agent, Who::OtherUser] {
        let failure = refused(&world, who, "skills_fork", params.clone(), VALIDATION).await;
        assert_eq!(failure.message, "Source skill 'base' not found", "{who:?}");
    }
    let to_all = json!({"source_name": "base", "target_name": "x", "tier": "tenant"});
    refused(&world, Who::Alice, "skills_fork", to_all, DENIED).await;
    assert_eq!(read(&world, Who::Admin, &format!("{TENANT}/base/scripts/a.py")).await, "print(1)", "the source stays");
}

#[tokio::test]
async fn publishing_takes_read_here_and_write_there() {
    let world = World::new().await;
    ok(&world, Who::Alice, "skills_create", json!({"name": "tool", "description": "d"})).await;
    write(&world, Who::Alice, &format!("{PERSONAL}/tool/a.txt"), "a").await;
    let publish = json!({"skill_name": "tool"});
    refused(&world, Who::Alice, "skills_publish", publish.clone(), DENIED).await;
    ok(&world, Who::Admin, "mkdir", json!({"path": TENANT, "parents": true})).await;
    grant(&world, ("user", "alice"), "direct_editor", TENANT).await;
    let made = ok(&world, Who::Alice, "skills_publish", publish.clone()).await;
    let path = format!("{TENANT}/tool/SKILL.md");
    assert_eq!(
        made,
        json!({"published_path": path, "skill_name": "tool", "source_tier": "personal", "target_tier": "tenant"})
    );
    assert_eq!(read(&world, Who::Alice, &format!("{TENANT}/tool/a.txt")).await, "a");
    refused(&world, Who::Alice, "skills_publish", publish.clone(), VALIDATION).await;
    for who in [Who::Bob, Who::Stranger, Who::OtherAdmin] {
        let failure = refused(&world, who, "skills_publish", publish.clone(), VALIDATION).await;
        assert_eq!(failure.message, "Skill 'tool' not found in tier 'personal'", "{who:?}");
    }
    let to_all = json!({"skill_name": "tool", "source_tier": "tenant", "target_tier": "system"});
    refused(&world, Who::Admin, "skills_publish", to_all.clone(), DENIED).await;
    ok(&world, Who::Instance, "skills_publish", to_all).await;
    assert_eq!(list(&world, Who::Instance, SYSTEM, false).await, [format!("{SYSTEM}/tool")]);
    let nowhere = json!({"skill_name": "tool", "source_tier": "agent", "target_tier": "personal"});
    refused(&world, Who::Alice, "skills_publish", nowhere, VALIDATION).await;
}

#[tokio::test]
async fn a_search_ranks_what_the_caller_may_read() {
    let world = World::new().await;
    let skills = [
        ("pdf", "Reads PDF files and forms"),
        ("forms", "Fills in forms of every kind"),
        ("pdf-forms", "For the office"),
        ("tables", "Reads tables"),
    ];
    for (name, description) in skills {
        let text = format!("---\nname: {name}\ndescription: {description}\n---\n");
        write(&world, Who::Admin, &format!("{TENANT}/{name}/SKILL.md"), &text).await;
    }
    grant(&world, ("user", "alice"), "direct_viewer", TENANT).await;
    grant(&world, ("user", "bob"), "direct_viewer", &format!("{TENANT}/tables")).await;
    let search = async |who: Who, params: Value| ok(&world, who, "skills_search", params).await;
    let found = search(Who::Alice, json!({"query": "PDF forms"})).await;
    assert_eq!(
        found,
        json!({"query": "PDF forms", "count": 3, "results": [
            {"skill_name": "pdf", "score": 5.0},
            {"skill_name": "forms", "score": 3.0},
            {"skill_name": "pdf-forms", "score": 2.0},
        ]})
    );
    let found = search(Who::Alice, json!({"query": "forms"})).await;
    let ranked: Vec<_> =
        found["results"].as_array().expect("hits").iter().map(|h| (&h["skill_name"], &h["score"])).collect();
    assert_eq!(
        ranked,
        [(&json!("forms"), &json!(18.0)), (&json!("pdf"), &json!(12.0)), (&json!("pdf-forms"), &json!(6.0))]
    );
    assert_eq!(search(Who::Alice, json!({"query": "forms", "limit": 1})).await["count"], 1);
    assert_eq!(search(Who::Alice, json!({"query": "  "})).await["count"], 0);
    assert_eq!(search(Who::Alice, json!({"query": "reads", "tier": "personal"})).await["count"], 0);
    let equal = search(Who::Alice, json!({"query": "reads"})).await;
    let names: Vec<_> = equal["results"].as_array().expect("hits").iter().map(|h| h["skill_name"].clone()).collect();
    assert_eq!(names, ["pdf", "tables"], "of equal ones the order of the list decides");
    assert_eq!(search(Who::Bob, json!({"query": "reads"})).await["results"][0]["skill_name"], "tables");
    assert_eq!(search(Who::Bob, json!({"query": "reads"})).await["count"], 1);
    for who in [Who::Stranger, Who::Agent, Who::OtherAdmin] {
        assert_eq!(search(who, json!({"query": "reads"})).await["count"], 0, "{who:?}");
    }
    refused(&world, Who::Alice, "skills_search", json!({"query": "x", "limit": 1_001}), INVALID_PARAMS).await;
}
