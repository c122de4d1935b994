//! Files that are copied into sandboxes and brought back. What a program would do to the copy is done here by hand; the
//! programs of `tests/sandbox/files.rs` do it themselves.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{id, sandbox};
use crate::harness::world::{Who, World};
use crate::rpc::{DENIED, INVALID_PARAMS, NOT_FOUND, grant, ok, read, refused, write};

const PRECONDITION: i64 = -32021;

/// A copied file.
fn at(world: &World, id: &str, path: &str) -> PathBuf {
    let top = world.path().join("sandboxes").join(id).join("nexus");
    if path.is_empty() { top } else { top.join(path) }
}

/// Writes a file of the copy, as a program of the sandbox would.
fn put(world: &World, id: &str, path: &str, text: &str) {
    let owner = std::fs::metadata(world.path().join("sandboxes").join(id)).expect("there").uid();
    let path = at(world, id, path);
    let above = path.parent().expect("a directory");
    if !above.exists() {
        std::fs::create_dir(above).expect("made");
        std::os::unix::fs::chown(above, Some(owner), Some(owner)).expect("ours");
    }
    std::fs::write(&path, text).expect("written");
    std::os::unix::fs::chown(path, Some(owner), Some(owner)).expect("ours");
}

fn text(world: &World, id: &str, path: &str) -> String {
    std::fs::read_to_string(at(world, id, path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

async fn connect(world: &World, who: Who, id: &str, more: Value) -> Value {
    let mut params = json!({"sandbox_id": id});
    params.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    ok(world, who, "sandbox_connect", params).await
}

/// The paths of a list of files that were not brought back.
fn paths(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|left| left["path"].as_str().expect("a path")).collect()
}

/// A directory of alice with three files, and her sandbox.
async fn scene() -> (World, String) {
    let world = World::new().await;
    ok(&world, Who::Admin, "mkdir", json!({"path": "/w"})).await;
    grant(&world, ("user", "alice"), "direct_owner", "/w").await;
    for name in ["one", "two", "deep/er/three"] {
        write(&world, Who::Alice, &format!("/w/{name}"), name).await;
    }
    let made = sandbox(&world, Who::Alice, "box").await;
    let id = id(&made).to_owned();
    (world, id)
}

#[tokio::test]
async fn what_has_changed_comes_back_and_nothing_else() {
    let (world, id) = scene().await;
    // All parameters of the original's clients.
    let params = json!({"workspace": "/w", "provider": "e2b", "sandbox_api_key": "k", "mount_path": "/mnt/nexus",
                        "nexus_url": "http://x", "nexus_api_key": "sk-x", "agent_id": null});
    let connected = connect(&world, Who::Alice, &id, params).await;
    let mount = world.path().join("sandboxes").join(&id).join("nexus").canonicalize().expect("there");
    let wanted = json!({
        "success": true, "sandbox_id": id, "provider": "local", "mount_path": mount,
        "mounted_at": "2026-01-02T03:04:05.000000",
        "mount_status": {"success": true, "mount_path": mount, "files_visible": 3,
                         "message": "3 files of /w (19 bytes) were copied"},
        "workspace": "/w", "bytes": 19, "withheld": 0, "withheld_paths": [], "already_connected": false,
    });
    assert_eq!(connected, wanted);
    assert_eq!(text(&world, &id, "w/deep/er/three"), "deep/er/three");
    put(&world, &id, "w/one", "changed");
    put(&world, &id, "w/new/file", "new");
    std::fs::remove_file(at(&world, &id, "w/two")).expect("removed");

    // Once more: what was changed is not lost.
    let again = connect(&world, Who::Alice, &id, json!({"workspace": "/w"})).await;
    assert_eq!((&again["already_connected"], text(&world, &id, "w/one").as_str()), (&json!(true), "changed"));
    refused(&world, Who::Alice, "sandbox_connect", json!({"sandbox_id": id, "workspace": "/"}), PRECONDITION).await;

    let synced = ok(&world, Who::Alice, "sandbox_sync", json!({"sandbox_id": id})).await;
    let wanted = json!({"files_created": 1, "files_updated": 1, "files_deleted": 1, "files_unchanged": 1,
                        "conflicts": [], "not_taken": [], "more": 0});
    assert_eq!((&synced["changes"], &synced["workspace"]), (&wanted, &json!("/w")));
    assert_eq!(read(&world, Who::Alice, "/w/one").await, "changed");
    assert_eq!(read(&world, Who::Alice, "/w/new/file").await, "new");
    let gone = ok(&world, Who::Alice, "exists", json!({"path": "/w/two"})).await;
    assert_eq!(gone["exists"], false);

    // What came back is the copy's beginning from then on.
    put(&world, &id, "w/new/file", "newer");
    let ended = ok(&world, Who::Alice, "sandbox_disconnect", json!({"sandbox_id": id, "provider": "e2b"})).await;
    let wanted = json!({"files_created": 0, "files_updated": 1, "files_deleted": 0, "files_unchanged": 2,
                        "conflicts": [], "not_taken": [], "more": 0});
    assert_eq!((&ended["changes"], &ended["success"], &ended["kept"]), (&wanted, &json!(true), &Value::Null));
    assert_eq!(ended["unmounted_at"], "2026-01-02T03:04:05.000000");
    assert_eq!(read(&world, Who::Alice, "/w/new/file").await, "newer");
    assert!(!at(&world, &id, "").exists());
    for method in ["sandbox_disconnect", "sandbox_sync"] {
        refused(&world, Who::Alice, method, json!({"sandbox_id": id}), PRECONDITION).await;
    }
}

#[tokio::test]
async fn what_both_have_changed_stays_as_the_server_has_it_and_is_not_lost() {
    let (world, id) = scene().await;
    connect(&world, Who::Alice, &id, json!({"workspace": "/w"})).await;
    put(&world, &id, "w/one", "of the sandbox");
    write(&world, Who::Alice, "/w/one", "of the server").await;
    std::fs::remove_file(at(&world, &id, "w/two")).expect("removed");
    write(&world, Who::Alice, "/w/two", "of the server").await;
    put(&world, &id, "w/new", "of the sandbox");
    write(&world, Who::Alice, "/w/new", "of the server").await;
    // Both alike: nobody's conflict.
    put(&world, &id, "w/deep/er/three", "alike");
    write(&world, Who::Alice, "/w/deep/er/three", "alike").await;
    let ended = ok(&world, Who::Alice, "sandbox_disconnect", json!({"sandbox_id": id})).await;
    assert_eq!(paths(&ended["changes"]["conflicts"]), ["/w/new", "/w/one", "/w/two"], "{ended}");
    assert_eq!(ended["changes"]["not_taken"], json!([]));
    for name in ["new", "one", "two"] {
        assert_eq!(read(&world, Who::Alice, &format!("/w/{name}")).await, "of the server");
    }
    let kept = world.path().join("sandboxes").join(&id).join(ended["kept"].as_str().expect("a name"));
    assert_eq!(std::fs::read_to_string(kept.join("w/one")).expect("kept"), "of the sandbox");
}

#[tokio::test]
async fn no_link_leads_anywhere_and_nothing_is_removed_for_it() {
    let (world, id) = scene().await;
    let secret = world.path().join("secret");
    std::fs::create_dir(&secret).expect("made");
    for name in ["er/three", "one"] {
        std::fs::create_dir_all(secret.join(name).parent().expect("a directory")).expect("made");
        std::fs::write(secret.join(name), "of the machine").expect("written");
    }
    connect(&world, Who::Alice, &id, json!({"workspace": "/w"})).await;
    std::fs::remove_dir_all(at(&world, &id, "w/deep")).expect("removed");
    std::os::unix::fs::symlink(&secret, at(&world, &id, "w/deep")).expect("a link");
    std::fs::remove_file(at(&world, &id, "w/one")).expect("removed");
    std::os::unix::fs::symlink(secret.join("one"), at(&world, &id, "w/one")).expect("a link");
    std::fs::remove_file(at(&world, &id, "w/two")).expect("removed");
    std::fs::hard_link(secret.join("one"), at(&world, &id, "w/two")).expect("a second name");
    put(&world, &id, "elsewhere/file", "out of the workspace");
    let synced = ok(&world, Who::Alice, "sandbox_sync", json!({"sandbox_id": id})).await;
    let mut left = paths(&synced["changes"]["not_taken"]);
    left.sort_unstable();
    assert_eq!(left, ["/elsewhere/file", "/w/deep", "/w/one", "/w/two"], "{synced}");
    assert_eq!(synced["changes"]["files_deleted"], 0);
    for name in ["one", "two", "deep/er/three"] {
        assert_eq!(read(&world, Who::Alice, &format!("/w/{name}")).await, name);
    }

    // The whole copy is another's.
    std::fs::remove_dir_all(at(&world, &id, "")).expect("removed");
    std::os::unix::fs::symlink(&secret, at(&world, &id, "")).expect("a link");
    let synced = ok(&world, Who::Alice, "sandbox_sync", json!({"sandbox_id": id})).await;
    assert_eq!((paths(&synced["changes"]["not_taken"]), &synced["changes"]["files_deleted"]), (vec!["/"], &json!(0)));
    ok(&world, Who::Alice, "sandbox_stop", json!({"sandbox_id": id})).await;
    assert_eq!(std::fs::read_to_string(secret.join("one")).expect("there"), "of the machine");
}

#[tokio::test]
async fn it_is_done_with_the_rights_of_whoever_connects_and_with_no_others() {
    let (world, id) = scene().await;
    // Nobody else's sandbox, and no directory that may not be read.
    refused(&world, Who::Bob, "sandbox_connect", json!({"sandbox_id": id}), NOT_FOUND).await;
    for method in ["sandbox_sync", "sandbox_disconnect"] {
        refused(&world, Who::Bob, method, json!({"sandbox_id": id}), NOT_FOUND).await;
    }
    ok(&world, Who::Admin, "mkdir", json!({"path": "/closed"})).await;
    write(&world, Who::Admin, "/closed/file", "of others").await;
    let params = json!({"sandbox_id": id, "workspace": "/closed"});
    refused(&world, Who::Alice, "sandbox_connect", params, DENIED).await;
    let params = json!({"sandbox_id": id, "workspace": "/closed/missing"});
    refused(&world, Who::Alice, "sandbox_connect", params, DENIED).await;
    let params = json!({"sandbox_id": id, "agent_id": "bob,Nobody"});
    refused(&world, Who::Alice, "sandbox_connect", params, INVALID_PARAMS).await;

    // The agent may read one file of the directory and change none.
    grant(&world, ("agent", "alice,Helper"), "direct_viewer", "/w/one").await;
    let connected = connect(&world, Who::Alice, &id, json!({"workspace": "/w", "agent_id": "alice,Helper"})).await;
    assert_eq!(connected["mount_status"]["files_visible"], 1, "{connected}");
    assert!(at(&world, &id, "w/one").exists() && !at(&world, &id, "w/two").exists());
    put(&world, &id, "w/one", "changed by an agent that may not");
    put(&world, &id, "w/two", "written over what it has not seen");
    // An admin does not lend his rights to it.
    for method in ["sandbox_sync", "sandbox_disconnect"] {
        refused(&world, Who::Admin, method, json!({"sandbox_id": id}), DENIED).await;
    }
    let synced = ok(&world, Who::Alice, "sandbox_sync", json!({"sandbox_id": id})).await;
    assert_eq!(paths(&synced["changes"]["not_taken"]), ["/w/one", "/w/two"], "{synced}");
    for name in ["one", "two"] {
        assert_eq!(read(&world, Who::Alice, &format!("/w/{name}")).await, name);
    }
    ok(&world, Who::Alice, "sandbox_disconnect", json!({"sandbox_id": id})).await;

    // A table of which bob is shown some columns alone is not copied, and is told.
    ok(&world, Who::Alice, "write", json!({"path": "/w/t.csv", "content": "name,age\na,1\n"})).await;
    grant(&world, ("user", "bob"), "direct_viewer", "/w").await;
    let columns = json!({"subject": ["user", "bob"], "relation": "dynamic_viewer", "object": ["file", "/w/t.csv"],
                         "column_config": {"hidden_columns": ["age"]}});
    ok(&world, Who::Alice, "rebac_create", columns).await;
    let made = sandbox(&world, Who::Bob, "box").await;
    let connected = connect(&world, Who::Bob, super::id(&made), json!({"workspace": "/w"})).await;
    assert_eq!(connected["mount_status"]["files_visible"], 3, "{connected}");
    assert_eq!(
        (&connected["withheld"], &connected["withheld_paths"]),
        (&json!(1), &json!(["/w/t.csv"])),
        "{connected}"
    );
}

/// One file more than a sandbox takes.
const TOO_MANY: usize = 10_001;
/// Files that one request writes.
const BATCH: usize = 256;

#[tokio::test]
async fn what_is_too_much_is_refused_before_anything_is_copied() {
    let (world, id) = scene().await;
    let names: Vec<usize> = (0..TOO_MANY).collect();
    for batch in names.chunks(BATCH) {
        let files: Vec<Value> = batch.iter().map(|n| json!([format!("/w/many/{n}"), "x"])).collect();
        ok(&world, Who::Alice, "write_batch", json!({"files": files})).await;
    }
    let params = json!({"sandbox_id": id, "workspace": "/w"});
    let refusal = refused(&world, Who::Alice, "sandbox_connect", params, PRECONDITION).await;
    assert!(refusal.message.contains("/w has 10004 files") && refusal.message.contains("10000"), "{refusal:?}");
    assert!(!at(&world, &id, "").exists());
    connect(&world, Who::Alice, &id, json!({"workspace": "/w/deep"})).await;
}
