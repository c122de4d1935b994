//! Bodies in parts: where the server has no disk of its own.
//!
//! Owns the table `chunks`. A body over [`INLINE_BYTES_MAX`](super::INLINE_BYTES_MAX) is written by messages to the
//! writer, a few parts each, before the row that names it: the same order as for a blob file. Parts that no row came to
//! name are removed at the next start. Reading verifies the hash.

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::model::ContentHash;
use crate::params;

#[cfg(feature = "postgres")]
use super::backend::Conn;
use super::statements::statements;
use super::{Sql, StoreError, WriteOp, WriteTx};

/// Size of a part, bytes; the last may be shorter.
pub(super) const PART_BYTES: usize = 64 << 10;
/// Parts in one message to the writer.
pub(super) const PARTS_PER_MESSAGE: usize = 16;

statements! {
    /// A part; there already if the body was stored before.
    CHUNK_PUT = "INSERT INTO chunks (hash, part, body) VALUES (?1, ?2, ?3) ON CONFLICT (hash, part) DO NOTHING";
    /// The parts of a body, in order.
    CHUNK_LIST = "SELECT body FROM chunks WHERE hash = ?1 ORDER BY part";
    /// Whether a body is stored, and how long it is.
    CHUNK_SIZE = "SELECT CAST(COALESCE(SUM(LENGTH(body)), 0) AS BIGINT) FROM chunks WHERE hash = ?1";
    /// Removes parts that no content names.
    CHUNK_SWEEP = "DELETE FROM chunks WHERE NOT EXISTS (SELECT 1 FROM contents AS c WHERE c.hash = chunks.hash)";
    /// R8: every body that is not in its row is in parts of its size.
    CHUNK_CHECK = "SELECT c.size, CAST(COALESCE(SUM(LENGTH(p.body)), 0) AS BIGINT) FROM contents AS c \
        LEFT JOIN chunks AS p ON p.hash = c.hash WHERE c.body IS NULL GROUP BY c.hash, c.size \
        HAVING c.size <> CAST(COALESCE(SUM(LENGTH(p.body)), 0) AS BIGINT)";
}

/// Writes some parts of a body.
#[derive(Debug)]
pub struct PutChunks {
    /// The whole body's.
    pub hash: ContentHash,
    /// The number of the first.
    pub first: usize,
    /// The bytes, 64 KiB a part.
    pub bytes: Bytes,
}

impl WriteOp for PutChunks {
    const NAME: &'static str = "chunks_put";
    const UNRECORDED: bool = true;
    type Output = ();
    type Error = StoreError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        for (part, bytes) in self.bytes.chunks(PART_BYTES).enumerate() {
            tx.exec(CHUNK_PUT, params![&self.hash.as_bytes()[..], (self.first + part) as u64, bytes])?;
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// The bytes of `body` that are stored under its hash: all, some of a write that was cut short, or none.
pub(super) fn stored(tx: &impl Sql, hash: ContentHash) -> Result<u64, StoreError> {
    Ok(tx.query_one(CHUNK_SIZE, params![&hash.as_bytes()[..]], |row| row.id(0))?.unwrap_or(0))
}

/// Reads a body and verifies it.
pub(super) fn get(tx: &impl Sql, hash: ContentHash) -> Result<Vec<u8>, StoreError> {
    let mut body = Vec::new();
    tx.each(CHUNK_LIST, params![&hash.as_bytes()[..]], |row| {
        body.extend_from_slice(row.blob(0)?);
        Ok(ControlFlow::Continue(()))
    })?;
    if body.is_empty() {
        return Err(StoreError::Corrupt { what: format!("the body {hash} is missing") });
    }
    if ContentHash::of(&body) != hash {
        return Err(StoreError::Corrupt { what: format!("the body {hash} holds something else than was stored") });
    }
    Ok(body)
}

/// Removes what writes that were cut short have left. At start, before any write.
#[cfg(feature = "postgres")]
pub(super) fn sweep(conn: Conn<'_>) -> Result<(), StoreError> {
    conn.exec(CHUNK_SWEEP, &[])
}

/// R8: tells of bodies whose parts are not all there.
#[cfg(feature = "postgres")]
pub(super) fn check(conn: Conn<'_>, mut tell: impl FnMut(String)) -> Result<(), StoreError> {
    conn.each(CHUNK_CHECK, &[], |row| {
        tell(format!("a body of {} bytes has parts of {}", row.int(0)?, row.int(1)?));
        Ok(ControlFlow::Continue(()))
    })
}
