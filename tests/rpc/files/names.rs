//! Names and paths: their limits, and that no two of them are ever taken for one.

use nexus_lite::model::path::{COMPONENT_BYTES_MAX, PATH_BYTES_MAX};
use serde_json::json;

use super::super::*;
use super::shared_world;

#[tokio::test]
async fn a_name_and_a_path_have_a_length_and_the_error_says_which() {
    let world = shared_world().await;
    let name = |bytes: usize| "n".repeat(bytes);
    let longest = format!("/w/alice/{}", name(COMPONENT_BYTES_MAX));
    write(&world, Who::Alice, &longest, "x").await;
    assert_eq!(read(&world, Who::Bob, &longest).await, "x");
    let umlauts = format!("/w/alice/{}", "ä".repeat(COMPONENT_BYTES_MAX / 2 + 1));
    for (path, says) in [
        (format!("/w/alice/{}", name(COMPONENT_BYTES_MAX + 1)), "Path component is longer than 255 bytes"),
        (umlauts, "Path component is longer than 255 bytes"),
        (format!("/w/alice{}", format!("/{}", name(99)).repeat(41)), "Path is longer than 4096 bytes"),
    ] {
        for (method, params) in [
            ("write", json!({"path": path, "content": "x"})),
            ("append", json!({"path": path, "content": "x"})),
            ("mkdir", json!({"path": path, "parents": true})),
            ("write_batch", json!({"files": [[path, "x"]]})),
            ("rename", json!({"old_path": longest, "new_path": path})),
            ("copy", json!({"src_path": longest, "dst_path": path})),
            ("read", json!({"path": path})),
            ("glob", json!({"pattern": "*", "path": path})),
            ("grep", json!({"pattern": "x", "path": path})),
        ] {
            let said = refused(&world, Who::Alice, method, params, INVALID_PATH).await;
            assert!(said.message.starts_with(says), "{method}: {}", said.message);
        }
    }
    let deep = format!("/w/alice{}", "/d".repeat((PATH_BYTES_MAX - "/w/alice".len()) / 2));
    assert_eq!(deep.len(), PATH_BYTES_MAX);
    write(&world, Who::Alice, &deep, "deep").await;
    assert_eq!(read(&world, Who::Bob, &deep).await, "deep");
    let found = ok(&world, Who::Bob, "grep", json!({"pattern": "deep", "path": "/w"})).await;
    assert_eq!(found["results"][0]["file"], deep, "a search goes to the end of it");
    ok(&world, Who::Alice, "rmdir", json!({"path": "/w/alice/d", "recursive": true})).await;
}

#[tokio::test]
async fn names_that_look_alike_are_others() {
    let world = shared_world().await;
    // One letter, and a letter with a mark; Latin, Cyrillic and Greek; a sign of the old way of asking for a prefix.
    let names = [
        "caf\u{e9}",
        "cafe\u{301}",
        "cafe",
        "Cafe",
        "CAFE",
        "\u{441}afe",
        "a",
        "\u{430}",
        "\u{3b1}",
        "a_b",
        "axb",
        "a%",
        "a%b",
        "ab",
        "\u{212a}",
        "K",
        "k",
        "ﬁ",
        "fi",
        "ß",
        "ss",
    ];
    for name in names {
        write(&world, Who::Alice, &format!("/w/alice/{name}/file"), name).await;
    }
    for name in names {
        let path = format!("/w/alice/{name}");
        assert_eq!(read(&world, Who::Bob, &format!("{path}/file")).await, name);
        assert_eq!(list(&world, Who::Bob, &path, true).await, [format!("{path}/file")]);
        let found = ok(&world, Who::Bob, "glob", json!({"pattern": format!("{name}/*"), "path": "/w/alice"})).await;
        assert_eq!(found["matches"], json!([format!("{path}/file")]));
    }
    let mut left = names.len();
    for name in names {
        ok(&world, Who::Alice, "rmdir", json!({"path": format!("/w/alice/{name}"), "recursive": true})).await;
        left -= 1;
        assert_eq!(list(&world, Who::Bob, "/w/alice", true).await.len(), left, "{name}: that one and no other");
    }
}

#[tokio::test]
async fn what_is_no_text_is_refused() {
    let world = shared_world().await;
    for bad in [
        "/w/alice/a\u{0}b",
        "/w/alice/a\nb",
        "/w/alice/a\u{7f}b",
        "/w/alice/a\u{85}b",
        "/w/alice/ a",
        "/w/./a",
        "/w/../a",
    ] {
        refused(&world, Who::Alice, "write", json!({"path": bad, "content": "x"}), INVALID_PATH).await;
    }
    assert_eq!(list(&world, Who::Admin, "/w/alice", true).await, Vec::<String>::new());
}
