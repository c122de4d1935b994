use std::time::Duration;

use nexus_lite::service::sandboxes::ops::sweep;
use serde_json::json;

use super::{directories, id, sandbox};
use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, ok, refused};

/// Why nothing runs in the process of a test.
const NO_PROGRAM: &str = "this program embeds the server and has named no program that confines";

#[tokio::test]
async fn a_missing_provider_is_stood_in_for_and_says_so() {
    let world = World::new().await;
    let params = json!({"name": "admin,ImpersonatedUser", "ttl_minutes": 60, "provider": "docker",
                        "verify_status": true});
    let mut made = ok(&world, Who::Admin, "sandbox_get_or_create", params.clone()).await;
    let first = id(&made).to_owned();
    assert_eq!(directories(&world), std::slice::from_ref(&first));
    let wanted = json!({
        "sandbox_id": first, "name": "admin,ImpersonatedUser", "user_id": "admin", "agent_id": null,
        "tenant_id": "default", "provider": "local", "template_id": null, "status": "active",
        "created_at": "2026-01-02T03:04:05.000000", "last_active_at": "2026-01-02T03:04:05.000000",
        "paused_at": null, "stopped_at": null, "ttl_minutes": 60, "expires_at": "2026-01-02T04:04:05.000000",
        "uptime_seconds": 0.0, "capabilities": {"run": false, "mount": true, "pause": true, "server": false, "run_refused": NO_PROGRAM},
    });
    assert_eq!(made, wanted);

    world.pass(Duration::from_millis(1_500)).await;
    made = ok(&world, Who::Admin, "sandbox_get_or_create", params).await;
    assert_eq!((id(&made), &made["verified"], &made["provider_status"]), (&*first, &json!(true), &json!("active")));
    assert_eq!(made["uptime_seconds"], json!(1.5));
    let unverified = json!({"name": "admin,ImpersonatedUser", "verify_status": false});
    assert_eq!(ok(&world, Who::Admin, "sandbox_get_or_create", unverified).await.get("verified"), None);
}

#[tokio::test]
async fn many_at_once_get_the_same_one() {
    let world = World::new().await;
    let asked = (0..16).map(|_| sandbox(&world, Who::Alice, "work"));
    let mut ids: Vec<String> =
        futures_util::future::join_all(asked).await.iter().map(|made| id(made).to_owned()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(directories(&world), ids, "what was made in vain is gone");
    let bobs = sandbox(&world, Who::Bob, "work").await;
    let others = sandbox(&world, Who::OtherUser, "work").await;
    assert!(id(&bobs) != ids[0] && id(&others) != ids[0] && id(&bobs) != id(&others));
}

#[tokio::test]
async fn one_that_has_ended_or_is_lost_is_replaced() {
    let world = World::new().await;
    let first = sandbox(&world, Who::Alice, "work").await;
    world.pass(Duration::from_secs(600)).await;
    let second = sandbox(&world, Who::Alice, "work").await;
    assert_ne!(id(&first), id(&second));
    assert_eq!(directories(&world), [id(&second)]);
    let ended = ok(&world, Who::Alice, "sandbox_status", json!({"sandbox_id": id(&first)})).await;
    assert_eq!(ended["status"], "stopped");

    std::fs::remove_dir(world.path().join("sandboxes").join(id(&second))).expect("removed");
    let third = sandbox(&world, Who::Alice, "work").await;
    assert_ne!(id(&second), id(&third));
    assert_eq!(directories(&world), [id(&third)]);
}

#[tokio::test]
async fn an_agent_that_inherits_nothing_takes_over_nothing() {
    let world = World::new().await;
    let alices = sandbox(&world, Who::Alice, "work").await;
    assert_eq!(id(&sandbox(&world, Who::Heir, "work").await), id(&alices));
    refused(&world, Who::Agent, "sandbox_get_or_create", json!({"name": "work"}), DENIED).await;
    let own = sandbox(&world, Who::Agent, "scratch").await;
    assert_eq!(own["agent_id"], "alice,Helper");
    assert_eq!(id(&sandbox(&world, Who::Agent, "scratch").await), id(&own));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let world = World::new().await;
    for params in [
        json!({"name": ""}),
        json!({"name": "a/b"}),
        json!({"name": "x", "ttl_minutes": 0}),
        json!({"name": "x", "ttl_minutes": 1_000_000}),
    ] {
        refused(&world, Who::Alice, "sandbox_get_or_create", params, INVALID_PARAMS).await;
    }
    assert_eq!(directories(&world), Vec::<String>::new());
    ok(&world, Who::Alice, "sandbox_create", json!({"name": "work"})).await;
    let failure = refused(&world, Who::Alice, "sandbox_create", json!({"name": "work"}), INVALID_PARAMS).await;
    assert!(failure.message.contains("Active sandbox with name 'work' already exists for user alice"));
    assert_eq!(directories(&world).len(), 1);
}

#[tokio::test]
async fn a_start_removes_what_has_no_record() {
    let world = World::new().await;
    let kept = sandbox(&world, Who::Alice, "work").await;
    std::fs::create_dir(world.path().join("sandboxes/sb-stray")).expect("a stray directory");
    assert_eq!(sweep(&world.store, &world.services.sandboxes).await.expect("swept"), 1);
    assert_eq!(directories(&world), [id(&kept)]);
}
