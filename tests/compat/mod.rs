//! Somebody else's programs against ours: clients, validators, tools.

// agentskills.io: the reference validator says the same of every skill.
mod skills;
