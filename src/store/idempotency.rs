//! What requests with an Idempotency-Key were answered, so that a retry after a lost reply executes nothing twice.
//!
//! Owns the table `idempotency` and its bounds. A row is written in the transaction of the change it answers for; it is
//! the one row that an operation may write without recording a change. Must never know what a reply says.

use crate::model::Rev;

use super::StoreError;
use super::backend::Conn;
use super::digest::key16;
use super::meta;
use super::row::Row;
use super::statements::statements;
use super::tx::{Sql, WriteTx};

/// How long an executed request is remembered, µs.
pub const RETENTION_US: i64 = 24 * 60 * 60 * 1_000_000;
/// Longest reply that is kept, bytes. Of a longer one only is remembered that it was given.
pub const REPLY_BYTES_MAX: usize = 1 << 20;
/// All rows together, bytes as `weight` counts them. When they are more, the oldest go before their time.
pub const TABLE_BYTES_MAX: u64 = 256 << 20;
/// What a row weighs beside its reply, bytes.
const ROW_BYTES: u64 = 256;
/// Rows that one transaction of the writer removes at most: twice what a batch can bring.
pub(super) const TRIM_ROWS: u64 = 1_024;

statements! {
    /// What is remembered of a request.
    IDEMPOTENCY_GET = "SELECT request, method, reply, rev, at_us FROM idempotency WHERE key = ?1";
    /// What a row weighs.
    IDEMPOTENCY_SIZE = "SELECT COALESCE(OCTET_LENGTH(reply), 0) FROM idempotency WHERE key = ?1";
    /// Remembers a request; one that is too old is replaced.
    IDEMPOTENCY_PUT = "INSERT INTO idempotency (key, request, method, reply, rev, at_us) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
        ON CONFLICT (key) DO UPDATE SET request = excluded.request, method = excluded.method, reply = excluded.reply, \
        rev = excluded.rev, at_us = excluded.at_us";
    /// When the oldest row was written.
    IDEMPOTENCY_OLDEST = "SELECT at_us FROM idempotency ORDER BY at_us LIMIT 1";
    /// What the oldest rows weigh, and when they were written.
    IDEMPOTENCY_OLD = "SELECT COALESCE(OCTET_LENGTH(reply), 0), at_us FROM idempotency ORDER BY at_us, key LIMIT ?1";
    /// Forgets the oldest rows.
    IDEMPOTENCY_TRIM = "DELETE FROM idempotency \
        WHERE key IN (SELECT key FROM idempotency ORDER BY at_us, key LIMIT ?1)";
}

/// The name of a key: who sent it, and what it is.
#[must_use]
pub fn name(tenant: &str, actor: &str, key: &str) -> [u8; 16] {
    key16(&[tenant, actor, key])
}

/// What is remembered of an executed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// BLAKE3 of method and parameters.
    pub request: [u8; 32],
    /// The method.
    pub method: String,
    /// The result, JSON; `None` if it held a secret or was longer than [`REPLY_BYTES_MAX`].
    pub reply: Option<String>,
    /// The revision that the request made, or was answered at if it changed nothing.
    pub rev: Rev,
}

/// What is remembered of the request with the key of this [`name`]; nothing of what is older than [`RETENTION_US`].
pub fn find(tx: &impl Sql, key: &[u8; 16]) -> Result<Option<Remembered>, StoreError> {
    let row = |row: &Row<'_>| {
        let request = <[u8; 32]>::try_from(row.blob(0)?);
        let request = request.map_err(|_| StoreError::Corrupt { what: "idempotency holds a short hash".into() })?;
        let (method, reply, rev) = (row.string(1)?, row.opt_string(2)?, row.id(3)?);
        Ok((Remembered { request, method, reply, rev }, row.int(4)?))
    };
    let found = tx.query_one(IDEMPOTENCY_GET, crate::params![&key[..]], row)?;
    Ok(found.filter(|(_, at_us)| *at_us > tx.now_us().saturating_sub(RETENTION_US)).map(|(found, _)| found))
}

/// Remembers the request that `tx` executes, with the revision it gets. A row of the same key is replaced.
pub fn put(
    tx: &mut WriteTx<'_>,
    key: &[u8; 16],
    request: &[u8; 32],
    method: &str,
    reply: Option<&str>,
) -> Result<(), StoreError> {
    let reply = reply.filter(|reply| reply.len() <= REPLY_BYTES_MAX);
    let before = tx.query_one(IDEMPOTENCY_SIZE, crate::params![&key[..]], |row| Ok(weight(row.id(0)?)))?;
    let (rev, now_us) = (tx.rev_so_far(), tx.now_us());
    tx.exec_beside(IDEMPOTENCY_PUT, crate::params![&key[..], &request[..], method, reply, rev, now_us])?;
    let after = weight(reply.map_or(0, |reply| reply.len() as u64));
    tx.remembered(before.unwrap_or(0), after);
    Ok(())
}

/// What a row with a reply of `bytes` weighs, bytes.
fn weight(bytes: u64) -> u64 {
    ROW_BYTES + bytes
}

/// What all rows weigh, bytes, as it was written down.
pub(super) fn load(tx: &impl Sql) -> Result<u64, StoreError> {
    Ok(meta::get(tx, meta::IDEMPOTENCY_BYTES)?.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Writes down what all rows weigh.
pub(super) fn save(conn: Conn<'_>, weight: u64) -> Result<(), StoreError> {
    meta::put_raw(conn, meta::IDEMPOTENCY_BYTES, &weight.to_string())
}

/// Whether anything is too old or too much. For a look before a transaction.
pub(super) fn is_due(conn: Conn<'_>, weight: u64, now_us: i64) -> Result<bool, StoreError> {
    let oldest = conn.number(IDEMPOTENCY_OLDEST, &[])?;
    Ok(oldest.is_some_and(|at_us| is_old(at_us, now_us)) || weight > TABLE_BYTES_MAX)
}

fn is_old(at_us: i64, now_us: i64) -> bool {
    at_us <= now_us.saturating_sub(RETENTION_US)
}

/// Removes the oldest rows, up to [`TRIM_ROWS`], as far as they are too old or too much. Returns what the rest weighs.
pub(super) fn trim(conn: Conn<'_>, total: u64, now_us: i64) -> Result<u64, StoreError> {
    let (mut rest, mut rows, mut seen) = (total, 0_u64, 0_u64);
    conn.each(IDEMPOTENCY_OLD, crate::params![TRIM_ROWS], |row| {
        seen += 1;
        if !is_old(row.int(1)?, now_us) && rest <= TABLE_BYTES_MAX {
            return Ok(std::ops::ControlFlow::Break(()));
        }
        rest = rest.saturating_sub(weight(row.id(0)?));
        rows += 1;
        Ok(std::ops::ControlFlow::Continue(()))
    })?;
    if rows > 0 {
        conn.exec(IDEMPOTENCY_TRIM, crate::params![rows])?;
    }
    // An empty table weighs nothing, whatever was written down.
    Ok(if seen == rows && rows < TRIM_ROWS { 0 } else { rest })
}
