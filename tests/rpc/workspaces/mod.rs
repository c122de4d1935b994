//! Registered workspaces and directories of memories, and the snapshots of workspaces.

mod list;
// Many at once, as a configuration names them.
mod load;
mod memory;
// Random histories against a plain map, and snapshots and restores while others write.
mod model;
mod register;
mod restore;
// What a newcomer does in the first hour with a workspace.
mod session;
mod snapshots;

use std::collections::BTreeMap;

use nexus_lite::model::{NodeId, Rev, VirtualPath};
use nexus_lite::store::{Sql, StoreError, nodes, past};
use serde_json::{Value, json};

use crate::harness::world::{Who, World};
use crate::rpc::ok;

/// The workspace of most tests.
const WS: &str = "/team/ws";

/// Registers a workspace and writes files below it.
async fn workspace(world: &World, who: Who, files: &[(&str, &str)]) {
    ok(world, who, "register_workspace", json!({"path": WS})).await;
    for (path, text) in files {
        crate::rpc::write(world, who, &format!("{WS}/{path}"), text).await;
    }
}

/// Takes a snapshot; its number and revision.
async fn snapshot(world: &World, who: Who) -> (u64, Rev) {
    let row = ok(world, who, "workspace_snapshot", json!({"workspace_path": WS})).await;
    (row["snapshot_number"].as_u64().expect("a number"), row["revision"].as_u64().expect("a revision"))
}

fn of(number: u64) -> Value {
    json!({"workspace_path": WS, "snapshot_number": number})
}

/// The files below the workspace and their text.
async fn files(world: &World) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let there = ok(world, Who::Instance, "is_directory", json!({"path": WS})).await;
    if there["is_directory"] == json!(false) {
        return found;
    }
    let listed = ok(world, Who::Instance, "list", json!({"path": WS, "recursive": true, "details": true})).await;
    for row in listed["files"].as_array().expect("rows").iter().filter(|row| row["is_directory"] == json!(false)) {
        let path = row["path"].as_str().expect("a path");
        let text = crate::rpc::read(world, Who::Instance, path).await;
        found.insert(path.trim_start_matches(&format!("{WS}/")).to_owned(), text);
    }
    found
}

fn map(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

/// The hashes of the files below the workspace as the versions have them at a revision: another way to the past than the
/// one under test.
async fn past_hashes(world: &World, rev: Rev) -> BTreeMap<String, String> {
    fn walk(
        tx: &impl Sql,
        directory: NodeId,
        above: &str,
        rev: Rev,
        found: &mut BTreeMap<String, String>,
    ) -> Result<(), StoreError> {
        for row in past::children(tx, directory, rev, "", u64::from(u32::MAX))? {
            let path = format!("{above}{}", row.name);
            match row.content {
                Some(hash) => drop(found.insert(path, hash)),
                None => walk(tx, row.node, &format!("{path}/"), rev, found)?,
            }
        }
        Ok(())
    }
    let read = world.store.read_slow(move |tx| {
        let path = VirtualPath::parse(WS).expect("a path");
        let mut found = BTreeMap::new();
        if let Some(node) = nodes::find(tx, &path)? {
            walk(tx, node.id, "", rev, &mut found)?;
        }
        Ok::<_, StoreError>(found)
    });
    read.await.expect("read")
}
