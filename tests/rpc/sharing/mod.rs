//! Shares, consent, what everybody may discover, and tables that are shown in part.

mod columns;
mod consent;
mod lists;
mod shares;

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

/// Shares a file as `who` and returns the id of the share.
async fn share(world: &World, who: Who, path: &str, user: &str, level: &str) -> String {
    let params = json!({"resource": ["file", path], "user_id": user, "relation": level});
    ok(world, who, "share_with_user", params).await.as_str().expect("an id").to_owned()
}

/// The ids in a list of shares.
fn ids(shares: &Value) -> Vec<&str> {
    shares.as_array().expect("shares").iter().map(|share| share["share_id"].as_str().expect("an id")).collect()
}
