//! Somebody else's programs against ours: clients, validators, tools.

// The published clients, and the table of the client methods that comes of them.
mod clients;
// The documentation in a browser.
mod docs;
// A fuzzer for OpenAPI: our own document tells the truth.
mod fuzzer;
// agentskills.io: the reference validator says the same of every skill, the installer takes what is public.
mod skills;
