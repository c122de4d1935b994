//! Memory records.

// What becomes of bodies: large ones, restarts, the collection.
mod bodies;
// Pages, filters and search.
mod lists;
// Who sees and changes what, by scope and by grant.
mod scopes;
// Kept under a name, changed, many at once.
mod stored;

use serde_json::{Value, json};

use crate::harness::world::{Who, World};
use crate::rpc::ok;

/// Keeps a memory; its id.
async fn keep(world: &World, who: Who, memory: Value) -> String {
    ok(world, who, "store_memory", memory).await["memory_id"].as_str().expect("an id").to_owned()
}

/// The contents of what a query finds, in order.
async fn contents(world: &World, who: Who, query: Value) -> Vec<Value> {
    let found = ok(world, who, "query_memories", query).await;
    let rows = found["memories"].as_array().expect("memories");
    rows.iter().map(|row| row["content"].clone()).collect()
}

/// A memory by its id, as it is retrieved.
async fn memory(world: &World, who: Who, id: &str) -> Value {
    ok(world, who, "retrieve_memory", json!({"memory_id": id})).await["memory"].clone()
}
