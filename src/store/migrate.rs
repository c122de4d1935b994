//! Migrations: ordered SQL texts with checksums, one IMMEDIATE transaction each.
//!
//! `schema.sql` at the root is the sum of all of them (tested). `PRAGMA user_version` is the number of the last one.

use std::path::Path;

use super::StoreError;
use super::backend::sqlite;
use super::statements::statements;

statements! {
    /// The record of one migration.
    MIGRATION_PUT = "INSERT INTO migrations (id, name, checksum, applied_at_us) VALUES (?1, ?2, ?3, ?4)";
    /// The migrations that made this database.
    MIGRATION_LIST = "SELECT id, name, checksum FROM migrations ORDER BY id";
}

/// One step of the schema. Never changed once released: its checksum is stored.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// The file's name.
    pub name: &'static str,
    /// Its text.
    pub sql: &'static str,
}

/// Every migration, in order; the number of one is its place, from 1.
pub const MIGRATIONS: &[Migration] =
    &[Migration { name: "0001_initial.sql", sql: include_str!("migrations/0001_initial.sql") }];

impl Migration {
    /// BLAKE3 of the text, hex.
    #[must_use]
    pub fn checksum(&self) -> String {
        blake3::hash(self.sql.as_bytes()).to_hex().to_string()
    }
}

/// The version of the database's schema: the number of its last migration.
pub(super) fn version(conn: &rusqlite::Connection) -> Result<u64, StoreError> {
    let version: i64 = conn
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|e| StoreError::sql("reading the schema's version", e))?;
    u64::try_from(version).map_err(|_| StoreError::Corrupt { what: format!("the schema's version is {version}") })
}

/// Brings the database at `path` to the newest of `list`. Refuses a newer or a differently made one, untouched.
pub(super) fn run(conn: &rusqlite::Connection, path: &Path, list: &[Migration], now_us: i64) -> Result<(), StoreError> {
    let have = version(conn)?;
    if have > list.len() as u64 {
        return Err(newer(path, have, list.len() as u64));
    }
    verify(conn, path, list, have)?;
    if have > 0 && have < list.len() as u64 {
        back_up(conn, path, have)?;
    }
    for (number, migration) in (1_u64..).zip(list).skip(usize::try_from(have).unwrap_or(usize::MAX)) {
        apply(conn, number, migration, now_us)?;
    }
    Ok(())
}

/// The refusal of a database that a newer program has made.
pub(super) fn newer(path: &Path, have: u64, know: u64) -> StoreError {
    StoreError::Unusable {
        path: path.display().to_string(),
        what: format!("its schema is version {have}, this program knows up to {know}"),
        remedy: "Start the newer nexus-lite that made it, or give another --data-dir. Nothing was changed".into(),
    }
}

/// Compares what was applied with what this program would have applied.
fn verify(conn: &rusqlite::Connection, path: &Path, list: &[Migration], have: u64) -> Result<(), StoreError> {
    if have == 0 {
        return Ok(());
    }
    let mut applied = Vec::new();
    sqlite::each(conn, MIGRATION_LIST, &[], |row| {
        applied.push((row.id(0)?, row.string(1)?, row.string(2)?));
        Ok(std::ops::ControlFlow::Continue(()))
    })?;
    let known = (1_u64..).zip(list).map(|(number, m)| (number, m.name.to_owned(), m.checksum()));
    let expected: Vec<_> = known.take(applied.len().max(usize::try_from(have).unwrap_or(usize::MAX))).collect();
    if applied == expected {
        return Ok(());
    }
    let odd = applied.iter().zip(&expected).find(|(a, e)| a != e);
    let odd = odd.map_or_else(|| "the list of migrations is incomplete".into(), |(a, _)| format!("{} differs", a.1));
    Err(StoreError::Unusable {
        path: path.display().to_string(),
        what: format!("its schema was not made by this program's migrations: {odd}"),
        remedy: "Start the nexus-lite that made it, or restore a backup. Nothing was changed".into(),
    })
}

/// A copy beside the database before its schema changes.
fn back_up(conn: &rusqlite::Connection, path: &Path, have: u64) -> Result<(), StoreError> {
    let copy = path.with_extension(format!("before-migration-{have}.sqlite"));
    if copy.exists() {
        // A migration that was cut short: the older copy is the good one.
        return Ok(());
    }
    let partial = path.with_extension("migration-backup.partial");
    let _ = std::fs::remove_file(&partial);
    let text = partial.to_string_lossy();
    conn.execute("VACUUM INTO ?1", [&*text]).map_err(|e| StoreError::sql("backing up before the migration", e))?;
    std::fs::rename(&partial, &copy).map_err(|e| StoreError::io("naming the backup", &copy, e))?;
    tracing::info!(backup = %copy.display(), "backed up before migrating");
    Ok(())
}

fn apply(conn: &rusqlite::Connection, number: u64, migration: &Migration, now_us: i64) -> Result<(), StoreError> {
    let fail = |e| StoreError::sql("applying a migration", e);
    let work = || {
        conn.execute_batch(migration.sql).map_err(fail)?;
        let checksum = migration.checksum();
        sqlite::exec(conn, MIGRATION_PUT, crate::params![number, migration.name, &checksum, now_us])?;
        conn.pragma_update(None, "user_version", i64::try_from(number).unwrap_or(i64::MAX)).map_err(fail)
    };
    sqlite::control(conn, "beginning a migration", "BEGIN IMMEDIATE")?;
    let done = work().and_then(|()| sqlite::control(conn, "committing a migration", "COMMIT"));
    if done.is_err() && !conn.is_autocommit() {
        // The first error is the one to tell.
        let _ = sqlite::control(conn, "rolling back a migration", "ROLLBACK");
    }
    done?;
    tracing::info!(number, name = migration.name, "migrated");
    Ok(())
}
