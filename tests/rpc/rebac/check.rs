use serde_json::{Value, json};

use super::{create, project};
use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, INVALID_PATH, grant, ok, refused, write};

fn question(subject: (&str, &str), permission: &str, path: &str) -> Value {
    json!({"subject": [subject.0, subject.1], "permission": permission, "object": ["file", path]})
}

async fn says(world: &World, who: Who, subject: (&str, &str), permission: &str, path: &str) -> bool {
    let answer = ok(world, who, "rebac_check", question(subject, permission, path)).await;
    answer.as_bool().expect("yes or no")
}

#[tokio::test]
async fn relations_answer() {
    let world = project().await;
    create(&world, Who::Alice, ("user", "bob"), "direct_viewer", ("file", "/proj")).await;
    let bob = ("user", "bob");
    for path in ["/proj", "/proj/", "/proj/a.txt", "/proj//a.txt", "/proj/missing/deep"] {
        assert!(says(&world, Who::Alice, bob, "read", path).await, "{path}");
        assert!(!says(&world, Who::Alice, bob, "write", path).await, "{path}");
    }
    assert!(!says(&world, Who::Admin, bob, "read", "/project").await, "a prefix of a name is no directory");
    assert!(says(&world, Who::Alice, bob, "direct_viewer", "/proj").await, "a relation is asked as a permission");
    refused(&world, Who::Alice, "rebac_check", question(bob, "read", "/proj/../x"), INVALID_PATH).await;
    refused(&world, Who::Alice, "rebac_check", question(bob, "", "/proj"), INVALID_PARAMS).await;
}

#[tokio::test]
async fn admins_have_no_relation_by_being_admins() {
    let world = project().await;
    write(&world, Who::Alice, "/proj/b.txt", "x").await;
    assert!(!says(&world, Who::Admin, ("user", "admin"), "write", "/proj/b.txt").await);
    assert!(says(&world, Who::Admin, ("user", "admin"), "write", "/proj/a.txt").await, "its own file");
    assert!(says(&world, Who::Alice, ("user", "alice"), "execute", "/proj/b.txt").await);
}

#[tokio::test]
async fn asking_about_oneself_and_ones_agents_is_free() {
    let world = project().await;
    grant(&world, ("agent", "alice,Helper"), "direct_viewer", "/proj/a.txt").await;
    assert!(!says(&world, Who::Bob, ("user", "bob"), "read", "/proj/a.txt").await);
    assert!(!says(&world, Who::Stranger, ("user", "mallory"), "read", "/nowhere").await);
    assert!(says(&world, Who::Agent, ("agent", "alice,Helper"), "read", "/proj/a.txt").await);
    write(&world, Who::Admin, "/else.txt", "x").await;
    assert!(!says(&world, Who::Alice, ("agent", "alice,Helper"), "read", "/else.txt").await);
    assert!(!says(&world, Who::Heir, ("user", "alice"), "read", "/else.txt").await);
}

#[tokio::test]
async fn asking_about_others_needs_the_object() {
    let world = project().await;
    for (who, subject) in [
        (Who::Bob, ("user", "alice")),
        (Who::Stranger, ("user", "bob")),
        (Who::Agent, ("user", "alice")),
        (Who::Bob, ("agent", "alice,Helper")),
        (Who::OtherAdmin, ("user", "bob")),
        (Who::Stranger, ("*", "*")),
        (Who::Stranger, ("group", "eng")),
    ] {
        let there = refused(&world, who, "rebac_check", question(subject, "read", "/proj/a.txt"), DENIED).await;
        let missing = refused(&world, who, "rebac_check", question(subject, "read", "/proj/b.txt"), DENIED).await;
        assert_eq!(there.message.replace("a.txt", "b.txt"), missing.message, "{who:?}");
    }
    for who in [Who::Alice, Who::Heir, Who::Admin, Who::Instance] {
        assert!(!says(&world, who, ("user", "bob"), "read", "/proj/a.txt").await, "{who:?}");
    }
}

#[tokio::test]
async fn the_same_name_in_another_tenant_is_another_person() {
    let world = project().await;
    let alice = ("user", "alice");
    assert!(says(&world, Who::Alice, alice, "read", "/proj/a.txt").await);
    assert!(!says(&world, Who::OtherUser, alice, "read", "/proj/a.txt").await);
    // Naming the other tenant asks about the other person.
    let mut asked = question(alice, "read", "/proj/a.txt");
    asked["tenant_id"] = json!("default");
    refused(&world, Who::OtherUser, "rebac_check", asked.clone(), DENIED).await;
    assert_eq!(ok(&world, Who::Instance, "rebac_check", asked.clone()).await, json!(true));
    asked["tenant_id"] = json!("acme");
    assert_eq!(ok(&world, Who::Instance, "rebac_check", asked).await, json!(false));
}
