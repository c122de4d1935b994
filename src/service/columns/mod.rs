//! Tables of which somebody sees only some columns: the rules, the text format and what the rules make of a text.
//!
//! Owns what column rules mean and when they cannot be applied; then nothing is shown. Decides nobody's rights (that is
//! `access`), reads no file (`files::columns` does).

mod aggregate;
pub mod csv;
pub mod filter;
pub mod rules;

pub use filter::{Filtered, apply};
pub use rules::ColumnRules;

/// Largest table that is filtered, bytes.
pub const TABLE_BYTES_MAX: usize = 8 << 20;
