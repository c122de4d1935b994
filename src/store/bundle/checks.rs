//! Whether what a bundle brings is a sound store: each row while it comes, and what rows say of each other at the end.
//!
//! The same rules as in `schema.sql`, as far as they can be asked in constant memory: no sorting, nothing remembered but
//! the row before.

use std::ops::ControlFlow;

use super::{
    BUNDLE_GONE, BUNDLE_MEMORY_BODIES, BUNDLE_NODE_BODIES, BUNDLE_NOTES, BUNDLE_PRESENT, BUNDLE_SKILLS,
    BUNDLE_VERSION_BODIES, Header,
};
use crate::model::Rev;
use crate::store::backend::Conn;
use crate::store::tables::{Table, Value};
use crate::store::{INLINE_BYTES_MAX, StoreError, check, digest, entities, meta};

/// Facts of one database and one run, which no bundle brings.
const LOCAL: &[&str] = &[meta::CLEAN_SHUTDOWN, meta::DURABILITY, meta::IMPORTING, meta::SECRET_CHECK];

/// The rules about rows that name each other, each a query that gives a text per violation.
pub(super) const REFERENCES: &[(&str, &str)] = &[
    ("R3", check::CHECK_R3),
    ("R4", check::CHECK_R4),
    ("R5", check::CHECK_R5),
    ("R6", BUNDLE_PRESENT),
    ("R6", BUNDLE_GONE),
    ("R8", BUNDLE_NODE_BODIES),
    ("R8", BUNDLE_VERSION_BODIES),
    ("R8", BUNDLE_MEMORY_BODIES),
    ("R9", check::CHECK_R9),
    ("R11", BUNDLE_SKILLS),
    ("R18", BUNDLE_NOTES),
];

/// The first violation of a rule about rows that name each other.
pub(super) fn references(conn: Conn<'_>) -> Result<Option<String>, StoreError> {
    for (rule, sql) in REFERENCES {
        let mut found = None;
        conn.each(sql, &[], |row| {
            found = Some(format!("rule {rule} of schema.sql is broken: {}", row.text(0)?));
            Ok(ControlFlow::Break(()))
        })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Follows the rows of a bundle in their order.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    table: &'static str,
    key: Vec<Value>,
    floor: Rev,
    rev: Option<Rev>,
    at_us: i64,
    /// The interval before: of what, and its end.
    interval: Option<(Value, Option<i64>)>,
}

/// The values of one row, by name.
struct Fields<'a>(&'a Table, &'a [Value]);

impl<'a> Fields<'a> {
    fn value(&self, column: &str) -> &'a Value {
        &self.1[self.0.column(column)]
    }
    fn int(&self, column: &str) -> i64 {
        self.opt_int(column).unwrap_or(0)
    }
    fn opt_int(&self, column: &str) -> Option<i64> {
        if let Value::Int(value) = self.value(column) { *value } else { None }
    }
    fn id(&self, column: &str) -> Result<u64, String> {
        let value = self.int(column);
        u64::try_from(value).map_err(|_| format!("the column `{column}` is {value}"))
    }
    fn text(&self, column: &str) -> &'a str {
        if let Value::Text(Some(text)) = self.value(column) { text } else { "" }
    }
    fn bytes(&self, column: &str) -> Option<&'a [u8]> {
        if let Value::Bytes(bytes) = self.value(column) { bytes.as_deref() } else { None }
    }
}

impl Sequence {
    /// The next row, as the bundle has it.
    pub(super) fn row(&mut self, table: &'static Table, values: &[Value], header: &Header) -> Result<(), String> {
        let key: Vec<Value> = table.key.iter().map(|at| values[*at].clone()).collect();
        if self.table != table.name {
            (self.table, self.interval) = (table.name, None);
        } else if key <= self.key {
            return Err(format!("the rows of {} are not in order, or one is there twice", table.name));
        }
        self.key = key;
        let fields = Fields(table, values);
        match table.name {
            "meta" => self.fact(&fields),
            "entities" => {
                let key = entities::key(fields.text("tenant"), fields.text("type"), fields.text("name"));
                same(&key, fields.bytes("key"), "the key of the entity is that of another name")
            }
            "namespaces" => {
                self.interval(fields.value("type"), &fields)?;
                let hash = blake3::hash(fields.text("config").as_bytes());
                same(hash.as_bytes(), fields.bytes("hash"), "the hash of the namespace is that of another text")
            }
            "contents" => content(&fields),
            "versions" => self.interval(fields.value("node"), &fields),
            "workspaces" => {
                let key = digest::key16(&[fields.text("scope"), fields.text("path")]);
                same(&key, fields.bytes("key"), "the key of the workspace is that of another path")
            }
            "snapshots" if fields.id("rev")? > header.rev => Err("a snapshot is of a later revision".into()),
            "snapshots" => {
                let key = digest::key16(&[fields.text("path")]);
                same(&key, fields.bytes("key"), "the key of the snapshot is that of another path")
            }
            "deliveries" if fields.id("rev")? > header.rev => Err("a subscription was told of a later revision".into()),
            "changelog" => self.change(&fields),
            "idempotency" if fields.id("rev")? > header.rev => Err("a reply is from a later revision".into()),
            "head" => self.head(&fields, header),
            _ => Ok(()),
        }
    }

    fn fact(&mut self, fields: &Fields<'_>) -> Result<(), String> {
        let (key, value) = (fields.text("key"), fields.text("value"));
        if LOCAL.contains(&key) {
            return Err(format!("the fact `{key}` of meta is one of a single database and does not travel"));
        }
        if key == meta::FLOOR_REV {
            self.floor = value.parse().map_err(|_| format!("the fact `{key}` is no revision"))?;
        }
        Ok(())
    }

    /// R7, R13: the intervals `[from_rev, to_rev)` of one thing follow each other.
    fn interval(&mut self, of: &Value, fields: &Fields<'_>) -> Result<(), String> {
        let (from, to) = (fields.int("from_rev"), fields.opt_int("to_rev"));
        let overlaps = match &self.interval {
            Some((before, end)) if before == of => end.is_none_or(|end| end > from),
            _ => false,
        };
        if overlaps || to.is_some_and(|to| to <= from) {
            return Err(format!("the rows of {} overlap in time, or one is empty", self.table));
        }
        self.interval = Some((of.clone(), to));
        Ok(())
    }

    /// R2: no revision is missing, and time does not go back.
    fn change(&mut self, fields: &Fields<'_>) -> Result<(), String> {
        let (rev, at_us) = (fields.id("rev")?, fields.int("at_us"));
        let before = self.rev.unwrap_or(self.floor);
        if rev != before + 1 {
            return Err(format!("revision {rev} of the log follows {before}"));
        }
        if self.rev.is_some() && at_us < self.at_us {
            return Err(format!("revision {rev} of the log is earlier than the one before"));
        }
        (self.rev, self.at_us) = (Some(rev), at_us);
        Ok(())
    }

    /// R1: the head is where the log ends, and what the bundle says of itself.
    fn head(&self, fields: &Fields<'_>, header: &Header) -> Result<(), String> {
        let (rev, end) = (fields.id("rev")?, self.rev.unwrap_or(self.floor));
        if rev == end && rev == header.rev && fields.int("one") == 1 {
            return Ok(());
        }
        Err(format!("the head is at revision {rev}, the log ends at {end}, the first line says {}", header.rev))
    }
}

/// R8: a body in a row is what its name says.
fn content(fields: &Fields<'_>) -> Result<(), String> {
    let size = fields.id("size")?;
    let Some(body) = fields.bytes("body") else { return Ok(()) };
    if body.len() as u64 != size || body.len() > INLINE_BYTES_MAX {
        return Err(format!("the body of {size} bytes has {}", body.len()));
    }
    same(blake3::hash(body).as_bytes(), fields.bytes("hash"), "the body is not what its name says")
}

fn same(one: &[u8], other: Option<&[u8]>, otherwise: &str) -> Result<(), String> {
    if Some(one) == other { Ok(()) } else { Err(otherwise.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrate::MIGRATIONS;

    /// What sorts holds all rows in memory.
    #[test]
    fn no_rule_at_the_end_sorts() {
        let conn = rusqlite::Connection::open_in_memory().expect("opens");
        MIGRATIONS.iter().for_each(|migration| conn.execute_batch(migration.sql).expect("runs"));
        for (rule, sql) in REFERENCES {
            let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect(rule);
            let steps = plan.query_map([], |row| row.get::<_, String>(3)).expect(rule);
            for step in steps.map(|step| step.expect("text")) {
                assert!(!step.contains("TEMP B-TREE") && !step.contains("AUTOMATIC"), "{rule}: {step}");
            }
        }
    }
}
