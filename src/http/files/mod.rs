//! `GET`, `HEAD`, `PUT` and `DELETE` of `/files/{path}`: a file as its bytes, beside JSON-RPC.
//!
//! Owns the translation of one file into HTTP: ranges, conditions, kinds, statuses. The rules are those of the methods
//! `read`, `write` and `delete`. Invariants: no file is whole in memory, whatever its size; nothing that is stored here
//! runs as a page of this server.

mod conditions;
mod get;
mod put;
mod range;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::FutureExt as _;
use serde_json::json;
use tracing::Instrument as _;

use self::conditions::Conditions;
use super::identity;
use super::reply::{JSON, NO_STORE, RETRY_SECONDS, REVISION, request_id, revision, unauthenticated, unauthorized};
use super::state::Shared;
use crate::auth::Caller;
use crate::model::VirtualPath;
use crate::model::time::{micros, monotonic};
use crate::rpc::dispatch::note_denial;
use crate::rpc::{ErrorCode, RpcError};
use crate::service::{Call, files};
use crate::telemetry::metric;

/// Where the files are, by path.
const FILES: &str = "/files";

/// One request.
struct Asked<'a> {
    shared: &'a Shared,
    request: &'a HttpRequest,
    caller: Caller,
    request_id: Arc<str>,
    path: VirtualPath,
}

impl Asked<'_> {
    /// A call whose deadline begins now.
    fn call(&self) -> Call {
        let app = &self.shared.app;
        let deadline = Some(app.base.store.clock().instant() + app.limits.request_deadline);
        let (caller, id) = (self.caller.clone(), Arc::clone(&self.request_id));
        Call::new(caller, id, deadline, Arc::clone(&app.base))
    }
}

/// A refusal, and the call that has seen a revision for it.
struct Refused(Box<RpcError>, Option<Box<Call>>);

impl Refused {
    fn by<E: Into<RpcError>>(call: &Call) -> impl FnOnce(E) -> Self {
        move |error| Self(Box::new(error.into()), Some(Box::new(call.clone())))
    }
}

impl From<RpcError> for Refused {
    fn from(error: RpcError) -> Self {
        Self(Box::new(error), None)
    }
}

/// Serves one request; its verb is one of the four.
pub(super) async fn serve(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let label = match request.method().as_str() {
        "GET" => "GET /files",
        "HEAD" => "HEAD /files",
        "PUT" => "PUT /files",
        _ => "DELETE /files",
    };
    let (shared, request_id) = (Shared::of(&request), request_id(&request));
    let caller = match identity::caller(shared, request.head()) {
        Ok(caller) => caller,
        Err(error) => return unauthenticated(&error, &request_id),
    };
    let started = monotonic();
    let who = caller.clone();
    let span = tracing::info_span!("files", http.method = label, request.id = &*request_id, subject.id = who.actor());
    let work = AssertUnwindSafe(answer(shared, &request, payload, caller, Arc::clone(&request_id))).catch_unwind();
    let answered = work.instrument(span).await.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        tracing::error!(panic = text.unwrap_or("no text"), "a request to a file panicked");
        Err(RpcError::internal().into())
    });
    let code = answered.as_ref().map_or_else(|Refused(error, _)| error.code.name(), |_| "ok");
    metric::RPC_REQUESTS.count(&[("method", label), ("code", code)]);
    metric::RPC_DURATION.seconds(started.elapsed(), &[("method", label)]);
    tracing::info!(
        http.method = label,
        request.id = &*request_id,
        subject.id = who.actor(),
        code,
        duration_us = micros(started.elapsed()),
        "request answered"
    );
    answered.unwrap_or_else(|refused| refusal(shared, label, &refused, &request_id))
}

async fn answer(
    shared: &Shared,
    request: &HttpRequest,
    payload: web::Payload,
    caller: Caller,
    request_id: Arc<str>,
) -> Result<HttpResponse, Refused> {
    if request.uri().query().is_some() {
        let error = RpcError::new(ErrorCode::InvalidRequest, "Invalid request: /files takes no query");
        return Err(error.hint("a `?` in a name is written %3F").into());
    }
    let asked = Asked { shared, request, caller, request_id, path: path(request.uri().path())? };
    match request.method().as_str() {
        "PUT" => put::put(asked, payload).await,
        "DELETE" => delete(asked).await,
        _ => get::get(asked).await,
    }
}

async fn delete(asked: Asked<'_>) -> Result<HttpResponse, Refused> {
    let options = Conditions::read(asked.request.headers())?.of_a_write()?;
    let call = asked.call();
    files::delete_if(&call, asked.path.clone(), options).await.map_err(Refused::by(&call))?;
    let mut response = HttpResponse::NoContent();
    response.insert_header((CACHE_CONTROL, NO_STORE));
    Ok(response.insert_header((REVISION, revision(asked.shared, call.revision()))).finish())
}

/// The path that a target names: what is behind `/files`, with `%XX` undone once.
fn path(target: &str) -> Result<VirtualPath, RpcError> {
    let escaped = target.strip_prefix(FILES).unwrap_or(target);
    let invalid = |what: &str| {
        let error = RpcError::new(ErrorCode::InvalidPath, format!("Path {what}"));
        Err(error.hint("write each byte of a name that is no letter or digit as %XX of its UTF-8"))
    };
    let Some(bytes) = unescaped(escaped) else { return invalid("has a % without two hexadecimal digits") };
    match String::from_utf8(bytes) {
        Ok(text) if text.is_empty() => Ok(files::path_below_root("/")?),
        Ok(text) => Ok(files::path_below_root(&text)?),
        Err(_) => invalid("is no UTF-8"),
    }
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?,
            byte => byte,
        });
    }
    Some(bytes)
}

/// The status of an error where no JSON-RPC answer is due.
pub(super) fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::FileNotFound => StatusCode::NOT_FOUND,
        ErrorCode::PermissionDenied => StatusCode::FORBIDDEN,
        ErrorCode::Conflict => StatusCode::PRECONDITION_FAILED,
        ErrorCode::FileExists | ErrorCode::Precondition => StatusCode::CONFLICT,
        ErrorCode::ResultTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::NotSupported => StatusCode::NOT_IMPLEMENTED,
        ErrorCode::QuotaExceeded => StatusCode::INSUFFICIENT_STORAGE,
        ErrorCode::Integrity | ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        code => match StatusCode::from_u16(code.http_status()) {
            Ok(status) if !status.is_success() => status,
            _ => StatusCode::BAD_REQUEST,
        },
    }
}

/// `{"error": …}` with the status of its code.
fn refusal(shared: &Shared, label: &'static str, Refused(error, call): &Refused, request_id: &str) -> HttpResponse {
    if let (Some(call), Some(lacking)) = (call, error.lacking.as_deref()) {
        note_denial(call, label, lacking);
    }
    if error.code == ErrorCode::Unauthenticated {
        return unauthorized(request_id);
    }
    let mut response = HttpResponse::build(status(error.code));
    response.insert_header((CONTENT_TYPE, JSON)).insert_header((CACHE_CONTROL, NO_STORE));
    response.insert_header((REVISION, revision(shared, call.as_deref().map_or(0, Call::revision))));
    if matches!(error.code, ErrorCode::Busy | ErrorCode::DeadlineExceeded) {
        response.insert_header((RETRY_AFTER, RETRY_SECONDS));
    }
    if matches!(error.code, ErrorCode::BodyTooLarge | ErrorCode::RequestTimeout) {
        // What is left of the body is not read.
        response.force_close();
    }
    response.json(json!({ "error": error.to_wire(request_id) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_once() {
        let read = |target: &str| path(target).map(|path| path.to_string()).map_err(|error| error.message);
        assert_eq!(read("/files/a/b%20c.txt"), Ok("/a/b c.txt".into()));
        assert_eq!(read("/files/%C3%A4"), Ok("/ä".into()));
        assert_eq!(read("/files/a%2Fb"), Ok("/a/b".into()));
        assert_eq!(read("/files/%252e%252e"), Ok("/%2e%2e".into()));
        assert_eq!(read("/files//a//b/"), Ok("/a/b".into()));
        for bad in
            ["/files", "/files/", "/files/%", "/files/%4", "/files/%zz", "/files/%ff", "/files/%00", "/files/a/.."]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
        for up in ["/files/a/%2e%2e/b", "/files/..%2fb", "/files/%2E%2E", "/files/a%2f..%2f..%2fb"] {
            assert!(read(up).is_err_and(|said| said.contains("..")), "{up}");
        }
    }

    #[test]
    fn every_error_has_a_status_of_its_own() {
        for code in ErrorCode::ALL {
            let status = status(*code);
            assert!(status.is_client_error() || status.is_server_error(), "{code:?}: {status}");
        }
    }
}
