//! `GET /docs`: the documentation of the API, drawn in the browser from `/openapi.json`.
//!
//! Works without a network: page, script and style are in the program. The page itself holds nothing and is shown to
//! everybody, so that somebody can enter a key in it; the document that it draws wants that key where the server does
//! not listen on loopback. Must never hold what the document says: a second place would go stale.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse};

/// What the page may load: its own script and style, and answers of this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";
/// A new program may bring another page.
const FRESH: &str = "no-cache";

fn part(kind: &'static str, text: &'static str) -> HttpResponse {
    let headers: [(HeaderName, &'static str); 6] = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, FRESH),
    ];
    let mut response = HttpResponse::Ok();
    for header in headers {
        response.insert_header(header);
    }
    response.body(text)
}

/// The page.
pub(super) async fn page(_: HttpRequest) -> HttpResponse {
    part("text/html; charset=utf-8", include_str!("page.html"))
}

/// Its script.
pub(super) async fn script(_: HttpRequest) -> HttpResponse {
    part("text/javascript; charset=utf-8", include_str!("page.js"))
}

/// Its style.
pub(super) async fn style(_: HttpRequest) -> HttpResponse {
    part("text/css; charset=utf-8", include_str!("page.css"))
}
