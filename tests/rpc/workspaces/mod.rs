//! Registered workspaces.

mod list;
mod register;
