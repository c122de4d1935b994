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
        assert!(
            failure.message.starts_with(&format!("{method} is not supported: the provider 'local'")),
            "{failure:?}"
        );
        refused(&world, Who::Bob, method, params, NOT_FOUND).await;
    }
}
