//! Host names, origins, request ids: what every route checks first.

use serde_json::json;

use super::{Served, Who, object, with_host};
use crate::harness::client::request;

const ROUTES: [(&str, &str); 6] = [
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/metrics"),
    ("GET", "/nope"),
    ("GET", "/api/auth/whoami"),
    ("POST", "/api/nfs/exists"),
];

#[tokio::test]
async fn a_rebound_name_reaches_nothing() {
    let served = Served::with(|state| state.allowed_hosts = vec!["nexus.example".into(), "10.0.0.7:8443".into()]).await;
    for (verb, path) in ROUTES {
        let bytes = request(verb, path, &[], b"");
        for host in
            ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil", "10.0.0.7", "", "[::2]"]
        {
            let answer = served.raw(with_host(&bytes, Some(host))).await;
            assert!(matches!(answer.status, 421 | 400), "{verb} {path} as {host:?}: {}", answer.status);
            assert_eq!(answer.status == 421, !host.is_empty() || answer.status == 421, "{host:?}");
            if answer.status == 421 {
                assert!(object(&answer)["hint"].as_str().is_some_and(|h| h.contains("allowed_hosts")));
                assert!(answer.header("x-request-id").is_some());
            }
        }
        let port = served.address().port();
        let mine = [format!("127.0.0.1:{port}"), format!("localhost:{port}")];
        let others =
            ["127.8.9.1", "LOCALHOST", "localhost.", "[::1]:1", "nexus.example:9", "NEXUS.example", "10.0.0.7:8443"];
        for host in mine.iter().map(String::as_str).chain(others) {
            let answer = served.raw(with_host(&bytes, Some(host))).await;
            assert_ne!(answer.status, 421, "{verb} {path} as {host}");
        }
    }
    // The target of the request names a host too.
    let target = b"GET http://evil.example/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".to_vec();
    assert_eq!(served.raw(target).await.status, 421);
    served.stop().await;
}

#[tokio::test]
async fn pages_of_unknown_origins_are_refused() {
    let served = Served::with(|state| state.cors_origins = vec!["http://localhost:5173".into()]).await;
    let own = format!("http://127.0.0.1:{}", served.address().port());
    for origin in ["http://evil.example", "null", "http://localhost:5174", "https://localhost:5173", own.as_str()] {
        let preflight = [("Origin", origin), ("Access-Control-Request-Method", "POST")];
        for (verb, headers) in [("POST", &preflight[..1]), ("OPTIONS", &preflight[..])] {
            let answer =
                served.send(Who::Instance, verb, "/api/nfs/exists", headers, br#"{"params":{"path":"/"}}"#).await;
            assert_eq!(answer.status, 403, "{verb} {origin}");
            assert!(answer.header("access-control-allow-origin").is_none(), "{verb} {origin}");
        }
    }
    // A page that came from this very server.
    let bytes = request("GET", "/health", &[("Origin", &own)], b"");
    let answer = served.raw(with_host(&bytes, own.strip_prefix("http://"))).await;
    assert_eq!(answer.status, 200);
    served.stop().await;
}

#[tokio::test]
async fn pages_of_known_origins_may_call() {
    let served = Served::with(|state| state.cors_origins = vec!["http://localhost:5173".into()]).await;
    let headers = [
        ("Origin", "http://localhost:5173"),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization,content-type"),
    ];
    let preflight = served.send(Who::Anonymous, "OPTIONS", "/api/nfs/list", &headers, b"").await;
    assert_eq!(preflight.status, 200);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("http://localhost:5173"));
    assert_eq!(preflight.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(preflight.header("access-control-max-age"), Some("600"));
    let allowed = preflight.header("access-control-allow-headers").expect("headers");
    assert!(allowed.contains("authorization") && allowed.contains("content-type"), "{allowed}");
    assert!(preflight.header("access-control-allow-methods").is_some_and(|m| m.contains("POST")));

    let body = br#"{"params":{"path":"/"}}"#;
    let answer = served.send(Who::Instance, "POST", "/api/nfs/exists", &headers[..1], body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("http://localhost:5173"));
    let exposed = answer.header("access-control-expose-headers").expect("exposed").to_ascii_lowercase();
    assert!(exposed.contains("etag") && exposed.contains("x-nexus-revision"), "{exposed}");
    served.stop().await;
}

#[tokio::test]
async fn without_allowed_origins_no_answer_names_one() {
    let served = Served::new().await;
    let answer = served.send(Who::Anonymous, "GET", "/health", &[], b"").await;
    assert_eq!(answer.status, 200);
    assert!(!answer.headers.iter().any(|(name, _)| name.starts_with("access-control-")));
    let foreign = served.send(Who::Anonymous, "GET", "/health", &[("Origin", "http://evil.example")], b"").await;
    assert_eq!(foreign.status, 403);
    served.stop().await;
}

#[tokio::test]
async fn request_ids_are_taken_over_if_they_are_sane() {
    let served = Served::new().await;
    let long = "x".repeat(129);
    for (given, kept) in [
        ("abc-1.2:3_4", true),
        ("a b", false),
        ("<script>", false),
        ("\u{e9}", false),
        (long.as_str(), false),
        ("", false),
    ] {
        let answer = served.send(Who::Instance, "POST", "/api/nfs/nope", &[("X-Request-ID", given)], b"{}").await;
        let id = answer.header("x-request-id").expect("an id");
        assert_eq!(id == given, kept, "{given:?} became {id:?}");
        assert!(!id.is_empty());
        assert_eq!(answer.json()["error"]["data"]["request_id"], json!(id));
    }
    let answer = served.send(Who::Anonymous, "POST", "/api/nfs/nope", &[("X-Request-ID", "mine")], b"{}").await;
    assert_eq!((answer.status, answer.header("x-request-id")), (401, Some("mine")));
    served.stop().await;
}

#[tokio::test]
async fn endless_targets_are_refused() {
    let served = Served::new().await;
    let path = format!("/health?{}", "x".repeat(9000));
    assert_eq!(served.send(Who::Anonymous, "GET", &path, &[], b"").await.status, 414);
    served.stop().await;
}
