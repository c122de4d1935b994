//! The HTTP door: the only folder that names actix_web and what it stands on.
//!
//! Owns routes, headers, sizes, deadlines and the translation of HTTP into [`crate::rpc`] and back. Must never know a
//! method, a rule or a table. Invariants: nobody is served under a foreign host name; who is calling is settled before
//! a body is read; every answer carries the request id; nothing of the inside (a panic, a path) is shown.

mod body;
mod compress;
pub mod control;
pub mod descriptors;
mod direct;
mod docs;
mod events;
mod files;
mod gate;
mod identity;
mod inside;
mod lines;
mod pages;
mod rates;
mod reply;
mod routes;
mod rpc;
mod server;
mod skills;
mod state;
mod subscriptions;
mod unread;

pub use routes::openapi;
pub use server::{Running, ServeError, Server};
pub use state::{AppState, Limits};
