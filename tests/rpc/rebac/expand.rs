use serde_json::{Value, json};

use super::{create, project};
use crate::harness::world::{ELSEWHERE, Who};
use crate::rpc::{DENIED, grant, grant_across, ok, refused};

fn on(path: &str) -> Value {
    json!({"permission": "read", "object": ["file", path]})
}

/// All nodes of a tree.
fn nodes(tree: &Value) -> Vec<&Value> {
    let below = tree["children"].as_array().into_iter().flatten().flat_map(nodes);
    std::iter::once(tree).chain(below).collect()
}

#[tokio::test]
async fn a_permission_expands_to_everybody_who_has_it() {
    let world = project().await;
    grant(&world, ("group", "eng"), "direct_viewer", "/proj").await;
    grant(&world, ("user", "bob"), "direct_viewer", "/proj/b.txt").await;
    create(&world, Who::Admin, ("user", "grace"), "member", ("group", "eng")).await;
    create(&world, Who::Admin, ("agent", "alice,Helper"), "member", ("group", "eng")).await;
    let flat = ok(&world, Who::Alice, "rebac_expand", on("/proj/a.txt")).await;
    let wanted =
        json!([["agent", "alice,Helper"], ["group", "eng"], ["user", "admin"], ["user", "alice"], ["user", "grace"]]);
    assert_eq!(flat, wanted, "and not bob, who has another file");
    for pair in flat.as_array().expect("a list") {
        let check = json!({"subject": pair, "permission": "read", "object": ["file", "/proj/a.txt"]});
        assert_eq!(ok(&world, Who::Admin, "rebac_check", check).await, json!(true), "{pair}");
    }
    grant(&world, ("*", "*"), "direct_viewer", "/proj/a.txt").await;
    let flat = ok(&world, Who::Alice, "rebac_expand", on("/proj/a.txt")).await;
    assert_eq!(flat[0], json!(["*", "*"]));
    for who in [Who::Bob, Who::Stranger, Who::Grace, Who::OtherUser] {
        refused(&world, who, "rebac_expand", on("/proj/a.txt"), DENIED).await;
    }
}

/// `[type, id]` has no place for a tenant: acme's alice is not to be taken for the one here.
#[tokio::test]
async fn a_namesake_of_another_tenant_is_in_the_tree_alone() {
    let world = project().await;
    grant_across(&world, Some(ELSEWHERE), ("user", "bob"), "shared-viewer", "/proj/a.txt").await;
    let flat = ok(&world, Who::Alice, "rebac_expand", on("/proj/a.txt")).await;
    assert_eq!(flat, json!([["user", "admin"], ["user", "alice"]]));
    let mut params = on("/proj/a.txt");
    params["tree"] = json!(true);
    let whole = ok(&world, Who::Alice, "rebac_expand", params).await;
    let shared = json!({"subject": ["user", "bob"], "tenant_id": ELSEWHERE});
    assert!(whole["subjects"].as_array().expect("subjects").contains(&shared), "{whole}");
}

#[tokio::test]
async fn the_tree_tells_rules_tuples_owners_and_ends() {
    let world = project().await;
    let until = json!({
        "subject": ["user", "bob"], "relation": "direct_viewer", "object": ["file", "/proj"],
        "expires_at": "2030-01-01T00:00:00Z",
    });
    ok(&world, Who::Admin, "rebac_create", until).await;
    let mut params = on("/proj/a.txt");
    params["tree"] = json!(true);
    let answer = ok(&world, Who::Alice, "rebac_expand", params).await;
    assert_eq!((&answer["complete"], &answer["revision"]), (&json!(true), &json!(world.head().await)));
    let tree = &answer["tree"];
    assert_eq!((&tree["name"], &tree["operation"]), (&json!("permissions.read"), &json!("union")));
    let at = |object: &str, name: &str| {
        let found = nodes(tree).into_iter().find(|n| n["object"][1] == object && n["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} on {object}: {tree}")).clone()
    };
    let owner = json!([{"subject": ["user", "admin"], "tenant_id": "default", "owner": true}]);
    assert_eq!(at("/proj/a.txt", "direct_owner")["subjects"], owner);
    let viewers = at("/proj", "direct_viewer")["subjects"].clone();
    assert_eq!(viewers[0]["subject"], json!(["user", "bob"]));
    assert!(viewers[0]["expires_at"].is_object(), "{viewers}");
    assert_eq!(at("/proj/a.txt", "relations.parent_viewer")["operation"], json!("inherited"));
    let levels = at("/proj/a.txt", "relations.parent_viewer")["children"].as_array().expect("levels").len();
    assert_eq!(levels, 2, "/proj and /, side by side");
}
