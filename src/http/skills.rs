//! `/.well-known/agent-skills/`: the index of the skills for everybody, and their bytes, without a key.
//!
//! Owns the translation into HTTP: verbs, conditions, kinds. Which skills there are is known by `service::skills::public`.
//! A key that is sent along changes nothing: the answer is the same for everybody, and may be kept by anybody.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH,
};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;

use super::reply::{JSON, REVISION, detail, not_found, request_id};
use super::state::Shared;
use crate::model::Rev;
use crate::service::ServiceError;
use crate::service::skills::public::WELL_KNOWN;

/// Kept by anybody, and asked about each time: a skill may cease to be public.
const CACHED: HeaderValue = HeaderValue::from_static("public, no-cache");
/// Whatever is shown cannot run, send, or be framed, as if from this server.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox; frame-ancestors 'none'");

/// The index.
pub(super) async fn index(request: HttpRequest) -> HttpResponse {
    let shared = Shared::of(&request);
    match shared.public_skills.index(&shared.app.base.store).await {
        Ok((index, rev)) => {
            let body = serde_json::to_vec(&*index).expect("an index is plain data");
            let etag = blake3::hash(&body).to_hex().to_string();
            answer(&request, Bytes::from(body), JSON, &etag, rev)
        }
        Err(error) => failed(&request, &error),
    }
}

/// A skill, as one file or as an archive.
pub(super) async fn file(request: HttpRequest) -> HttpResponse {
    let shared = Shared::of(&request);
    let below = request.path().strip_prefix(WELL_KNOWN).and_then(|rest| rest.strip_prefix('/')).unwrap_or_default();
    match shared.public_skills.file(&shared.app.base.store, below).await {
        Ok(Some(handed)) => {
            let kind = HeaderValue::from_static(handed.mime);
            answer(&request, handed.body, kind, &handed.sha256, handed.rev)
        }
        Ok(None) => not_found(request).await,
        Err(error) => failed(&request, &error),
    }
}

fn answer(request: &HttpRequest, body: Bytes, kind: HeaderValue, etag: &str, rev: Rev) -> HttpResponse {
    let known = request.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let same = known.trim() == "*"
        || known.split(',').any(|one| one.trim().trim_start_matches("W/").trim_matches('"') == etag);
    let status = if same { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let mut response = HttpResponse::build(status);
    response
        .insert_header((ETAG, format!("\"{etag}\"")))
        .insert_header((CACHE_CONTROL, CACHED))
        .insert_header((REVISION, rev))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY));
    if same {
        return response.finish();
    }
    if kind.as_bytes().starts_with(b"application/zip") {
        response.insert_header((CONTENT_DISPOSITION, "attachment"));
    }
    response.insert_header((CONTENT_TYPE, kind)).body(body)
}

/// A failure says nothing of skills.
fn failed(request: &HttpRequest, error: &ServiceError) -> HttpResponse {
    tracing::warn!(%error, "the index of public skills could not be made");
    detail(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable", Some("try again"), &request_id(request))
}
