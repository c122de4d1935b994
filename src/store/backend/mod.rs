//! The engines. SQLite is the only one built.

pub(super) mod sqlite;
