//! What tests and benchmarks share: a store to play in, a server to talk to, a process to kill, a disk to slow down.

// A SQLite file system that stands between the store and the disk.
pub(crate) mod vfs;
// A disk that writes down what is done to it.
pub(crate) mod disk;
// What such a disk holds after the power has gone.
pub(crate) mod image;
// A small HTTP client that speaks JSON-RPC.
pub(crate) mod client;
// What a benchmark prints beside its result.
pub(crate) mod measure;
// SQLite or PostgreSQL.
pub(crate) mod engine;
// A store with people in it.
pub(crate) mod world;
// The real HTTP server over a world.
pub(crate) mod server;
// The real program as a process.
pub(crate) mod process;
// What a process takes of memory.
pub(crate) mod growth;
// What a test needs that need not be there.
pub(crate) mod require;
// A Python with packages of the public index.
pub(crate) mod python;
// Programs of npm.
pub(crate) mod node;
// A browser without a window.
pub(crate) mod browser;
// Certificates for servers that are talked to over TLS.
pub(crate) mod certificates;
// A PostgreSQL of our own.
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
