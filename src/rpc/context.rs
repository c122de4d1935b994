//! What a method gets beside its parameters. Holds nothing of HTTP, so that it is `Send` and any door can make one.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use serde::Serialize;

use super::decode::write_result;
use crate::model::Rev;
use crate::service::Call;
use crate::service::keyed::Reply;

/// The services of the running server that a method may need beside the store. Composed in `app`; each thread that serves
/// has a copy of its own, as it has a [`Base`](crate::service::Base).
#[derive(Clone)]
pub struct Services {
    /// Private directories and programs of sandboxes.
    pub sandboxes: Arc<crate::sandbox::Sandboxes>,
    /// What programs in sandboxes speak with.
    pub passes: crate::auth::Passes,
    /// Makes keyed hashes of API keys.
    pub hasher: Arc<crate::auth::KeyHasher>,
    /// What may be mounted, and what is being synced.
    pub mounts: Arc<crate::service::mounts::Mounts>,
    /// Results that stand as long as nothing changes.
    pub replies: Arc<super::replies::Replies>,
    /// Whom the server tells of events.
    pub hooks: Arc<crate::service::subscriptions::deliver::Hooks>,
    /// Lists of objects that can be continued.
    pub pins: Arc<crate::service::relations::pins::Pins>,
}

/// One request to one method.
pub struct RequestContext {
    /// Who asks, deadline, store.
    pub call: Call,
    /// The services.
    pub services: Arc<Services>,
    /// When it began, by the store's clock.
    pub began: Instant,
    /// `If-None-Match`, quotes stripped.
    pub if_none_match: Option<String>,
    /// `Idempotency-Key`, as it was sent; methods that only read do not look at it.
    pub idempotency_key: Option<String>,
    /// Set by a method whose reply has an `ETag`.
    pub etag: Mutex<Option<String>>,
    replayed: AtomicBool,
}

impl RequestContext {
    /// A request without conditions.
    #[must_use]
    pub fn new(call: Call, services: Arc<Services>) -> Self {
        Self {
            began: call.store.clock().instant(),
            call,
            services,
            if_none_match: None,
            idempotency_key: None,
            etag: Mutex::new(None),
            replayed: AtomicBool::new(false),
        }
    }

    /// Says how the reply of a writing method is made from what its message gives back. Called before the message is
    /// sent; a request without Idempotency-Key does nothing with it.
    pub fn reply_with<T: Any, R: Serialize>(&self, make: impl Fn(&T) -> R + Send + Sync + 'static) {
        self.reply_if(move |output: &T| Some(make(output)));
    }

    /// As [`reply_with`](Self::reply_with), where a message may succeed and not be what the request is about: `None`.
    pub fn reply_if<T: Any, R: Serialize>(&self, make: impl Fn(&T) -> Option<R> + Send + Sync + 'static) {
        self.call.reply_with(move |output: &T| {
            let Some(reply) = make(output) else { return Reply::Unfinished };
            let mut out = Vec::new();
            // What is too long to be sent is too long to be kept.
            let written = write_result(&mut out, &reply).ok();
            written.and_then(|()| String::from_utf8(out).ok()).map_or(Reply::Unkept, Reply::Json)
        });
    }

    /// The reply is that of an earlier request, at revision `rev`.
    pub(super) fn replayed(&self, rev: Rev) {
        self.call.answered_at(rev);
        self.replayed.store(true, Ordering::Relaxed);
    }

    /// Whether the reply is that of an earlier request with the same Idempotency-Key.
    #[must_use]
    pub fn is_replayed(&self) -> bool {
        self.replayed.load(Ordering::Relaxed)
    }

    /// Whether the client already has the reply that was made (the `ETag` it named).
    #[must_use]
    pub fn not_modified(&self) -> bool {
        self.if_none_match.is_some() && *self.etag.lock() == self.if_none_match
    }

    /// Sets the reply's `ETag`. Returns whether the client already has it (the door then answers 304).
    pub fn set_etag(&self, etag: &str) -> bool {
        *self.etag.lock() = Some(etag.to_owned());
        self.if_none_match.as_deref() == Some(etag)
    }
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestContext").field("call", &self.call).finish_non_exhaustive()
    }
}
