//! Keys, for admins.

mod audit_query;
mod create_key;
mod list_keys;
mod revoke_key;
mod update_key;

use nexus_lite::auth::{AuthError, AuthIndex, Caller};
use serde_json::{Value, json};

use super::ok;
use crate::harness::world::{Who, World};

/// Who shows this key now.
fn shown(world: &World, key: &Value) -> Result<Caller, AuthError> {
    let published = world.store.published();
    let key = key["api_key"].as_str().expect("a key");
    published.view::<AuthIndex>().identify(key, None, world.store.clock().now_us(), &world.services.hasher)
}

/// A key of `user` in the tenant of `who`.
async fn make(world: &World, who: Who, user: &str) -> Value {
    ok(world, who, "admin_create_key", json!({"user_id": user, "name": format!("{user} key")})).await
}

/// A world whose instance admin has one key: that of the first start is revoked.
async fn with_one_root() -> World {
    let world = World::new().await;
    let published = world.store.published();
    let first =
        published.view::<AuthIndex>().keys().find(|key| key.name == "Admin Bootstrap Key").expect("a first key");
    ok(&world, Who::Instance, "admin_revoke_key", json!({"key_id": first.key_id})).await;
    world
}

/// The id of the key of `who`.
fn key_of(world: &World, who: Who) -> String {
    world.call_as(who).caller.key_id.clone().expect("a key")
}
