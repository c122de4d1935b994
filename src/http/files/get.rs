//! `GET` and `HEAD`.

use std::ops::Range;

use actix_web::body::SizedStream;
use actix_web::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, HeaderValue, HttpDate, LAST_MODIFIED, RANGE,
};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_util::stream;

use super::super::compress::IDENTITY;
use super::super::reply::{REVISION, VERSION, revision};
use super::conditions::{self, Conditions, Verdict};
use super::range::{self, Wanted};
use super::{Asked, Refused};
use crate::model::mime;
use crate::rpc::{ErrorCode, RpcError};
use crate::service::files::transfer::{OpenFile, Pieces, open};
use crate::service::{Call, ServiceError};

/// Whatever is shown cannot run, send, or be framed, as if from this server.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox; frame-ancestors 'none'");
/// Kinds that a browser shows and never runs; all others are to be saved.
const SHOWN: &[&str] = &[
    "application/json",
    "image/avif",
    "image/bmp",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
    "text/csv",
    "text/markdown",
    "text/plain",
];

/// Answers with a file, or with a part of one.
pub(super) async fn get(asked: Asked<'_>) -> Result<HttpResponse, Refused> {
    let headers = asked.request.headers();
    let is_head = asked.request.method() == Method::HEAD;
    let conditions = Conditions::read(headers)?;
    let call = asked.call();
    let looked = conditions.clone();
    let wanted = move |node: &crate::model::NodeRow| {
        let etag = node.content.as_deref().unwrap_or_default();
        !is_head && looked.look(etag, node.modified_at_us) == Verdict::Go
    };
    let file = open(&call, asked.path.clone(), wanted).await.map_err(Refused::by(&call))?;
    let seen = revision(asked.shared, call.revision());
    match conditions.look(&file.etag, file.modified_at_us) {
        Verdict::Go => {}
        Verdict::NotModified => {
            let mut response = HttpResponse::build(StatusCode::NOT_MODIFIED);
            version(&mut response, &file, seen);
            return Ok(response.finish());
        }
        Verdict::Failed => {
            let text = format!("Conflict detected - {} is not as If-Match wants it", asked.path);
            let error = RpcError::new(ErrorCode::Conflict, text).hint("read the file again");
            return Err(Refused::by(&call)(error.with("path", asked.path.as_str()).with("current_etag", file.etag)));
        }
    }
    // A range has a meaning for GET alone.
    let wanted = match headers.get(RANGE).filter(|_| !is_head) {
        Some(text) if conditions::range_is_of(headers, &file.etag, file.modified_at_us) => {
            range::read(text.to_str().unwrap_or_default(), file.size)
        }
        _ => Wanted::Whole,
    };
    let (status, range) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0..file.size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Nothing => {
            let mut response = HttpResponse::build(StatusCode::RANGE_NOT_SATISFIABLE);
            version(&mut response, &file, seen);
            return Ok(response.insert_header((CONTENT_RANGE, format!("bytes */{}", file.size))).finish());
        }
    };
    let mut response = HttpResponse::build(status);
    version(&mut response, &file, seen);
    kind(&mut response, &file, asked.path.name());
    if status == StatusCode::PARTIAL_CONTENT {
        let text = format!("bytes {}-{}/{}", range.start, range.end - 1, file.size);
        response.insert_header((CONTENT_RANGE, text));
    }
    if is_head {
        return Ok(response.body(SizedStream::new(file.size, stream::empty::<Result<Bytes, ServiceError>>())));
    }
    send(response, &call, file, range).await
}

/// The headers of every answer about a version.
fn version(response: &mut HttpResponseBuilder, file: &OpenFile, seen: u64) {
    response
        .insert_header((ETAG, format!("\"{}\"", file.etag)))
        .insert_header((LAST_MODIFIED, HttpDate::from(conditions::seconds(file.modified_at_us))))
        .insert_header((ACCEPT_RANGES, "bytes"))
        // Who may read it today may not tomorrow: it is asked about each time.
        .insert_header((CACHE_CONTROL, "private, no-cache"))
        .insert_header((VERSION, file.version))
        .insert_header((REVISION, seen))
        // What was stored is sent as it was: another coding would have another length and another tag.
        .insert_header((CONTENT_ENCODING, IDENTITY));
}

/// What it is, and that it is nothing of this server's.
fn kind(response: &mut HttpResponseBuilder, file: &OpenFile, name: &str) {
    let charset = if mime::is_text(&file.mime) && !file.mime.contains(';') { "; charset=utf-8" } else { "" };
    let kind = HeaderValue::from_str(&format!("{}{charset}", file.mime));
    response.insert_header((CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static(mime::BINARY))));
    let media = file.mime.starts_with("audio/") || file.mime.starts_with("video/");
    let shown = if media || SHOWN.contains(&file.mime.as_str()) { "inline" } else { "attachment" };
    response.insert_header((CONTENT_DISPOSITION, format!("{shown}; filename*=UTF-8''{}", escaped(name))));
    response.insert_header((CONTENT_SECURITY_POLICY, POLICY));
    response.insert_header(("cross-origin-resource-policy", "same-origin"));
}

/// As RFC 8187 wants it.
fn escaped(name: &str) -> String {
    use std::fmt::Write as _;
    name.bytes().fold(String::with_capacity(name.len()), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("writing to a String cannot fail");
        }
        text
    })
}

/// Sends the bytes piece by piece. The first is read before the head goes out, so that what cannot be read at all is
/// an error with its status; what fails later ends the connection, and the client sees that it has too little.
async fn send(
    mut response: HttpResponseBuilder,
    call: &Call,
    file: OpenFile,
    range: Range<u64>,
) -> Result<HttpResponse, Refused> {
    let size = range.end - range.start;
    let mut pieces = file.pieces(call, range).await.map_err(Refused::by(call))?;
    let first = pieces.next().await.map_err(Refused::by(call))?.unwrap_or_default();
    if first.len() as u64 == size {
        return Ok(response.body(first));
    }
    Ok(response.body(SizedStream::new(size, rest(first, pieces))))
}

fn rest(first: Bytes, pieces: Pieces) -> impl stream::Stream<Item = Result<Bytes, ServiceError>> + Unpin {
    Box::pin(stream::unfold((Some(first), Some(pieces)), |(first, pieces)| async move {
        if let Some(first) = first {
            return Some((Ok(first), (None, pieces)));
        }
        let mut pieces = pieces?;
        match pieces.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), (None, Some(pieces)))),
            Ok(None) => None,
            Err(error) => {
                tracing::error!(%error, "a file could not be sent to its end");
                Some((Err(error), (None, None)))
            }
        }
    }))
}
