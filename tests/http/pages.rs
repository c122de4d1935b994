//! The routes that are no methods.

use nexus_lite::rpc::registry::METHODS;
use serde_json::json;

use super::{Served, Who, metrics, object, text};
use crate::harness::engine;

#[tokio::test]
async fn health_and_readiness() {
    let served = Served::new().await;
    let health = served.send(Who::Anonymous, "GET", "/health", &[], b"").await;
    assert_eq!((health.status, object(&health)), (200, json!({"status": "healthy", "service": "nexus-rpc"})));
    let ready = served.send(Who::Anonymous, "GET", "/ready", &[], b"").await;
    assert_eq!((ready.status, object(&ready)), (200, json!({"status": "ready"})));

    served.world.store.close().await.expect("closed");
    let ready = served.send(Who::Anonymous, "GET", "/ready", &[], b"").await;
    assert_eq!(ready.status, 503);
    assert!(object(&ready)["reason"].as_str().is_some_and(|r| !r.is_empty()));
    let health = served.send(Who::Anonymous, "GET", "/health", &[], b"").await;
    assert_eq!(health.status, 200, "health never touches the store");
    served.running.stop().await;
}

#[tokio::test]
async fn status_lists_the_methods() {
    let served = Served::new().await;
    let status = object(&served.send(Who::Anonymous, "GET", "/api/nfs/status", &[], b"").await);
    for (key, value) in [
        ("status", json!("running")),
        ("service", json!("nexus-rpc")),
        ("version", json!("1.0")),
        ("async", json!(true)),
        ("engine", json!(if engine::is_postgres() { "postgresql" } else { "sqlite" })),
        ("durability", json!("full")),
    ] {
        assert_eq!(status[key], value, "{key}");
    }
    let names: Vec<&str> = status["methods"].as_array().expect("a list").iter().filter_map(|m| m.as_str()).collect();
    assert_eq!(names, METHODS.iter().map(|m| m.name).collect::<Vec<_>>());
    served.stop().await;
}

#[tokio::test]
async fn metrics_count_requests() {
    let served = Served::new().await;
    let series = r#"rpc_requests_total{method="unknown",code="method_not_found"}"#;
    let read = || async { metrics(&text(&served.send(Who::Anonymous, "GET", "/metrics", &[], b"").await)) };
    let before = read().await.get(series).copied().unwrap_or(0.0);
    served.post("made_up_name", b"{}").await;
    let after = read().await;
    assert!(after[series] >= before + 1.0);
    assert!(!after.keys().any(|name| name.contains("made_up_name")), "labels come from the registry");
    for name in ["sqlite_busy_total", "writer_refused_total", "writer_queue_depth", "auth_refused_total"] {
        assert!(after.contains_key(name), "{name}");
    }
    assert!(after.keys().any(|name| name.starts_with("nexus_build_info{")));
    served.stop().await;
}

#[tokio::test]
async fn documents_describe_every_method() {
    let served = Served::new().await;
    let openrpc = object(&served.send(Who::Anonymous, "GET", "/openrpc.json", &[], b"").await);
    assert_eq!(openrpc["methods"].as_array().map(Vec::len), Some(METHODS.len()));
    let openapi = object(&served.send(Who::Anonymous, "GET", "/openapi.json", &[], b"").await);
    assert_eq!(openapi["openapi"], "3.1.0");
    assert!(METHODS.iter().all(|m| openapi["paths"][format!("/api/nfs/{}", m.name)]["post"].is_object()));
    served.stop().await;
}

#[tokio::test]
async fn the_documentation_needs_no_network() {
    let served = Served::new().await;
    for path in ["/docs", "/redoc"] {
        let page = served.send(Who::Anonymous, "GET", path, &[], b"").await;
        assert_eq!(page.status, 200, "{path}");
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        let html = text(&page);
        assert!(!html.contains("http:") && !html.contains("https:") && !html.contains("=\"//"), "{html}");
        // Every part that the page names is there.
        for part in html.split(['"']).filter(|part| part.starts_with('/')) {
            let answer = served.send(Who::Anonymous, "GET", part, &[], b"").await;
            assert_eq!(answer.status, 200, "{part}");
        }
    }
    let script = text(&served.send(Who::Anonymous, "GET", "/docs/page.js", &[], b"").await);
    assert!(!script.contains("innerHTML") && !script.contains("http:"), "text is never markup");
    assert_eq!(served.send(Who::Anonymous, "POST", "/docs", &[], b"").await.status, 405);
    served.stop().await;
}
