//! Refusals, in a process that has named no program that confines; `tests/sandbox` runs programs.

use serde_json::json;

use super::{id, sandbox};
use crate::harness::world::{Who, World};
use crate::rpc::{NOT_FOUND, refused};

const NOT_SUPPORTED: i64 = -32013;

#[tokio::test]
async fn what_is_not_built_says_so() {
    let world = World::new().await;
    let made = sandbox(&world, Who::Alice, "work").await;
    let calls = [
        ("sandbox_run", json!({"sandbox_id": id(&made), "language": "python", "code": "1", "nexus_api_key": "sk-x"})),
        ("sandbox_connect", json!({"sandbox_id": id(&made), "provider": "local", "nexus_api_key": "sk-x"})),
        ("sandbox_disconnect", json!({"sandbox_id": id(&made)})),
    ];
    for (method, params) in calls {
        let failure = refused(&world, Who::Alice, method, params.clone(), NOT_SUPPORTED).await;
        let words = match method {
            "sandbox_run" => "sandbox_run is not supported on this machine, in python: ".to_owned(),
            _ => format!("{method} is not supported: the provider 'local'"),
        };
        assert!(failure.message.starts_with(&words), "{failure:?}");
        refused(&world, Who::Bob, method, params, NOT_FOUND).await;
    }
}
