use std::time::Duration;

use serde_json::json;

use super::{directories, id, sandbox};
use crate::harness::world::{Who, World};
use crate::rpc::{NOT_FOUND, PRECONDITION, ok, refused};

#[tokio::test]
async fn a_stopped_sandbox_is_gone_and_remembered() {
    let world = World::new().await;
    let made = sandbox(&world, Who::Alice, "work").await;
    let named = json!({"sandbox_id": id(&made)});
    std::fs::write(world.path().join("sandboxes").join(id(&made)).join("file"), "x").expect("written");
    for who in [Who::Bob, Who::Stranger, Who::Agent, Who::OtherAdmin] {
        for method in ["sandbox_stop", "sandbox_pause", "sandbox_resume"] {
            refused(&world, who, method, named.clone(), NOT_FOUND).await;
        }
    }
    assert_eq!(directories(&world).len(), 1);
    world.pass(Duration::from_secs(2)).await;
    let stopped = ok(&world, Who::Alice, "sandbox_stop", named.clone()).await;
    assert_eq!((&stopped["status"], &stopped["expires_at"]), (&json!("stopped"), &json!(null)));
    assert_eq!(stopped["stopped_at"], "2026-01-02T03:04:07.000000");
    assert_eq!(directories(&world), Vec::<String>::new());
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(ok(&world, Who::Admin, "sandbox_stop", named.clone()).await["stopped_at"], stopped["stopped_at"]);
    refused(&world, Who::Alice, "sandbox_resume", named, PRECONDITION).await;
    assert_ne!(id(&sandbox(&world, Who::Alice, "work").await), id(&made));
}

#[tokio::test]
async fn a_paused_sandbox_does_not_end() {
    let world = World::new().await;
    let made = sandbox(&world, Who::Alice, "work").await;
    let named = json!({"sandbox_id": id(&made)});
    let paused = ok(&world, Who::Alice, "sandbox_pause", named.clone()).await;
    assert_eq!((&paused["status"], &paused["expires_at"]), (&json!("paused"), &json!(null)));
    world.pass(Duration::from_secs(3_600)).await;
    let resumed = ok(&world, Who::Alice, "sandbox_resume", named).await;
    assert_eq!((&resumed["status"], &resumed["paused_at"]), (&json!("active"), &json!(null)));
    assert_eq!(resumed["expires_at"], "2026-01-02T04:14:05.000000");
}
