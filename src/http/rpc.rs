//! `POST /api/nfs/{method}`.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::dev::{Payload, RequestHead};
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH};

use super::reply::{JSON, NO_STORE, REVISION, revision, rpc_error, unauthenticated};
use super::state::Shared;
use super::{body, identity, lines};
use crate::auth::Caller;
use crate::rpc::dispatch::count_refusal;
use crate::rpc::envelope::{self, Id, begin_result, end_result};
use crate::rpc::{CachePolicy, Params, RequestContext, RpcError, dispatch, registry};
use crate::service::Call;

/// Names a request and its retries.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that a reply is that of an earlier request with the same key.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Yes.
const TRUE: HeaderValue = HeaderValue::from_static("true");

/// Where the methods are, by name.
pub(super) const METHODS: &str = "/api/nfs";

/// The name of the method that is asked for at `path`, if there is any.
pub(super) fn method_at(path: &str) -> Option<&str> {
    let name = path.strip_prefix(METHODS)?.strip_prefix('/')?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

/// Serves one call, by whichever way it came.
pub(super) async fn call(
    shared: &Shared,
    request: &RequestHead,
    payload: Payload,
    request_id: Arc<str>,
) -> HttpResponse {
    // Who routes here has looked. (`status` is a page for GET and, like any other, a method for POST.)
    let method = method_at(request.uri.path()).unwrap_or_default();
    let caller = match identity::caller(shared, request) {
        Ok(caller) => caller,
        Err(error) => return unauthenticated(&error, &request_id),
    };
    let body = match body::read(shared, request.headers(), payload).await {
        Ok(body) => body,
        Err(error) => return refused(shared, method, Id::default(), &error, &request_id),
    };
    match envelope::parse(&body.bytes, method) {
        Ok(parsed) => answer(shared, request.headers(), method, caller, parsed, request_id).await,
        Err(bad) => refused(shared, method, bad.id, &bad.error, &request_id),
    }
}

fn refused(shared: &Shared, method: &str, id: Id<'_>, error: &RpcError, request_id: &str) -> HttpResponse {
    count_refusal(method, error.code);
    rpc_error(shared, id, error, request_id, 0)
}

async fn answer(
    shared: &Shared,
    headers: &HeaderMap,
    method: &str,
    caller: Caller,
    parsed: envelope::Request<'_>,
    request_id: Arc<str>,
) -> HttpResponse {
    let app = &shared.app;
    let is_long = registry::find(method).is_some_and(|spec| spec.entry.long);
    let call = Call::new(caller, Arc::clone(&request_id), None, Arc::clone(&app.base));
    let mut cx = RequestContext::new(call, Arc::clone(&app.services));
    cx.call.deadline = (!is_long).then(|| cx.began + app.limits.request_deadline);
    cx.if_none_match = if_none_match(headers);
    cx.idempotency_key = idempotency_key(headers);

    let params = parsed.params.map_or_else(Params::none, Params::Raw);
    if lines::are_wanted(headers) && crate::rpc::lines::has(method) {
        return lines::answer(shared, &cx, method, parsed.id, params).await;
    }
    let mut out = Vec::with_capacity(512);
    begin_result(&mut out, parsed.id);
    let spec = match dispatch(&cx, method, params, &mut out).await {
        Ok(spec) => spec,
        Err(error) => {
            let mut response = rpc_error(shared, parsed.id, &error, &request_id, cx.call.revision());
            if cx.is_replayed() {
                response.headers_mut().insert(REPLAYED, TRUE);
            }
            return response;
        }
    };
    end_result(&mut out);

    let not_modified = cx.not_modified();
    let mut response = HttpResponse::build(if not_modified { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    response.insert_header((CACHE_CONTROL, cache_control(spec.entry.cache)));
    response.insert_header((REVISION, revision(shared, cx.call.revision())));
    if cx.is_replayed() {
        response.insert_header((REPLAYED, TRUE));
    }
    if let Some(etag) = cx.etag.lock().take() {
        response.insert_header((ETAG, format!("\"{etag}\"")));
    }
    if not_modified {
        return response.finish();
    }
    response.insert_header((CONTENT_TYPE, JSON)).body(out)
}

/// The `Idempotency-Key` as it was sent. What is no key is refused where it is looked at, as several of them are.
fn idempotency_key(headers: &HeaderMap) -> Option<String> {
    let mut sent = headers.get_all(IDEMPOTENCY_KEY).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let first = sent.next()?.into_owned();
    Some(sent.fold(first, |all, next| all + ", " + &next))
}

/// The one tag of `If-None-Match`, without quotes.
fn if_none_match(headers: &HeaderMap) -> Option<String> {
    let tag = headers.get(IF_NONE_MATCH)?.to_str().ok()?.trim();
    Some(tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"').to_owned())
}

fn cache_control(policy: CachePolicy) -> HeaderValue {
    match policy {
        CachePolicy::NoCache => HeaderValue::from_static("private, no-cache"),
        CachePolicy::NoStore => NO_STORE,
        CachePolicy::MaxAge(seconds) => {
            let text = format!("private, max-age={seconds}");
            HeaderValue::from_str(&text).expect("digits and letters are a valid header value")
        }
    }
}
