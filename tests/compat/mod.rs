//! Somebody else's programs against ours: clients, validators, tools.

// A fuzzer for OpenAPI: our own document tells the truth.
mod fuzzer;
// agentskills.io: the reference validator says the same of every skill.
mod skills;
