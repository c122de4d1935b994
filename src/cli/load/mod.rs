//! A mixed load of a team of agents and the proof that every answer was right: clients that read, list, ask and write
//! at once while a right is given and taken back, and a checker that replays the log afterwards.
//!
//! Owns what is sent, what is recorded and what is demanded. Must never ask the server under test what is right.

pub mod checker;
pub mod generator;
pub mod history;
pub mod machine;
pub mod setup;
pub mod state;
pub mod wire;
