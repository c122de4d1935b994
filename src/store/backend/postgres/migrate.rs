//! Bringing a database's schema up to date: the same migrations as SQLite's, with the types of PostgreSQL.

use std::ops::ControlFlow;

use crate::store::StoreError;
use crate::store::fault::{FaultPoint, Faults};
use crate::store::migrate::{MIGRATION_PUT, Migration, newer, verify};

use super::{Session, rewritten};

/// Whether the schema has our list of migrations, and how many other tables there are.
const LOOK: &str = "SELECT COALESCE(SUM(CASE WHEN table_name = 'migrations' THEN 1 ELSE 0 END), 0) AS ours, \
    COUNT(*) AS tables FROM information_schema.tables WHERE table_schema = current_schema()";
/// How many migrations were applied.
const COUNT: &str = "SELECT COUNT(*) FROM migrations";

/// Brings the database to the newest of `list`. Refuses one of another program, a newer or a differently made one,
/// untouched. `place` names it in messages.
pub(in crate::store) fn run(
    session: &Session,
    faults: &Faults,
    place: &str,
    list: &[Migration],
    now_us: i64,
) -> Result<(), StoreError> {
    let have = version(session, place)?;
    if have > list.len() as u64 {
        return Err(newer(place, have, list.len() as u64));
    }
    verify(super::super::Conn::Pg(session), place, list, have)?;
    for (number, migration) in (1_u64..).zip(list).skip(usize::try_from(have).unwrap_or(usize::MAX)) {
        apply(session, faults, number, migration, now_us)?;
    }
    Ok(())
}

/// How many migrations have made this schema; 0 = it is empty.
pub(in crate::store) fn version(session: &Session, place: &str) -> Result<u64, StoreError> {
    let (mut ours, mut tables) = (0, 0);
    session.each(LOOK, &[], |row| {
        (ours, tables) = (row.int(0)?, row.int(1)?);
        Ok(ControlFlow::Break(()))
    })?;
    if ours == 0 && tables > 0 {
        return Err(StoreError::Unusable {
            path: place.to_owned(),
            what: format!("it holds {tables} tables of another program"),
            remedy: "Give an empty database (CREATE DATABASE nexus), or a schema of its own by \
                ?options=-csearch_path%3Dnexus. Nothing was changed"
                .into(),
        });
    }
    if ours == 0 {
        return Ok(0);
    }
    let count = super::super::Conn::Pg(session).number(COUNT, &[])?;
    Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
}

fn apply(
    session: &Session,
    faults: &Faults,
    number: u64,
    migration: &Migration,
    now_us: i64,
) -> Result<(), StoreError> {
    session.begin("BEGIN", false);
    let work = || {
        session.script("applying a migration", rewritten(migration.sql))?;
        let checksum = migration.checksum();
        session.exec(MIGRATION_PUT, crate::params![number, migration.name, &checksum, now_us])
    };
    let done = work().and_then(|()| {
        faults.hit(FaultPoint::MigrationBeforeCommit);
        session.control("committing a migration", "COMMIT")
    });
    if done.is_err() {
        session.abandon();
    }
    done?;
    faults.hit(FaultPoint::MigrationAfterCommit);
    tracing::info!(number, name = migration.name, "migrated");
    Ok(())
}
