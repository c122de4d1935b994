//! `list`.

use serde_json::{Value, json};

use super::super::*;
use super::shared_world;

#[tokio::test]
async fn rows_and_their_order() {
    let world = shared_world().await;
    for name in ["b.txt", "b/c.txt", "b-/d.txt", "a/z/deep.txt", "B.txt"] {
        write(&world, Who::Alice, &format!("/w/alice/{name}"), "text").await;
    }
    ok(&world, Who::Alice, "mkdir", json!({"path": "/w/alice/made"})).await;
    let all = ["B.txt", "a/z/deep.txt", "b-/d.txt", "b.txt", "b/c.txt", "made"].map(|n| format!("/w/alice/{n}"));
    assert_eq!(list(&world, Who::Alice, "/w/alice", true).await, all, "by the text of the path");
    assert_eq!(list(&world, Who::Bob, "/w/alice/", true).await, all);
    let direct = ["B.txt", "a", "b", "b-", "b.txt", "made"].map(|n| format!("/w/alice/{n}"));
    assert_eq!(list(&world, Who::Bob, "/w/alice", false).await, direct);
    let details = ok(&world, Who::Bob, "list", json!({"path": "/w/alice", "details": true})).await;
    let row = |path: &str| {
        let rows = details["files"].as_array().expect("rows");
        rows.iter().find(|r| r["path"] == path).unwrap_or_else(|| panic!("{path} in {details}")).clone()
    };
    let nothing = Value::Null;
    assert_eq!(
        row("/w/alice/made"),
        json!({"path": "/w/alice/made", "size": 0, "modified_at": nothing, "created_at": nothing, "etag": nothing,
               "mime_type": nothing, "is_directory": true})
    );
    let file = row("/w/alice/b.txt");
    let keys: Vec<&String> = file.as_object().expect("object").keys().collect();
    assert_eq!(keys, ["path", "size", "modified_at", "created_at", "etag", "mime_type", "is_directory"]);
    assert_eq!((&file["size"], &file["is_directory"]), (&json!(4), &json!(false)));
    assert_eq!(file["modified_at"]["__type__"], "datetime");
    assert_eq!(details.as_object().expect("object").len(), 1, "no cursor unless a limit is given");
}

#[tokio::test]
async fn shows_only_what_the_caller_may_see() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a.txt", "x").await;
    write(&world, Who::Admin, "/other/b.txt", "x").await;
    for who in [Who::Alice, Who::Heir, Who::Bob] {
        assert_eq!(list(&world, who, "/", true).await, ["/w/alice", "/w/alice/a.txt"], "{who:?}");
        assert_eq!(list(&world, who, "/", false).await, ["/w"], "{who:?}");
        assert_eq!(list(&world, who, "/w", false).await, ["/w/alice"], "{who:?}");
        assert_eq!(list(&world, who, "/other", true).await, Vec::<String>::new(), "{who:?}");
    }
    for who in [Who::Admin, Who::Instance] {
        let all = ["/other/b.txt", "/w", "/w/alice", "/w/alice/a.txt", "/w/secret.txt"];
        assert_eq!(list(&world, who, "/", true).await, all, "{who:?}");
    }
    for who in [Who::Agent, Who::Stranger, Who::OtherAdmin, Who::OtherUser] {
        for path in ["/", "/w", "/w/alice", "/w/alice/a.txt", "/none"] {
            assert_eq!(list(&world, who, path, true).await, Vec::<String>::new(), "{who:?} {path}");
            assert_eq!(list(&world, who, path, false).await, Vec::<String>::new(), "{who:?} {path}");
        }
    }
    grant(&world, ("agent", "alice,Helper"), "direct_viewer", "/w/alice/a.txt").await;
    assert_eq!(list(&world, Who::Agent, "/", true).await, ["/w/alice/a.txt"], "its own grant");
}

#[tokio::test]
async fn a_file_and_nothing_list_as_empty() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a.txt", "x").await;
    for path in ["/w/alice/a.txt", "/w/alice/a.txt/b", "/w/alice/none", "/none"] {
        assert_eq!(ok(&world, Who::Admin, "list", json!({"path": path})).await, json!({"files": []}), "{path}");
    }
    refused(&world, Who::Admin, "list", json!({"path": "/w/.."}), INVALID_PATH).await;
    assert_eq!(paths(&ok(&world, Who::Admin, "list", json!({})).await).len(), 4, "the defaults: all below /");
}

#[tokio::test]
async fn prefixes_are_text_and_names_are_not_patterns() {
    let world = shared_world().await;
    for name in ["a_b/1", "axb/2", "A_B/3", "a_bc/4", "a%/5"] {
        write(&world, Who::Alice, &format!("/w/alice/{name}.txt"), "x").await;
    }
    assert_eq!(list(&world, Who::Alice, "/w/alice/a_b", true).await, ["/w/alice/a_b/1.txt"]);
    assert_eq!(list(&world, Who::Alice, "/w/alice/a%", true).await, ["/w/alice/a%/5.txt"]);
    let by = |prefix: &str| json!({"path": "/w/alice", "prefix": prefix});
    let found = paths(&ok(&world, Who::Alice, "list", by("/w/alice/a_b")).await);
    assert_eq!(found, ["/w/alice/a_b/1.txt", "/w/alice/a_bc/4.txt"]);
    assert_eq!(paths(&ok(&world, Who::Alice, "list", by("/w/alice/a_b/")).await), ["/w/alice/a_b/1.txt"]);
    assert_eq!(paths(&ok(&world, Who::Alice, "list", by("/elsewhere")).await), Vec::<String>::new());
    ok(&world, Who::Alice, "rmdir", json!({"path": "/w/alice/a_b", "recursive": true})).await;
    assert_eq!(list(&world, Who::Alice, "/w/alice/axb", true).await, ["/w/alice/axb/2.txt"]);
}

#[tokio::test]
async fn pages_are_whole_and_meet_without_a_gap() {
    let world = shared_world().await;
    for at in 0..25 {
        write(&world, Who::Alice, &format!("/w/alice/{}/f{at:02}.txt", at % 4), "x").await;
    }
    let all = list(&world, Who::Bob, "/w/alice", true).await;
    for recursive in [true, false] {
        let whole = list(&world, Who::Bob, "/w/alice", recursive).await;
        for limit in [1, 3, whole.len() - 1, whole.len(), whole.len() + 1] {
            let (mut found, mut cursor) = (Vec::new(), Value::Null);
            loop {
                let params = json!({"path": "/w/alice", "recursive": recursive, "limit": limit, "cursor": cursor});
                let page = ok(&world, Who::Bob, "list", params).await;
                let rows = paths(&page);
                let more = page["has_more"].as_bool().expect("has_more");
                assert_eq!(more, !page["next_cursor"].is_null());
                assert!(rows.len() == limit || !more, "a page is short only at the end");
                found.extend(rows);
                cursor = page["next_cursor"].clone();
                if !more {
                    break;
                }
            }
            assert_eq!(found, whole, "limit {limit}");
        }
    }
    assert_eq!(all.len(), 25);
    refused(&world, Who::Bob, "list", json!({"path": "/w", "limit": 0}), INVALID_PARAMS).await;
    refused(&world, Who::Bob, "list", json!({"path": "/w", "limit": 1, "cursor": "bm8"}), INVALID_PARAMS).await;
}

/// A page begins at a name in a directory and ends when it is full; neither may cost a row, whatever the names are like.
#[tokio::test]
async fn pages_of_names_around_a_slash_lack_nothing() {
    let world = shared_world().await;
    for name in ["a/b/1", "a/c", "a b", "a-b", "a.b", "a0", "aa/1", "a", "b", "é/1", "é0", "~"] {
        let name = if name == "a" { "A" } else { name };
        write(&world, Who::Alice, &format!("/w/alice/{name}"), "x").await;
    }
    let whole = |recursive| list(&world, Who::Bob, "/w/alice", recursive);
    let (tree, children) = (whole(true).await, whole(false).await);
    assert_eq!((tree.len(), children.len()), (12, 11));
    for prefix in ["", "/w/alice/a", "/w/alice/a-", "/w/alice/a/", "/w/alice/b", "/w/alice", "/w/alicf", "/w/alice/é"]
    {
        let expected: Vec<_> = children.iter().filter(|path| path.starts_with(prefix)).cloned().collect();
        for limit in 1..=tree.len() {
            // A cursor says where to go on, whatever was listed by it.
            let params = json!({"path": "/w/alice", "recursive": true, "limit": limit});
            let cursor = ok(&world, Who::Bob, "list", params).await["next_cursor"].clone();
            let after = if cursor.is_null() { "" } else { tree[limit - 1].as_str() };
            let params =
                json!({"path": "/w/alice", "recursive": false, "prefix": prefix, "limit": 3, "cursor": cursor});
            let page = ok(&world, Who::Bob, "list", params).await;
            let rest: Vec<_> = expected.iter().filter(|path| path.as_str() > after).cloned().collect();
            let first: Vec<_> = rest.iter().take(3).cloned().collect();
            assert_eq!(paths(&page), first, "prefix {prefix:?}, after {after:?}");
            assert_eq!(page["has_more"], json!(rest.len() > 3), "prefix {prefix:?}, after {after:?}");
        }
    }
}

#[tokio::test]
async fn a_listing_too_large_for_the_callers_thread_is_the_same() {
    let world = shared_world().await;
    let call = world.call_as(Who::Alice);
    let writes = (0..2_100).map(|at| {
        let path = VirtualPath::parse(&format!("/w/alice/{}/f{at:04}", at % 7)).expect("a path");
        nexus_lite::service::files::write(&call, path, "x".into(), Default::default())
    });
    let mut writes = writes.collect::<Vec<_>>();
    while !writes.is_empty() {
        let some = writes.split_off(writes.len().saturating_sub(500));
        futures_util::future::try_join_all(some).await.expect("writes");
    }
    write(&world, Who::Admin, "/w/hidden.txt", "x").await;
    let found = list(&world, Who::Bob, "/", true).await;
    assert_eq!(found.len(), 2_101, "the directory and every file");
    assert!(found.is_sorted());
    assert_eq!(list(&world, Who::Stranger, "/", true).await, Vec::<String>::new());
}

#[tokio::test]
async fn leaves_no_record_per_row_and_one_per_question() {
    let world = shared_world().await;
    for at in 0..10 {
        write(&world, Who::Alice, &format!("/w/alice/f{at}.txt"), "x").await;
    }
    let second = std::time::Duration::from_secs(2);
    world.pass(second).await;
    let (head, before) = (world.head().await, world.store.status().note_rows);
    list(&world, Who::Bob, "/", true).await;
    ok(&world, Who::Bob, "skills_list", json!({})).await;
    world.pass(second).await;
    assert_eq!(world.store.status().note_rows, before, "a listing asks about nothing by name");
    for _ in 0..3 {
        ok(&world, Who::Bob, "exists", json!({"path": "/w/alice/f1.txt"})).await;
    }
    world.pass(second).await;
    assert_eq!(world.store.status().note_rows, before + 1, "one row per decision");
    assert_eq!(world.head().await, head, "no read moves the revision");
}
