//! Sandboxes.

mod files;
mod get_or_create;
mod list;
mod run;
mod stop;

use serde_json::{Value, json};

use super::ok;
use crate::harness::world::{Who, World};

/// The sandbox `name` of `who`.
async fn sandbox(world: &World, who: Who, name: &str) -> Value {
    ok(world, who, "sandbox_get_or_create", json!({"name": name})).await
}

/// The id of a sandbox.
fn id(sandbox: &Value) -> &str {
    sandbox["sandbox_id"].as_str().expect("an id")
}

/// The directories that are there.
fn directories(world: &World) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(world.path().join("sandboxes")) else { return Vec::new() };
    entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}
