//! THE LIST of routes.

use actix_web::web::{self, ServiceConfig};
use actix_web::{Handler, HttpRequest, HttpResponse, Resource};

use super::reply::{method_not_allowed, not_found};
use super::{pages, rpc};

/// Adds every route.
pub(super) fn configure(routes: &mut ServiceConfig) {
    routes
        .service(get("/health", |_: HttpRequest| pages::health()))
        .service(get("/ready", pages::ready))
        .service(get("/metrics", pages::metrics))
        .service(get("/openrpc.json", pages::openrpc))
        .service(get("/openapi.json", pages::openapi))
        .service(get("/api/auth/whoami", pages::whoami))
        .service(
            web::resource("/api/nfs/status")
                .route(web::get().to(pages::status))
                .route(web::post().to(rpc::call))
                .default_service(web::to(method_not_allowed("GET, POST"))),
        )
        .service(
            web::resource("/api/nfs/{method}")
                .route(web::post().to(rpc::call))
                .default_service(web::to(method_not_allowed("POST"))),
        )
        .default_service(web::to(not_found));
}

/// A page.
fn get(path: &str, page: impl Handler<(HttpRequest,), Output = HttpResponse>) -> Resource {
    web::resource(path).route(web::get().to(page)).default_service(web::to(method_not_allowed("GET")))
}
