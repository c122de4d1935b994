//! Logs and metrics.
//!
//! Owns the format of the log, the list of metrics, the one recorder of the process, and values by thread. Must never know
//! what is logged or measured. Invariant: no key and no token leaves through a log line.

pub mod by_thread;
mod line;
mod lines;
pub mod log;
pub mod metric;
pub mod series;
mod sink;
