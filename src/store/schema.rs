//! Whether the tables of a database are ours: what its schema says against what the migrations make.
//!
//! A file that somebody else has made may carry triggers, views or altered tables. Their texts are compared with
//! those of an empty database that the same migrations have made; nothing of them is run.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use rusqlite::Connection;

use super::StoreError;
use super::backend::sqlite;
use super::migrate::MIGRATIONS;
use super::statements::statements;

statements! {
    /// Every object of the schema.
    SCHEMA_OBJECTS = "SELECT type, name, tbl_name, COALESCE(sql, '') FROM sqlite_schema ORDER BY type, name";
}

/// Names that SQLite gives by itself: statistics of a planner that somebody has run.
const OF_THE_ENGINE: &str = "sqlite_stat";

/// One object: type, name, table, text.
type Object = (String, String, String, String);

/// What differs between the schema of `conn` and that of our migrations up to `version`; empty = nothing.
pub(super) fn differences(conn: &Connection, version: u64) -> Result<Vec<String>, StoreError> {
    let (found, expected) = (objects(conn)?, expected(version)?);
    let word = |what: &str, object: &Object| format!("{what} {} {}", object.0, object.1);
    let is_expected = |object: &&Object| expected.iter().any(|e| (&e.0, &e.1) == (&object.0, &object.1));
    let mut out: Vec<String> = Vec::new();
    for object in found.difference(&expected) {
        out.push(word(if is_expected(&object) { "an altered" } else { "an unknown" }, object));
    }
    let is_found = |object: &&Object| found.iter().any(|f| (&f.0, &f.1) == (&object.0, &object.1));
    out.extend(expected.difference(&found).filter(|object| !is_found(object)).map(|object| word("no", object)));
    Ok(out)
}

fn objects(conn: &Connection) -> Result<BTreeSet<Object>, StoreError> {
    let mut objects = BTreeSet::new();
    sqlite::each(conn, SCHEMA_OBJECTS, &[], |row| {
        let object = (row.string(0)?, row.string(1)?, row.string(2)?, row.string(3)?);
        if !object.1.starts_with(OF_THE_ENGINE) {
            objects.insert(object);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(objects)
}

/// The objects that our migrations make.
fn expected(version: u64) -> Result<BTreeSet<Object>, StoreError> {
    let failed = |e| StoreError::sql("making the schema to compare with", e);
    let conn = Connection::open_in_memory().map_err(failed)?;
    for migration in MIGRATIONS.iter().take(usize::try_from(version).unwrap_or(usize::MAX)) {
        conn.execute_batch(migration.sql).map_err(failed)?;
    }
    objects(&conn)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Connection {
        let conn = Connection::open_in_memory().expect("opens");
        MIGRATIONS.iter().for_each(|migration| conn.execute_batch(migration.sql).expect("runs"));
        conn
    }

    fn told(sql: &str) -> Vec<String> {
        let conn = ours();
        conn.execute_batch(sql).expect("runs");
        differences(&conn, MIGRATIONS.len() as u64).expect("compared")
    }

    #[test]
    fn what_is_not_ours_is_named() {
        assert_eq!(told("ANALYZE"), Vec::<String>::new(), "statistics are nobody's harm");
        let trigger = "CREATE TRIGGER evil AFTER INSERT ON nodes BEGIN DELETE FROM api_keys; END";
        assert_eq!(told(trigger), ["an unknown trigger evil"]);
        assert_eq!(told("ALTER TABLE mounts ADD COLUMN extra TEXT"), ["an altered table mounts"]);
        assert_eq!(told("DROP INDEX nodes_by_owner"), ["no index nodes_by_owner"]);
        assert_eq!(told("CREATE VIEW v AS SELECT * FROM nodes"), ["an unknown view v"]);
    }
}
