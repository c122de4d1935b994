//! JSON-RPC: one declaration per method, one list of methods, and everything derived from it.
//!
//! The only folder that knows JSON-RPC. Must never know of HTTP types (`http` translates) or SQL.

use std::future::Future;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub mod codec;
mod confined;
pub mod context;
pub mod decode;
pub mod dispatch;
pub mod envelope;
pub mod error;
pub mod idempotency;
pub mod lines;
pub mod methods;
pub mod openapi;
pub mod openrpc;
pub mod reference;
pub mod registry;
pub mod replies;
mod unique;

pub use context::RequestContext;
pub use dispatch::dispatch;
pub use error::{ErrorCode, RpcError};
pub use registry::{Entry, Params, entry};

/// What a method does to the data: shown in the documents, checked by tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Answers from a snapshot; submits nothing.
    Read,
    /// Submits a message to the writer when it succeeds.
    Write,
    /// As `Write`, and only for admins.
    Admin,
}

/// The `Cache-Control` of a reply (contract §1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CachePolicy {
    /// `private, no-cache`.
    NoCache,
    /// `no-store`.
    NoStore,
    /// `private, max-age=N` seconds.
    MaxAge(u32),
}

/// One RPC method: the struct of its parameters. Its docs are the method's docs; each field's docs the parameter's.
pub trait Method: DeserializeOwned + JsonSchema + Send + 'static {
    /// The name on the wire.
    const NAME: &'static str;
    /// What it does to the data.
    const ACCESS: Access;
    /// The errors that a caller should expect beside the general ones.
    const ERRORS: &'static [ErrorCode];
    /// How a reply may be cached.
    const CACHE: CachePolicy = CachePolicy::NoCache;
    /// Whether it may outlast the ordinary deadline (running a command in a sandbox); then it has none.
    const LONG: bool = false;
    /// Whether its reply may hold what is shown once; such a reply is not kept for a repeat of the request.
    const SECRET: bool = false;
    /// Why it does nothing here but refuse; `None` = it works.
    const REFUSED: Option<&'static str> = None;
    /// Whether its result depends on nothing but parameters, caller and what is stored: then it is kept while that stays.
    const KEPT: bool = false;
    /// The result.
    type Output: Serialize + JsonSchema + Send;
    /// Does it.
    fn call(self, cx: &RequestContext) -> impl Future<Output = Result<Self::Output, RpcError>> + Send;
}
