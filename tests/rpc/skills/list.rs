//! `skills_list`.

use serde_json::{Value, json};

use super::super::*;
use super::{PERSONAL, SYSTEM, TENANT, put, skill};

/// A world where alice owns her folder and reads the tenant's and everybody's.
async fn library() -> World {
    let world = World::new().await;
    put(&world, Who::Admin, PERSONAL, "pdf", "version: 1.2\nauthor: Ann\n").await;
    put(&world, Who::Admin, PERSONAL, "docx", "").await;
    put(&world, Who::Admin, TENANT, "report", "").await;
    put(&world, Who::Admin, TENANT, "pdf", "version: 9\n").await;
    put(&world, Who::Instance, SYSTEM, "search", "requires: [pdf]\n").await;
    grant(&world, ("user", "alice"), "direct_owner", "/tenant:default/user:alice").await;
    for user in ["alice", "bob"] {
        grant(&world, ("user", user), "direct_viewer", TENANT).await;
        grant(&world, ("user", user), "direct_viewer", SYSTEM).await;
    }
    world
}

async fn skills(world: &World, who: Who) -> Vec<(String, String)> {
    let result = ok(world, who, "skills_list", json!({})).await;
    let rows = result["skills"].as_array().expect("skills");
    assert_eq!(result["count"], rows.len());
    let text = |row: &Value, key: &str| row[key].as_str().expect(key).to_owned();
    rows.iter().map(|row| (text(row, "tier"), text(row, "name"))).collect()
}

fn pairs(rows: &[(&str, &str)]) -> Vec<(String, String)> {
    rows.iter().map(|(tier, name)| ((*tier).to_owned(), (*name).to_owned())).collect()
}

#[tokio::test]
async fn lists_by_tier_and_path_and_the_nearer_wins() {
    let world = library().await;
    let hers = [("personal", "docx"), ("personal", "pdf"), ("tenant", "report"), ("system", "search")];
    for who in [Who::Alice, Who::Heir] {
        assert_eq!(skills(&world, who).await, pairs(&hers), "{who:?}");
    }
    let his = [("tenant", "pdf"), ("tenant", "report"), ("system", "search")];
    assert_eq!(skills(&world, Who::Bob).await, pairs(&his));
    for who in [Who::Agent, Who::Stranger, Who::OtherAdmin, Who::OtherUser] {
        assert_eq!(skills(&world, who).await, pairs(&[]), "{who:?}");
    }
    // The untrusted agent sees what it was granted itself, in its owner's folder.
    grant(&world, ("agent", "alice,Helper"), "direct_viewer", &format!("{PERSONAL}/pdf")).await;
    assert_eq!(skills(&world, Who::Agent).await, pairs(&[("personal", "pdf")]));
    let names = ok(&world, Who::Alice, "skills_list", json!({"include_metadata": false})).await;
    assert_eq!(names, json!({"skills": ["docx", "pdf", "report", "search"], "count": 4}));
    let tier = ok(&world, Who::Alice, "skills_list", json!({"tier": "tenant", "include_metadata": false})).await;
    assert_eq!(tier, json!({"skills": ["pdf", "report"], "count": 2}));
    let none = ok(&world, Who::Alice, "skills_list", json!({"tier": "agent"})).await;
    assert_eq!(none, json!({"skills": [], "count": 0}));
}

#[tokio::test]
async fn has_the_shape_of_the_contract() {
    let world = library().await;
    let result = ok(&world, Who::Alice, "skills_list", json!({"tier": "personal"})).await;
    let nothing = Value::Null;
    assert_eq!(
        result["skills"],
        json!([
            {"name": "docx", "description": "What docx is for", "version": nothing, "author": nothing,
             "tier": "personal", "file_path": format!("{PERSONAL}/docx/SKILL.md"), "requires": []},
            {"name": "pdf", "description": "What pdf is for", "version": "1.2", "author": "Ann",
             "tier": "personal", "file_path": format!("{PERSONAL}/pdf/SKILL.md"), "requires": []},
        ])
    );
}

#[tokio::test]
async fn follows_every_change_of_the_files() {
    let world = library().await;
    let names = async |tier: &str| {
        let result = ok(&world, Who::Admin, "skills_list", json!({"tier": tier, "include_metadata": false})).await;
        result["skills"].as_array().expect("names").iter().map(|n| n.as_str().expect("a name").to_owned()).collect()
    };
    let tenant = async || -> Vec<String> { names("tenant").await };
    assert_eq!(tenant().await, ["pdf", "report"]);
    let at = |name: &str| format!("{TENANT}/{name}/SKILL.md");
    write(&world, Who::Admin, &at("report"), &skill("summary", "")).await;
    assert_eq!(tenant().await, ["pdf", "summary"]);
    write(&world, Who::Admin, &at("report"), "no front matter").await;
    assert_eq!(tenant().await, ["pdf"], "no longer a skill");
    write(&world, Who::Admin, &at("report"), &skill("report", "")).await;
    let large = format!("{}{}", skill("huge", ""), "x".repeat(70_000));
    write(&world, Who::Admin, &at("huge"), &large).await;
    assert_eq!(tenant().await, ["pdf", "report"], "over the size limit");
    let moved = json!({"old_path": at("report"), "new_path": format!("{TENANT}/report/notes.md")});
    ok(&world, Who::Admin, "rename", moved).await;
    assert_eq!(tenant().await, ["pdf"]);
    let back =
        json!({"old_path": format!("{TENANT}/report/notes.md"), "new_path": format!("{TENANT}/deep/er/skill.MD")});
    ok(&world, Who::Admin, "rename", back).await;
    assert_eq!(tenant().await, ["report", "pdf"], "by path, at any depth, whatever the case of the name");
    let folder = json!({"old_path": format!("{TENANT}/deep"), "new_path": format!("{TENANT}/zz")});
    ok(&world, Who::Admin, "rename", folder).await;
    let info = ok(&world, Who::Admin, "skills_info", json!({"skill_name": "report"})).await;
    assert_eq!(info["file_path"], format!("{TENANT}/zz/er/skill.MD"));
    ok(&world, Who::Admin, "delete", json!({"path": format!("{TENANT}/zz/er/skill.MD")})).await;
    assert_eq!(tenant().await, ["pdf"]);
    ok(&world, Who::Admin, "rmdir", json!({"path": TENANT, "recursive": true})).await;
    assert_eq!(tenant().await, Vec::<String>::new());
    write(&world, Who::Admin, "/tenant:default/skillful/x/SKILL.md", &skill("outside", "")).await;
    write(&world, Who::Admin, &format!("{TENANT}/x/SKILL.md"), &skill("inside", "")).await;
    assert_eq!(tenant().await, ["inside"], "folders are compared by component");
}
