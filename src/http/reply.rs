//! The two shapes of refusal: `{"detail": …}` where no JSON-RPC answer is due, and the JSON-RPC error object.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use serde_json::json;

use super::identity::Nobody;
use super::state::Shared;
use crate::auth::AuthError;
use crate::model::Rev;
use crate::rpc::envelope::{Id, error_body};
use crate::rpc::error::{KEY_HINT, UNAUTHENTICATED};
use crate::rpc::{ErrorCode, RpcError};
use crate::telemetry::metric;

/// The request's id, in both directions.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The revision that an answer depends on.
pub(super) const REVISION: HeaderName = HeaderName::from_static("x-nexus-revision");
/// The version of a file, from 1.
pub(super) const VERSION: HeaderName = HeaderName::from_static("x-nexus-version");
/// Seconds after which a refused request may be sent again.
pub(super) const RETRY_SECONDS: u32 = 1;
/// Of what is never kept.
pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// Of every JSON body.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The id of a request, set by the gate.
#[derive(Clone)]
pub(super) struct RequestId(pub(super) Arc<str>);

/// The id that the gate gave to `request`.
pub(super) fn request_id(request: &HttpRequest) -> Arc<str> {
    request.extensions().get::<RequestId>().map_or_else(|| Arc::from(""), |id| Arc::clone(&id.0))
}

/// `{"detail": …, "hint": …, "request_id": …}` with `status`.
pub(super) fn detail(status: StatusCode, detail: &str, hint: Option<&str>, request_id: &str) -> HttpResponse {
    let mut body = json!({ "detail": detail });
    if let Some(hint) = hint {
        body["hint"] = hint.into();
        body["request_id"] = request_id.into();
    }
    HttpResponse::build(status).insert_header((CACHE_CONTROL, NO_STORE)).json(body)
}

/// 404, in the words that clients know.
pub(super) async fn not_found(request: HttpRequest) -> HttpResponse {
    detail(StatusCode::NOT_FOUND, "Not Found", None, &request_id(&request))
}

/// 405, in the words that clients know. `allow` lists the verbs of the route.
pub(super) fn method_not_allowed(
    allow: &str,
) -> impl Fn(HttpRequest) -> std::future::Ready<HttpResponse> + Clone + use<> {
    let allow = HeaderValue::from_str(allow).expect("verbs are letters and commas");
    move |request| {
        let mut response = detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed", None, &request_id(&request));
        response.headers_mut().insert(ALLOW, allow.clone());
        std::future::ready(response)
    }
}

/// Nobody is calling, or somebody else's agent.
pub(super) fn unauthenticated(nobody: &Nobody, request_id: &str) -> HttpResponse {
    metric::AUTH_REFUSED.count(&[]);
    match nobody {
        Nobody::TooOften(wait) => too_often(*wait, request_id),
        Nobody::Unknown(AuthError::ForeignAgent) => {
            let hint = "send the id of an agent that this key's user has registered, or none";
            detail(StatusCode::FORBIDDEN, "X-Agent-ID names no agent of the calling user", Some(hint), request_id)
        }
        Nobody::Unknown(_) => unauthorized(request_id),
    }
}

/// 429, with the time after which there is room again.
fn too_often(wait: Duration, request_id: &str) -> HttpResponse {
    let hint = "wait as long as Retry-After says; is an old key in use somewhere?";
    let mut response = detail(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests", Some(hint), request_id);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
    response
}

/// Nobody is calling.
pub(super) fn unauthorized(request_id: &str) -> HttpResponse {
    let mut response = detail(StatusCode::UNAUTHORIZED, UNAUTHENTICATED, Some(KEY_HINT), request_id);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// A JSON-RPC error with the status of its code.
pub(super) fn rpc_error(shared: &Shared, id: Id<'_>, error: &RpcError, request_id: &str, seen: Rev) -> HttpResponse {
    if error.code == ErrorCode::Unauthenticated {
        return unauthorized(request_id);
    }
    let status = StatusCode::from_u16(error.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    response.insert_header((CONTENT_TYPE, JSON)).insert_header((CACHE_CONTROL, NO_STORE));
    response.insert_header((REVISION, revision(shared, seen)));
    if matches!(error.code, ErrorCode::Busy | ErrorCode::DeadlineExceeded) {
        response.insert_header((RETRY_AFTER, RETRY_SECONDS));
    }
    if matches!(error.code, ErrorCode::BodyTooLarge | ErrorCode::RequestTimeout) {
        // What is left of the body is not read.
        response.force_close();
    }
    response.body(error_body(id, error, request_id))
}

/// The revision for the header: what the answer has seen, else the newest published.
pub(super) fn revision(shared: &Shared, seen: Rev) -> Rev {
    if seen > 0 { seen } else { shared.app.base.store.published().rev }
}
