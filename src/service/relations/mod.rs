//! Questions about relations and the tuples and rules behind them: check, explain, filter, lists, grants, namespaces.
//!
//! Who may ask and who may grant is decided here; what follows from tuples and rules is the engine's (`rebac`).

pub mod checks;
pub mod explain;
mod file_objects;
pub mod filter;
pub mod namespaces;
pub mod namespaces_ops;
pub mod objects;
pub mod options;
pub mod past;
pub mod pins;
pub mod questions;
pub mod shares;
pub mod shares_ops;
pub mod subjects;
pub mod tuples;
pub mod tuples_ops;
