//! `/api/subscriptions`: who is told of events of files, and where.
//!
//! Owns the translation into the shapes that clients know: plain objects, `{"detail": …}`, and for a body that cannot be
//! taken a list of its faults with 422. The rules are in `service::subscriptions`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::FutureExt as _;
use serde_json::{Value, json};

use super::reply::{NO_STORE, RETRY_SECONDS, REVISION, detail, request_id, revision};
use super::reply::{unauthenticated, unauthorized};
use super::state::Shared;
use super::{body, files, identity};
use crate::model::time::iso_naive;
use crate::rpc::dispatch::note_denial;
use crate::rpc::{ErrorCode, RpcError};
use crate::service::subscriptions::draft::{Draft, Fault};
use crate::service::subscriptions::{self, Subscription, ops};
use crate::service::{Call, ServiceError};
use crate::telemetry::metric;

/// Where they are.
const SUBSCRIPTIONS: &str = "/api/subscriptions";
/// The label of all of them in the metrics.
const LABEL: &str = "subscriptions";
/// Longest list.
const LIST_MAX: usize = 1_000;
/// Rows of a list where none are asked for.
const LIST_USUAL: usize = 100;

/// Serves one request.
pub(super) async fn serve(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let (shared, request_id) = (Shared::of(&request), request_id(&request));
    let rest = request.path().strip_prefix(SUBSCRIPTIONS).unwrap_or_default();
    let names: Vec<&str> = rest.split('/').skip(1).collect();
    let caller = match identity::caller(shared, request.head()) {
        Ok(caller) => caller,
        Err(error) => return unauthenticated(&error, &request_id),
    };
    let app = &shared.app;
    let deadline = Some(app.base.store.clock().instant() + app.limits.request_deadline);
    let call = Call::new(caller, Arc::clone(&request_id), deadline, Arc::clone(&app.base));
    let work = AssertUnwindSafe(answer(shared, &call, &request, payload, &names)).catch_unwind();
    let answered = work.await.unwrap_or_else(|_| {
        tracing::error!(request.id = %request_id, "a request about subscriptions panicked");
        Err(Refused::Error(Box::new(RpcError::internal())))
    });
    let code = match &answered {
        Ok(_) => "ok",
        Err(Refused::Error(error)) => error.code.name(),
        Err(Refused::Faults(_)) => "invalid_params",
        Err(Refused::Missing) => "not_found",
    };
    metric::RPC_REQUESTS.count(&[("method", LABEL), ("code", code)]);
    let mut response = match answered {
        Ok((status, body)) => HttpResponse::build(status).json(body),
        Err(refused) => refusal(&call, refused, &request_id),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(REVISION, revision(shared, call.revision()).into());
    response
}

/// What is answered in place of what was asked for.
pub(super) enum Refused {
    /// A rule.
    Error(Box<RpcError>),
    /// Fields that cannot be taken, each with the place where it came from.
    Faults(Vec<(&'static str, Fault)>),
    /// There is no such subscription, for this caller.
    Missing,
}

impl<E: Into<RpcError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Error(Box::new(error.into()))
    }
}

/// The answer of a refusal, in the words of REST.
pub(super) fn refusal(call: &Call, refused: Refused, request_id: &str) -> HttpResponse {
    let error = match refused {
        Refused::Missing => return detail(StatusCode::NOT_FOUND, "Subscription not found", None, request_id),
        Refused::Faults(faults) => return unprocessable(&faults),
        Refused::Error(error) => error,
    };
    if let Some(lacking) = error.lacking.as_deref() {
        note_denial(call, LABEL, lacking);
    }
    if error.code == ErrorCode::Unauthenticated {
        return unauthorized(request_id);
    }
    let status = status(error.code);
    let wire = error.to_wire(request_id);
    let mut response = HttpResponse::build(status);
    if matches!(error.code, ErrorCode::Busy | ErrorCode::DeadlineExceeded) {
        response.insert_header((RETRY_AFTER, RETRY_SECONDS));
    }
    if matches!(error.code, ErrorCode::BodyTooLarge | ErrorCode::RequestTimeout) {
        // What is left of the body is not read.
        response.force_close();
    }
    response.insert_header((CACHE_CONTROL, NO_STORE));
    response.json(json!({ "detail": wire["message"], "code": error.code.name(), "data": wire["data"] }))
}

/// The status of an error in the words of REST.
pub(super) fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::RevisionTooOld => StatusCode::GONE,
        code => files::status(code),
    }
}

/// 422: `{"detail": [{"type", "loc", "msg", "input"}]}`.
fn unprocessable(faults: &[(&'static str, Fault)]) -> HttpResponse {
    let one = |(place, fault): &(&'static str, Fault)| {
        let field = fault.field.as_ref();
        let loc: Vec<&str> = std::iter::once(*place).chain(field.map(String::as_str)).collect();
        json!({ "type": fault.kind, "loc": loc, "msg": fault.message, "input": fault.input })
    };
    let faults: Vec<Value> = faults.iter().map(one).collect();
    HttpResponse::UnprocessableEntity().insert_header((CACHE_CONTROL, NO_STORE)).json(json!({ "detail": faults }))
}

async fn answer(
    shared: &Shared,
    call: &Call,
    request: &HttpRequest,
    payload: web::Payload,
    names: &[&str],
) -> Result<(StatusCode, Value), Refused> {
    let services = &shared.app.services;
    let id = names.first().copied().unwrap_or_default().to_owned();
    let found = |found: Option<Subscription>| found.map(|s| (StatusCode::OK, shown(&s))).ok_or(Refused::Missing);
    match (request.method(), names.get(1)) {
        (&Method::POST, Some(_)) => {
            let Some(subscription) = subscriptions::get(call, id).await? else {
                return Ok((StatusCode::OK, json!({ "success": false, "error": "Subscription not found" })));
            };
            let (event, why) = services.hooks.test(&call.store, &subscription).await;
            let id = &subscription.row.subscription_id;
            let mut told = json!({ "success": why.is_none(), "event_id": event, "subscription_id": id });
            if let Some(why) = why {
                told["error"] = why.into();
            }
            Ok((StatusCode::OK, told))
        }
        (&Method::POST, None) => {
            let draft = read(shared, request, payload, true).await?;
            let made = ops::create(call, &services.hasher, draft).await?;
            services.hooks.touch();
            Ok((StatusCode::CREATED, shown(&made)))
        }
        (&Method::PATCH, _) => {
            let draft = read(shared, request, payload, false).await?;
            let changed = ops::change(call, &services.hasher, id, draft).await;
            services.hooks.touch();
            found(changed?)
        }
        (&Method::DELETE, _) => {
            let deleted = ops::delete(call, id).await;
            services.hooks.touch();
            if deleted? { Ok((StatusCode::OK, json!({ "deleted": true }))) } else { Err(Refused::Missing) }
        }
        _ if id.is_empty() => {
            let (enabled_only, limit, offset) = page(request)?;
            let list = subscriptions::list(call, enabled_only, offset, limit).await?;
            Ok((StatusCode::OK, json!({ "subscriptions": list.iter().map(shown).collect::<Vec<_>>() })))
        }
        _ => found(subscriptions::get(call, id).await?),
    }
}

/// Reads the fields of a body.
async fn read(shared: &Shared, request: &HttpRequest, payload: web::Payload, new: bool) -> Result<Draft, Refused> {
    let body = body::read(shared, request.headers(), payload.into_inner()).await?;
    let in_body = |faults: Vec<Fault>| Refused::Faults(faults.into_iter().map(|fault| ("body", fault)).collect());
    let value: Value = serde_json::from_slice(&body.bytes).map_err(|error| {
        let message = format!("JSON decode error: line {}, column {}", error.line(), error.column());
        in_body(vec![Fault { field: None, kind: "json_invalid", message, input: Value::Null }])
    })?;
    Draft::read(&value, new).map_err(in_body)
}

/// The query of a list: `enabled_only`, `limit`, `offset`.
fn page(request: &HttpRequest) -> Result<(bool, usize, usize), Refused> {
    let query = pairs(request)?;
    let last = |name: &str| query.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let mut faults = Vec::new();
    let mut fault = |field: &str, kind, message: &str, input: &str| {
        let (message, input) = (message.to_owned(), Value::from(input));
        faults.push(("query", Fault { field: Some(field.to_owned()), kind, message, input }));
    };
    let enabled_only = match last("enabled_only").map(str::to_ascii_lowercase).as_deref() {
        None | Some("false" | "0" | "no" | "off") => false,
        Some("true" | "1" | "yes" | "on") => true,
        Some(other) => {
            fault("enabled_only", "bool_parsing", "Input should be a valid boolean", other);
            false
        }
    };
    let mut number = |name: &str, usual: usize| match last(name).map(|text| (text, text.parse())) {
        None => usual,
        Some((_, Ok(number))) => number,
        Some((text, Err(_))) => {
            fault(name, "int_parsing", "Input should be a valid integer from 0", text);
            usual
        }
    };
    let (limit, offset) = (number("limit", LIST_USUAL).min(LIST_MAX), number("offset", 0));
    if faults.is_empty() { Ok((enabled_only, limit, offset)) } else { Err(Refused::Faults(faults)) }
}

/// The pairs of the query.
pub(super) fn pairs(request: &HttpRequest) -> Result<Vec<(String, String)>, Refused> {
    let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string());
    query.map(web::Query::into_inner).map_err(|_| {
        let message = "the query cannot be read".to_owned();
        Refused::Faults(vec![("query", Fault { field: None, kind: "value_error", message, input: Value::Null })])
    })
}

/// A subscription as clients know it, without its secret; `last_error`, `missed` and `signed` are ours.
fn shown(subscription: &Subscription) -> Value {
    let Subscription { row, delivery } = subscription;
    let parsed = |text: &String| serde_json::from_str::<Value>(text).unwrap_or_default();
    json!({
        "id": row.subscription_id,
        "tenant_id": row.tenant,
        "url": row.url,
        "event_types": parsed(&row.event_types),
        "patterns": row.patterns.as_ref().map(parsed),
        "name": row.name,
        "description": row.description,
        "metadata": row.metadata.as_ref().map(parsed),
        "enabled": row.enabled,
        "last_delivery_at": delivery.last_at_us.map(iso_naive),
        "last_delivery_status": delivery.last_status,
        "consecutive_failures": delivery.failures,
        "created_at": iso_naive(row.created_at_us),
        "updated_at": iso_naive(row.updated_at_us),
        "created_by": row.created_by,
        "last_error": delivery.last_error,
        "missed": delivery.missed,
        "signed": row.secret.is_some(),
    })
}

/// A service error as a refusal, where `?` cannot tell.
pub(super) fn refused(error: ServiceError) -> Refused {
    Refused::from(error)
}
