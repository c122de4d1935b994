//! SQLite: opening connections, pragmas, running statements. The only place that opens one.

use std::ops::ControlFlow;

use crate::store::tx::{Row, Val};
use crate::store::StoreError;

/// Runs a query; statements are cached by their text.
pub(in crate::store) fn each(
    conn: &rusqlite::Connection,
    sql: &'static str,
    params: &[Val<'_>],
    mut each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError>,
) -> Result<(), StoreError> {
    todo!()
}

/// Runs a statement that changes rows; returns how many.
pub(in crate::store) fn exec(conn: &rusqlite::Connection, sql: &'static str, params: &[Val<'_>]) -> Result<u64, StoreError> {
    todo!()
}
