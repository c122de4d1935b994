//! `glob`.

use serde_json::{Value, json};

use super::super::{INVALID_PARAMS, INVALID_PATH, grant, ok, refused, write};
use super::shared_world;
use crate::harness::world::{Who, World};

async fn glob(world: &World, who: Who, pattern: &str, path: &str) -> Vec<String> {
    let found = ok(world, who, "glob", json!({"pattern": pattern, "path": path})).await;
    assert_eq!((&found["complete"], &found["truncated"]), (&json!(true), &json!(false)), "{found}");
    assert_eq!((&found["reason"], &found["next_cursor"]), (&Value::Null, &Value::Null), "{found}");
    matches(&found)
}

fn matches(found: &Value) -> Vec<String> {
    let rows = found["matches"].as_array().expect("matches");
    rows.iter().map(|row| row.as_str().expect("a path").to_owned()).collect()
}

#[tokio::test]
async fn finds_what_the_pattern_says_in_order_of_paths() {
    let world = shared_world().await;
    for name in
        ["a.txt", "a/b.txt", "a-b.txt", "a/c/d.md", "a0.txt", ".hidden.txt", "B.TXT", "ä.txt", "a_b.txt", "axb.txt"]
    {
        write(&world, Who::Alice, &format!("/w/alice/{name}"), "x").await;
    }
    ok(&world, Who::Alice, "mkdir", json!({"path": "/w/alice/made"})).await;
    let at = |names: &[&str]| names.iter().map(|name| format!("/w/alice/{name}")).collect::<Vec<_>>();
    for (pattern, wanted) in [
        ("*.txt", &[".hidden.txt", "a-b.txt", "a.txt", "a0.txt", "a_b.txt", "axb.txt", "ä.txt"][..]),
        ("**/*.txt", &[".hidden.txt", "a-b.txt", "a.txt", "a/b.txt", "a0.txt", "a_b.txt", "axb.txt", "ä.txt"]),
        ("**/*.md", &["a/c/d.md"]),
        ("a/**", &["a/b.txt", "a/c/d.md"]),
        ("a_b.txt", &["a_b.txt"]),
        ("a?b.txt", &["a-b.txt", "a_b.txt", "axb.txt"]),
        ("?.txt", &["a.txt", "ä.txt"]),
        ("[a-b].{txt,md}", &["a.txt"]),
        ("m*", &["made"]),
        ("nothing*", &[]),
    ] {
        assert_eq!(glob(&world, Who::Alice, pattern, "/w/alice").await, at(wanted), "{pattern}");
    }
    assert_eq!(glob(&world, Who::Alice, "alice/a/*.txt", "/").await, ["/w/alice/a/b.txt"], "at any depth");
    assert_eq!(glob(&world, Who::Alice, "/w/alice/a/*.txt", "/w").await, ["/w/alice/a/b.txt"]);
    let everything = glob(&world, Who::Alice, "**", "/w").await;
    assert!(everything.is_sorted(), "{everything:?}");
    assert_eq!(everything.len(), 12, "ten files and two directories that were made: {everything:?}");
    for path in ["/w/alice/a.txt", "/w/alice/none", "/none"] {
        assert_eq!(glob(&world, Who::Alice, "**", path).await, Vec::<String>::new(), "{path}");
    }
}

#[tokio::test]
async fn shows_nobody_what_he_may_not_read() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/deep/in/one.txt", "x").await;
    write(&world, Who::Admin, "/w/other/two.txt", "x").await;
    grant(&world, ("agent", "alice,Helper"), "direct_viewer", "/w/other/two.txt").await;
    let all = ["/w", "/w/alice", "/w/alice/deep/in/one.txt", "/w/other/two.txt", "/w/secret.txt"];
    for (who, wanted) in [
        (Who::Admin, &all[..]),
        (Who::Instance, &all),
        (Who::Alice, &all[1..3]),
        (Who::Heir, &all[1..3]),
        (Who::Bob, &all[1..3]),
        (Who::Agent, &all[3..4]),
        (Who::Stranger, &[]),
        (Who::OtherAdmin, &[]),
        (Who::OtherUser, &[]),
    ] {
        assert_eq!(glob(&world, who, "**", "/").await, wanted, "{who:?}");
        // Where there is nothing to see it is as if nothing were there.
        let missing = ok(&world, who, "glob", json!({"pattern": "*", "path": "/nowhere"})).await;
        if wanted.is_empty() {
            assert_eq!(ok(&world, who, "glob", json!({"pattern": "*", "path": "/w"})).await, missing, "{who:?}");
        }
    }
    let (nobody, _, _) = world.rpc_once(Who::Anonymous, None, "glob", json!({"pattern": "**"})).await;
    assert_eq!(nobody.expect_err("no key").data["code"], "unauthenticated");
}

#[tokio::test]
async fn pages_meet_without_a_gap() {
    let world = shared_world().await;
    for at in 0..40 {
        write(&world, Who::Alice, &format!("/w/alice/d{}/{}f{at:02}.txt", at % 3, ["", "x/", "x-"][at % 3]), "x").await;
    }
    let whole = glob(&world, Who::Bob, "**/*f*.txt", "/w").await;
    assert_eq!(whole.len(), 40);
    for limit in [1, 7, 39, 40, 41] {
        let (mut found, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let params = json!({"pattern": "**/*f*.txt", "path": "/w", "limit": limit, "cursor": cursor});
            let page = ok(&world, Who::Bob, "glob", params).await;
            let more = page["truncated"] == true;
            assert_eq!((page["reason"] == "limit", page["complete"] == false), (more, more), "{page}");
            assert!(matches(&page).len() == limit || !more);
            found.extend(matches(&page));
            cursor = page["next_cursor"].clone();
            assert_eq!(more, !cursor.is_null());
            if !more {
                break;
            }
        }
        assert_eq!(found, whole, "limit {limit}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let world = shared_world().await;
    for pattern in ["", "/", "a[", "a{b", "b}", "a\\", &"x".repeat(4097)] {
        let said = refused(&world, Who::Alice, "glob", json!({"pattern": pattern}), INVALID_PARAMS).await;
        assert!(said.message.starts_with("Invalid parameters: Invalid glob pattern: "), "{}", said.message);
    }
    let said = refused(&world, Who::Alice, "glob", json!({"pattern": "a/[b"}), INVALID_PARAMS).await;
    assert!(said.message.ends_with("a '[' is not closed at character 3 of 'a/[b'"), "{}", said.message);
    refused(&world, Who::Alice, "glob", json!({"pattern": "*", "limit": 0}), INVALID_PARAMS).await;
    refused(&world, Who::Alice, "glob", json!({"pattern": "*", "cursor": "bm8"}), INVALID_PARAMS).await;
    refused(&world, Who::Alice, "glob", json!({"pattern": "*", "path": "/a/../b"}), INVALID_PATH).await;
}
