//! Bodies by content address.
//!
//! Owns the table `contents`. Up to [`INLINE_BYTES_MAX`](super::INLINE_BYTES_MAX) a body lies in its row; a larger one
//! is a blob file that the request has stored before its row is written. A row is never changed.

use super::footprint::Scope;
use super::statements::statements;
use super::{ReadTx, Row, Sql, StoreError, WriteTx, blobs, chunks};
use crate::model::ContentHash;
use crate::params;

statements! {
    /// A body that may be there already.
    PUT_CONTENT = "INSERT INTO contents (hash, size, body, created_at_us) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (hash) DO NOTHING";
    /// A body.
    GET_CONTENT = "SELECT size, body FROM contents WHERE hash = ?1";
}

/// A stored body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Bytes.
    pub size: u64,
    /// The body; `None` = it is the blob file of this hash.
    pub body: Option<Vec<u8>>,
}

/// Names a body of `size` bytes: `body`, or, where that is `None`, the blob file of `hash`.
///
/// Records nothing: the node that names the content is the change.
pub fn put(tx: &mut WriteTx<'_>, hash: ContentHash, size: u64, body: Option<&[u8]>) -> Result<(), StoreError> {
    let now = tx.now_us();
    tx.exec(PUT_CONTENT, params![&hash.as_bytes()[..], size, body, now])
}

/// The body of this hash. One that lies in the row is verified each time it is read (`DESIGN.md`: SQLite would hand
/// out a flipped bit); one that is a blob file, when the file is read.
pub fn get(tx: &impl Sql, hash: ContentHash) -> Result<Option<Content>, StoreError> {
    let from_row = |row: &Row<'_>| Ok(Content { size: row.id(0)?, body: row.opt_blob(1)?.map(<[u8]>::to_vec) });
    let content = tx.query_one_in(Scope::Content, GET_CONTENT, params![&hash.as_bytes()[..]], from_row)?;
    match content.as_ref().and_then(|content| content.body.as_deref()) {
        Some(body) if ContentHash::of(body) != hash => {
            Err(StoreError::Corrupt { what: format!("the body {hash} in the database is not what was stored") })
        }
        _ => Ok(content),
    }
}

/// The whole body of this hash, wherever it lies, verified: for searches on the slow lane. `None` = nobody stored it.
pub fn body(tx: &ReadTx<'_>, hash: ContentHash) -> Result<Option<Vec<u8>>, StoreError> {
    match get(tx, hash)? {
        Some(Content { body: None, .. }) if tx.shared.has_disk() => blobs::get(&tx.shared.data_dir, hash).map(Some),
        Some(Content { body: None, .. }) => chunks::get(tx, hash).map(Some),
        content => Ok(content.and_then(|content| content.body)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::monotonic;

    /// Prints what verifying costs, for the decision in `DESIGN.md`; asserts no time.
    #[test]
    fn the_price_of_verifying() {
        for bytes in [64, 1 << 10, 16 << 10, super::super::INLINE_BYTES_MAX] {
            let body: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
            let (rounds, began) = (1_000_u32, monotonic());
            for _ in 0..rounds {
                assert_ne!(std::hint::black_box(ContentHash::of(std::hint::black_box(&body))).as_bytes(), &[0; 32]);
            }
            println!("BLAKE3 of {bytes} bytes: {:?}", began.elapsed() / rounds);
        }
    }
}
