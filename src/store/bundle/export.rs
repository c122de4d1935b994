//! Reading a store into a bundle: one read transaction, one revision, each body compared with its hash.

use std::fs::File;
use std::io::{Read as _, Write};
use std::ops::ControlFlow;
use std::path::Path;

use super::line::Writer;
use super::{
    BUNDLE_BODIES, BUNDLE_BODIES_SIZE, Bodies, FORMAT, Header, MoveError, PART_BYTES, Progress, TELL_ROWS, Tell, What,
    counts, fact,
};
use crate::model::ContentHash;
use crate::model::time::iso_utc;
use crate::store::backend::sqlite;
use crate::store::migrate::MIGRATIONS;
use crate::store::row::Row;
use crate::store::tables::{TABLES, Table, Value};
use crate::store::{ReadTx, Sql as _, StoreError, blobs, meta};

/// Writes everything that `tx` sees to `out`.
pub(in crate::store) fn write(
    tx: &ReadTx<'_>,
    out: &mut (dyn Write + Send),
    what: &What,
    tell: &mut Tell<'_>,
) -> Result<Header, MoveError> {
    let header = header(tx, what)?;
    let mut lines = Writer::new(out, &what.name);
    lines.header(&header)?;
    if let Some(secret) = &what.secret {
        lines.secret(secret)?;
    }
    let rows_all = header.counts.values().sum();
    let progress = Progress { step: "rows", rows: 0, rows_all, bytes: 0, bytes_all: header.bodies.bytes };
    let mut export = Export { tx, lines, tell, progress };
    for table in TABLES {
        export.table(table)?;
        if table.name == "contents" {
            export.bodies()?;
        }
    }
    export.lines.end(header.counts.clone(), header.bodies)?;
    Ok(header)
}

fn header(tx: &ReadTx<'_>, what: &What) -> Result<Header, MoveError> {
    let mut bodies = Bodies::default();
    sqlite::each(tx.conn, BUNDLE_BODIES_SIZE, &[], |row| {
        bodies = Bodies { count: row.id(0)?, bytes: row.id(1)? };
        Ok(ControlFlow::Break(()))
    })?;
    Ok(Header {
        format: FORMAT,
        program: concat!("nexus-lite ", env!("CARGO_PKG_VERSION")).into(),
        schema: MIGRATIONS.len() as u64,
        rev: tx.rev(),
        incarnation: fact(tx.conn, meta::INCARNATION)?.unwrap_or_default(),
        made_at: iso_utc(tx.wall_us()),
        secret: what.secret.is_some(),
        counts: counts(tx.conn)?,
        bodies,
    })
}

struct Export<'e, 'w> {
    tx: &'e ReadTx<'e>,
    lines: Writer<'w>,
    tell: &'e mut Tell<'e>,
    progress: Progress,
}

impl Export<'_, '_> {
    /// Every row of a table.
    fn table(&mut self, table: &'static Table) -> Result<(), MoveError> {
        self.progress.step = table.name;
        self.each(table.select, |this, row| {
            let values = table.read(row)?;
            if table.name == "contents" {
                verify(table, &values)?;
            }
            this.lines.row(table, &values)?;
            this.progress.rows += 1;
            if this.progress.rows % TELL_ROWS == 0 { this.tell() } else { Ok(()) }
        })?;
        self.tell()
    }

    /// Every body that is not in its row.
    fn bodies(&mut self) -> Result<(), MoveError> {
        self.progress.step = "bodies";
        self.each(BUNDLE_BODIES, |this, row| {
            let (hash, size) = (hash_of(row.blob(0)?)?, row.id(1)?);
            this.blob(hash, size)
        })
    }

    /// A blob file, in parts.
    fn blob(&mut self, hash: ContentHash, size: u64) -> Result<(), MoveError> {
        let path = blobs::path(&self.tx.shared.data_dir, hash);
        let mut file = open_blob(&path, hash)?;
        let (mut hasher, mut buffer) = (blake3::Hasher::new(), Vec::with_capacity(PART_BYTES));
        for part in 0.. {
            buffer.clear();
            let read = (&mut file).take(PART_BYTES as u64).read_to_end(&mut buffer);
            read.map_err(|e| StoreError::io("reading", &path, e))?;
            if buffer.is_empty() {
                break;
            }
            hasher.update(&buffer);
            self.lines.part(hash, part, &buffer)?;
            self.progress.bytes += buffer.len() as u64;
            self.tell()?;
        }
        if hasher.finalize().as_bytes() == hash.as_bytes() && hasher.count() == size {
            return Ok(());
        }
        Err(StoreError::Corrupt { what: format!("the blob {hash} holds something else than was stored") }.into())
    }

    /// Gives each row of a query to `each`, whose error ends it.
    fn each(
        &mut self,
        sql: &'static str,
        mut each: impl FnMut(&mut Self, &Row<'_>) -> Result<(), MoveError>,
    ) -> Result<(), MoveError> {
        let (conn, mut failed) = (self.tx.conn, None);
        sqlite::each(conn, sql, &[], |row| {
            Ok(match each(self, row) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            })
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn tell(&mut self) -> Result<(), MoveError> {
        match (self.tell)(self.progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(MoveError::Stopped),
        }
    }
}

fn open_blob(path: &Path, hash: ContentHash) -> Result<File, StoreError> {
    File::open(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => StoreError::Corrupt { what: format!("the blob {hash} is missing") },
        _ => StoreError::io("reading", path, e),
    })
}

fn hash_of(bytes: &[u8]) -> Result<ContentHash, StoreError> {
    let bytes =
        bytes.try_into().map_err(|_| StoreError::Corrupt { what: "a content address is not 32 bytes".into() })?;
    Ok(ContentHash::from_bytes(bytes))
}

/// Compares the body in a row with its hash.
fn verify(table: &Table, values: &[Value]) -> Result<(), StoreError> {
    let (hash, body) = (&values[table.column("hash")], &values[table.column("body")]);
    let (Value::Bytes(Some(hash)), Value::Bytes(Some(body))) = (hash, body) else { return Ok(()) };
    if blake3::hash(body).as_bytes() == hash.as_slice() {
        return Ok(());
    }
    let name = blake3::Hash::from_slice(hash).map(|hash| hash.to_hex().to_string()).unwrap_or_default();
    Err(StoreError::Corrupt { what: format!("the body {name} in the database is not what was stored") })
}
