//! Migrations: ordered SQL texts with checksums, one IMMEDIATE transaction each.
//!
//! `schema.sql` at the root is the sum of all of them (tested). `PRAGMA user_version` is the number of the last one.

use std::path::Path;

use super::StoreError;
use super::backend::{Conn, sqlite};
use super::fault::{FaultPoint, Faults};
use super::files::Files;
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
pub const MIGRATIONS: &[Migration] = &[
    Migration { name: "0001_initial.sql", sql: include_str!("migrations/0001_initial.sql") },
    Migration {
        name: "0002_idempotency_and_denials.sql",
        sql: include_str!("migrations/0002_idempotency_and_denials.sql"),
    },
    Migration { name: "0003_chunks.sql", sql: include_str!("migrations/0003_chunks.sql") },
    Migration { name: "0004_snapshots.sql", sql: include_str!("migrations/0004_snapshots.sql") },
    Migration { name: "0005_mounts.sql", sql: include_str!("migrations/0005_mounts.sql") },
    Migration { name: "0006_unused.sql", sql: include_str!("migrations/0006_unused.sql") },
    Migration { name: "0007_records.sql", sql: include_str!("migrations/0007_records.sql") },
    Migration { name: "0008_quotas.sql", sql: include_str!("migrations/0008_quotas.sql") },
    Migration { name: "0009_subscriptions.sql", sql: include_str!("migrations/0009_subscriptions.sql") },
    Migration { name: "0010_skill_approvals.sql", sql: include_str!("migrations/0010_skill_approvals.sql") },
];

impl Migration {
    /// The text for PostgreSQL: the same tables in its types.
    #[cfg(feature = "postgres")]
    #[must_use]
    pub fn for_postgres(&self) -> String {
        super::backend::postgres::rewritten(self.sql)
    }

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
pub(super) fn run(
    conn: &rusqlite::Connection,
    files: &Files,
    faults: &Faults,
    path: &Path,
    list: &[Migration],
    now_us: i64,
) -> Result<(), StoreError> {
    let have = version(conn)?;
    if have > list.len() as u64 {
        return Err(newer(&path.display().to_string(), have, list.len() as u64));
    }
    verify(conn.into(), &path.display().to_string(), list, have)?;
    if have > 0 && have < list.len() as u64 {
        back_up(conn, files, faults, path, have)?;
    }
    for (number, migration) in (1_u64..).zip(list).skip(usize::try_from(have).unwrap_or(usize::MAX)) {
        apply(conn, number, migration, now_us, faults)?;
    }
    Ok(())
}

/// The refusal of a database that a newer program has made.
/// `place` names it in messages.
pub(super) fn newer(place: &str, have: u64, know: u64) -> StoreError {
    StoreError::Unusable {
        path: place.to_owned(),
        what: format!("its schema is version {have}, this program knows up to {know}"),
        remedy: "Start the newer nexus-lite that made it, or give another --data-dir. Nothing was changed".into(),
    }
}

/// Compares what was applied with what this program would have applied.
/// `place` names the database in messages.
pub(super) fn verify(conn: Conn<'_>, place: &str, list: &[Migration], have: u64) -> Result<(), StoreError> {
    if have == 0 {
        return Ok(());
    }
    let mut applied = Vec::new();
    conn.each(MIGRATION_LIST, &[], |row| {
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
        path: place.to_owned(),
        what: format!("its schema was not made by this program's migrations: {odd}"),
        remedy: "Start the nexus-lite that made it, or restore a backup. Nothing was changed".into(),
    })
}

/// A copy beside the database before its schema changes: whole and durable under its name, or not there.
fn back_up(
    conn: &rusqlite::Connection,
    files: &Files,
    faults: &Faults,
    path: &Path,
    have: u64,
) -> Result<(), StoreError> {
    let copy = path.with_extension(format!("before-migration-{have}.sqlite"));
    if copy.exists() {
        // A migration that was cut short: the older copy is the good one.
        return Ok(());
    }
    let partial = path.with_extension("migration-backup.partial");
    let _ = files.remove(&partial);
    sqlite::vacuum_into(conn, &partial)?;
    faults.hit(FaultPoint::MigrationCopied);
    // Durable, and under its name, before the first statement of the migration.
    files.sync(&partial).map_err(|e| StoreError::io("syncing the backup", &partial, e))?;
    files.rename(&partial, &copy).map_err(|e| StoreError::io("naming the backup", &copy, e))?;
    let dir = path.parent().unwrap_or(Path::new("."));
    files.sync_dir(dir).map_err(|e| StoreError::io("syncing", dir, e))?;
    faults.hit(FaultPoint::MigrationBackedUp);
    tracing::info!(backup = %copy.display(), "backed up before migrating");
    Ok(())
}

fn apply(
    conn: &rusqlite::Connection,
    number: u64,
    migration: &Migration,
    now_us: i64,
    faults: &Faults,
) -> Result<(), StoreError> {
    let fail = |e| StoreError::sql("applying a migration", e);
    let work = || {
        conn.execute_batch(migration.sql).map_err(fail)?;
        let checksum = migration.checksum();
        sqlite::exec(conn, MIGRATION_PUT, crate::params![number, migration.name, &checksum, now_us])?;
        conn.pragma_update(None, "user_version", i64::try_from(number).unwrap_or(i64::MAX)).map_err(fail)
    };
    sqlite::control(conn, "beginning a migration", "BEGIN IMMEDIATE")?;
    let done = work().and_then(|()| {
        faults.hit(FaultPoint::MigrationBeforeCommit);
        sqlite::control(conn, "committing a migration", "COMMIT")
    });
    if done.is_err() && !conn.is_autocommit() {
        // The first error is the one to tell.
        let _ = sqlite::control(conn, "rolling back a migration", "ROLLBACK");
    }
    done?;
    faults.hit(FaultPoint::MigrationAfterCommit);
    tracing::info!(number, name = migration.name, "migrated");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::Durability;
    use crate::store::backend::sqlite::RwConnection;

    const FIRST: Migration = Migration {
        name: "1",
        sql: "CREATE TABLE migrations (id INTEGER PRIMARY KEY, name TEXT, checksum TEXT, applied_at_us INTEGER); \
            CREATE TABLE t (a TEXT)",
    };
    const SECOND: Migration = Migration { name: "2", sql: "ALTER TABLE t ADD COLUMN b TEXT" };
    const BAD: Migration = Migration { name: "2", sql: "CREATE TABLE u (a TEXT); CREATE TABLE t (a TEXT)" };

    fn database() -> (tempfile::TempDir, std::path::PathBuf, RwConnection) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("db.sqlite");
        let conn = RwConnection::open(&path, None, Durability::Full, 64 << 20, &Arc::default()).expect("opens");
        (dir, path, conn)
    }

    fn tables(conn: &rusqlite::Connection) -> i64 {
        conn.query_row("SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table'", [], |row| row.get(0)).expect("runs")
    }

    #[test]
    fn each_is_applied_once_with_a_copy_before() {
        let (dir, path, conn) = database();
        run(&conn, &Files::default(), &Faults::default(), &path, &[FIRST], 1).expect("migrates");
        conn.execute("INSERT INTO t (a) VALUES ('kept')", []).expect("written");
        for _ in 0..2 {
            run(&conn, &Files::default(), &Faults::default(), &path, &[FIRST, SECOND], 2).expect("migrates");
        }
        assert_eq!(version(&conn).expect("read"), 2);
        let kept: String = conn.query_row("SELECT a FROM t WHERE b IS NULL", [], |row| row.get(0)).expect("runs");
        assert_eq!(kept, "kept");
        assert!(dir.path().join("db.before-migration-1.sqlite").exists());
    }

    #[test]
    fn one_that_fails_leaves_nothing_of_itself() {
        let (_dir, path, conn) = database();
        run(&conn, &Files::default(), &Faults::default(), &path, &[FIRST], 1).expect("migrates");
        assert!(run(&conn, &Files::default(), &Faults::default(), &path, &[FIRST, BAD], 2).is_err());
        assert_eq!((version(&conn).expect("read"), tables(&conn)), (1, 2), "not even its first statement");
        run(&conn, &Files::default(), &Faults::default(), &path, &[FIRST, SECOND], 3).expect("the mended one runs");
    }

    #[test]
    fn a_changed_or_newer_history_is_refused() {
        let (_dir, path, conn) = database();
        run(&conn, &Files::default(), &Faults::default(), &path, &[FIRST, SECOND], 1).expect("migrates");
        assert!(
            matches!(
                run(&conn, &Files::default(), &Faults::default(), &path, &[FIRST], 2),
                Err(StoreError::Unusable { .. })
            ),
            "newer"
        );
        assert!(
            matches!(
                run(&conn, &Files::default(), &Faults::default(), &path, &[FIRST, BAD], 2),
                Err(StoreError::Unusable { .. })
            ),
            "changed"
        );
    }
}
