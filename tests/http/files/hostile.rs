//! Targets that are made to lead elsewhere.

use serde_json::json;

use super::super::{Served, Who};

/// Ways to write "the directory above", or a byte that is no name.
const SPELLINGS: &[&str] = &[
    "..",
    "%2e%2e",
    "%2E.",
    ".%2e",
    "..%2f",
    "%2e%2e%2f",
    "..%2Fx",
    "a%2f..",
    "a%2F%2e%2e%2fb",
    "%00",
    "a%00b",
    "%0a",
    "a%0d%0ab",
    "%7f",
    "%1b",
    "%ff",
    "%c0%af",
    "%c0%ae%c0%ae",
    "%e0%80%ae",
    "%ed%a0%80",
    "%f8%80%80%80%ae",
    "%",
    "%4",
    "%zz",
    "%2",
    "%u002e",
    ".",
    "%2e",
    "a/./b",
    "a/%2e/b",
    "%20",
    "a/%20/b",
    "a/b%20/c",
    "%c2%85x",
];

#[tokio::test]
async fn no_spelling_leads_out_of_a_directory() {
    let served = Served::new().await;
    served.alice_owns().await;
    served.ok("write", json!({"path": "/secret", "content": "the secret"})).await;
    let before = served.ok("list", json!({"path": "/", "recursive": true})).await;
    for spelling in SPELLINGS {
        for form in
            [format!("/a/{spelling}/secret"), format!("/a/b/{spelling}/{spelling}/secret"), format!("/{spelling}/a/x")]
        {
            for verb in ["GET", "PUT", "DELETE"] {
                let target = format!("/files{form}");
                let answer = served.send(Who::Alice, verb, &target, &[], b"").await;
                assert!((400..500).contains(&answer.status), "{verb} {target}: {}", answer.status);
                assert!(!String::from_utf8_lossy(&answer.body).contains("the secret"), "{verb} {target}");
            }
        }
    }
    assert_eq!(served.ok("list", json!({"path": "/", "recursive": true})).await, before);
    served.stop().await;
}

#[tokio::test]
async fn names_are_taken_as_they_are() {
    let served = Served::new().await;
    for (target, path) in [
        ("/n/%252e%252e/x", "/n/%2e%2e/x"),
        ("/n/a%3Fb%23c", "/n/a?b#c"),
        ("/n/a+b", "/n/a+b"),
        ("/n/a_b%25", "/n/a_b%"),
        ("//n//double/", "/n/double"),
        ("/n/...", "/n/..."),
        ("/n/c:%5Cwindows", "/n/c:\\windows"),
        ("/n/e%CC%81", "/n/e\u{301}"),
        ("/n/%C3%A9", "/n/\u{e9}"),
    ] {
        assert_eq!(served.put(Who::Instance, target, &[], path.as_bytes()).await.status, 201, "{target}");
        let read = served.world.rpc(Who::Instance, "exists", json!({"path": path})).await.expect("an answer");
        assert_eq!(read["exists"], json!(true), "{target} is {path}");
        assert_eq!(served.get(Who::Instance, target, &[]).await.body, path.as_bytes());
    }
    let query = served.get(Who::Instance, "/n/a+b?version=1", &[]).await;
    assert_eq!(served.refused(&query).await, (400, "invalid_request".into()), "what is not understood is not ignored");
    for target in ["", "/", "//"] {
        assert_eq!(served.get(Who::Instance, target, &[]).await.status, 400, "/files{target}");
    }
    let long = format!("/n/{}", "x".repeat(256));
    assert_eq!(served.put(Who::Instance, &long, &[], b"").await.status, 400);
    assert_eq!(served.send(Who::Instance, "GET", "/filesystem", &[], b"").await.status, 404);
    served.stop().await;
}
