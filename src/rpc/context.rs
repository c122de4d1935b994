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
    /// Sets the reply's `ETag`. Returns whether the client already has it (the door then answers 304).
    pub fn set_etag(&self, etag: &str) -> bool {
        *self.etag.lock() = Some(etag.to_owned());
        self.if_none_match.as_deref() == Some(etag)
    }
}
