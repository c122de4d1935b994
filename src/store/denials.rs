//! Refusals for lack of a permission: who was denied what on what.
//!
//! Owns the table `denials`. Written by the second lane (`notes.rs`), outside revisions and changelog; bounded in rows
//! and in days. With the changelog it is the audit.

use super::StoreError;
use super::backend::Conn;
use super::digest::key16;
use super::note::DenialNote;
use super::row::Row;
use super::statements::statements;
use super::tx::Sql;

/// How long a denial is kept, µs.
pub const RETENTION_US: i64 = 30 * 24 * 60 * 60 * 1_000_000;
/// Rows that one transaction of the writer removes at most.
const TRIM_ROWS: u64 = 1_024;

statements! {
    /// One refusal.
    DENIAL_PUT = "INSERT INTO denials (seq, at_us, tenant, actor, method, permission, object, rev, request_id) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    /// The number of the newest.
    DENIAL_LAST = "SELECT seq FROM denials ORDER BY seq DESC LIMIT 1";
    /// The number of the oldest.
    DENIAL_FIRST = "SELECT seq FROM denials ORDER BY seq LIMIT 1";
    /// When the earliest was refused.
    DENIAL_EARLIEST = "SELECT at_us FROM denials ORDER BY at_us LIMIT 1";
    /// Removes the first that were written.
    DENIAL_TRIM_ROWS = "DELETE FROM denials WHERE seq < ?1";
    /// Removes what was refused before a time.
    DENIAL_TRIM_AGE = "DELETE FROM denials WHERE seq IN \
        (SELECT seq FROM denials WHERE at_us < ?1 ORDER BY at_us LIMIT ?2)";
    /// The rows after a number, in order.
    DENIALS_AFTER = "SELECT seq, at_us, tenant, actor, method, permission, object, rev, request_id FROM denials \
        WHERE seq > ?1 ORDER BY seq LIMIT ?2";
    /// The rows before a number, the newest first.
    DENIALS_BEFORE = "SELECT seq, at_us, tenant, actor, method, permission, object, rev, request_id FROM denials \
        WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2";
}

/// A row of `denials`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DenialRow {
    /// The number, from 1, in the order of writing.
    pub seq: u64,
    /// What was refused, to whom, when.
    pub denial: DenialNote,
}

/// What makes two denials that wait the same.
pub(super) fn key(note: &DenialNote) -> [u8; 16] {
    key16(&[&note.tenant, &note.actor, &note.method, &note.permission, &note.object])
}

/// Writes a denial under a number.
pub(super) fn put(conn: Conn<'_>, seq: u64, note: &DenialNote) -> Result<(), StoreError> {
    let DenialNote { at_us, tenant, actor, method, permission, object, rev, request_id } = note;
    let values = crate::params![seq, *at_us, tenant, actor, method, permission, object, *rev, request_id];
    conn.exec(DENIAL_PUT, values)
}

/// The number of the newest; 0 if there is none.
pub(super) fn last(conn: Conn<'_>) -> Result<u64, StoreError> {
    Ok(conn.number(DENIAL_LAST, &[])?.and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0))
}

/// Whether anything is too old or too much. For a look before a transaction.
pub(super) fn is_due(conn: Conn<'_>, now_us: i64, rows_max: u64) -> Result<bool, StoreError> {
    let old = conn.number(DENIAL_EARLIEST, &[])?.is_some_and(|at_us| at_us < now_us.saturating_sub(RETENTION_US));
    Ok(old || surplus(conn, rows_max)?.is_some())
}

/// Up to which number, not included, rows are too many.
fn surplus(conn: Conn<'_>, rows_max: u64) -> Result<Option<u64>, StoreError> {
    let (Some(first), last) = (conn.number(DENIAL_FIRST, &[])?, last(conn)?) else { return Ok(None) };
    let first = u64::try_from(first).unwrap_or(0);
    let keep_from = (last + 1).saturating_sub(rows_max);
    Ok((first < keep_from).then(|| keep_from.min(first + TRIM_ROWS)))
}

/// Removes a bounded part of what is too old or too much.
pub(super) fn trim(conn: Conn<'_>, now_us: i64, rows_max: u64) -> Result<(), StoreError> {
    if let Some(below) = surplus(conn, rows_max)? {
        conn.exec(DENIAL_TRIM_ROWS, crate::params![below])?;
    }
    let earliest = now_us.saturating_sub(RETENTION_US);
    conn.exec(DENIAL_TRIM_AGE, crate::params![earliest, TRIM_ROWS])
}

/// The rows after number `seq`, oldest first, at most `limit`.
pub fn after(tx: &impl Sql, seq: u64, limit: u64) -> Result<Vec<DenialRow>, StoreError> {
    tx.query(DENIALS_AFTER, crate::params![seq, limit], read_row)
}

/// The rows before number `seq`, newest first, at most `limit`.
pub fn before(tx: &impl Sql, seq: u64, limit: u64) -> Result<Vec<DenialRow>, StoreError> {
    tx.query(DENIALS_BEFORE, crate::params![seq, limit], read_row)
}

fn read_row(row: &Row<'_>) -> Result<DenialRow, StoreError> {
    let denial = DenialNote {
        at_us: row.int(1)?,
        tenant: row.string(2)?,
        actor: row.string(3)?,
        method: row.string(4)?,
        permission: row.string(5)?,
        object: row.string(6)?,
        rev: row.id(7)?,
        request_id: row.string(8)?,
    };
    Ok(DenialRow { seq: row.id(0)?, denial })
}
