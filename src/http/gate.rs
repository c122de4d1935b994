//! What every request passes before anything else: its id, its host name, its origin; and every answer at last.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{RequestHead, ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_ENCODING, HOST, HeaderMap, HeaderValue, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use actix_web::http::{StatusCode, Uri};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpResponse, web};

use super::compress::IDENTITY;
use super::reply::{REQUEST_ID, RequestId, detail};
use super::state::Shared;
use super::unread::{Answer, Reader};

/// Longest request target, bytes.
const TARGET_BYTES_MAX: usize = 8 << 10;
/// Longest request id that is taken over, bytes.
const REQUEST_ID_BYTES_MAX: usize = 128;
/// How the ids of requests of programs in sandboxes begin: by it the log and the audit tell them from their caller's.
const OF_A_PROGRAM: &str = "sandbox:";

/// The outermost layer around the routes.
pub(super) async fn gate(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let shared = request.app_data::<web::Data<Shared>>().expect("the server adds its state to every app");
    let (id, refusal) = enter(shared, request.head());
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    let reader = Reader::keep(&mut request);
    let mut response = match refusal {
        Some(refusal) => request.into_response(refusal).map_into_right_body(),
        None => next.call(request).await?.map_into_left_body(),
    };
    leave(response.headers_mut(), &id);
    Ok(match reader {
        None => response.map_into_left_body(),
        Some(reader) => response.map_body(|_, body| Answer::new(body, reader)).map_into_right_body(),
    })
}

/// The id of a request, and the answer to one that is not let in.
pub(super) fn enter(shared: &Shared, request: &RequestHead) -> (Arc<str>, Option<HttpResponse>) {
    let id = sane_id(request.headers()).unwrap_or_else(|| shared.app.base.store.random().uuid());
    let id: Arc<str> = if shared.inside { format!("{OF_A_PROGRAM}{id}") } else { id }.into();
    let refusal = refuse(shared, request, &id);
    (id, refusal)
}

/// What stands in the head of every answer.
pub(super) fn leave(headers: &mut HeaderMap, id: &str) {
    if headers.get(CONTENT_ENCODING) == Some(&IDENTITY) {
        headers.remove(CONTENT_ENCODING);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
}

/// The id that the caller gave, if it can stand in a log line.
fn sane_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let sane = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    (!id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.chars().all(sane)).then(|| id.to_owned())
}

fn refuse(shared: &Shared, request: &RequestHead, id: &str) -> Option<HttpResponse> {
    if target_bytes(&request.uri) > TARGET_BYTES_MAX {
        return Some(detail(StatusCode::URI_TOO_LONG, "URI Too Long", Some("send parameters in the body"), id));
    }
    // Both places that may name a host: the header, and the target of a request to a proxy.
    let header = request.headers().get(HOST).and_then(|v| v.to_str().ok());
    let target = request.uri.authority().map(|a| a.as_str());
    let mut hosts = header.into_iter().chain(target).peekable();
    if hosts.peek().is_none() || !hosts.all(|host| is_ours(shared, host)) {
        let hint = "use a loopback address, or add the name to allowed_hosts";
        return Some(detail(StatusCode::MISDIRECTED_REQUEST, "Misdirected Request: unknown host", Some(hint), id));
    }
    if let Some(origin) = request.headers().get(ORIGIN) {
        let origin = origin.to_str().unwrap_or("null");
        if !shared.app.cors_origins.iter().any(|known| known == origin) && !same_origin(origin, header) {
            let hint = "add the page's origin to cors_origins";
            return Some(detail(StatusCode::FORBIDDEN, "Origin not allowed", Some(hint), id));
        }
    }
    if shared.is_closing() {
        let mut response = detail(StatusCode::SERVICE_UNAVAILABLE, "shutting down", Some("try again"), id);
        response.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
        return Some(response);
    }
    None
}

/// How long the target of a request is, bytes; `http://` of one to a proxy is not counted.
fn target_bytes(uri: &Uri) -> usize {
    uri.authority().map_or(0, |host| host.as_str().len()) + uri.path_and_query().map_or(0, |path| path.as_str().len())
}

/// Whether a page that this server itself handed out is asking.
fn same_origin(origin: &str, host: Option<&str>) -> bool {
    let origin_host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    origin_host.is_some() && origin_host == host
}

/// Whether `host` (with or without port) is one that may be used to reach us. A page whose name was rebound to a
/// loopback address sends its own name here.
fn is_ours(shared: &Shared, host: &str) -> bool {
    let listed = |h: &str| shared.app.allowed_hosts.iter().any(|known| known.eq_ignore_ascii_case(h));
    let name = without_port(host);
    if let Ok(ip) = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return ip.is_loopback() || ip == shared.ip() && !ip.is_unspecified() || listed(host) || listed(name);
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || listed(name) || listed(host)
}

fn without_port(host: &str) -> &str {
    match host.rfind(':') {
        Some(at) if !host[at..].contains(']') && host[at + 1..].bytes().all(|b| b.is_ascii_digit()) => {
            // More than one colon without brackets is no host with a port.
            if host[..at].contains(':') && !host.starts_with('[') { host } else { &host[..at] }
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::without_port;

    #[test]
    fn ports_are_taken_off() {
        for (host, name) in [
            ("localhost", "localhost"),
            ("localhost:8080", "localhost"),
            ("[::1]:8080", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
            ("a:b", "a:b"),
            ("127.0.0.1:", "127.0.0.1"),
        ] {
            assert_eq!(without_port(host), name, "{host}");
        }
    }
}
