//! The rules per object type, and the options of the engine.

mod create;
mod delete;
mod get;
mod options;
mod orphans;
mod races;
mod validate;

use serde_json::{Value, json};

use super::ok;
use crate::harness::world::{Who, World};

/// Everybody who must not change rules.
const OTHERS: [Who; 7] =
    [Who::Admin, Who::OtherAdmin, Who::Alice, Who::Stranger, Who::Agent, Who::Heir, Who::OtherUser];

/// Documents: owners, and viewers who are not banned.
fn doc() -> Value {
    json!({
        "relations": {
            "owner": {}, "viewer": {}, "banned": {},
            "not_banned": {"exclusion": "banned"},
            "guest": {"intersection": ["viewer", "not_banned"]},
        },
        "permissions": {"read": ["owner", "guest"], "write": ["owner"], "manage": ["owner"]},
    })
}

async fn put(world: &World, object_type: &str, config: Value) {
    let params = json!({"object_type": object_type, "config": config});
    assert_eq!(ok(world, Who::Instance, "namespace_create", params).await, Value::Null);
}

/// `subject relation object`, as `type:id` each, granted by the admin of the tenant.
async fn grant(world: &World, tuple: &str) -> String {
    let id = ok(world, Who::Admin, "rebac_create", tuple_of(tuple, "relation")).await;
    id.as_str().expect("an id").to_owned()
}

/// Whether `subject permission object`.
async fn allowed(world: &World, question: &str) -> bool {
    ok(world, Who::Admin, "rebac_check", tuple_of(question, "permission")).await.as_bool().expect("yes or no")
}

fn tuple_of(text: &str, middle: &str) -> Value {
    let words: Vec<&str> = text.split(' ').collect();
    let entity = |word: &str| {
        let (kind, id) = word.split_once(':').expect("type:id");
        match id.split_once('#') {
            Some((id, relation)) => json!([kind, id, relation]),
            None => json!([kind, id]),
        }
    };
    json!({"subject": entity(words[0]), middle: words[1], "object": entity(words[2])})
}
