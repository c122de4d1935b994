//! `skills_info`.

use serde_json::json;

use super::super::*;
use super::{PERSONAL, SYSTEM, TENANT, put};

#[tokio::test]
async fn means_the_nearest_and_resolves_what_it_needs() {
    let world = World::new().await;
    put(&world, Who::Admin, TENANT, "base", "").await;
    put(&world, Who::Admin, TENANT, "mid", "requires: base\n").await;
    put(&world, Who::Admin, PERSONAL, "top", "requires:\n  - mid\n  - base\n  - unknown\n").await;
    put(&world, Who::Instance, SYSTEM, "top", "").await;
    put(&world, Who::Admin, TENANT, "ring-a", "requires: [ring-b]\n").await;
    put(&world, Who::Admin, TENANT, "ring-b", "requires: [ring-a]\n").await;
    grant(&world, ("user", "alice"), "direct_owner", "/tenant:default").await;
    grant(&world, ("user", "alice"), "direct_viewer", SYSTEM).await;
    grant(&world, ("user", "bob"), "direct_viewer", SYSTEM).await;
    let info = async |who: Who, name: &str| ok(&world, who, "skills_info", json!({"skill_name": name})).await;
    let top = info(Who::Alice, "top").await;
    assert_eq!((&top["tier"], &top["requires"]), (&json!("personal"), &json!(["mid", "base", "unknown"])));
    assert_eq!(top["resolved_dependencies"], json!(["base", "mid", "top"]));
    assert_eq!(top["missing_dependencies"], json!(["unknown"]));
    let bobs = info(Who::Bob, "top").await;
    assert_eq!(bobs["tier"], "system", "he cannot read hers");
    assert!(bobs.get("resolved_dependencies").is_none() && bobs.get("missing_dependencies").is_none());
    assert_eq!(info(Who::Alice, "ring-a").await["resolved_dependencies"], json!(["ring-b", "ring-a"]));
    for (who, name) in [(Who::Alice, "nope"), (Who::Bob, "mid"), (Who::Stranger, "top"), (Who::OtherAdmin, "top")] {
        let failure = refused(&world, who, "skills_info", json!({"skill_name": name}), VALIDATION).await;
        assert_eq!(failure.message, format!("Skill not found: {name}"), "{who:?}");
    }
}
