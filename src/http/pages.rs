//! The routes that are no methods: health, readiness, metrics, identity, status, documents.

use std::sync::OnceLock;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::identity::{self, Nobody};
use super::reply::{JSON, NO_STORE, request_id, unauthenticated};
use super::state::Shared;
use crate::auth::{AuthError, AuthIndex};
use crate::rpc::{openrpc, registry};
use crate::store::{Sql as _, StoreError};
use crate::telemetry::metric;

fn page(status: StatusCode, body: &Value) -> HttpResponse {
    HttpResponse::build(status).insert_header((CACHE_CONTROL, NO_STORE)).json(body)
}

/// `GET /health`: the process answers. Never touches the store.
pub(super) async fn health() -> HttpResponse {
    page(StatusCode::OK, &json!({ "status": "healthy", "service": "nexus-rpc" }))
}

/// `GET /ready`: the store answers and takes writes.
pub(super) async fn ready(request: HttpRequest) -> HttpResponse {
    let shared = Shared::of(&request);
    match unready(shared).await {
        None => degraded_or_ready(shared, &request),
        Some(reason) if identity::sees_detail(shared, request.head()) => {
            page(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "not ready", "reason": reason }))
        }
        Some(_) => page(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "not ready" })),
    }
}

/// A full disk is no reason to send no requests: reads are answered, and deletes mend it.
fn degraded_or_ready(shared: &Shared, request: &HttpRequest) -> HttpResponse {
    let body = match shared.app.base.store.status().space.degraded {
        None => json!({ "status": "ready" }),
        Some(reason) if identity::sees_detail(shared, request.head()) => {
            json!({ "status": "degraded", "reason": reason })
        }
        Some(_) => json!({ "status": "degraded" }),
    };
    page(StatusCode::OK, &body)
}

/// Why the server should get no requests, if it should not.
async fn unready(shared: &Shared) -> Option<String> {
    if shared.is_closing() {
        return Some("shutting down".into());
    }
    let status = shared.app.base.store.status();
    if let Some(reason) = status.read_only {
        return Some(format!("read-only since an input/output error: {reason}"));
    }
    if let Some(reason) = status.away {
        return Some(reason);
    }
    if !status.writer_alive {
        return Some("the writer is gone; restart the server".into());
    }
    let read: Result<_, StoreError> = shared.app.base.store.read(|tx| Ok(tx.rev())).await;
    read.err().map(|error| error.to_string())
}

/// `GET /metrics`.
pub(super) async fn metrics(request: HttpRequest) -> HttpResponse {
    let shared = Shared::of(&request);
    if !identity::sees_detail(shared, request.head()) {
        return unauthenticated(&AuthError::Missing.into(), &request_id(&request));
    }
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .insert_header((CACHE_CONTROL, NO_STORE))
        .body(metric::render())
}

/// `GET /api/auth/whoami`: 200 for nobody, too (contract §2.6), and 429 for who asks too often, since a client takes
/// "not authenticated" for the end of its key. An agent named by header is not looked at.
pub(super) async fn whoami(request: HttpRequest) -> HttpResponse {
    let shared = Shared::of(&request);
    let caller = match identity::key_holder(shared, request.head()) {
        Ok(caller) => caller,
        Err(nobody @ Nobody::TooOften(_)) => return unauthenticated(&nobody, &request_id(&request)),
        Err(Nobody::Unknown(_)) => {
            let nobody = json!({
                "authenticated": false, "subject_type": null, "subject_id": null, "tenant_id": null,
                "is_admin": false, "inherit_permissions": true, "user": null,
            });
            return page(StatusCode::OK, &nobody);
        }
    };
    let published = shared.app.base.store.published();
    let key = caller.key_id.as_deref().and_then(|id| published.view::<AuthIndex>().key(id));
    let inherits = if caller.agent.is_some() { caller.inherits } else { key.is_some_and(|k| k.inherit_permissions) };
    let body = json!({
        "authenticated": true,
        "subject_type": caller.subject_type,
        "subject_id": caller.subject_id,
        "tenant_id": caller.tenant,
        "is_admin": caller.is_admin,
        "inherit_permissions": inherits,
        "user": caller.subject_id,
    });
    page(StatusCode::OK, &body)
}

/// `GET /api/nfs/status`. `version` is that of the contract; ours is beside it.
pub(super) async fn status(request: HttpRequest) -> HttpResponse {
    let shared = Shared::of(&request);
    let mut body = json!({ "status": "running", "service": "nexus-rpc", "version": "1.0", "async": true });
    if identity::sees_detail(shared, request.head()) {
        let app = &shared.app;
        body["methods"] = registry::METHODS.iter().map(|entry| entry.name).collect();
        let refused = registry::METHODS.iter().filter_map(|entry| Some((entry.name, entry.refused?)));
        body["not_available"] = refused.collect();
        body["server"] = "nexus-lite".into();
        body["server_version"] = env!("CARGO_PKG_VERSION").into();
        body["engine"] = app.engine.into();
        body["durability"] = app.durability.into();
        let space = app.base.store.status().space;
        body["degraded"] = space.degraded.as_deref().map_or(Value::Null, Value::from);
        body["disk"] = json!({
            "free_bytes": space.free_bytes,
            "total_bytes": space.total_bytes,
            "floor_bytes": space.floor_bytes,
            "ballast_bytes": space.ballast_bytes,
            "file_system": space.kind,
        });
        body["revision"] = app.base.store.published().rev.into();
        body["uptime_seconds"] = ((app.base.store.clock().now_us() - shared.started_us).max(0) / 1_000_000).into();
    }
    page(StatusCode::OK, &body)
}

/// `GET /openrpc.json`.
pub(super) async fn openrpc(request: HttpRequest) -> HttpResponse {
    static TEXT: OnceLock<String> = OnceLock::new();
    document(&request, TEXT.get_or_init(|| openrpc::document().to_string()))
}

/// `GET /openapi.json`.
pub(super) async fn openapi(request: HttpRequest) -> HttpResponse {
    static TEXT: OnceLock<String> = OnceLock::new();
    document(&request, TEXT.get_or_init(|| super::openapi().to_string()))
}

fn document(request: &HttpRequest, text: &'static str) -> HttpResponse {
    let shared = Shared::of(request);
    if !identity::sees_detail(shared, request.head()) {
        return unauthenticated(&AuthError::Missing.into(), &request_id(request));
    }
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, JSON))
        .insert_header((CACHE_CONTROL, "private, no-cache"))
        .body(text)
}
