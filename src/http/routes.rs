//! THE LIST of routes.

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{Handler, HttpRequest, HttpResponse, Resource};

use super::reply::{method_not_allowed, not_found};
use super::{docs, events, files, pages, rpc, skills, subscriptions};

/// Where the methods are, by name.
const METHODS: &str = "/api/nfs";

/// Adds every route.
pub(super) fn configure(routes: &mut ServiceConfig) {
    for path in docs::PATHS {
        routes.service(get(path, docs::page));
    }
    routes
        .service(get("/docs/page.js", docs::script))
        .service(get("/docs/page.css", docs::style))
        .service(get("/health", |_: HttpRequest| pages::health()))
        .service(get("/ready", pages::ready))
        .service(get("/metrics", pages::metrics))
        .service(get("/openrpc.json", pages::openrpc))
        .service(get("/openapi.json", pages::openapi))
        .service(get("/api/auth/whoami", pages::whoami))
        .service(get("/api/events", events::serve))
        .service(web::scope(subscriptions::SUBSCRIPTIONS).default_service(web::to(subscriptions::serve)))
        .service(web::scope(skills::WELL_KNOWN).default_service(web::to(skills::serve)))
        .service(web::scope(files::FILES).default_service(web::to(files::serve)))
        .service(
            web::scope(METHODS)
                .service(
                    web::resource("/status")
                        .route(web::get().to(pages::status))
                        .route(web::post().to(rpc::call))
                        .default_service(web::to(method_not_allowed("GET, POST"))),
                )
                // A pattern with a name in it would be matched by a regular expression, for each request.
                .default_service(web::to(method)),
        )
        .default_service(web::to(not_found));
}

/// A method by its name, or what is no name of one.
async fn method(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let name = request.path().strip_prefix(METHODS).and_then(|rest| rest.strip_prefix('/'));
    if name.is_none_or(|name| name.is_empty() || name.contains('/')) {
        return not_found(request).await;
    }
    if request.method() != Method::POST {
        return method_not_allowed("POST")(request).await;
    }
    rpc::call(request, payload).await
}

/// A page.
fn get(path: &str, page: impl Handler<(HttpRequest,), Output = HttpResponse>) -> Resource {
    web::resource(path).route(web::get().to(page)).default_service(web::to(method_not_allowed("GET")))
}
