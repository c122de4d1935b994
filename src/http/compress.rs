//! Compresses answers for those who say that they read compressed ones.
//!
//! Owns which answers are left alone. Invariant: everybody else's request passes by: what the compressor puts around an
//! answer would be moved through every layer outside of it.

use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::Error;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue};
use actix_web::middleware::{Compress, Next, from_fn};
use futures_util::future::{Either, LocalBoxFuture};

/// Smaller bodies are not compressed, bytes.
const COMPRESS_BYTES_MIN: u64 = 1000;
/// Says "as it is" to the compressor; the gate takes it off.
pub(super) const IDENTITY: HeaderValue = HeaderValue::from_static("identity");

/// The layer.
pub(super) struct WhereAccepted;

/// What it makes of the service inside.
pub(super) struct Passage<S> {
    direct: Rc<S>,
    compressed: Box<dyn Fn(ServiceRequest) -> Answer>,
}

type Answer = LocalBoxFuture<'static, Result<ServiceResponse, Error>>;

impl<S> Transform<S, ServiceRequest> for WhereAccepted
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error> + 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Transform = Passage<S>;
    type InitError = ();
    type Future = LocalBoxFuture<'static, Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        Box::pin(async {
            let direct = Rc::new(service);
            let sparing = from_fn(spare).new_transform(Rc::clone(&direct)).await?;
            let compressing = Compress::default().new_transform(sparing).await?;
            let compressed = move |request| -> Answer {
                let answer = compressing.call(request);
                Box::pin(async { Ok(answer.await?.map_into_boxed_body()) })
            };
            Ok(Passage { direct, compressed: Box::new(compressed) })
        })
    }
}

impl<S> Service<ServiceRequest> for Passage<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Future = Either<S::Future, Answer>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.direct.poll_ready(cx)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        if request.headers().contains_key(ACCEPT_ENCODING) {
            Either::Right((self.compressed)(request))
        } else {
            Either::Left(self.direct.call(request))
        }
    }
}

/// Tells the compressor around it to leave small bodies alone.
async fn spare(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, Error> {
    let mut response = next.call(request).await?;
    if matches!(response.response().body().size(), BodySize::Sized(bytes) if bytes < COMPRESS_BYTES_MIN) {
        response.headers_mut().insert(CONTENT_ENCODING, IDENTITY);
    }
    Ok(response)
}
