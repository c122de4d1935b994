//! Relationship tuples.

mod check;
mod check_batch;
mod create;
mod delete;
mod expand;
mod explain;
mod filter;
mod list_objects;
mod list_subjects;
mod list_tuples;
mod past;

use serde_json::{Value, json};

use super::{grant, ok, write};
use crate::harness::world::{Who, World};

/// `/proj` of alice, with a file of the admin in it.
async fn project() -> World {
    let world = World::new().await;
    write(&world, Who::Admin, "/proj/a.txt", "plans").await;
    grant(&world, ("user", "alice"), "direct_owner", "/proj").await;
    world
}

/// A tuple as parameters.
fn tuple(subject: (&str, &str), relation: &str, object: (&str, &str)) -> Value {
    json!({"subject": [subject.0, subject.1], "relation": relation, "object": [object.0, object.1]})
}

/// Creates a tuple and returns its id.
async fn create(world: &World, who: Who, subject: (&str, &str), relation: &str, object: (&str, &str)) -> String {
    let id = ok(world, who, "rebac_create", tuple(subject, relation, object)).await;
    id.as_str().expect("an id").to_owned()
}
