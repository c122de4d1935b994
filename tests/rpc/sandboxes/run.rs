//! Refusals, in a process that has named no program that confines; `tests/sandbox` runs programs.

use serde_json::json;

use super::{id, sandbox};
use crate::harness::world::{Who, World};
use crate::rpc::{NOT_FOUND, refused};

const NOT_SUPPORTED: i64 = -32013;

#[tokio::test]
async fn what_is_not_possible_here_says_so() {
    let world = World::new().await;
    let made = sandbox(&world, Who::Alice, "work").await;
    let params = json!({"sandbox_id": id(&made), "language": "python", "code": "1", "nexus_api_key": "sk-x"});
    let failure = refused(&world, Who::Alice, "sandbox_run", params.clone(), NOT_SUPPORTED).await;
    assert!(failure.message.starts_with("sandbox_run is not supported on this machine, in python: "), "{failure:?}");
    refused(&world, Who::Bob, "sandbox_run", params, NOT_FOUND).await;
}
