//! Writes into a directory that is being renamed: each lands whole, in the directory of before or in a new one of its
//! name, and none is lost.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::json;

use super::super::*;
use super::shared_world;

/// Renames among writes.
const ROUNDS: usize = 12;
/// Writes on either side of one.
const WRITES: usize = 4;

#[tokio::test]
async fn a_write_while_its_directory_is_renamed() {
    let world = shared_world().await;
    let (mut from, mut to) = ("/w/alice/here", "/w/alice/there");
    write(&world, Who::Alice, "/w/alice/here/keep", "keep").await;
    let mut kept = BTreeSet::from(["keep".to_owned()]);
    for round in 0..ROUNDS {
        // Everything lies in the mailbox of a writer that stands still, and becomes one batch.
        let held = world.hold_writer();
        let names: Vec<String> = (0..2 * WRITES).map(|n| format!("{round}-{n}")).collect();
        let written = |names: &[String]| {
            let one = |name: &String| json!({"path": format!("{from}/{name}"), "content": name});
            let params: Vec<_> = names.iter().map(one).collect();
            join_all(params.into_iter().map(|params| ok(&world, Who::Alice, "write", params)))
        };
        let (before, after) = (written(&names[..WRITES]), written(&names[WRITES..]));
        let moved = ok(&world, Who::Alice, "rename", json!({"old_path": from, "new_path": to}));
        let release = async {
            tokio::task::yield_now().await;
            held.release();
        };
        futures_util::future::join4(before, moved, after, release).await;

        let mut found = BTreeSet::new();
        for dir in [from, to] {
            let there = ok(&world, Who::Bob, "exists", json!({"path": dir})).await == json!({"exists": true});
            for path in if there { list(&world, Who::Bob, dir, true).await } else { Vec::new() } {
                let name = path.rsplit('/').next().expect("a name").to_owned();
                assert_eq!(read(&world, Who::Bob, &path).await, name, "whole, under its own name");
                assert!(found.insert(name), "{path} is there twice");
            }
        }
        kept.extend(names);
        assert_eq!(found, kept, "none is lost and nothing else is there");
        for path in if world.rpc(Who::Alice, "list", json!({"path": from})).await.is_ok() {
            list(&world, Who::Alice, from, true).await
        } else {
            Vec::new()
        } {
            kept.remove(path.rsplit('/').next().expect("a name"));
            ok(&world, Who::Alice, "delete", json!({"path": path})).await;
        }
        std::mem::swap(&mut from, &mut to);
    }
    assert!(world.store.check().await.expect("a check").violations.is_empty());
}
