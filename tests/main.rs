//! The one integration binary: each further one would cost a link of the whole server.
//!
//! A module per area; the line above each says what belongs there.

// What tests and benchmarks share; no tests of its own but of the tools.
#[expect(dead_code, reason = "shared with the benchmarks; each uses a part")]
mod harness;
// What survives crashes.
mod crash;
// What is remembered, and at which revision.
mod cache;
// Who may call what.
mod authz;
// Tests of those tools.
mod tools;
// Rules about the text of the project.
mod tidy;
// What we depend on.
mod dependencies;
// The store alone: writer, readers, lanes, opening and closing, faults. Its own ops and projection, no rules.
mod store;
// The HTTP door: bad input, foreign pages, slow senders, headers. Not what a method answers.
mod http;
// Random histories against an oracle: what the answers must be.
mod property;
// Random commands against a plain model of the file tree: what becomes of it.
mod model;
// Methods, one folder per noun and one file per verb: scenarios with what must be in an answer and what must not.
mod rpc;
// What is told of changes: subscriptions, their deliveries, the stream of events; and where requests may go.
mod events;
// The application as a whole: settings in, a served directory out.
mod app;
// The command line, as a process: what it prints, how it ends, what it refuses.
mod cli;
// What is the same on PostgreSQL: schema and statements. The areas above run on it as well, by a switch of the harness.
#[cfg(feature = "postgres")]
mod postgres;
// Somebody else's programs against ours: clients, validators, tools.
mod compat;
// A whole store moved: exported, imported, damaged on the way, under other names.
mod moving;
// Programs in sandboxes: what they do, and every way out of them.
mod sandbox;
// What the architecture page says of the code.
mod architecture;
