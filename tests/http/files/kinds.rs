//! What a file is, and that none runs as a page of the server.

use serde_json::json;

use super::super::{Served, Who};

#[tokio::test]
async fn nothing_that_is_stored_runs_here() {
    let served = Served::new().await;
    for (name, body, kind, shown) in [
        ("a.html", &b"<script>alert(1)</script>"[..], "text/html; charset=utf-8", false),
        ("a.svg", b"<svg onload=\"alert(1)\"/>", "image/svg+xml; charset=utf-8", false),
        ("a.xhtml", b"<html/>", "application/xhtml+xml; charset=utf-8", false),
        ("a.js", b"alert(1)", "text/javascript; charset=utf-8", false),
        ("a.pdf", b"%PDF-1.7", "application/pdf", false),
        ("a.png", b"<script>", "image/png", true),
        ("a.txt", b"<script>", "text/plain; charset=utf-8", true),
        ("a.md", b"# a", "text/markdown; charset=utf-8", true),
        ("a.json", b"{}", "application/json; charset=utf-8", true),
        ("README", b"words", "text/plain; charset=utf-8", true),
        ("thing", b"\x01\x02\0", "application/octet-stream", false),
        ("a\u{e4} \"b\".txt", b"x", "text/plain; charset=utf-8", true),
    ] {
        let path = format!("/k/{name}");
        let escaped: String = path.bytes().map(|b| if b == b'/' { "/".into() } else { format!("%{b:02x}") }).collect();
        served.put(Who::Instance, &escaped, &[("Content-Type", "text/html")], body).await;
        let got = served.get(Who::Instance, &escaped, &[]).await;
        assert_eq!((got.status, got.header("content-type")), (200, Some(kind)), "{name}");
        assert_eq!(got.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(got.header("cross-origin-resource-policy"), Some("same-origin"));
        let policy = got.header("content-security-policy").expect("a policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("sandbox;"), "{policy}");
        let disposition = got.header("content-disposition").expect("a disposition");
        assert_eq!(disposition.starts_with("inline;"), shown, "{name}: {disposition}");
        let safe = |c: char| c.is_ascii_alphanumeric() || "-._~%'*=; ".contains(c);
        assert!(disposition.chars().all(safe) && disposition.contains("filename*=UTF-8''"), "{disposition}");
        assert!(policy.contains("frame-ancestors 'none'"));
    }
    served.stop().await;
}

#[tokio::test]
async fn the_kind_is_recorded_by_every_way_to_write() {
    let served = Served::new().await;
    let large = "x".repeat(100_000);
    served.ok("write", json!({"path": "/k/a.md", "content": "# a"})).await;
    served.ok("write", json!({"path": "/k/b.csv", "content": large})).await;
    served.ok("write_stream", json!({"path": "/k/c.json", "chunks": ["{", "}"]})).await;
    served.ok("write_batch", json!({"files": [["/k/d.txt", "a\0b"]]})).await;
    served.ok("append", json!({"path": "/k/e.log", "content": "line\n"})).await;
    served.ok("copy", json!({"src_path": "/k/a.md", "dst_path": "/k/f.html"})).await;
    served.put(Who::Instance, "/k/g.png", &[], &vec![7; 100_000]).await;
    let listed = served.ok("list", json!({"path": "/k", "details": true})).await;
    let kinds: Vec<_> = listed["files"].as_array().expect("rows").iter().map(|row| row["mime_type"].clone()).collect();
    let expected = [
        "text/markdown",
        "text/csv",
        "application/json",
        "application/octet-stream",
        "text/plain",
        "text/html",
        "image/png",
    ];
    assert_eq!(kinds, expected.map(|kind| json!(kind)));
    let got = served.get(Who::Instance, "/k/c.json", &[]).await;
    assert_eq!((got.body.as_slice(), got.status), (&b"{}"[..], 200));
    served.stop().await;
}
