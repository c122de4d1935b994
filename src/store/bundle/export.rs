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
use crate::store::backend::Conn;
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
    let mut export = Export { tx, lines, tell, progress, done: Bodies::default() };
    for table in TABLES {
        export.table(table)?;
        if table.name == "contents" {
            export.bodies()?;
        }
    }
    if export.done != header.bodies {
        let what = format!("{} of {} large bodies are there", export.done.count, header.bodies.count);
        return Err(StoreError::Corrupt { what }.into());
    }
    export.lines.end(header.counts.clone(), header.bodies)?;
    Ok(header)
}

fn header(tx: &ReadTx<'_>, what: &What) -> Result<Header, MoveError> {
    let mut bodies = Bodies::default();
    tx.conn.each(BUNDLE_BODIES_SIZE, &[], |row| {
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

/// A larger body on its way into lines.
struct Parts {
    hash: ContentHash,
    size: u64,
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
    next: u64,
}

impl Parts {
    fn new(hash: ContentHash, size: u64) -> Self {
        Self { hash, size, hasher: blake3::Hasher::new(), buffer: Vec::with_capacity(PART_BYTES), next: 0 }
    }
}

struct Export<'e, 'w> {
    tx: &'e ReadTx<'e>,
    lines: Writer<'w>,
    tell: &'e mut Tell<'e>,
    progress: Progress,
    /// Larger bodies that are written.
    done: Bodies,
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
        match self.tx.conn {
            Conn::Lite(_) => self.each(BUNDLE_BODIES, |this, row| {
                let mut parts = Parts::new(hash_of(row.blob(0)?)?, row.id(1)?);
                this.blob(&mut parts)?;
                this.end(parts)
            }),
            #[cfg(feature = "postgres")]
            Conn::Pg(_) => {
                let mut open: Option<Parts> = None;
                self.each(super::BUNDLE_CHUNKS, |this, row| {
                    let hash = hash_of(row.blob(0)?)?;
                    if open.as_ref().is_none_or(|parts| parts.hash != hash) {
                        open.take().map_or(Ok(()), |parts| this.end(parts))?;
                        open = Some(Parts::new(hash, row.id(1)?));
                    }
                    let parts = open.as_mut().expect("there is one now");
                    this.push(parts, row.blob(2)?)
                })?;
                open.map_or(Ok(()), |parts| self.end(parts))
            }
        }
    }

    /// A blob file.
    fn blob(&mut self, parts: &mut Parts) -> Result<(), MoveError> {
        let path = blobs::path(&self.tx.shared.data_dir, parts.hash);
        let mut file = open_blob(&path, parts.hash)?;
        let mut buffer = vec![0; PART_BYTES];
        loop {
            let got = file.read(&mut buffer).map_err(|e| StoreError::io("reading", &path, e))?;
            if got == 0 {
                return Ok(());
            }
            self.push(parts, &buffer[..got])?;
        }
    }

    /// The next bytes of a body; full lines go.
    fn push(&mut self, parts: &mut Parts, mut bytes: &[u8]) -> Result<(), MoveError> {
        parts.hasher.update(bytes);
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(PART_BYTES - parts.buffer.len()));
            parts.buffer.extend_from_slice(now);
            bytes = rest;
            if parts.buffer.len() == PART_BYTES {
                self.part(parts)?;
            }
        }
        Ok(())
    }

    fn part(&mut self, parts: &mut Parts) -> Result<(), MoveError> {
        self.lines.part(parts.hash, parts.next, &parts.buffer)?;
        self.progress.bytes += parts.buffer.len() as u64;
        parts.next += 1;
        parts.buffer.clear();
        self.tell()
    }

    /// The end of a body: it must be what its name says.
    fn end(&mut self, mut parts: Parts) -> Result<(), MoveError> {
        if !parts.buffer.is_empty() {
            self.part(&mut parts)?;
        }
        let Parts { hash, size, hasher, .. } = parts;
        if hasher.finalize().as_bytes() != hash.as_bytes() || hasher.count() != size {
            return Err(StoreError::Corrupt { what: format!("the body {hash} is not what was stored") }.into());
        }
        self.done.count += 1;
        self.done.bytes += size;
        Ok(())
    }

    /// Gives each row of a query of any length to `each`, whose error ends it.
    fn each(
        &mut self,
        sql: &'static str,
        mut each: impl FnMut(&mut Self, &Row<'_>) -> Result<(), MoveError>,
    ) -> Result<(), MoveError> {
        let (conn, mut failed) = (self.tx.conn, None);
        conn.stream(sql, &[], |row| {
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
