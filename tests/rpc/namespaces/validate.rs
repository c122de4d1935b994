use serde_json::{Value, json};

use super::{OTHERS, doc, grant, put};
use crate::harness::world::{Who, World};
use crate::rpc::ok;

fn of(report: &Value, list: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = report[list].as_array().expect("a list");
    findings.iter().map(|found| (text(&found["kind"]), text(&found["place"]))).collect()
}

fn pair(kind: &str, place: &str) -> (String, String) {
    (kind.to_owned(), place.to_owned())
}

#[tokio::test]
async fn it_finds_and_writes_nothing() {
    let world = World::new().await;
    let before = world.head().await;
    let odd = json!({
        "relations": {"viewer": {}, "lonely": {}},
        "permissions": {"read": ["viewr"], "see": ["viewer"], "never": []},
    });
    for who in OTHERS {
        let asked = |config: &Value| json!({"object_type": "doc", "config": config});
        let fine = ok(&world, who, "namespace_validate", asked(&doc())).await;
        assert_eq!(fine, json!({"valid": true, "errors": [], "warnings": []}));
        let report = ok(&world, who, "namespace_validate", asked(&odd)).await;
        assert_eq!(report["valid"], json!(true));
        assert_eq!(
            of(&report, "warnings"),
            [
                pair("nobody_can_have", "permissions.never"),
                pair("undefined_name", "permissions.read[0]"),
                pair("unused_relation", "relations.lonely"),
            ]
        );
        assert!(report["warnings"][1]["message"].as_str().is_some_and(|text| text.contains("did you mean 'viewer'?")));
        let wrong = json!({"relations": {"a": {"exclusion": "a"}}, "permissions": {}});
        let report = ok(&world, who, "namespace_validate", asked(&wrong)).await;
        assert_eq!(
            (&report["valid"], of(&report, "errors")),
            (&json!(false), vec![pair("negative_cycle", "doc relations.a")])
        );
    }
    assert_eq!(world.head().await, before);
}

#[tokio::test]
async fn what_tuples_say_is_for_the_instance_admin_alone() {
    let world = World::new().await;
    put(&world, "doc", doc()).await;
    grant(&world, "user:bob banned doc:1").await;
    grant(&world, "user:bob helper doc:1").await;
    let config = json!({"relations": {"owner": {}, "helper": {}}, "permissions": {"read": ["owner"]}});
    let asked = json!({"object_type": "doc", "config": config});
    let report = ok(&world, Who::Instance, "namespace_validate", asked.clone()).await;
    assert_eq!(of(&report, "errors"), [pair("in_use", "")]);
    assert!(report["errors"][0]["message"].as_str().is_some_and(|text| text.contains("user:bob banned doc:1")));
    // The relation is granted, so it is not without use.
    assert_eq!(of(&report, "warnings"), []);
    for who in OTHERS {
        let report = ok(&world, who, "namespace_validate", asked.clone()).await;
        assert_eq!((&report["valid"], of(&report, "errors")), (&json!(true), vec![]), "{who:?}");
        assert_eq!(of(&report, "warnings"), [pair("unused_relation", "relations.helper")]);
        assert!(!report.to_string().contains("bob"), "{who:?}");
    }
}

/// Mallory rules a folder, so she may write tuples on it: also one that says that a document of others lies in it. It
/// means nothing, until somebody puts rules by which it opens the document.
#[tokio::test]
async fn tuples_that_wait_for_rules_to_open_their_subject_are_told() {
    let world = World::new().await;
    put(&world, "doc", doc()).await;
    let folder = json!({"relations": {"owner": {}, "reader": {}}, "permissions": {"manage": ["owner"]}});
    put(&world, "folder", folder).await;
    grant(&world, "user:mallory owner folder:evil").await;
    let planted = super::tuple_of("doc:payroll folder folder:evil", "relation");
    ok(&world, Who::Stranger, "rebac_create", planted).await;

    let mut rules = doc();
    rules["relations"]["folder"] = json!({});
    rules["relations"]["up"] = json!({"tupleToUserset": {"tupleset": "folder", "computedUserset": "reader"}});
    rules["permissions"]["read"] = json!(["owner", "guest", "up"]);
    let asked = json!({"object_type": "doc", "config": rules});
    let report = ok(&world, Who::Instance, "namespace_validate", asked.clone()).await;
    assert_eq!(of(&report, "warnings"), [pair("opens_subjects", "relations.folder")]);
    let text = report["warnings"][0]["message"].as_str().expect("a text");
    assert!(text.contains("'doc:payroll folder folder:evil' of tenant 'default'"), "{text}");
    for who in OTHERS {
        let report = ok(&world, who, "namespace_validate", asked.clone()).await;
        assert_eq!(of(&report, "warnings"), [], "{who:?}");
    }
    // From then on such a tuple needs the right to the document, too.
    put(&world, "doc", rules.clone()).await;
    let another = super::tuple_of("doc:other folder folder:evil", "relation");
    crate::rpc::refused(&world, Who::Stranger, "rebac_create", another, crate::rpc::DENIED).await;
    assert_eq!(of(&ok(&world, Who::Instance, "namespace_validate", asked).await, "warnings"), []);
}
