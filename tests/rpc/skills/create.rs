//! `skills_create`, `skills_create_from_content`, `skills_create_from_file`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::super::*;
use super::{PERSONAL, SYSTEM, TENANT};

#[tokio::test]
async fn everybody_makes_skills_in_his_own_folder() {
    let world = World::new().await;
    for (who, user) in [(Who::Alice, "alice"), (Who::Bob, "bob"), (Who::Heir, "alice")] {
        let name = format!("of-{who:?}").to_lowercase();
        let made = ok(&world, who, "skills_create", json!({"name": name, "description": "Reads tables"})).await;
        let path = format!("/tenant:default/user:{user}/skill/{name}/SKILL.md");
        assert_eq!(made, json!({"skill_path": path, "name": name, "tier": "personal", "template": "basic"}));
        let info = ok(&world, who, "skills_info", json!({"skill_name": name})).await;
        assert_eq!((&info["version"], &info["description"]), (&json!("1.0.0"), &json!("Reads tables")));
        let stat = ok(&world, who, "stat", json!({"path": path})).await;
        assert_eq!(stat["version"], 1);
    }
    // Who makes it owns it: gives it away, and removes it.
    let own = format!("{PERSONAL}/of-alice");
    let tuple = json!({"subject": ["user", "bob"], "relation": "direct_viewer", "object": ["file", own]});
    ok(&world, Who::Alice, "rebac_create", tuple).await;
    assert!(read(&world, Who::Bob, &format!("{own}/SKILL.md")).await.contains("# of-alice"));
    ok(&world, Who::Alice, "rmdir", json!({"path": own, "recursive": true})).await;
    // Nobody else sees what is made, and the agent without rights makes nothing.
    let none = ok(&world, Who::Stranger, "skills_list", json!({})).await;
    assert_eq!(none["count"], 0);
    refused(&world, Who::Agent, "skills_create", json!({"name": "x", "description": "d"}), DENIED).await;
    let other = ok(&world, Who::OtherUser, "skills_create", json!({"name": "x", "description": "d"})).await;
    assert_eq!(other["skill_path"], "/tenant:acme/user:alice/skill/x/SKILL.md");
}

#[tokio::test]
async fn shared_folders_take_the_right_to_write() {
    let world = World::new().await;
    let wanted = |tier: &str| json!({"name": "shared", "description": "d", "tier": tier});
    for who in [Who::Alice, Who::Stranger, Who::OtherAdmin] {
        refused(&world, who, "skills_create", wanted("system"), DENIED).await;
        refused(&world, who, "skills_create", wanted("user"), DENIED).await;
    }
    refused(&world, Who::Admin, "skills_create", wanted("system"), DENIED).await;
    refused(&world, Who::Alice, "skills_create", wanted("tenant"), DENIED).await;
    ok(&world, Who::Admin, "mkdir", json!({"path": TENANT, "parents": true})).await;
    grant(&world, ("user", "alice"), "direct_editor", TENANT).await;
    let made = ok(&world, Who::Alice, "skills_create", wanted("tenant")).await;
    assert_eq!((&made["tier"], &made["skill_path"]), (&json!("tenant"), &json!(format!("{TENANT}/shared/SKILL.md"))));
    let made = ok(&world, Who::Instance, "skills_create", wanted("system")).await;
    assert_eq!(made["skill_path"], format!("{SYSTEM}/shared/SKILL.md"));
    let failure = refused(&world, Who::Alice, "skills_create", wanted("planet"), VALIDATION).await;
    assert!(failure.message.starts_with("Invalid tier 'planet'. Must be one of:"), "{}", failure.message);
    let again = refused(&world, Who::Alice, "skills_create", wanted("tenant"), VALIDATION).await;
    assert_eq!(again.message, format!("Skill 'shared' already exists at {TENANT}/shared/SKILL.md"));
    // Who may not write there does not hear whether it is there.
    let there = refused(&world, Who::Bob, "skills_create", wanted("tenant"), DENIED).await;
    let other = json!({"name": "shared-not", "description": "d", "tier": "tenant"});
    let missing = refused(&world, Who::Bob, "skills_create", other, DENIED).await;
    assert_eq!(there.message.replace("shared/SKILL.md", ""), missing.message.replace("shared-not/SKILL.md", ""));
}

#[tokio::test]
async fn templates_and_what_is_refused() {
    let world = World::new().await;
    for template in ["basic", "data-analysis", "code-generation", "document-processing", "api-integration"] {
        let wanted =
            json!({"name": template, "description": "What: it does", "template": template, "author": "Ann: B"});
        let made = ok(&world, Who::Alice, "skills_create", wanted).await;
        let text = read(&world, Who::Alice, made["skill_path"].as_str().expect("a path")).await;
        assert!(
            text.starts_with("---\nname: ") && text.contains(&format!("\n# {template}\n\nWhat: it does\n")),
            "{text}"
        );
        let info = ok(&world, Who::Alice, "skills_info", json!({"skill_name": template})).await;
        assert_eq!((&info["author"], &info["description"]), (&json!("Ann: B"), &json!("What: it does")));
    }
    let bad = json!({"name": "x", "description": "d", "template": "nope"});
    let failure = refused(&world, Who::Alice, "skills_create", bad, VALIDATION).await;
    let known = "basic, data-analysis, code-generation, document-processing, api-integration";
    assert_eq!(failure.message, format!("Template 'nope' not found. Available templates: {known}"));
    for name in ["", "a b", "../x", "a/b", "a\nb", &"x".repeat(65)] {
        refused(&world, Who::Alice, "skills_create", json!({"name": name, "description": "d"}), VALIDATION).await;
    }
    refused(&world, Who::Alice, "skills_create", json!({"name": "x", "description": "  "}), VALIDATION).await;
}

#[tokio::test]
async fn a_text_becomes_a_skill() {
    let world = World::new().await;
    let wanted = json!({
        "name": "of-text", "description": "d", "content": "# Hi\n\n--- not a fence ---\n", "source_url": "https://x/y",
        "metadata": {"team": "blue", "level": 3, "version": "2"},
    });
    let made = ok(&world, Who::Alice, "skills_create_from_content", wanted).await;
    let path = format!("{PERSONAL}/of-text/SKILL.md");
    assert_eq!(made, json!({"skill_path": path, "name": "of-text", "tier": "personal", "source_url": "https://x/y"}));
    let text = read(&world, Who::Alice, &path).await;
    assert!(text.contains("\nteam: blue\n") && text.contains("\nlevel: \"3\"\n"), "{text}");
    assert!(text.contains("version: \"1.0.0\"") && text.ends_with("---\n\n# Hi\n\n--- not a fence ---\n"), "{text}");
    let long = json!({"name": "long", "description": "d", "content": "x".repeat(70_000)});
    refused(&world, Who::Alice, "skills_create_from_content", long, VALIDATION).await;
}

#[tokio::test]
async fn a_file_of_text_becomes_a_skill_and_no_other() {
    let world = World::new().await;
    let method = "skills_create_from_file";
    let data = |text: &str| STANDARD.encode(text);
    let made =
        ok(&world, Who::Alice, method, json!({"source": "My Notes.md", "file_data": data("# Title\n\nText\n")})).await;
    assert_eq!((&made["name"], &made["tier"]), (&json!("my-notes"), &json!("personal")));
    let info = ok(&world, Who::Alice, "skills_info", json!({"skill_name": "my-notes"})).await;
    assert_eq!(info["description"], "Title");
    let front = "---\nname: named\ndescription: said\nauthor: Ann\n---\nBody\n";
    let made = ok(&world, Who::Alice, method, json!({"source": "x.txt", "file_data": data(front)})).await;
    assert_eq!(made["name"], "named");
    let text = read(&world, Who::Alice, made["skill_path"].as_str().expect("a path")).await;
    assert!(text.contains("description: said\n") && text.ends_with("---\n\nBody\n"), "{text}");
    // A file of the store, with the rights of the caller.
    let stored = format!("{PERSONAL}/my-notes/SKILL.md");
    let copy = json!({"source": stored, "name": "copied"});
    refused(&world, Who::Bob, method, copy.clone(), DENIED).await;
    ok(&world, Who::Alice, method, copy).await;
    for (source, more) in [
        ("a.pdf", json!({})),
        ("a.docx", json!({})),
        ("a.png", json!({})),
        ("https://x/a.md", json!({})),
        ("a.md", json!({"use_ai": true})),
        ("a.md", json!({"use_ocr": true})),
    ] {
        let mut params = json!({"source": source, "file_data": data("x")});
        params.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let failure = refused(&world, Who::Alice, method, params, NOT_SUPPORTED).await;
        assert!(failure.data["hint"].is_string(), "{failure:?}");
    }
    let binary = json!({"source": "a.md", "file_data": STANDARD.encode([0xff, 0xfe, 0x00])});
    refused(&world, Who::Alice, method, binary, NOT_SUPPORTED).await;
    refused(&world, Who::Alice, method, json!({"source": "a.md"}), INVALID_PARAMS).await;
    refused(&world, Who::Alice, method, json!({"source": "a.md", "file_data": "?"}), INVALID_PARAMS).await;
}
