//! Answers in lines: `Accept: application/x-ndjson`.
//!
//! The first line is waited for before the head goes out, so that what is refused has its own status and form. From then
//! on each line goes out as it is made; nothing is made while the client does not read.

use actix_web::HttpResponse;
use actix_web::body::BodyStream;
use actix_web::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use actix_web::web::Bytes;
use futures_util::stream;

use super::compress::IDENTITY;
use super::reply::{NO_STORE, REVISION, revision, rpc_error};
use super::state::Shared;
use crate::rpc::envelope::Id;
use crate::rpc::{Params, RequestContext, lines};

/// The kind of such answers.
const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// Whether the client asks for lines.
pub(super) fn are_wanted(headers: &HeaderMap) -> bool {
    let names = |value: &HeaderValue| {
        let kinds = value.to_str().unwrap_or_default().split(',');
        kinds
            .filter_map(|kind| kind.split(';').next())
            .any(|kind| kind.trim().eq_ignore_ascii_case("application/x-ndjson"))
    };
    headers.get_all(ACCEPT).any(names)
}

/// Answers a request to `method`, which has lines.
pub(super) async fn answer(
    shared: &Shared,
    cx: &RequestContext,
    method: &str,
    id: Id<'_>,
    params: Params<'_>,
) -> HttpResponse {
    let refused = |error| rpc_error(shared, id, &error, &cx.call.request_id, cx.call.revision());
    let mut lines = match lines::begin(cx, method, params) {
        Ok(lines) => lines,
        Err(error) => return refused(error),
    };
    let first = match lines.next().await {
        Some(Ok(line)) => Bytes::from(line),
        Some(Err(error)) => return refused(error),
        None => Bytes::new(),
    };
    let rest = stream::unfold((Some(first), lines), |(first, mut lines)| async move {
        let line = match first {
            Some(first) => first,
            None => match lines.next().await? {
                Ok(line) => line.into(),
                Err(error) => lines.error_line(&error).into(),
            },
        };
        Some((Ok::<_, std::convert::Infallible>(line), (None, lines)))
    });
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, LINES)).insert_header((CACHE_CONTROL, NO_STORE));
    response.insert_header((REVISION, revision(shared, cx.call.revision())));
    // A compressor would keep lines back.
    response.insert_header((CONTENT_ENCODING, IDENTITY));
    response.body(BodyStream::new(Box::pin(rest)))
}
