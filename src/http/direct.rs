//! Calls of methods, past the routes.
//!
//! Nearly every request is a call, and what the HTTP framework makes for each request on its way to a route (an address
//! to match, places for data, a box for each layer) is a part of what a kept reply costs that can be measured. So a call
//! that needs nothing of the layers around the routes goes straight to [`rpc::call`]. Owns which calls these are. Must
//! never answer by itself. Invariant: the answer is the one that the routes give (`tests/http/direct.rs`); where pages of
//! other origins are let in, the routes alone say what an answer varies by.

use std::sync::Arc;
use std::task::{Context, Poll};

use actix_http::{Request, Response};
use actix_service::IntoServiceFactory;
use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{AppConfig, Service, ServiceFactory, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{ACCEPT_ENCODING, ORIGIN, TRANSFER_ENCODING};
use actix_web::{Error, web};
use futures_util::future::LocalBoxFuture;

use super::state::Shared;
use super::{gate, rpc};

/// What a thread serves: calls directly, everything else by the `routes`.
pub(super) struct Direct<R> {
    shared: web::Data<Shared>,
    routes: R,
}

impl<R> Direct<R> {
    /// Around `app`, which has the same state.
    pub(super) fn new<A: IntoServiceFactory<R, Request>>(shared: web::Data<Shared>, app: A) -> Self
    where
        R: ServiceFactory<Request>,
    {
        Self { shared, routes: app.into_factory() }
    }
}

impl<R, B> ServiceFactory<Request> for Direct<R>
where
    R: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<B>, Error = Error>,
    R::Future: 'static,
    <R::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = Response<EitherBody<BoxBody, B>>;
    type Error = Error;
    type Config = AppConfig;
    type Service = Direct<R::Service>;
    type InitError = R::InitError;
    type Future = LocalBoxFuture<'static, Result<Self::Service, Self::InitError>>;

    fn new_service(&self, config: AppConfig) -> Self::Future {
        let (shared, routes) = (self.shared.clone(), self.routes.new_service(config));
        Box::pin(async { Ok(Direct { shared, routes: routes.await? }) })
    }
}

impl<R, B> Service<Request> for Direct<R>
where
    R: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    R::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = Response<EitherBody<BoxBody, B>>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.routes.poll_ready(cx)
    }

    fn call(&self, request: Request) -> Self::Future {
        if is_direct(&request) {
            let shared = self.shared.clone();
            return Box::pin(
                async move { Ok(call(&shared, request).await.map_body(|_, body| EitherBody::left(body))) },
            );
        }
        let answer = self.routes.call(request);
        Box::pin(async { Ok(Response::from(answer.await?).map_body(|_, body| EitherBody::right(body))) })
    }
}

/// Whether it calls a method and needs nothing of the layers around the routes: no compression, no words for another
/// origin's page, no care of a body of unknown length.
fn is_direct(request: &Request) -> bool {
    let needs_more = [ACCEPT_ENCODING, ORIGIN, TRANSFER_ENCODING];
    request.head().method == Method::POST
        && rpc::method_at(request.path()).is_some()
        && !needs_more.iter().any(|name| request.head().headers.contains_key(name))
}

async fn call(shared: &Shared, request: Request) -> Response<BoxBody> {
    let (request, payload) = request.into_parts();
    let (id, refusal) = gate::enter(shared, &request);
    let mut answer = match refusal {
        Some(refusal) => refusal,
        None => rpc::call(shared, &request, payload, Arc::clone(&id)).await,
    };
    gate::leave(answer.headers_mut(), &id);
    answer.into()
}
