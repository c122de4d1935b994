//! Events of files, as those get them who wait for them: over a stream, and as requests to a receiver of theirs.
//!
//! What belongs here: that each event comes, none is made up, the order is kept, and nobody is told what it may not read;
//! the REST of subscriptions; where the server lets itself be sent. What does not: what a method writes.

mod kill;
mod receiver;
mod rest;
mod ssrf;
mod stream;
mod tls;
mod webhooks;

use serde_json::{Value, json};

use crate::harness::world::{Who, World};

/// Calls a method that must succeed.
async fn ok(world: &World, who: Who, method: &str, params: Value) -> Value {
    world.rpc(who, method, params).await.unwrap_or_else(|error| panic!("{method} as {who:?}: {error:?}"))
}

/// Writes a file.
async fn write(world: &World, who: Who, path: &str, content: &str) {
    ok(world, who, "write", json!({"path": path, "content": content})).await;
}

/// Makes a directory of a user's own.
async fn own(world: &World, user: &str, path: &str) {
    ok(world, Who::Admin, "mkdir", json!({"path": path, "parents": true})).await;
    let grant = json!({"subject": ["user", user], "relation": "direct_owner", "object": ["file", path]});
    ok(world, Who::Admin, "rebac_create", grant).await;
}

/// An event in short: its name and its path, of a rename both.
fn short(event: &Value) -> String {
    let data = &event["data"];
    let text = |name: &str| data[name].as_str().unwrap_or("?").to_owned();
    match event["event"].as_str() {
        Some("file_rename") => format!("file_rename {} {}", text("old_path"), text("new_path")),
        name => format!("{} {}", name.unwrap_or("?"), text("file_path")),
    }
}

/// Some life of one file, and what has to be told of it.
async fn live(world: &World, who: Who, path: &str) -> Vec<String> {
    let moved = format!("{path}.moved");
    write(world, who, path, "one").await;
    write(world, who, path, "two").await;
    ok(world, who, "append", json!({"path": path, "content": "three"})).await;
    ok(world, who, "rename", json!({"old_path": path, "new_path": moved})).await;
    ok(world, who, "delete", json!({"path": moved})).await;
    write(world, who, path, "again").await;
    vec![
        format!("file_write {path}"),
        format!("file_write {path}"),
        format!("file_write {path}"),
        format!("file_rename {path} {moved}"),
        format!("file_delete {moved}"),
        format!("file_write {path}"),
    ]
}
