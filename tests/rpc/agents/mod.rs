//! Agents.

mod delete;
mod list;
mod people;
mod register;
mod update;

use nexus_lite::auth::{AuthError, AuthIndex, Caller};
use serde_json::{Value, json};

use super::ok;
use crate::harness::world::{Who, World};

/// Who shows this key now.
fn shown(world: &World, key: &str, agent: Option<&str>) -> Result<Caller, AuthError> {
    let published = world.store.published();
    let now_us = world.store.clock().now_us();
    published.view::<AuthIndex>().identify(key, agent, now_us, &world.services.hasher)
}

/// Registers `<user>,<name>` with a key and returns the answer.
async fn with_key(world: &World, who: Who, name: &str) -> Value {
    let agent_id = format!("{},{name}", who.user().1);
    ok(world, who, "register_agent", json!({"agent_id": agent_id, "name": name, "generate_api_key": true})).await
}
