//! `PUT`.
//!
//! A body is stored while it arrives. Who may not write, or whose condition does not hold, is told before; both are
//! tested again in the transaction. What breaks off is dropped with its pieces.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE,
};
use actix_web::{HttpResponse, web};
use futures_util::StreamExt as _;
use serde_json::json;

use super::super::body;
use super::super::reply::{NO_STORE, REVISION, VERSION, revision};
use super::super::state::{Limits, Shared};
use super::conditions::Conditions;
use super::{Asked, Refused};
use crate::model::time::{iso_utc, monotonic};
use crate::rpc::{ErrorCode, RpcError};
use crate::service::files::ops::Written;
use crate::service::files::{self, transfer};
use crate::store::{INLINE_BYTES_MAX, Upload};

/// So many bytes have to arrive within the time that a whole body of a method has.
const PACE_BYTES: u64 = 1 << 20;
/// How long an upload waits for others to end.
const UPLOAD_WAIT: Duration = Duration::from_secs(10);

/// Writes a file.
pub(super) async fn put(asked: Asked<'_>, payload: web::Payload) -> Result<HttpResponse, Refused> {
    let (shared, headers) = (asked.shared, asked.request.headers());
    whole_and_plain(headers)?;
    let options = Conditions::read(headers)?.of_a_write()?;
    let declared = declared(headers, &shared.app.limits)?;
    let call = asked.call();
    transfer::check_write(&call, &asked.path, &options, declared).await.map_err(Refused::by(&call))?;
    let path = asked.path.clone();
    let (call, written) = if declared.is_some_and(|bytes| bytes <= INLINE_BYTES_MAX as u64) {
        let body = body::read(shared, headers, payload.into_inner()).await?;
        let call = asked.call();
        let written = files::write(&call, path, body.bytes, options).await;
        (call, written)
    } else {
        let body = receive(shared, transfer::upload(&call), declared, payload).await?;
        let body = body.finish().await.map_err(Refused::by(&call))?;
        // Whatever time the body took: the write has its own.
        let call = asked.call();
        let written = transfer::write_stored(&call, path, body, options).await;
        (call, written)
    };
    let written = written.map_err(Refused::by(&call))?;
    Ok(answer(shared, &written, call.revision()))
}

fn answer(shared: &Shared, written: &Written, seen: u64) -> HttpResponse {
    let Written { etag, version, modified_at_us, size } = written;
    // A file that was not there begins with its first version.
    let status = if *version == 1 { StatusCode::CREATED } else { StatusCode::OK };
    HttpResponse::build(status)
        .insert_header((CACHE_CONTROL, NO_STORE))
        .insert_header((ETAG, format!("\"{etag}\"")))
        .insert_header((VERSION, *version))
        .insert_header((REVISION, revision(shared, seen)))
        .json(json!({ "etag": etag, "version": version, "modified_at": iso_utc(*modified_at_us), "size": size }))
}

/// Refuses bodies that are not the file: a part of one would become the whole.
fn whole_and_plain(headers: &HeaderMap) -> Result<(), RpcError> {
    let refused = |what: &str, hint: &str| Err(RpcError::new(ErrorCode::InvalidRequest, what).hint(hint));
    if headers.contains_key(CONTENT_RANGE) || headers.contains_key(IF_RANGE) {
        return refused("Invalid request: PUT writes whole files", "send the whole file; `append` adds to one");
    }
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        let hint = "send the body without Content-Encoding";
        return refused("Invalid request: a compressed body is not read", hint);
    }
    Ok(())
}

/// How long the body says it is.
fn declared(headers: &HeaderMap, limits: &Limits) -> Result<Option<u64>, RpcError> {
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match declared {
        Some(bytes) if bytes > limits.file_bytes => Err(too_large(limits)),
        declared => Ok(declared),
    }
}

fn too_large(limits: &Limits) -> RpcError {
    let text = format!("the file is larger than {} bytes", limits.file_bytes);
    RpcError::new(ErrorCode::BodyTooLarge, text).hint("raise upload_limit")
}

/// Stores the body as it arrives.
async fn receive(
    shared: &Shared,
    mut upload: Upload,
    declared: Option<u64>,
    mut payload: web::Payload,
) -> Result<Upload, RpcError> {
    let limits = &shared.app.limits;
    let place = tokio::time::timeout(UPLOAD_WAIT, shared.uploads.acquire()).await;
    let Ok(Ok(_place)) = place else {
        let error = RpcError::new(ErrorCode::Busy, "the server is busy: too many files are being written at once");
        return Err(error.hint("nothing was done; try again"));
    };
    if let Some(bytes) = declared {
        upload.expect(bytes)?;
    }
    // The time in which nothing comes, not that in which we store.
    let (mut left, mut paced) = (limits.body_deadline, 0);
    loop {
        let began = monotonic();
        let Ok(next) = tokio::time::timeout(left, payload.next()).await else { return Err(too_slow(limits)) };
        left = left.saturating_sub(began.elapsed());
        let Some(chunk) = next else { return Ok(upload) };
        let chunk = chunk.map_err(|_| {
            RpcError::new(ErrorCode::InvalidRequest, "Invalid request: the body ended early; nothing was done")
        })?;
        if upload.size() + chunk.len() as u64 > limits.file_bytes {
            return Err(too_large(limits));
        }
        upload.push(&chunk).await?;
        if upload.size() - paced >= PACE_BYTES {
            (left, paced) = (limits.body_deadline, upload.size());
        }
    }
}

fn too_slow(limits: &Limits) -> RpcError {
    let seconds = limits.body_deadline.as_secs();
    let text = format!("{PACE_BYTES} bytes of the body did not arrive within {seconds} seconds");
    RpcError::new(ErrorCode::RequestTimeout, text).hint("nothing was done; send the file again")
}
