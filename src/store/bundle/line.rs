//! The lines of a bundle: how a row is written down and read back, bounded, and hashed on the way.
//!
//! Owns the form of a line. Must never know what a row means. Invariant: no line is longer than [`LINE_BYTES_MAX`], on
//! either side, so that what was exported can be imported.

use std::io::{BufRead, Read as _, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use super::{Bodies, Counts, End, Header, LINE_BYTES_MAX, MoveError};
use crate::config::Secret;
use crate::model::{ContentHash, hex};
use crate::store::StoreError;
use crate::store::backend::EngineError;
use crate::store::tables::{Kind, Table, Value};

/// What to do about a bundle that is not what was exported.
const ANOTHER: &str = "Nothing was imported. Export again, or use another copy of the bundle";
/// Names of lines that are no rows.
const BODY: &str = "body";
const SECRET: &str = "secret";
const END: &str = "end";

/// Writes lines and hashes them.
pub(super) struct Writer<'w> {
    out: &'w mut (dyn Write + Send),
    name: &'w str,
    hasher: blake3::Hasher,
    line: Vec<u8>,
}

/// A part of a body.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartLine<T> {
    hash: String,
    part: u64,
    bytes: T,
}

impl<'w> Writer<'w> {
    /// Writes to `out`, which people call `name`.
    pub(super) fn new(out: &'w mut (dyn Write + Send), name: &'w str) -> Self {
        Self { out, name, hasher: blake3::Hasher::new(), line: Vec::new() }
    }

    /// The first line.
    pub(super) fn header(&mut self, header: &Header) -> Result<(), MoveError> {
        serde_json::to_writer(&mut self.line, header).expect("a header is plain data");
        self.finish_line()
    }

    /// The server's secret.
    pub(super) fn secret(&mut self, secret: &Secret) -> Result<(), MoveError> {
        self.named(SECRET, secret.expose())
    }

    /// A row.
    pub(super) fn row(&mut self, table: &Table, values: &[Value]) -> Result<(), MoveError> {
        let line = &mut self.line;
        line.extend_from_slice(b"{\"");
        line.extend_from_slice(table.name.as_bytes());
        line.extend_from_slice(b"\":{");
        for (at, (column, value)) in table.columns.iter().zip(values).enumerate() {
            if at > 0 {
                line.push(b',');
            }
            line.push(b'"');
            line.extend_from_slice(column.name.as_bytes());
            line.extend_from_slice(b"\":");
            match value {
                Value::Int(value) => serde_json::to_writer(&mut *line, value),
                Value::Text(value) => serde_json::to_writer(&mut *line, value),
                Value::Bytes(value) => {
                    serde_json::to_writer(&mut *line, &value.as_deref().map(|v| text(column.kind, v)))
                }
            }
            .expect("plain values in memory");
        }
        line.extend_from_slice(b"}}");
        self.finish_line()
    }

    /// A part of a body.
    pub(super) fn part(&mut self, hash: ContentHash, part: u64, bytes: &[u8]) -> Result<(), MoveError> {
        let bytes = STANDARD.encode(bytes);
        self.named(BODY, &PartLine { hash: hash.to_hex(), part, bytes })
    }

    /// The last line; everything is handed on when it returns.
    pub(super) fn end(mut self, counts: Counts, bodies: Bodies) -> Result<(), MoveError> {
        let blake3 = self.hasher.finalize().to_hex().to_string();
        self.named(END, &End { counts, bodies, blake3 })?;
        self.out.flush().map_err(|source| MoveError::Io { step: "writing", name: self.name.to_owned(), source })
    }

    fn named(&mut self, name: &str, value: &(impl Serialize + ?Sized)) -> Result<(), MoveError> {
        self.line.extend_from_slice(b"{\"");
        self.line.extend_from_slice(name.as_bytes());
        self.line.extend_from_slice(b"\":");
        serde_json::to_writer(&mut self.line, value).expect("plain values in memory");
        self.line.push(b'}');
        self.finish_line()
    }

    fn finish_line(&mut self) -> Result<(), MoveError> {
        self.line.push(b'\n');
        if self.line.len() > LINE_BYTES_MAX {
            let what =
                format!("a row has {} bytes as text, more than a bundle takes ({LINE_BYTES_MAX})", self.line.len());
            return Err(StoreError::Corrupt { what }.into());
        }
        self.hasher.update(&self.line);
        let written = self.out.write_all(&self.line);
        self.line.clear();
        written.map_err(|source| MoveError::Io { step: "writing", name: self.name.to_owned(), source })
    }
}

/// Bytes as text.
fn text(kind: Kind, bytes: &[u8]) -> String {
    if kind == Kind::Base64 {
        return STANDARD.encode(bytes);
    }
    hex(bytes)
}

/// Text as bytes.
fn bytes(kind: Kind, text: &str) -> Option<Vec<u8>> {
    if kind == Kind::Base64 {
        return STANDARD.decode(text).ok();
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|four| u8::try_from(four).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// What a line is.
pub(super) enum Line {
    /// A row.
    Row(&'static Table, Vec<Value>),
    /// A part of a body: of which, its number from 0, its bytes.
    Part(ContentHash, u64, Vec<u8>),
    /// The server's secret.
    Secret(Secret),
    /// The last one, and whether its hash is that of what was read.
    End(Counts, Bodies, bool),
}

/// Reads lines and hashes them.
pub(super) struct Reader<'r> {
    input: &'r mut dyn BufRead,
    name: &'r str,
    hasher: blake3::Hasher,
    line: Vec<u8>,
    number: u64,
}

impl<'r> Reader<'r> {
    /// Reads from `input`, which people call `name`.
    pub(super) fn new(input: &'r mut dyn BufRead, name: &'r str) -> Self {
        Self { input, name, hasher: blake3::Hasher::new(), line: Vec::new(), number: 0 }
    }

    /// A refusal of the line that was read last.
    pub(super) fn refused(&self, what: impl Into<String>) -> MoveError {
        self.refused_with(what, ANOTHER)
    }

    /// A refusal of the line that was read last, by the database: a constraint of a table. Errors of the machine stay.
    pub(super) fn refused_by(&self, error: StoreError) -> MoveError {
        match &error {
            StoreError::Sql { source, .. } if is_constraint(source) => {
                self.refused(format!("it cannot be stored: {source}"))
            }
            _ => error.into(),
        }
    }

    /// Bytes of the line that was read last.
    pub(super) fn bytes(&self) -> usize {
        self.line.len()
    }

    fn refused_with(&self, what: impl Into<String>, remedy: &str) -> MoveError {
        let (name, line, what, remedy) = (self.name.to_owned(), Some(self.number), what.into(), remedy.into());
        MoveError::Refused { name, line, what, remedy }
    }

    /// Reads the next line into `self.line`; `false` at the end of the input.
    fn advance(&mut self) -> Result<bool, MoveError> {
        self.hasher.update(&self.line);
        self.line.clear();
        self.number += 1;
        let mut bounded = (&mut *self.input).take(LINE_BYTES_MAX as u64 + 1);
        let read = bounded.read_until(b'\n', &mut self.line);
        read.map_err(|source| MoveError::Io { step: "reading", name: self.name.to_owned(), source })?;
        if self.line.len() > LINE_BYTES_MAX {
            return Err(self.refused(format!("it is longer than {LINE_BYTES_MAX} bytes, as no line of a bundle is")));
        }
        Ok(!self.line.is_empty())
    }

    /// The first line.
    pub(super) fn header(&mut self, schema: u64) -> Result<Header, MoveError> {
        #[derive(Deserialize)]
        struct Form {
            nexus_lite_bundle: u32,
        }
        let foreign = "Name a file that `nexus-lite export` made. Nothing was imported";
        let there = self.advance()?;
        let form: Option<Form> = serde_json::from_slice(&self.line).ok().filter(|_| there);
        let Some(Form { nexus_lite_bundle: form }) = form else {
            return Err(self.refused_with("it is no bundle of nexus-lite", foreign));
        };
        if form != super::FORMAT {
            let what = format!("its form is {form}, this program knows {}", super::FORMAT);
            return Err(
                self.refused_with(what, "Use the nexus-lite that made it, or a newer one. Nothing was imported")
            );
        }
        let header: Result<Header, _> = serde_json::from_slice(&self.line);
        let header = header.map_err(|e| self.refused(format!("its first line cannot be read ({e})")))?;
        if header.schema == schema {
            return Ok(header);
        }
        let what = format!("its schema is version {}, this program reads version {schema}", header.schema);
        let remedy = if header.schema > schema {
            format!("Use {} or a newer one. Nothing was imported", header.program)
        } else {
            format!(
                "Start this program once on the original, which brings it up to date, and export again; or import with \
                 {} and start this program on the result. Nothing was imported",
                header.program
            )
        };
        Err(self.refused_with(what, &remedy))
    }

    /// The next line.
    pub(super) fn next(&mut self) -> Result<Line, MoveError> {
        if !self.advance()? || !self.line.ends_with(b"\n") {
            return Err(self.refused("it is cut short here"));
        }
        let object: Result<One<'_>, _> = serde_json::from_slice(&self.line);
        let One(name, value) = object.map_err(|e| self.refused(format!("it cannot be read ({e})")))?;
        let unreadable = |e: serde_json::Error| self.refused(format!("it cannot be read ({e})"));
        match name {
            BODY => {
                let part: PartLine<std::borrow::Cow<'_, str>> =
                    serde_json::from_str(value.get()).map_err(unreadable)?;
                let hash = ContentHash::from_hex(&part.hash).ok_or_else(|| self.refused("its hash is none"))?;
                let body = STANDARD.decode(part.bytes.as_bytes());
                let body = body.map_err(|_| self.refused("its bytes are not base64"))?;
                Ok(Line::Part(hash, part.part, body))
            }
            SECRET => Ok(Line::Secret(Secret::new(serde_json::from_str::<String>(value.get()).map_err(unreadable)?))),
            END => {
                let end: End = serde_json::from_str(value.get()).map_err(unreadable)?;
                let intact = self.hasher.finalize().to_hex().as_str() == end.blake3;
                Ok(Line::End(end.counts, end.bodies, intact))
            }
            name => {
                let table = Table::named(name).ok_or_else(|| self.refused(format!("there is no table `{name}`")))?;
                let row: Map<String, Json> = serde_json::from_str(value.get()).map_err(unreadable)?;
                let values = values(table, row).map_err(|what| self.refused(format!("{name}: {what}")))?;
                Ok(Line::Row(table, values))
            }
        }
    }

    /// Whether nothing follows.
    pub(super) fn is_at_end(&mut self) -> Result<bool, MoveError> {
        Ok(!self.advance()?)
    }
}

/// Whether a rule of the schema was broken, and nothing of the machine.
fn is_constraint(error: &EngineError) -> bool {
    match error {
        EngineError::Lite(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation),
        #[cfg(feature = "postgres")]
        EngineError::Pg(error) => error.code().is_some_and(|code| code.code().starts_with("23")),
    }
}

/// An object with one member.
struct One<'a>(&'a str, &'a RawValue);

impl<'de> Deserialize<'de> for One<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = One<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object with one member")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<One<'de>, A::Error> {
                use serde::de::Error as _;
                let one = map.next_entry()?.ok_or_else(|| A::Error::custom("an object without a member"))?;
                match map.next_key::<&str>()? {
                    None => Ok(One(one.0, one.1)),
                    Some(_) => Err(A::Error::custom("an object with two members")),
                }
            }
        }
        from.deserialize_map(Visitor)
    }
}

/// The values of a row, by the columns of its table.
fn values(table: &Table, mut row: Map<String, Json>) -> Result<Vec<Value>, String> {
    let mut values = Vec::with_capacity(table.columns.len());
    for column in table.columns {
        let name = column.name;
        let given = row.swap_remove(name).ok_or_else(|| format!("the column `{name}` is missing"))?;
        if given.is_null() && !column.null {
            return Err(format!("the column `{name}` is null"));
        }
        let wrong = |wanted| format!("the column `{name}` is not {wanted}");
        values.push(match (column.kind, given) {
            (Kind::Int, Json::Null) => Value::Int(None),
            (Kind::Text, Json::Null) => Value::Text(None),
            (_, Json::Null) => Value::Bytes(None),
            (Kind::Int, given) => Value::Int(Some(given.as_i64().ok_or_else(|| wrong("a whole number"))?)),
            (Kind::Text, Json::String(given)) if given.contains('\0') => return Err(wrong("text without NUL")),
            (Kind::Text, Json::String(given)) => Value::Text(Some(given)),
            (Kind::Text, _) => return Err(wrong("text")),
            (kind, Json::String(given)) => {
                Value::Bytes(Some(bytes(kind, &given).ok_or_else(|| wrong("bytes as text"))?))
            }
            (..) => return Err(wrong("bytes as text")),
        });
    }
    match row.keys().next() {
        None => Ok(values),
        Some(unknown) => Err(format!("there is no column `{unknown}`")),
    }
}
