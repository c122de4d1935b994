//! Bodies that are no request, requests for nothing, paths that no file has. None costs anybody else anything.

use serde_json::{Value, json};

use super::{Served, Who, failure, text};

#[tokio::test]
async fn bodies_that_are_no_request() {
    let served = Served::new().await;
    let deep = format!(r#"{{"id":1,"params":{{"path":{}{}}}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let wide = format!(r#"{{"id":1,"params":{{"path":[{}1]}}}}"#, "1,".repeat(1_000_000));
    let cases: &[(&str, &[u8], i64, &str, Value)] = &[
        ("cut off", br#"{"jsonrpc":"2.0","#, -32700, "parse_error", Value::Null),
        ("no JSON", b"path=/", -32700, "parse_error", Value::Null),
        ("two values", b"{} {}", -32700, "parse_error", Value::Null),
        ("no UTF-8", b"{\"id\":1,\"params\":{\"path\":\"\xff\"}}", -32700, "parse_error", Value::Null),
        ("lone surrogate", br#"{"id":1,"params":{"path":"\ud800"}}"#, -32700, "parse_error", json!(1)),
        ("NaN", br#"{"id":NaN}"#, -32700, "parse_error", Value::Null),
        ("deep", deep.as_bytes(), -32700, "parse_error", Value::Null),
        ("deep without an end", &b"[".repeat(100_000), -32700, "parse_error", Value::Null),
        ("array", b"[]", -32600, "invalid_request", Value::Null),
        ("batch", br#"[{"id":1,"method":"exists"}]"#, -32600, "invalid_request", Value::Null),
        ("number", b"5", -32600, "invalid_request", Value::Null),
        ("text", br#""exists""#, -32600, "invalid_request", Value::Null),
        ("id twice", br#"{"id":1,"id":2}"#, -32600, "invalid_request", Value::Null),
        ("id object", br#"{"id":{}}"#, -32600, "invalid_request", Value::Null),
        ("other method", br#"{"id":"x","method":"read"}"#, -32600, "invalid_request", json!("x")),
        ("method number", br#"{"id":1,"method":5}"#, -32600, "invalid_request", json!(1)),
        ("params array", br#"{"id":2,"params":["/"]}"#, -32602, "invalid_params", json!(2)),
        ("params text", br#"{"id":2,"params":"/"}"#, -32602, "invalid_params", json!(2)),
        ("missing", br#"{"id":3,"params":{}}"#, -32602, "invalid_params", json!(3)),
        ("no params", br#"{"id":3}"#, -32602, "invalid_params", json!(3)),
        ("empty body", b"", -32602, "invalid_params", Value::Null),
        ("unknown name", br#"{"id":4,"params":{"path":"/","pth":1}}"#, -32602, "invalid_params", json!(4)),
        ("name twice", br#"{"id":4,"params":{"path":"/","path":"/a"}}"#, -32602, "invalid_params", json!(4)),
        ("wrong type", br#"{"id":5,"params":{"path":5}}"#, -32602, "invalid_params", json!(5)),
        ("null", br#"{"id":5,"params":{"path":null}}"#, -32602, "invalid_params", json!(5)),
        ("huge number", br#"{"id":5,"params":{"path":1e999}}"#, -32700, "parse_error", json!(5)),
        ("wide", wide.as_bytes(), -32602, "invalid_params", json!(1)),
    ];
    for (what, body, code, name, id) in cases {
        let answer = served.post("exists", body).await;
        assert_eq!(answer.status, 200, "{what}");
        let found = failure(&answer);
        assert_eq!((found.code, &found.data["code"]), (*code, &json!(name)), "{what}: {}", found.message);
        assert_eq!(&answer.json()["id"], id, "{what}");
        assert_eq!(answer.header("x-request-id"), found.data["request_id"].as_str(), "{what}");
        assert!(answer.body.len() < 2000, "{what}");
    }
    let batch = failure(&served.post("exists", br#"[{"id":1}]"#).await);
    assert!(batch.message.contains("batch requests are not supported"), "{}", batch.message);
    let mismatch = failure(&served.post("exists", br#"{"id":1,"method":"read"}"#).await);
    assert_eq!(mismatch.message, "Method mismatch: URL=exists, body=read");
    let typed = failure(&served.post("exists", br#"{"params":{"path":5}}"#).await);
    assert!(typed.message.contains("'path'") && typed.message.contains("expected"), "{}", typed.message);
    let named = failure(&served.post("exists", br#"{"params":{"path":"/","pth":1}}"#).await);
    assert_eq!(named.data["hint"], "did you mean `path`?");
    assert!(named.message.contains("unexpected keyword argument 'pth'"), "{}", named.message);
    served.stop().await;
}

#[tokio::test]
async fn ids_are_echoed_as_they_were_written() {
    let served = Served::new().await;
    for id in [r#""abc""#, r#""a\"b\u00e9""#, "0", "-7", "18446744073709551617", "null"] {
        for params in [r#"{"path":"/"}"#, r#"{"nonsense":1}"#] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"params":{params}}}"#);
            let answer = text(&served.post("exists", body.as_bytes()).await);
            assert!(answer.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{id},"#)), "{answer}");
        }
    }
    let answer = text(&served.post("exists", br#"{"params":{"path":"/"}}"#).await);
    assert!(answer.starts_with(r#"{"jsonrpc":"2.0","id":null,"result":"#), "{answer}");
    served.stop().await;
}

#[tokio::test]
async fn unknown_methods_are_told_with_the_nearest() {
    let served = Served::new().await;
    for (method, nearest) in [("exist", Some("exists")), ("no_such_thing_at_all", None), ("status", None)] {
        let found = failure(&served.post(method, br#"{"id":1}"#).await);
        assert_eq!(found.code, -32601);
        assert_eq!(found.message, format!("Invalid parameters: Unknown method: {method}"));
        let hint = found.data["hint"].as_str().expect("a hint");
        if let Some(nearest) = nearest {
            assert_eq!(hint, format!("did you mean `{nearest}`?"));
        }
    }
    served.stop().await;
}

#[tokio::test]
async fn paths_that_no_file_has() {
    let served = Served::new().await;
    for path in ["", " ", "/a\0b", "/a\nb", "/a\u{1b}[31m", "/../etc/passwd", "/a/../../b", "..", "/a/./b", "/a /b"] {
        for method in ["read", "delete", "list", "mkdir"] {
            let body = json!({"id": 1, "params": {"path": path}}).to_string();
            let answer = served.post(method, body.as_bytes()).await;
            let found = failure(&answer);
            assert_eq!((answer.status, found.code), (200, -32002), "{method} {path:?}: {}", found.message);
        }
    }
    let long = json!({"id": 1, "params": {"path": format!("/{}", "x".repeat(5000))}}).to_string();
    assert_eq!(failure(&served.post("read", long.as_bytes()).await).code, -32002);
    served.stop().await;
}

#[tokio::test]
async fn wrong_verbs_and_unknown_routes() {
    let served = Served::new().await;
    for (verb, path, status, detail) in [
        ("GET", "/api/nfs/exists", 405, "Method Not Allowed"),
        ("PUT", "/api/nfs/exists", 405, "Method Not Allowed"),
        ("DELETE", "/api/nfs/status", 405, "Method Not Allowed"),
        ("POST", "/health", 405, "Method Not Allowed"),
        ("OPTIONS", "/api/nfs/exists", 405, "Method Not Allowed"),
        ("GET", "/nope", 404, "Not Found"),
        ("POST", "/api/nfs", 404, "Not Found"),
        ("POST", "/api/nfs/a/b", 404, "Not Found"),
        ("GET", "/api/nfs/../../etc/passwd", 404, "Not Found"),
        ("GET", "/%2e%2e/%00", 404, "Not Found"),
    ] {
        let answer = served.send(Who::Instance, verb, path, &[], b"").await;
        assert_eq!((answer.status, &answer.json()["detail"]), (status, &json!(detail)), "{verb} {path}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{verb} {path}");
    }
    served.stop().await;
}
