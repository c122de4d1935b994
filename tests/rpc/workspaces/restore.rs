use std::sync::Arc;

use nexus_lite::store::FaultPoint;
use serde_json::json;

use super::{WS, files, map, of, snapshot, workspace};
use crate::harness::world::{Setup, Who, World};
use crate::rpc::{DENIED, NOT_FOUND, PRECONDITION, grant, ok, refused, write};

/// Alice's workspace with three files, and a snapshot of it.
async fn kept() -> World {
    let world = World::new().await;
    write(&world, Who::Admin, "/team/readme", "x").await;
    grant(&world, ("user", "alice"), "direct_editor", "/team").await;
    workspace(&world, Who::Alice, &[("a.txt", "a"), ("d/b.txt", "b"), ("d/e/c.txt", "c")]).await;
    snapshot(&world, Who::Alice).await;
    world
}

const KEPT: &[(&str, &str)] = &[("a.txt", "a"), ("d/b.txt", "b"), ("d/e/c.txt", "c")];

#[tokio::test]
async fn everything_is_as_it_was_in_one_revision() {
    let world = kept().await;
    write(&world, Who::Alice, "/team/ws/a.txt", "changed").await;
    ok(&world, Who::Alice, "rmdir", json!({"path": "/team/ws/d", "recursive": true})).await;
    write(&world, Who::Alice, "/team/ws/new/x", "n").await;
    write(&world, Who::Alice, "/team/ws/new/deep/y", "n").await;
    let before = files(&world).await;
    let dry = json!({"workspace_path": WS, "snapshot_number": 1, "dry_run": true});
    let head = world.head().await;
    let would = ok(&world, Who::Alice, "workspace_restore", dry).await;
    assert_eq!(world.head().await, head, "a dry run changes nothing");
    assert_eq!(files(&world).await, before);
    let changes = &would["changes"];
    assert_eq!(changes["added"], json!([{"path": "d/b.txt", "size": 1}, {"path": "d/e/c.txt", "size": 1}]));
    assert_eq!(changes["removed"], json!([{"path": "new/deep/y", "size": 1}, {"path": "new/x", "size": 1}]));
    assert_eq!(changes["modified"][0]["path"], json!("a.txt"));

    let (done, rev) = world.rpc_at(Who::Alice, "workspace_restore", of(1)).await;
    let done = done.expect("restored");
    assert_eq!((&done["files_restored"], &done["files_deleted"]), (&json!(3), &json!(2)));
    assert_eq!((&would["files_restored"], &would["files_deleted"]), (&json!(3), &json!(2)));
    assert_eq!(done["snapshot_info"]["snapshot_number"], json!(1));
    assert!(done["snapshot_info"]["manifest_hash"].is_string() && done.get("changes").is_none());
    assert_eq!(rev, head + 1);
    assert_eq!(files(&world).await, map(KEPT));
    let gone = ok(&world, Who::Alice, "is_directory", json!({"path": "/team/ws/new"})).await;
    assert_eq!(gone, json!({"is_directory": false}));

    // What was there has a further version, what came is new.
    let versions = ok(&world, Who::Alice, "list_versions", json!({"path": "/team/ws/a.txt"})).await;
    let versions = versions.as_array().expect("versions");
    assert_eq!(versions.len(), 3);
    assert_eq!((&versions[0]["version"], &versions[0]["source_type"]), (&json!(3), &json!("restore")));
    let versions = ok(&world, Who::Alice, "list_versions", json!({"path": "/team/ws/d/b.txt"})).await;
    assert_eq!(versions.as_array().map(Vec::len), Some(1));

    // Nothing differs any more: nothing happens.
    let again = ok(&world, Who::Alice, "workspace_restore", of(1)).await;
    assert_eq!((&again["files_restored"], &again["files_deleted"]), (&json!(0), &json!(0)));
    assert_eq!(world.head().await, rev);
    snapshot(&world, Who::Alice).await;
    let log = ok(&world, Who::Alice, "workspace_log", json!({"workspace_path": WS})).await;
    assert_eq!(log[0]["manifest_hash"], log[1]["manifest_hash"]);
    assert_eq!(world.store.check().await.expect("checked").violations, []);
}

#[tokio::test]
async fn files_and_directories_take_each_others_places() {
    let world = kept().await;
    ok(&world, Who::Alice, "delete", json!({"path": "/team/ws/a.txt"})).await;
    write(&world, Who::Alice, "/team/ws/a.txt/now/a/directory", "n").await;
    ok(&world, Who::Alice, "rmdir", json!({"path": "/team/ws/d", "recursive": true})).await;
    write(&world, Who::Alice, "/team/ws/d", "now a file").await;
    let done = ok(&world, Who::Alice, "workspace_restore", of(1)).await;
    assert_eq!((&done["files_restored"], &done["files_deleted"]), (&json!(3), &json!(2)));
    assert_eq!(files(&world).await, map(KEPT));
    assert_eq!(world.store.check().await.expect("checked").violations, []);
}

#[tokio::test]
async fn an_empty_directory_comes_back_and_stays() {
    let world = kept().await;
    ok(&world, Who::Alice, "mkdir", json!({"path": "/team/ws/empty"})).await;
    snapshot(&world, Who::Alice).await;
    let is_there = json!({"path": "/team/ws/empty"});
    ok(&world, Who::Alice, "rmdir", is_there.clone()).await;
    ok(&world, Who::Alice, "workspace_restore", of(2)).await;
    assert_eq!(ok(&world, Who::Alice, "is_directory", is_there.clone()).await["is_directory"], json!(true));
    // One that a write has made, in the place of one that was empty: it stays when its file goes.
    ok(&world, Who::Alice, "rmdir", is_there.clone()).await;
    write(&world, Who::Alice, "/team/ws/empty/x", "x").await;
    ok(&world, Who::Alice, "workspace_restore", of(2)).await;
    assert_eq!(ok(&world, Who::Alice, "is_directory", is_there.clone()).await["is_directory"], json!(true));
    assert_eq!(world.store.check().await.expect("checked").violations, []);
    ok(&world, Who::Alice, "workspace_restore", of(1)).await;
    assert_eq!(ok(&world, Who::Alice, "is_directory", is_there).await["is_directory"], json!(false));
}

#[tokio::test]
async fn grants_go_with_what_goes_and_stay_with_what_stays() {
    let world = kept().await;
    write(&world, Who::Alice, "/team/ws/a.txt", "changed").await;
    write(&world, Who::Alice, "/team/ws/new.txt", "n").await;
    write(&world, Who::Alice, "/team/ws/more/m.txt", "n").await;
    for path in ["a.txt", "new.txt", "more", "more/m.txt", "d/b.txt"] {
        grant(&world, ("user", "bob"), "direct_viewer", &format!("{WS}/{path}")).await;
    }
    let may = async |path: &str| {
        let ask = json!({"subject": ["user", "bob"], "permission": "read", "object": ["file", format!("{WS}/{path}")]});
        ok(&world, Who::Admin, "rebac_check", ask).await == json!(true)
    };
    ok(&world, Who::Alice, "delete", json!({"path": "/team/ws/d/b.txt"})).await;
    ok(&world, Who::Alice, "workspace_restore", of(1)).await;
    assert!(may("a.txt").await, "its node has stayed");
    for path in ["new.txt", "more", "more/m.txt", "d/b.txt"] {
        assert!(!may(path).await, "{path}");
    }
    // A file that comes to a path later inherits nothing.
    write(&world, Who::Alice, "/team/ws/more/m.txt", "n").await;
    assert!(!may("more/m.txt").await && !may("more").await);
    assert_eq!(world.store.check().await.expect("checked").violations, []);
}

#[tokio::test]
async fn skills_follow_their_files() {
    let world = World::new().await;
    let skill = |name: &str| format!("---\nname: {name}\ndescription: d\n---\n");
    let base = "/tenant:default/skill";
    ok(&world, Who::Admin, "register_workspace", json!({"path": base})).await;
    write(&world, Who::Admin, &format!("{base}/one/SKILL.md"), &skill("one")).await;
    write(&world, Who::Admin, &format!("{base}/two/SKILL.md"), &skill("two")).await;
    let at = json!({"workspace_path": base});
    ok(&world, Who::Admin, "workspace_snapshot", at).await;
    write(&world, Who::Admin, &format!("{base}/one/SKILL.md"), &skill("uno")).await;
    ok(&world, Who::Admin, "rmdir", json!({"path": format!("{base}/two"), "recursive": true})).await;
    write(&world, Who::Admin, &format!("{base}/three/SKILL.md"), &skill("three")).await;
    ok(&world, Who::Admin, "workspace_restore", json!({"workspace_path": base, "snapshot_number": 1})).await;
    let listed = ok(&world, Who::Admin, "skills_list", json!({})).await;
    let rows = listed["skills"].as_array().expect("skills");
    let mut names: Vec<_> = rows.iter().map(|row| row["name"].as_str().or(row.as_str()).expect("a name")).collect();
    names.sort_unstable();
    assert_eq!(names, ["one", "two"]);
    assert_eq!(world.store.check().await.expect("checked").violations, []);
}

#[tokio::test]
async fn a_workspace_that_was_removed_comes_back_to_who_restores_it() {
    let world = kept().await;
    grant(&world, ("user", "bob"), "direct_editor", WS).await;
    ok(&world, Who::Alice, "rmdir", json!({"path": WS, "recursive": true})).await;
    // The rows of what was removed are freed, and the store has been closed in between.
    let (keys, path) = (world.keys(), world.path().to_owned());
    let dir = world.close().await;
    let mut world = World::again(&path, Setup::default(), keys).await;
    world.keep(dir);
    for who in [Who::Bob, Who::Stranger, Who::Agent, Who::OtherAdmin] {
        refused(&world, who, "workspace_restore", of(1), DENIED).await;
    }
    // Edith may write where it lay, and did not take the snapshot.
    grant(&world, ("user", "edith"), "direct_editor", "/team").await;
    refused(&world, Who::Edith, "workspace_restore", of(1), NOT_FOUND).await;
    let done = ok(&world, Who::Alice, "workspace_restore", of(1)).await;
    assert_eq!((&done["files_restored"], &done["files_deleted"]), (&json!(3), &json!(0)));
    assert_eq!(files(&world).await, map(KEPT));
    let owns = |user: &str| json!({"subject": ["user", user], "permission": "execute", "object": ["file", WS]});
    assert_eq!(ok(&world, Who::Admin, "rebac_check", owns("alice")).await, json!(true));
    refused(&world, Who::Bob, "read", json!({"path": format!("{WS}/a.txt")}), DENIED).await;
    assert_eq!(world.store.check().await.expect("checked").violations, []);
}

#[tokio::test]
async fn what_would_change_too_much_is_refused() {
    let world = World::new().await;
    ok(&world, Who::Admin, "register_workspace", json!({"path": WS})).await;
    snapshot(&world, Who::Admin).await;
    // A directory that goes counts as one, however much is in it; each file beside it counts.
    for part in 0..8 {
        let file = |n: u32| json!([format!("{WS}/big/{part}/{n}"), "x"]);
        let all: Vec<_> = (0..250).map(file).collect();
        ok(&world, Who::Admin, "write_batch", json!({"files": all})).await;
    }
    snapshot(&world, Who::Admin).await;
    let done = ok(&world, Who::Admin, "workspace_restore", of(1)).await;
    assert_eq!((&done["files_restored"], &done["files_deleted"]), (&json!(0), &json!(2_000)));
    let back = ok(&world, Who::Admin, "workspace_restore", of(2)).await;
    assert_eq!(back["files_restored"], json!(2_000));
    // In the snapshot more than ten thousand, now none.
    for part in 8..41 {
        let file = |n: u32| json!([format!("{WS}/big/{part}/{n}"), "x"]);
        let all: Vec<_> = (0..250).map(file).collect();
        ok(&world, Who::Admin, "write_batch", json!({"files": all})).await;
    }
    snapshot(&world, Who::Admin).await;
    ok(&world, Who::Admin, "rmdir", json!({"path": format!("{WS}/big"), "recursive": true})).await;
    let failure = refused(&world, Who::Admin, "workspace_restore", of(3), PRECONDITION).await;
    assert!(failure.message.contains("10000"), "{}", failure.message);
}

#[tokio::test]
async fn something_of_another_tenant_below_is_not_overwritten() {
    let world = World::new().await;
    let path = "/shared";
    ok(&world, Who::Admin, "register_workspace", json!({"path": path})).await;
    write(&world, Who::Admin, "/shared/ours", "x").await;
    ok(&world, Who::Admin, "workspace_snapshot", json!({"workspace_path": path})).await;
    crate::rpc::grant_across(&world, Some("acme"), ("user", "alice"), "shared-editor", path).await;
    write(&world, Who::Instance, "/shared/ours", "y").await;
    let restore = json!({"workspace_path": path, "snapshot_number": 1});
    let theirs = world.rpc(Who::OtherUser, "write", json!({"path": "/shared/theirs", "content": "t"})).await;
    assert!(theirs.is_ok(), "{theirs:?}");
    refused(&world, Who::Admin, "workspace_restore", restore.clone(), DENIED).await;
    let done = ok(&world, Who::Instance, "workspace_restore", restore).await;
    assert_eq!((&done["files_restored"], &done["files_deleted"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn what_comes_between_plan_and_message_is_not_left_over() {
    // In a file of the workspace, as a new one, by a rename into it, by a removal; and far away, where it does not matter.
    let between: &[(&str, serde_json::Value)] = &[
        ("write", json!({"path": "/team/ws/a.txt", "content": "between"})),
        ("write", json!({"path": "/team/ws/d/e/f/g", "content": "between"})),
        ("rename", json!({"old_path": "/team/outside", "new_path": "/team/ws/d/inside"})),
        ("rmdir", json!({"path": "/team/ws/d/e", "recursive": true})),
        ("write", json!({"path": "/team/outside/far", "content": "away"})),
    ];
    for (method, params) in between {
        let world = Arc::new(kept().await);
        write(&world, Who::Alice, "/team/outside/x", "o").await;
        write(&world, Who::Alice, "/team/ws/d/b.txt", "changed").await;
        let held = world.pause_at_later(FaultPoint::TreeNextEntry, 2);
        let asking = Arc::clone(&world);
        let restoring = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(asking.rpc_at(Who::Alice, "workspace_restore", of(1)))
        });
        held.reached();
        let (done, written) = world.rpc_at(Who::Alice, method, params.clone()).await;
        done.expect("done in between");
        held.release();
        let (done, rev) = restoring.join().expect("no panic");
        done.expect("restored");
        assert!(rev > written);
        assert_eq!(files(&world).await, map(KEPT), "{method} {params}");
        assert_eq!(world.store.check().await.expect("checked").violations, []);
    }
}
