//! Bodies in chunks that nobody reads to their end.
//!
//! Owns one thing: such a connection is closed after its answer. The HTTP library would read on as long as chunks come,
//! with or without a key, for what it thinks is an idle connection; it does so when the reader of the body is gone. So
//! the reader is kept until the answer is out, and a body that is not read whole then ends its connection.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::HttpMessage as _;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::Stream;

/// The reader of a body, kept beside whoever reads it.
#[derive(Clone)]
pub(super) struct Reader(Rc<RefCell<Payload>>);

impl Reader {
    /// Takes hold of the body of `request` if it comes in chunks.
    pub(super) fn keep(request: &mut ServiceRequest) -> Option<Self> {
        if !request.chunked().unwrap_or(false) {
            return None;
        }
        let reader = Self(Rc::new(RefCell::new(request.take_payload())));
        request.set_payload(Payload::Stream { payload: Box::pin(reader.clone()) });
        Some(reader)
    }
}

impl Stream for Reader {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(cx)
    }
}

/// An answer with the reader of its request.
pub(super) struct Answer<B> {
    body: Pin<Box<B>>,
    _reader: Reader,
}

impl<B> Answer<B> {
    pub(super) fn new(body: B, reader: Reader) -> Self {
        Self { body: Box::pin(body), _reader: reader }
    }
}

impl<B: MessageBody> MessageBody for Answer<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.body.as_mut().poll_next(cx)
    }
}
