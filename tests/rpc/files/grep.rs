//! `grep`.

use serde_json::{Value, json};

use super::super::{INVALID_PARAMS, grant, ok, refused, write};
use super::shared_world;
use crate::harness::engine::sqlite_only;
use crate::harness::world::{Who, World};

/// Bytes of a body that is a blob file.
const BLOB: usize = 70_000;

async fn grep(world: &World, who: Who, mut params: Value) -> Value {
    params.as_object_mut().expect("an object").entry("path").or_insert(json!("/w"));
    ok(world, who, "grep", params).await
}

/// `file:line` of every row.
fn places(found: &Value) -> Vec<String> {
    let rows = found["results"].as_array().expect("results");
    rows.iter().map(|row| format!("{}:{}", row["file"].as_str().expect("a path"), row["line"])).collect()
}

fn bytes(body: &[u8]) -> Value {
    use base64::Engine as _;
    json!({"__type__": "bytes", "data": base64::engine::general_purpose::STANDARD.encode(body)})
}

#[tokio::test]
async fn finds_lines_as_the_contract_shows_them() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a.txt", "one\nneedle here, needle there\r\nthree").await;
    let found = grep(&world, Who::Alice, json!({"pattern": "ne+dle"})).await;
    let row = json!({"file": "/w/alice/a.txt", "line": 2, "content": "needle here, needle there", "match": "needle"});
    assert_eq!(found["results"], json!([row]));
    let rest = json!({"files_searched": 1, "files_skipped": {"binary": 0, "too_large": 0, "damaged": 0},
        "truncated": false, "complete": true, "reason": null, "next_cursor": null, "results": [row]});
    assert_eq!(found, rest);
    assert_eq!(places(&grep(&world, Who::Alice, json!({"pattern": "NEEDLE"})).await), [] as [&str; 0]);
    let found = grep(&world, Who::Alice, json!({"pattern": "NEEDLE", "ignore_case": true, "search_mode": "raw"})).await;
    assert_eq!(places(&found), ["/w/alice/a.txt:2"]);
    let found = grep(&world, Who::Alice, json!({"pattern": "needle", "before_context": 3, "after_context": 1})).await;
    assert_eq!(found["results"][0]["before"], json!([{"line": 1, "content": "one"}]));
    assert_eq!(found["results"][0]["after"], json!([{"line": 3, "content": "three"}]));
    let found = grep(&world, Who::Alice, json!({"pattern": "one", "path": "/w/alice/a.txt"})).await;
    assert_eq!(places(&found), ["/w/alice/a.txt:1"], "a file by its name");
    assert_eq!(grep(&world, Who::Alice, json!({"pattern": "x", "path": "/w/none"})).await["complete"], true);
}

#[tokio::test]
async fn looks_at_every_kind_of_body() {
    let world = shared_world().await;
    let big = format!("{}\nneedle in a blob\n", "x".repeat(BLOB));
    for (name, body) in [
        ("big.txt", bytes(big.as_bytes())),
        ("binary.bin", bytes(b"needle\0")),
        ("empty.txt", bytes(b"")),
        ("latin1.txt", bytes(b"caf\xe9 needle")),
        ("long.txt", bytes(format!("{}needle", "ä".repeat(2_000)).as_bytes())),
        ("same.txt", bytes(big.as_bytes())),
    ] {
        ok(&world, Who::Alice, "write", json!({"path": format!("/w/alice/{name}"), "content": body})).await;
    }
    let found = grep(&world, Who::Bob, json!({"pattern": "needle"})).await;
    let at = |name: &str| format!("/w/alice/{name}");
    assert_eq!(places(&found), [at("big.txt:2"), at("latin1.txt:1"), at("long.txt:1"), at("same.txt:2")]);
    assert_eq!(found["results"][1]["content"], "caf\u{fffd} needle");
    assert_eq!(found["results"][2]["content_truncated"], true);
    assert_eq!(found["results"][2]["content"].as_str().map(str::len), Some(2_000));
    assert_eq!(found["results"][2]["match"], "needle");
    assert_eq!(found["files_searched"], 5);
    assert_eq!(found["files_skipped"], json!({"binary": 1, "too_large": 0, "damaged": 0}));
    assert_eq!(found["complete"], true, "what is binary has no lines");
}

#[tokio::test]
async fn a_damaged_file_is_passed_by_and_said() {
    sqlite_only!("it damages a blob file");
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/a.txt", &format!("needle{}", "x".repeat(BLOB))).await;
    write(&world, Who::Alice, "/w/alice/b.txt", "needle").await;
    let etag = ok(&world, Who::Alice, "stat", json!({"path": "/w/alice/a.txt"})).await["etag"].clone();
    let hex = etag.as_str().expect("an etag");
    let blob = world.path().join("blobs").join(&hex[..2]).join(&hex[2..4]).join(hex);
    std::fs::write(&blob, "needle, but not what was stored").expect("damaged");
    let found = grep(&world, Who::Alice, json!({"pattern": "needle"})).await;
    assert_eq!(places(&found), ["/w/alice/b.txt:1"]);
    assert_eq!((&found["complete"], &found["truncated"]), (&json!(false), &json!(false)));
    assert_eq!((&found["reason"], &found["files_skipped"]["damaged"]), (&json!("files_damaged"), &json!(1)));
}

#[tokio::test]
async fn the_files_are_those_of_the_pattern() {
    let world = shared_world().await;
    for name in ["a.py", "d/b.py", "d/c.md", "d/e/f.py"] {
        write(&world, Who::Alice, &format!("/w/alice/{name}"), "needle").await;
    }
    for (pattern, wanted) in [
        ("*.py", &["a.py", "d/b.py", "d/e/f.py"][..]),
        ("d/*.py", &["d/b.py"]),
        ("**/e/*", &["d/e/f.py"]),
        ("*.{md,txt}", &["d/c.md"]),
        ("*.rs", &[]),
    ] {
        let params = json!({"pattern": "needle", "path": "/w/alice", "file_pattern": pattern});
        let found = grep(&world, Who::Alice, params).await;
        let wanted: Vec<_> = wanted.iter().map(|name| format!("/w/alice/{name}:1")).collect();
        assert_eq!(places(&found), wanted, "{pattern}");
        assert_eq!(found["files_searched"], wanted.len(), "{pattern}: others are not even looked at");
    }
    let params = json!({"pattern": "needle", "file_pattern": "a["});
    refused(&world, Who::Alice, "grep", params, INVALID_PARAMS).await;
}

#[tokio::test]
async fn shows_and_counts_for_nobody_what_he_may_not_read() {
    let world = shared_world().await;
    write(&world, Who::Alice, "/w/alice/one.txt", "the secret of alice").await;
    write(&world, Who::Admin, "/w/other/two.txt", "secret, too").await;
    ok(&world, Who::Admin, "write", json!({"path": "/w/other/b.bin", "content": bytes(b"secret\0")})).await;
    grant(&world, ("agent", "alice,Helper"), "direct_viewer", "/w/other/two.txt").await;
    let all = ["/w/alice/one.txt:1", "/w/other/two.txt:1", "/w/secret.txt:1"];
    for (who, wanted, binary) in [
        (Who::Admin, &all[..], 1),
        (Who::Instance, &all, 1),
        (Who::Alice, &all[..1], 0),
        (Who::Heir, &all[..1], 0),
        (Who::Bob, &all[..1], 0),
        (Who::Agent, &all[1..2], 0),
        (Who::Stranger, &[], 0),
        (Who::OtherAdmin, &[], 0),
        (Who::OtherUser, &[], 0),
    ] {
        let found = grep(&world, who, json!({"pattern": "secret", "path": "/"})).await;
        assert_eq!(places(&found), wanted, "{who:?}");
        assert_eq!(
            (&found["files_searched"], &found["files_skipped"]["binary"]),
            (&json!(wanted.len()), &json!(binary))
        );
        if wanted.is_empty() {
            for path in ["/w", "/w/secret.txt", "/nowhere"] {
                assert_eq!(
                    grep(&world, who, json!({"pattern": "secret", "path": path})).await,
                    found,
                    "{who:?} {path}"
                );
            }
        }
    }
    let (nobody, _, _) = world.rpc_once(Who::Anonymous, None, "grep", json!({"pattern": "x"})).await;
    assert_eq!(nobody.expect_err("no key").data["code"], "unauthenticated");
}

#[tokio::test]
async fn pages_meet_without_a_gap_also_within_a_file() {
    let world = shared_world().await;
    for at in 0..6 {
        let body: String = (0..at * 2).map(|n| format!("{}\n", if n % 3 == 0 { "needle" } else { "hay" })).collect();
        write(&world, Who::Alice, &format!("/w/alice/f{at}.txt"), &body).await;
    }
    let whole = grep(&world, Who::Bob, json!({"pattern": "needle"})).await;
    let (whole, rows) = (places(&whole), whole["results"].as_array().expect("rows").len());
    assert_eq!(rows, 12);
    for limit in [1, 2, 5, 11, 12, 13] {
        let (mut found, mut cursor) = (Vec::new(), Value::Null);
        loop {
            let page =
                grep(&world, Who::Bob, json!({"pattern": "needle", "max_results": limit, "cursor": cursor})).await;
            found.extend(places(&page));
            cursor = page["next_cursor"].clone();
            assert_eq!(page["truncated"], !cursor.is_null());
            if cursor.is_null() {
                assert_eq!(page["complete"], true);
                break;
            }
            assert_eq!((&page["reason"], places(&page).len()), (&json!("limit"), limit));
        }
        assert_eq!(found, whole, "limit {limit}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let world = shared_world().await;
    for pattern in ["(", "a\nb", "[z-a]", "a{1000}{1000}", &"x".repeat(4097)] {
        let said = refused(&world, Who::Alice, "grep", json!({"pattern": pattern}), INVALID_PARAMS).await;
        assert!(said.message.starts_with("Invalid parameters: Invalid regex pattern: "), "{}", said.message);
    }
    for (name, value) in [("max_results", json!(0)), ("before_context", json!(21)), ("cursor", json!("bm8"))] {
        refused(&world, Who::Alice, "grep", json!({"pattern": "x", name: value}), INVALID_PARAMS).await;
    }
}
