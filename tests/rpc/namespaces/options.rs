use serde_json::{Value, json};

use super::OTHERS;
use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, NOT_SUPPORTED, ok, refused};

#[tokio::test]
async fn options_say_what_is_real() {
    let world = World::new().await;
    let get = |key: &'static str| {
        let world = &world;
        async move { ok(world, Who::Stranger, "get_rebac_option", json!({"key": key})).await }
    };
    assert_eq!(get("edges_per_request").await["value"], json!(nexus_lite::rebac::limits::EDGES_PER_REQUEST));
    assert_eq!(get("batch_checks_max").await["value"], json!(10_000));
    for (key, says) in [("max_depth", "no limit of depth"), ("cache_ttl", "no time to live")] {
        let option = get(key).await;
        assert_eq!((&option["value"], &option["settable"]), (&Value::Null, &json!(false)));
        assert!(option["meaning"].as_str().is_some_and(|text| text.contains(says)), "{option}");
    }
    let unknown = refused(&world, Who::Alice, "get_rebac_option", json!({"key": "depth"}), INVALID_PARAMS).await;
    assert!(unknown.message.contains("edges_per_request"), "{}", unknown.message);
}

#[tokio::test]
async fn nothing_is_set_and_why_is_said() {
    let world = World::new().await;
    let before = world.head().await;
    for (key, value) in [("max_depth", json!(5)), ("cache_ttl", json!(0)), ("edges_per_request", json!(1))] {
        let params = json!({"key": key, "value": value});
        let failure = refused(&world, Who::Instance, "set_rebac_option", params.clone(), NOT_SUPPORTED).await;
        assert!(failure.data["hint"].as_str().is_some_and(|hint| hint.len() > 40), "{:?}", failure.data);
        for who in OTHERS {
            refused(&world, who, "set_rebac_option", params.clone(), DENIED).await;
        }
    }
    refused(&world, Who::Instance, "set_rebac_option", json!({"key": "x", "value": 1}), INVALID_PARAMS).await;
    assert_eq!(world.head().await, before);
}
