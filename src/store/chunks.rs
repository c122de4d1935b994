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
use super::{Origin, Pin, Sql, Store, StoreError, WriteOp, WriteTx};

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
    /// Some parts of a body, in order.
    CHUNK_SOME = "SELECT body FROM chunks WHERE hash = ?1 AND part >= ?2 AND part < ?3 ORDER BY part";
    /// Gives some parts the name of the whole body, but those that are there.
    CHUNK_NAME = "UPDATE chunks SET hash = ?1 WHERE hash = ?2 AND part >= ?3 AND part < ?4 \
        AND NOT EXISTS (SELECT 1 FROM chunks AS c WHERE c.hash = ?1 AND c.part = chunks.part)";
    /// Removes some parts.
    CHUNK_DROP = "DELETE FROM chunks WHERE hash = ?1 AND part >= ?2 AND part < ?3";
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

/// Gives parts that were stored under another name that of the whole body.
#[derive(Debug)]
pub struct NameChunks {
    /// The name that they have.
    pub from: ContentHash,
    /// The whole body's.
    pub to: ContentHash,
    /// The number of the first.
    pub first: usize,
    /// How many at most.
    pub count: usize,
}

impl WriteOp for NameChunks {
    const NAME: &'static str = "chunks_name";
    const UNRECORDED: bool = true;
    type Output = ();
    type Error = StoreError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        let (first, end) = (self.first as u64, (self.first + self.count) as u64);
        tx.exec(CHUNK_NAME, params![&self.to.as_bytes()[..], &self.from.as_bytes()[..], first, end])
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

/// Removes parts of a body that nobody wants any more.
#[derive(Debug)]
pub struct DropChunks {
    /// The name that they have.
    pub hash: ContentHash,
    /// The number of the first.
    pub first: usize,
    /// How many at most.
    pub count: usize,
}

impl WriteOp for DropChunks {
    const NAME: &'static str = "chunks_drop";
    const UNRECORDED: bool = true;
    const GROWS: bool = false;
    type Output = ();
    type Error = StoreError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        let (first, end) = (self.first as u64, (self.first + self.count) as u64);
        tx.exec(CHUNK_DROP, params![&self.hash.as_bytes()[..], first, end])
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

/// At most `most` bytes of a body from `at` on, not verified.
pub(super) fn part(tx: &impl Sql, hash: ContentHash, at: u64, most: usize) -> Result<Vec<u8>, StoreError> {
    let part_bytes = PART_BYTES as u64;
    let (first, end) = (at / part_bytes, (at + most as u64).div_ceil(part_bytes));
    let mut bytes = Vec::with_capacity(most + PART_BYTES);
    tx.each(CHUNK_SOME, params![&hash.as_bytes()[..], first, end], |row| {
        bytes.extend_from_slice(row.blob(0)?);
        Ok(ControlFlow::Continue(()))
    })?;
    let before = usize::try_from(at % part_bytes).unwrap_or(usize::MAX).min(bytes.len());
    bytes.drain(..before);
    bytes.truncate(most);
    Ok(bytes)
}

impl Store {
    /// Stores a body in parts, a few in each message to the writer.
    pub(super) async fn put_chunks(&self, body: Bytes) -> Result<(ContentHash, Pin), StoreError> {
        let hash = ContentHash::of(&body);
        let pin = self.pin(hash).await?;
        let size = body.len() as u64;
        if self.read_slow(move |tx| stored(tx, hash)).await? == size {
            return Ok((hash, pin));
        }
        let step = PART_BYTES * PARTS_PER_MESSAGE;
        for from in (0..body.len()).step_by(step) {
            let bytes = body.slice(from..body.len().min(from + step));
            let put = PutChunks { hash, first: from / PART_BYTES, bytes };
            self.submit(Origin::system("a body in parts"), put).await?;
        }
        Ok((hash, pin))
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
