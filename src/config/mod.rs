//! Settings: each declared once, read from flags, environment, file and defaults, in this order.
//!
//! Owns names, defaults, environment variables and texts of all settings, and remembers where each value came from.
//! The only module that reads the environment. Must never know what a setting does. Invariant: a value that was given
//! is used or refused, never ignored: an unknown key is an error that names the nearest known one.

mod fault;
mod layers;
mod setting;
mod value;

pub use fault::{Fault, FaultAction, faults};
pub use layers::{ConfigError, Origin, Sources, contexts_file, load};
pub use setting::{Config, SETTINGS, Setting};
pub use value::{ByteSize, Durability, Environment, List, LogStyle, SandboxWalls, Seconds, Secret};
