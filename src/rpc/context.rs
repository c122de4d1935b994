//! What a method gets beside its parameters. Holds nothing of HTTP, so that it is `Send` and any door can make one.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::service::Call;

/// The services of the running server that a method may need beside the store. Composed in `app`.
pub struct Services {
    /// Private directories and (later) processes of sandboxes.
    pub sandboxes: Arc<crate::sandbox::Sandboxes>,
    /// Makes keyed hashes of API keys.
    pub hasher: Arc<crate::auth::KeyHasher>,
    /// Lists of objects that can be continued.
    pub pins: Arc<crate::service::pins::Pins>,
}

/// One request to one method.
pub struct RequestContext {
    /// Who asks, deadline, store.
    pub call: Call,
    /// The services.
    pub services: Arc<Services>,
    /// `If-None-Match`, quotes stripped.
    pub if_none_match: Option<String>,
    /// Set by a method whose reply has an `ETag`.
    pub etag: Mutex<Option<String>>,
}

impl RequestContext {
    /// A request without conditions.
    #[must_use]
    pub fn new(call: Call, services: Arc<Services>) -> Self {
        Self { call, services, if_none_match: None, etag: Mutex::new(None) }
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
