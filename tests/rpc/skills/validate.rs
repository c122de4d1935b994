//! `skills_validate`.

use serde_json::json;

use super::super::*;
use super::{TENANT, put, skill};

#[tokio::test]
async fn says_what_the_reference_says() {
    let world = World::new().await;
    put(&world, Who::Admin, TENANT, "fine", "").await;
    put(&world, Who::Admin, TENANT, "more", "version: 1\n").await;
    grant(&world, ("user", "alice"), "direct_viewer", TENANT).await;
    let validate = async |params: Value| ok(&world, Who::Alice, "skills_validate", params).await;
    assert_eq!(validate(json!({"skill_name": "fine"})).await, json!({"valid": true, "errors": []}));
    let found = validate(json!({"skill_name": "more"})).await;
    assert_eq!((&found["valid"], &found["errors"][0]["line"]), (&json!(false), &json!(4)));
    let text = skill("a_b", "");
    let found = validate(json!({"content": text, "directory": "c"})).await;
    assert_eq!(found["errors"].as_array().expect("errors").len(), 2, "{found}");
    assert_eq!(validate(json!({"content": skill("ab", "")})).await["valid"], true);
    for params in [json!({}), json!({"skill_name": "fine", "content": "x"})] {
        refused(&world, Who::Alice, "skills_validate", params, INVALID_PARAMS).await;
    }
    refused(&world, Who::Bob, "skills_validate", json!({"skill_name": "fine"}), VALIDATION).await;
}
