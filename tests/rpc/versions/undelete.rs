//! `list_deleted` and `undelete`.

use serde_json::{Value, json};

use super::super::*;
use super::shared_world;

const PATH: &str = "/w/alice/a.txt";
/// Deleted files: more than one page looks through.
const MANY: usize = 2_600;
/// Files of a directory that is brought back: more than one message holds.
const FILES: usize = 300;

async fn deleted(world: &World, who: Who, path: &str) -> Vec<Value> {
    let found = ok(world, who, "list_deleted", json!({"path": path})).await;
    assert_eq!(found["next_cursor"], Value::Null);
    found["deleted"].as_array().expect("rows").clone()
}

async fn sound(world: &World) {
    let report = world.store.check().await.expect("a report");
    assert_eq!(report.violations, []);
}

#[tokio::test]
async fn a_file_comes_back_with_its_history_and_without_grants() {
    let world = shared_world().await;
    write(&world, Who::Alice, PATH, "one").await;
    write(&world, Who::Alice, PATH, "two").await;
    grant(&world, ("user", "edith"), "direct_viewer", PATH).await;
    assert_eq!(deleted(&world, Who::Alice, "/w/alice").await, Vec::<Value>::new());
    ok(&world, Who::Admin, "delete", json!({"path": PATH})).await;
    let rows = deleted(&world, Who::Alice, "/w/alice").await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((&rows[0]["path"], &rows[0]["version"], &rows[0]["size"]), (&json!(PATH), &json!(2), &json!(3)));
    assert_eq!((&rows[0]["deleted_by"], &rows[0]["is_directory"]), (&json!("user:admin"), &json!(false)));
    let done = ok(&world, Who::Alice, "undelete", json!({"path": PATH})).await;
    assert_eq!(done, json!({"restored": true, "path": PATH, "count": 1, "version": 2, "skipped": []}));
    assert_eq!(read(&world, Who::Bob, PATH).await, "two", "by the grant on the directory");
    refused(&world, Who::Edith, "read", json!({"path": PATH}), DENIED).await;
    let versions = ok(&world, Who::Alice, "list_versions", json!({"path": PATH})).await;
    let numbers: Vec<_> = versions.as_array().expect("rows").iter().map(|row| row["version"].clone()).collect();
    assert_eq!(numbers, [json!(2), json!(1)], "each once");
    assert_eq!(write(&world, Who::Alice, PATH, "three").await["version"], 3);
    let metadata = ok(&world, Who::Alice, "get_metadata", json!({"path": PATH})).await;
    assert_eq!(metadata["metadata"]["owner"], "alice");
    assert_eq!(deleted(&world, Who::Alice, "/w/alice").await, Vec::<Value>::new());
    // And again.
    ok(&world, Who::Alice, "delete", json!({"path": PATH})).await;
    ok(&world, Who::Alice, "undelete", json!({"path": PATH})).await;
    assert_eq!(read(&world, Who::Alice, PATH).await, "three");
    sound(&world).await;
}

#[tokio::test]
async fn only_whoever_owned_it_or_manages_the_directory() {
    let world = shared_world().await;
    grant(&world, ("user", "edith"), "direct_editor", "/w/alice").await;
    write(&world, Who::Alice, PATH, "alice's").await;
    ok(&world, Who::Alice, "delete", json!({"path": PATH})).await;
    let head = world.head().await;
    for who in [Who::Bob, Who::Agent, Who::Stranger, Who::OtherUser, Who::OtherAdmin] {
        refused(&world, who, "list_deleted", json!({"path": "/w/alice"}), DENIED).await;
        let there = refused(&world, who, "undelete", json!({"path": PATH}), DENIED).await;
        let none = refused(&world, who, "undelete", json!({"path": "/w/alice/none"}), DENIED).await;
        assert_eq!(there.message, none.message.replace("none", "a.txt"), "{who:?} learns nothing");
    }
    refused(&world, Who::Anonymous, "undelete", json!({"path": PATH}), -32019).await;
    // Edith may write there. What was kept from her by a rule on the file would be hers to read.
    assert_eq!(deleted(&world, Who::Edith, "/w/alice").await, Vec::<Value>::new());
    let there = refused(&world, Who::Edith, "undelete", json!({"path": PATH}), NOT_FOUND).await;
    let none = refused(&world, Who::Edith, "undelete", json!({"path": "/w/alice/none"}), NOT_FOUND).await;
    assert_eq!(there.message, none.message.replace("none", "a.txt"));
    assert_eq!(world.head().await, head);
    for who in [Who::Heir, Who::Admin, Who::Instance, Who::Alice] {
        assert_eq!(deleted(&world, who, "/w/alice").await.len(), 1, "{who:?}");
        ok(&world, who, "undelete", json!({"path": PATH})).await;
        ok(&world, Who::Alice, "delete", json!({"path": PATH})).await;
    }
    // Who owned it and may write there no more: no.
    revoke(&world, "/w/alice").await;
    refused(&world, Who::Alice, "undelete", json!({"path": PATH}), DENIED).await;
}

#[tokio::test]
async fn a_taken_name_and_several_of_one_path() {
    let world = shared_world().await;
    for text in ["first", "second"] {
        write(&world, Who::Alice, PATH, text).await;
        ok(&world, Who::Alice, "delete", json!({"path": PATH})).await;
    }
    let rows = deleted(&world, Who::Alice, "/w/alice").await;
    assert_eq!(rows.len(), 2);
    let page = ok(&world, Who::Alice, "list_deleted", json!({"path": "/w/alice", "limit": 1})).await;
    assert_eq!(page["deleted"], json!([rows[0]]));
    let next = json!({"path": "/w/alice", "limit": 1, "cursor": page["next_cursor"]});
    assert_eq!(ok(&world, Who::Alice, "list_deleted", next).await["deleted"], json!([rows[1]]));
    ok(&world, Who::Alice, "undelete", json!({"path": PATH})).await;
    assert_eq!(read(&world, Who::Alice, PATH).await, "second", "the one that went last");
    let first = json!({"path": PATH, "deleted_id": rows[0]["deleted_id"]});
    let taken = refused(&world, Who::Alice, "undelete", first.clone(), EXISTS).await;
    assert!(taken.message.contains("Move it away"), "{}", taken.message);
    ok(&world, Who::Alice, "rename", json!({"old_path": PATH, "new_path": "/w/alice/b.txt"})).await;
    ok(&world, Who::Alice, "undelete", first).await;
    assert_eq!(read(&world, Who::Alice, PATH).await, "first");
    let wrong = json!({"path": "/w/alice/c.txt", "deleted_id": "x"});
    refused(&world, Who::Alice, "undelete", wrong, INVALID_PARAMS).await;
    sound(&world).await;
}

/// All pages of what was deleted below a directory: each path with the revision that removed it, and the longest page.
async fn paged(world: &World, path: &str, limit: usize) -> (Vec<(String, u64)>, usize) {
    let (mut rows, mut longest, mut params) = (Vec::new(), 0, json!({"path": path, "limit": limit}));
    loop {
        let mut page = ok(world, Who::Alice, "list_deleted", params.clone()).await;
        let found = page["deleted"].as_array().expect("rows");
        longest = longest.max(found.len());
        let row =
            |row: &Value| (row["path"].as_str().expect("a path").to_owned(), row["revision"].as_u64().expect("one"));
        rows.extend(found.iter().map(row));
        if page["next_cursor"].is_null() {
            return (rows, longest);
        }
        params["cursor"] = page["next_cursor"].take();
    }
}

#[tokio::test]
async fn pages_are_the_whole_in_order() {
    let world = shared_world().await;
    let names = ["a", "a.b", "a/x", "a/x.y", "a-b/c/d", "b/a", "b", "c"];
    for _ in 0..3 {
        for name in names {
            let path = format!("/w/alice/{name}");
            write(&world, Who::Alice, &path, name).await;
            // With it the directories go that the write had made.
            ok(&world, Who::Alice, "delete", json!({"path": path})).await;
        }
    }
    let (whole, longest) = paged(&world, "/w/alice", 1_000).await;
    assert_eq!((whole.len(), longest), (3 * names.len(), 3 * names.len()));
    let mut sorted = whole.clone();
    sorted.sort_by(|(a, a_rev), (b, b_rev)| {
        (a.split('/').collect::<Vec<_>>(), a_rev).cmp(&(b.split('/').collect(), b_rev))
    });
    assert_eq!(whole, sorted, "by path, name for name, and the older first");
    for limit in 1..=5 {
        assert_eq!(paged(&world, "/w/alice", limit).await, (whole.clone(), limit));
    }
    for cursor in ["", "x", "5", "5/w/bob/a", "5/w/alice", "-1/w/alice/a"] {
        let params = json!({"path": "/w/alice", "cursor": cursor});
        refused(&world, Who::Alice, "list_deleted", params, INVALID_PARAMS).await;
    }
}

#[tokio::test]
async fn more_than_a_page_looks_through_is_paged() {
    let world = shared_world().await;
    for from in (0..MANY).step_by(256) {
        let paths: Vec<String> = (from..MANY.min(from + 256)).map(|n| format!("/w/alice/{n:05}")).collect();
        let files: Vec<_> = paths.iter().map(|path| json!([path, "x"])).collect();
        ok(&world, Who::Alice, "write_batch", json!({"files": files})).await;
        ok(&world, Who::Alice, "delete_bulk", json!({"paths": paths})).await;
    }
    write(&world, Who::Admin, "/w/alice/of-another", "x").await;
    ok(&world, Who::Admin, "delete", json!({"path": "/w/alice/of-another"})).await;
    let (rows, _) = paged(&world, "/w/alice", 1_000).await;
    let wanted: Vec<String> = (0..MANY).map(|n| format!("/w/alice/{n:05}")).collect();
    assert_eq!(rows.into_iter().map(|(path, _)| path).collect::<Vec<_>>(), wanted);
    // Whoever owned none of them: pages without rows, and an end.
    grant(&world, ("user", "edith"), "direct_editor", "/w/alice").await;
    let (mut pages, mut params) = (0, json!({"path": "/w/alice"}));
    loop {
        let mut page = ok(&world, Who::Edith, "list_deleted", params.clone()).await;
        assert_eq!(page["deleted"], json!([]));
        pages += 1;
        if page["next_cursor"].is_null() {
            break;
        }
        params["cursor"] = page["next_cursor"].take();
    }
    assert!(pages > 1, "a page looks through a bounded number");
}

#[tokio::test]
async fn a_directory_comes_back_whole() {
    let world = shared_world().await;
    grant(&world, ("user", "edith"), "direct_editor", "/w/alice").await;
    ok(&world, Who::Alice, "mkdir", json!({"path": "/w/alice/d"})).await;
    for from in (0..FILES).step_by(100) {
        let files: Vec<_> =
            (from..from + 100).map(|n| json!([format!("/w/alice/d/{n:04}.txt"), n.to_string()])).collect();
        ok(&world, Who::Alice, "write_batch", json!({"files": files})).await;
    }
    write(&world, Who::Edith, "/w/alice/d/x/y/z.txt", "edith's").await;
    write(&world, Who::Edith, "/w/alice/d/x/y/z.txt", "edith's second").await;
    write(&world, Who::Alice, "/w/alice/d/gone.txt", "was gone before").await;
    ok(&world, Who::Alice, "delete", json!({"path": "/w/alice/d/gone.txt"})).await;
    ok(&world, Who::Alice, "rename", json!({"old_path": "/w/alice/d/0007.txt", "new_path": "/w/alice/d/moved.txt"}))
        .await;
    let before = list(&world, Who::Alice, "/w/alice", true).await;
    ok(&world, Who::Alice, "rmdir", json!({"path": "/w/alice/d", "recursive": true})).await;
    let rows = deleted(&world, Who::Alice, "/w/alice").await;
    assert_eq!(rows.len(), 1, "the directory and nothing of what was in it: {rows:?}");
    assert_eq!((&rows[0]["path"], &rows[0]["is_directory"]), (&json!("/w/alice/d"), &json!(true)));
    let done = ok(&world, Who::Alice, "undelete", json!({"path": "/w/alice/d"})).await;
    // The directory, the files, x, y and z.
    assert_eq!((&done["count"], &done["skipped"]), (&json!(FILES + 4), &json!([])));
    let mut after = list(&world, Who::Alice, "/w/alice", true).await;
    // What a write had made of itself is a directory of its own now.
    after.retain(|path| path != "/w/alice/d/x" && path != "/w/alice/d/x/y");
    assert_eq!(after, before);
    assert_eq!(read(&world, Who::Bob, "/w/alice/d/moved.txt").await, "7");
    let z = json!({"path": "/w/alice/d/x/y/z.txt"});
    assert_eq!(ok(&world, Who::Alice, "get_metadata", z.clone()).await["metadata"]["owner"], "edith");
    assert_eq!(ok(&world, Who::Alice, "list_versions", z).await.as_array().map(Vec::len), Some(2));
    let rows = deleted(&world, Who::Alice, "/w/alice/d").await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    ok(&world, Who::Alice, "undelete", json!({"path": "/w/alice/d/gone.txt"})).await;
    sound(&world).await;
}

#[tokio::test]
async fn a_file_of_a_directory_that_vanished_with_it() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/x/y/z.txt", "z").await;
    ok(&world, Who::Alice, "delete", json!({"path": "/w/alice/x/y/z.txt"})).await;
    let rows = deleted(&world, Who::Alice, "/w/alice").await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["path"], "/w/alice/x/y/z.txt");
    ok(&world, Who::Alice, "undelete", json!({"path": "/w/alice/x/y/z.txt"})).await;
    assert_eq!(read(&world, Who::Alice, "/w/alice/x/y/z.txt").await, "z");
    sound(&world).await;
}

#[tokio::test]
async fn a_skill_is_listed_again() {
    let world = shared_world().await;
    let path = "/tenant:default/skill/s/SKILL.md";
    write(&world, Who::Admin, path, "---\nname: s\ndescription: d\n---\n").await;
    ok(&world, Who::Admin, "rmdir", json!({"path": "/tenant:default/skill/s", "recursive": true})).await;
    refused(&world, Who::Admin, "skills_info", json!({"skill_name": "s"}), VALIDATION).await;
    ok(&world, Who::Admin, "undelete", json!({"path": "/tenant:default/skill/s"})).await;
    assert_eq!(ok(&world, Who::Admin, "skills_info", json!({"skill_name": "s"})).await["name"], "s");
    sound(&world).await;
}

#[tokio::test]
async fn a_repeat_of_the_request_restores_once() {
    let world = shared_world().await;
    write(&world, Who::Alice, PATH, "one").await;
    ok(&world, Who::Alice, "delete", json!({"path": PATH})).await;
    let once = world.rpc_once(Who::Alice, Some("k1"), "undelete", json!({"path": PATH})).await.0.expect("restored");
    let head = world.head().await;
    let again = world.rpc_once(Who::Alice, Some("k1"), "undelete", json!({"path": PATH})).await.0.expect("restored");
    assert_eq!((once, world.head().await), (again, head));
}
