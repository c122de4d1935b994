//! Reading a bundle into an empty store: every line is checked before it is written, and nothing of it is there before
//! the last one was.

use std::io::BufRead;
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::checks::Sequence;
use super::line::{Line, Reader};
use super::target::Target;
use super::tenants::is_fact;
use super::{Bodies, Counts, Header, MoveError, PART_BYTES, Progress, TELL_ROWS, Tell, Tenants};
use crate::config::Secret;
use crate::model::ContentHash;
use crate::store::migrate::MIGRATIONS;
use crate::store::tables::{TABLES, Table, Value};
use crate::store::{Options, StoreError, meta};

/// How a bundle is imported.
#[derive(Debug, Default)]
pub struct How {
    /// What people call the bundle, for messages.
    pub name: String,
    /// Other names for tenants.
    pub tenants: Tenants,
    /// The original goes on as well: the store begins a life of its own.
    pub copy: bool,
    /// Larger bodies are checked and not kept: the store is thrown away.
    pub check_only: bool,
    /// Where the server's secret goes, if the bundle has it; `None` = nowhere.
    pub secret_file: Option<PathBuf>,
}

/// What was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// What the bundle says of itself.
    pub header: Header,
    /// Rows of each table that is there now.
    pub counts: Counts,
    /// Rows that do not travel to a copy or to other names, by table.
    pub left_out: Counts,
    /// Whether the server's secret was in it and is in its file.
    pub secret: bool,
}

/// Reads a bundle from `input` into the empty place of `options`. All of it, or nothing is left there.
pub fn import(options: Options, input: &mut dyn BufRead, how: How, tell: &mut Tell<'_>) -> Result<Imported, MoveError> {
    let How { name, tenants, copy, check_only, secret_file } = how;
    let mut lines = Reader::new(input, &name);
    let header = lines.header(MIGRATIONS.len() as u64)?;
    let target = Target::begin(options, &header)?;
    let rows_all = header.counts.values().sum();
    let progress = Progress { step: "rows", rows: 0, rows_all, bytes: 0, bytes_all: header.bodies.bytes };
    let import = Import {
        lines,
        target,
        tenants,
        new_life: copy,
        check_only,
        secret_file,
        tell,
        progress,
        sequence: Sequence::default(),
        at: 0,
        counts: TABLES.iter().map(|table| (table.name.to_owned(), 0)).collect(),
        left_out: Counts::new(),
        bodies: Bodies::default(),
        last_body: None,
        secret: false,
        header,
    };
    import.run()
}

struct Import<'i> {
    lines: Reader<'i>,
    target: Target,
    tenants: Tenants,
    new_life: bool,
    check_only: bool,
    secret_file: Option<PathBuf>,
    tell: &'i mut Tell<'i>,
    progress: Progress,
    sequence: Sequence,
    /// The place of the table that is being read.
    at: usize,
    counts: Counts,
    left_out: Counts,
    bodies: Bodies,
    last_body: Option<ContentHash>,
    secret: bool,
    header: Header,
}

impl Import<'_> {
    fn run(mut self) -> Result<Imported, MoveError> {
        self.new_life |= !self.tenants.is_empty();
        let (counts, bodies, intact) = loop {
            match self.lines.next()? {
                Line::Row(table, values) => self.row(table, values)?,
                Line::Part(hash, part, bytes) => self.body(hash, part, bytes)?,
                Line::Secret(secret) => self.secret(&secret)?,
                Line::End(counts, bodies, intact) => break (counts, bodies, intact),
            }
        };
        if (&counts, bodies) != (&self.header.counts, self.header.bodies) {
            return Err(self.lines.refused("the counts of the last line are not those of the first"));
        }
        self.require_counted()?;
        if !intact {
            return Err(self.lines.refused("it is not what was exported: the hash over all lines is another"));
        }
        if self.secret != self.header.secret {
            return Err(self.lines.refused("the server's secret is missing in it"));
        }
        if !self.lines.is_at_end()? {
            return Err(self.lines.refused("something follows the last line"));
        }
        if let Some(tenant) = self.tenants.unmet() {
            let what = format!("no row is of a tenant `{tenant}`, which was to get another name");
            return Err(self.lines.refused(what));
        }
        self.progress.step = "checks";
        self.tell()?;
        let finished = self.target.finish();
        let finished = finished.map_err(|error| self.failed(error))?;
        let counts = finished.map_err(|broken| self.lines.refused(broken))?;
        let secret = self.secret && self.secret_file.is_some();
        Ok(Imported { header: self.header, counts, left_out: self.left_out, secret })
    }

    /// Whether each table had as many rows as the first line says.
    fn require_counted(&self) -> Result<(), MoveError> {
        for (table, wanted) in &self.header.counts {
            let had = self.counts.get(table).copied().unwrap_or(0);
            if had != *wanted {
                return Err(self.lines.refused(format!("{table} has {had} rows, the first line says {wanted}")));
            }
        }
        if self.counts.len() != self.header.counts.len() {
            return Err(self.lines.refused("the first line does not count every table"));
        }
        if self.bodies != self.header.bodies {
            let (had, wanted) = (self.bodies, self.header.bodies);
            let what = format!(
                "{} bodies of {} bytes, the first line says {} of {}",
                had.count, had.bytes, wanted.count, wanted.bytes
            );
            return Err(self.lines.refused(what));
        }
        Ok(())
    }

    fn row(&mut self, table: &'static Table, mut values: Vec<Value>) -> Result<(), MoveError> {
        let at = TABLES.iter().position(|known| known.name == table.name).expect("a table of the list");
        if at < self.at || (self.last_body.is_some() && table.name == "contents") {
            return Err(self.lines.refused(format!("a row of {} comes too late", table.name)));
        }
        (self.at, self.progress.step) = (at, table.name);
        self.sequence.row(table, &values, &self.header).map_err(|what| self.lines.refused(what))?;
        *self.counts.get_mut(table.name).expect("all were put") += 1;
        self.progress.rows += 1;
        if self.progress.rows.is_multiple_of(TELL_ROWS) {
            self.tell()?;
        }
        let other_life = self.new_life && is_fact(table, &values, meta::INCARNATION);
        let travels = self.tenants.apply(table, &mut values).map_err(|what| self.lines.refused(what))?;
        if other_life || !travels {
            *self.left_out.entry(table.name.to_owned()).or_default() += 1;
            return Ok(());
        }
        let put = self.target.put(table, &values, self.lines.bytes());
        put.map_err(|error| self.failed(error))
    }

    /// A larger body, from its first part to its last.
    fn body(&mut self, hash: ContentHash, first: u64, mut bytes: Vec<u8>) -> Result<(), MoveError> {
        let in_order = self.last_body.is_none_or(|last| last < hash) && TABLES[self.at].name == "contents";
        let size = self.target.body_size(hash).map_err(|error| self.failed(error))?;
        let Some(size) = size.filter(|_| in_order && first == 0) else {
            return Err(self.lines.refused("a body that no row names, or not in its place"));
        };
        self.progress.step = "bodies";
        let mut hasher = blake3::Hasher::new();
        let files = self.target.files();
        let mut sink = if self.check_only { None } else { Some(self.target.body(&files, hash)?) };
        for part in 0_u64.. {
            let left = size.saturating_sub(hasher.count());
            if bytes.is_empty() || bytes.len() > PART_BYTES || bytes.len() as u64 > left {
                return Err(self.lines.refused("a part of a body is empty, or too long"));
            }
            hasher.update(&bytes);
            if let Some(sink) = &mut sink {
                self.target.body_write(sink, &bytes).map_err(|error| self.failed(error))?;
            }
            self.progress.bytes += bytes.len() as u64;
            if (self.tell)(self.progress).is_break() {
                return Err(MoveError::Stopped);
            }
            if hasher.count() == size {
                break;
            }
            bytes = match self.lines.next()? {
                Line::Part(next, number, bytes) if next == hash && number == part + 1 => bytes,
                _ => return Err(self.lines.refused("a part of a body is missing before it")),
            };
        }
        if hasher.finalize().as_bytes() != hash.as_bytes() {
            return Err(self.lines.refused("the body that ends here is not what its name says"));
        }
        if let Some(sink) = sink {
            sink.finish()?;
        }
        self.last_body = Some(hash);
        self.bodies.count += 1;
        self.bodies.bytes += size;
        Ok(())
    }

    fn secret(&mut self, secret: &Secret) -> Result<(), MoveError> {
        if self.secret || !self.header.secret || self.progress.rows > 0 {
            return Err(self.lines.refused("a secret that the first line does not announce"));
        }
        self.secret = true;
        match self.secret_file.clone() {
            Some(path) => self.target.secret(&path, secret),
            None => Ok(()),
        }
    }

    /// The database has refused: a rule of the schema is the bundle's fault, everything else is not.
    fn failed(&self, error: StoreError) -> MoveError {
        self.lines.refused_by(self.target.cause(error))
    }

    fn tell(&mut self) -> Result<(), MoveError> {
        match (self.tell)(self.progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(MoveError::Stopped),
        }
    }
}
