use serde_json::{Value, json};

use super::{create, project, tuple};
use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, INVALID_PATH, grant_across, ok, refused, write};

fn question(subject: (&str, &str), permission: &str, path: &str) -> Value {
    json!({"subject": [subject.0, subject.1], "permission": permission, "object": ["file", path]})
}

async fn explain(world: &World, who: Who, subject: (&str, &str), permission: &str, path: &str) -> Value {
    ok(world, who, "rebac_explain", question(subject, permission, path)).await
}

/// Each change as `kind subject relation object`, a name that is hidden as its type.
fn changes(answer: &Value) -> Vec<String> {
    let end = |kind: &Value, id: &Value| match id.as_str() {
        Some(id) => format!("{}:{id}", kind.as_str().expect("a type")),
        None => kind.as_str().expect("a type").to_owned(),
    };
    let element = |e: &Value| {
        let t = &e["tuple"];
        let (s, o) = (end(&t["subject_type"], &t["subject_id"]), end(&t["object_type"], &t["object_id"]));
        format!("{} {s} {} {o}", e["kind"].as_str().expect("a kind"), t["relation"].as_str().expect("a relation"))
    };
    let list = |v: &Value| v.as_array().expect("a list").clone();
    let change = |c: &Value| list(&c["elements"]).iter().map(element).collect::<Vec<_>>().join(" + ");
    list(&answer["changes"]).iter().map(change).collect()
}

#[tokio::test]
async fn a_yes_has_a_proof_and_the_shape_that_clients_know() {
    let world = project().await;
    create(&world, Who::Alice, ("group", "eng"), "direct_viewer", ("file", "/proj")).await;
    create(&world, Who::Admin, ("user", "bob"), "member", ("group", "eng")).await;
    let answer = explain(&world, Who::Alice, ("user", "bob"), "read", "/proj/a.txt").await;
    assert_eq!((&answer["result"], &answer["verdict"]), (&json!(true), &json!("allow")));
    assert_eq!(
        answer["reason"],
        "user:bob has 'read' on file:/proj/a.txt (expanded to relations: editor, viewer, owner)"
    );
    assert_eq!(answer["cached"], false);
    let path = &answer["successful_path"];
    assert_eq!(answer["paths"], json!([path]));
    assert_eq!((&path["via_userset"], &path["granted"], &path["depth"]), (&json!("viewer"), &json!(true), &json!(0)));
    assert_eq!(path["sub_paths"][0]["via_union_member"], "parent_viewer");
    let up = &path["sub_paths"][0]["sub_paths"][0];
    assert_eq!(up["tupleToUserset"]["found_parents"], json!([["file", "/proj"]]));
    let rules: Vec<_> = answer["proof"].as_array().expect("a proof").iter().map(|f| f["rule"].clone()).collect();
    assert_eq!(rules, ["union", "union", "tuple_to_userset", "union", "tuple_to_userset", "tuple"]);
    let proof = &answer["proof"];
    assert_eq!(proof[4]["tuple"]["subject_id"], "eng");
    assert_eq!(proof[5]["tuple"]["subject_id"], "bob");
    assert!(proof[5]["tuple"]["tuple_id"].is_string());
    let metadata = &answer["metadata"];
    assert!(metadata["timestamp"].as_str().is_some_and(|t| t.starts_with("2026-01-02T03:04:05")));
    assert!(metadata["max_depth"].is_null() && metadata["cache_ttl_seconds"].is_null());
    assert!(answer["stats"]["edges_visited"].as_u64().is_some_and(|edges| edges > 0));
    assert_eq!((&answer["repair"], &answer["changes"]), (&Value::Null, &json!([])));
    // The creator of a file owns it by a column.
    let owner = explain(&world, Who::Admin, ("user", "admin"), "read", "/proj/a.txt").await;
    assert_eq!(owner["proof"].as_array().and_then(|proof| proof.last()).expect("a fact")["rule"], "owner");
}

#[tokio::test]
async fn a_no_says_what_would_help_and_it_does() {
    let world = project().await;
    create(&world, Who::Alice, ("group", "eng"), "direct_viewer", ("file", "/proj")).await;
    let mut ending = tuple(("user", "bob"), "direct_editor", ("file", "/proj/a.txt"));
    ending["expires_at"] = json!("2026-01-02T04:00:00+00:00");
    ok(&world, Who::Alice, "rebac_create", ending).await;
    world.pass(std::time::Duration::from_secs(3_600)).await;
    let ask = async || explain(&world, Who::Alice, ("user", "bob"), "read", "/proj/a.txt").await;
    let answer = ask().await;
    assert_eq!(
        (&answer["result"], &answer["verdict"], &answer["repair"]),
        (&json!(false), &json!("deny"), &json!("found"))
    );
    assert_eq!((&answer["complete"], &answer["hidden"]), (&json!(true), &json!(false)));
    assert_eq!(answer["misses"][0]["why"], "expired");
    assert_eq!(answer["misses"][0]["expired_at"], "2026-01-02T04:00:00.000000+00:00");
    let wanted = [
        "renew user:bob direct_editor file:/proj/a.txt",
        "join user:bob member group:eng",
        "grant_on_object user:bob direct_viewer file:/proj/a.txt",
        "grant_above user:bob direct_viewer file:/proj",
        "grant_above user:bob direct_viewer file:/",
    ];
    assert_eq!(changes(&answer), wanted);
    assert!(answer["successful_path"].is_null() && answer["proof"].is_null());
    assert_eq!(answer["paths"][0]["expanded_to"], json!(["editor", "viewer", "owner"]));
    create(&world, Who::Alice, ("user", "bob"), "direct_viewer", ("file", "/proj")).await;
    assert_eq!(ask().await["result"], true);
    refused(&world, Who::Alice, "rebac_explain", question(("user", "bob"), "read", "/proj/../x"), INVALID_PATH).await;
    refused(&world, Who::Alice, "rebac_explain", question(("user", "bob"), "", "/proj"), INVALID_PARAMS).await;
}

#[tokio::test]
async fn who_asks_about_itself_sees_no_names_of_others() {
    let world = project().await;
    create(&world, Who::Alice, ("group", "secret-team"), "direct_viewer", ("file", "/proj")).await;
    create(&world, Who::Alice, ("user", "edith"), "direct_editor", ("file", "/proj/a.txt")).await;
    create(&world, Who::Admin, ("user", "grace"), "member", ("group", "secret-team")).await;
    let bob = explain(&world, Who::Bob, ("user", "bob"), "read", "/proj/a.txt").await;
    let text = bob.to_string();
    for forbidden in ["secret-team", "edith", "grace", "alice"] {
        assert!(!text.contains(forbidden), "{forbidden} in {text}");
    }
    let wanted = [
        "join user:bob member group",
        "grant_on_object user:bob direct_viewer file:/proj/a.txt",
        "grant_above user:bob direct_viewer file:/proj",
        "grant_above user:bob direct_viewer file:/",
    ];
    assert_eq!(changes(&bob), wanted);
    assert_eq!((&bob["hidden"], &bob["stats"]["edges_visited"]), (&json!(true), &Value::Null));
    // Her own group and her own tuple she sees, and the others still not.
    let grace = explain(&world, Who::Grace, ("user", "grace"), "read", "/proj/a.txt").await;
    assert_eq!(grace["proof"][5]["tuple"]["object_id"], "secret-team");
    assert!(!grace.to_string().contains("edith") && !grace.to_string().contains("alice"));
    // Whoever manages the file sees all.
    let alice = explain(&world, Who::Alice, ("user", "bob"), "read", "/proj/a.txt").await;
    assert_eq!(changes(&alice)[0], "join user:bob member group:secret-team");
    assert_eq!(alice["hidden"], false);
}

#[tokio::test]
async fn names_of_another_tenant_stay_there() {
    let world = project().await;
    let mut share = tuple(("group", "partners"), "shared-viewer", ("file", "/proj"));
    share["subject"] = json!(["group", "partners", "member"]);
    share["tenant_id"] = json!("acme");
    ok(&world, Who::Instance, "rebac_create", share).await;
    let mut asked = question(("user", "alice"), "read", "/proj/a.txt");
    asked["tenant_id"] = json!("acme");
    let there = ok(&world, Who::Admin, "rebac_explain", asked.clone()).await;
    assert!(!there.to_string().contains("partners"), "{there}");
    assert_eq!(there["hidden"], true);
    let root = ok(&world, Who::Instance, "rebac_explain", asked).await;
    assert!(root.to_string().contains("partners"));
}

#[tokio::test]
async fn what_exists_and_what_does_not_are_explained_alike() {
    let world = project().await;
    // A file of the home tenant, one of acme in the same directory, and one that is not there.
    grant_across(&world, Some("acme"), ("user", "alice"), "shared-editor", "/proj").await;
    write(&world, Who::OtherUser, "/proj/c.txt", "x").await;
    for who in [Who::Stranger, Who::OtherAdmin] {
        let (tenant, user) = who.user();
        let plain = async |name: &str| {
            let path = format!("/proj/{name}");
            let mut answer = explain(&world, who, ("user", user), "read", &path).await;
            assert_eq!(answer["verdict"], "deny");
            answer["metadata"] = Value::Null;
            answer.to_string().replace(name, "?")
        };
        let missing = plain("b.txt").await;
        assert_eq!(plain("a.txt").await, missing, "{tenant}");
        // The admin of acme rules the file of acme, and may know.
        if who == Who::Stranger {
            assert_eq!(plain("c.txt").await, missing, "{tenant}");
        }
    }
}

#[tokio::test]
async fn others_are_asked_about_by_who_manages_the_object() {
    let world = project().await;
    for (who, subject) in [
        (Who::Bob, ("user", "alice")),
        (Who::Agent, ("user", "alice")),
        (Who::OtherAdmin, ("user", "bob")),
        (Who::Stranger, ("*", "*")),
    ] {
        let there = refused(&world, who, "rebac_explain", question(subject, "read", "/proj/a.txt"), DENIED).await;
        let missing = refused(&world, who, "rebac_explain", question(subject, "read", "/proj/b.txt"), DENIED).await;
        assert_eq!(there.message.replace("a.txt", "b.txt"), missing.message, "{who:?}");
    }
    for who in [Who::Alice, Who::Heir, Who::Admin, Who::Instance] {
        explain(&world, who, ("user", "bob"), "read", "/proj/a.txt").await;
    }
}

#[tokio::test]
async fn around_relations_there_are_admins_and_agents() {
    let world = project().await;
    write(&world, Who::Alice, "/proj/b.txt", "x").await;
    let admin = explain(&world, Who::Admin, ("user", "admin"), "write", "/proj/b.txt").await;
    assert_eq!((&admin["result"], &admin["around"]["allowed"]), (&json!(false), &json!(true)));
    assert_eq!(admin["around"]["differs"], true);
    assert_eq!(admin["around"]["because"], json!(["an admin of the tenant may read and write without a relation"]));
    let manage = explain(&world, Who::Admin, ("user", "admin"), "execute", "/proj/b.txt").await;
    assert_eq!((&manage["around"]["allowed"], &manage["around"]["because"]), (&json!(false), &json!([])));
    let heir = explain(&world, Who::Heir, ("agent", "alice,Heir"), "read", "/proj/b.txt").await;
    assert_eq!((&heir["result"], &heir["around"]["differs"]), (&json!(false), &json!(true)));
    assert_eq!(heir["around"]["because"], json!(["it inherits from user alice"]));
    let helper = explain(&world, Who::Alice, ("agent", "alice,Helper"), "read", "/proj/b.txt").await;
    assert_eq!((&helper["around"]["allowed"], &helper["around"]["differs"]), (&json!(false), &json!(false)));
    assert_eq!(helper["around"]["because"], json!(["it inherits nothing from user alice"]));
    // About somebody else only an admin hears it, and only where file methods ask.
    let others = explain(&world, Who::Alice, ("user", "bob"), "read", "/proj/b.txt").await;
    assert!(others["around"].is_null());
    let others = explain(&world, Who::Admin, ("user", "bob"), "read", "/proj/b.txt").await;
    assert_eq!(others["around"], json!({"allowed": false, "differs": false, "because": []}));
    let relation = explain(&world, Who::Admin, ("user", "admin"), "viewer", "/proj/b.txt").await;
    assert!(relation["around"].is_null());
}

#[tokio::test]
async fn a_name_that_no_rule_has_is_remarked_on() {
    let world = project().await;
    let answer = explain(&world, Who::Alice, ("user", "bob"), "fly", "/proj/a.txt").await;
    assert!(answer["remark"].as_str().is_some_and(|remark| remark.contains("do not name 'fly'")), "{answer}");
    assert_eq!(changes(&answer), ["grant_on_object user:bob fly file:/proj/a.txt"]);
    let rules = json!({"relations": {"owner": {}}, "permissions": {"never": []}});
    ok(&world, Who::Instance, "namespace_create", json!({"object_type": "vault", "config": rules})).await;
    let asked = json!({"subject": ["user", "bob"], "permission": "never", "object": ["vault", "v"]});
    let answer = ok(&world, Who::Admin, "rebac_explain", asked).await;
    assert_eq!((&answer["repair"], &answer["complete"]), (&json!("none"), &json!(true)));
    assert!(answer["repair_reason"].as_str().is_some_and(|why| why.contains("cannot be satisfied")), "{answer}");
}
