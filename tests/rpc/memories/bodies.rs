//! What becomes of bodies: large ones, a restart, the collection, the consistency check.

use std::time::Duration;

use serde_json::json;

use super::{contents, keep, memory};
use crate::harness::world::{Setup, Who, World};
use crate::rpc::{ok, write};

/// Ticks in which a pass over a small store has looked at everything twice.
const TICKS: usize = 24;

fn large(of: &str) -> String {
    format!("{of} ").repeat(20_000)
}

fn forgetful() -> Setup {
    let tune = |options: &mut nexus_lite::store::Options| {
        options.limits.keep_bodies = Duration::ZERO;
        options.limits.house_every = Duration::ZERO;
        options.limits.tick = Duration::from_secs(3_600);
    };
    Setup { tune: Box::new(tune), ..Setup::default() }
}

async fn tidy(world: &World) -> u64 {
    for _ in 0..3 * TICKS {
        world.store.tick().await.expect("a tick");
    }
    world.store.status().bodies_collected
}

#[tokio::test]
async fn a_body_stays_as_long_as_a_memory_names_it() {
    let world = World::with(forgetful()).await;
    let (small, large) = ("a small one".to_owned(), large("a large one"));
    let one = keep(&world, Who::Alice, json!({"content": small, "namespace": "n", "path_key": "one"})).await;
    let two = keep(&world, Who::Alice, json!({"content": large, "namespace": "n", "path_key": "two"})).await;
    assert_eq!(tidy(&world).await, 0);
    assert_eq!(memory(&world, Who::Alice, &one).await["content"], json!(small));
    assert_eq!(memory(&world, Who::Alice, &two).await["content"], json!(large));

    // Replaced and deleted: nothing names the old bodies any more.
    ok(&world, Who::Alice, "update_memory", json!({"memory_id": one, "content": "another"})).await;
    ok(&world, Who::Alice, "delete_memory", json!({"memory_id": two})).await;
    assert_eq!(tidy(&world).await, 2);
    assert_eq!(memory(&world, Who::Alice, &one).await["content"], "another");

    // The same body again, and of a file: it goes when neither names it.
    let again = keep(&world, Who::Alice, json!({"content": large})).await;
    write(&world, Who::Instance, "/file", &large).await;
    ok(&world, Who::Alice, "delete_memory", json!({"memory_id": again})).await;
    assert_eq!(tidy(&world).await, 2);
    assert_eq!(crate::rpc::read(&world, Who::Instance, "/file").await, large);
    assert_eq!(world.store.check().await.expect("checked").violations, []);
    world.close().await;
}

#[tokio::test]
async fn what_was_kept_is_there_after_a_restart() {
    let world = World::new().await;
    let text = large("kept");
    let one = keep(&world, Who::Alice, json!({"content": "small", "scope": "user"})).await;
    let two = keep(&world, Who::Alice, json!({"content": text, "namespace": "n", "path_key": "k"})).await;
    ok(&world, Who::Alice, "deactivate_memory", json!({"memory_id": one})).await;
    let (keys, path) = (world.keys(), world.path().to_owned());
    let _dir = world.close().await;
    let world = World::again(&path, Setup { seed: 2, ..Setup::default() }, keys).await;
    assert_eq!(memory(&world, Who::Alice, &two).await["content"], json!(text));
    assert_eq!(memory(&world, Who::Alice, &one).await["state"], "inactive");
    assert_eq!(contents(&world, Who::Alice, json!({})).await, [json!(text)]);
    assert!(memory(&world, Who::Bob, &two).await.is_null());
    let named = json!({"content": "new", "namespace": "n", "path_key": "k"});
    assert_eq!(keep(&world, Who::Alice, named).await, two, "the name is still its");
    assert_eq!(world.store.check().await.expect("checked").violations, []);
    world.close().await;
}
