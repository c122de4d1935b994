//! Files and directories.

mod append;
mod bulk;
mod copy;
mod delete;
mod edit;
mod exists;
mod glob;
mod grep;
mod list;
mod mkdir;
mod moved;
mod names;
mod read;
mod read_parts;
mod rename;
mod revoke;
mod rmdir;
mod search;
mod tenants;
mod walk;
mod write;
mod write_stream;

use serde_json::json;

use super::{grant, ok, write};
use crate::harness::world::{Who, World};

/// `/w`, a directory of the admin with a file of hers; below it `/w/alice`, where alice may write and bob may read.
pub(crate) async fn shared_world() -> World {
    let world = World::new().await;
    ok(&world, Who::Admin, "mkdir", json!({"path": "/w"})).await;
    ok(&world, Who::Admin, "mkdir", json!({"path": "/w/alice"})).await;
    write(&world, Who::Admin, "/w/secret.txt", "secret").await;
    grant(&world, ("user", "alice"), "direct_editor", "/w/alice").await;
    grant(&world, ("user", "bob"), "direct_viewer", "/w/alice").await;
    world
}
