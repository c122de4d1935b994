use serde_json::{Value, json};

use super::{create, project};
use crate::harness::world::{ELSEWHERE, Who};
use crate::rpc::{INVALID_PARAMS, grant, ok, refused, write};

fn of(user: &str, objects: &[Value]) -> Value {
    json!({"subject": ["user", user], "permission": "read", "objects": objects})
}

fn file(path: &str) -> Value {
    json!(["file", path])
}

#[tokio::test]
async fn answers_by_position_are_those_of_checks() {
    let world = project().await;
    write(&world, Who::Admin, "/bobs.txt", "x").await;
    grant(&world, ("user", "bob"), "direct_owner", "/bobs.txt").await;
    write(&world, Who::OtherAdmin, &format!("/tenant:{ELSEWHERE}/x.txt"), "x").await;
    grant(&world, ("user", "bob"), "direct_viewer", "/proj/sub").await;
    grant(&world, ("user", "bob"), "direct_viewer", &format!("/tenant:{ELSEWHERE}/x.txt")).await;
    create(&world, Who::Admin, ("user", "bob"), "viewer", ("memory", "m")).await;
    let objects = [
        file("/proj/sub/new.txt"),
        file("/proj/a.txt"),
        json!(["memory", "m"]),
        file("/proj/sub"),
        file("/proj/a.txt"),
        file("/"),
        file("/proj/sub/deep/er"),
        json!(["memory", "other"]),
        file("/bobs.txt"),
        file("/proj/sub.txt"),
        file("opaque"),
        file(&format!("/tenant:{ELSEWHERE}/x.txt")),
        file("/proj/sub/new.txt"),
    ];
    for who in [Who::Admin, Who::Bob, Who::Alice, Who::Stranger, Who::OtherAdmin, Who::Instance] {
        let answers = ok(&world, who, "rebac_filter", of("bob", &objects)).await;
        let checks: Vec<Value> = objects.iter().map(|object| json!([["user", "bob"], "read", object])).collect();
        assert_eq!(answers, ok(&world, who, "rebac_check_batch", json!({"checks": checks})).await, "{who:?}");
    }
    let answers = ok(&world, Who::Bob, "rebac_filter", of("bob", &objects)).await;
    assert_eq!(
        answers.as_array().expect("a list")[..5],
        json!([true, false, true, true, false]).as_array().expect("5")[..]
    );
    let answers = ok(&world, Who::Alice, "rebac_filter", of("bob", &objects)).await;
    assert_eq!(answers[0], json!(true), "alice manages /proj");
    assert_eq!((&answers[2], &answers[5]), (&Value::Null, &Value::Null));
    assert_eq!(ok(&world, Who::Stranger, "rebac_filter", of("bob", &[])).await, json!([]));
    let everybody = json!({"subject": ["*", "*"], "permission": "read", "objects": [file("/proj/a.txt")]});
    assert_eq!(ok(&world, Who::Alice, "rebac_filter", everybody).await, json!([false]));
}

/// Each file has its own owner column, whatever was looked up before it.
#[tokio::test]
async fn owners_are_those_of_each_file() {
    let world = project().await;
    write(&world, Who::Admin, "/proj/b/deep.txt", "x").await;
    write(&world, Who::Alice, "/proj/c.txt", "x").await;
    let paths = ["/proj/c.txt", "/proj/b/deep.txt", "/proj/a.txt", "/proj/b", "/proj/b/deep.txt/x", "/"];
    let objects: Vec<Value> = paths.into_iter().map(file).collect();
    let answers = ok(&world, Who::Admin, "rebac_filter", of("admin", &objects)).await;
    assert_eq!(answers, json!([false, true, true, false, false, false]));
}

#[tokio::test]
async fn ten_thousand_and_no_more() {
    let world = project().await;
    grant(&world, ("user", "bob"), "direct_viewer", "/proj/many").await;
    let paths = (0..10_000).map(|i| file(&format!("/{}/many/{i}", if i % 2 == 0 { "proj" } else { "else" })));
    let objects: Vec<Value> = paths.collect();
    let answers = ok(&world, Who::Bob, "rebac_filter", of("bob", &objects)).await;
    let answers = answers.as_array().expect("a list");
    assert_eq!(answers.len(), 10_000);
    assert!(answers.iter().enumerate().all(|(i, answer)| *answer == json!(i % 2 == 0)));
    let too_many = vec![file("/a"); 10_001];
    refused(&world, Who::Bob, "rebac_filter", of("bob", &too_many), INVALID_PARAMS).await;
    refused(&world, Who::Bob, "rebac_filter", of("bob", &[json!(["file"])]), INVALID_PARAMS).await;
}
