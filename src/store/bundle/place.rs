//! Where a store is to be made: whether anything is there, and how what an import has left is removed.

use std::path::Path;

use super::{MoveError, fact};
use crate::store::backend::Conn;
use crate::store::backend::sqlite::{self, Look};
use crate::store::blobs::BLOBS_DIR;
use crate::store::files::Files;
use crate::store::lock::{self, Holder};
use crate::store::open::{self, DATABASE_FILE, WAL_FILE};
use crate::store::options::Engine;
use crate::store::{Options, StoreError, meta, migrate};

/// What is there.
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// Something that no server serves: an import or a first start that was cut short.
    Unfinished,
    /// A store, at this revision.
    Store(u64),
}

/// Whether a store can be imported into the place of `options`; looks only. A refusal says what to do.
pub fn free(options: &Options) -> Result<(), MoveError> {
    match &options.engine {
        Engine::Sqlite => {}
        #[cfg(feature = "postgres")]
        Engine::Postgres(url) => return far::free(options, url.clone()),
    }
    let dir = &options.data_dir;
    if dir.exists()
        && let Holder::Process { pid, since } = lock::holder(dir)?
    {
        return Err(StoreError::Locked { dir: dir.display().to_string(), pid, since }.into());
    }
    require_free(&dir.display().to_string(), in_directory(dir)?).map(|_| ())
}

/// Refuses a database of a server that holds no store: opening it would make one.
#[cfg(feature = "postgres")]
pub fn require_store(options: &Options) -> Result<(), MoveError> {
    let Engine::Postgres(url) = &options.engine else { return Ok(()) };
    let connector = far::connector(options, url.clone())?;
    match far::found(&connector.session()?, &connector.place())? {
        Found::Store(_) | Found::Unfinished => Ok(()),
        Found::Nothing => Err(MoveError::Refused {
            name: connector.place(),
            line: None,
            what: "there is no store in this database".into(),
            remedy: "Name the database of a server of yours".into(),
        }),
    }
}

/// Refuses a store. `place`: what people call it.
pub(super) fn require_free(place: &str, found: Found) -> Result<Found, MoveError> {
    let Found::Store(rev) = found else { return Ok(found) };
    Err(MoveError::Refused {
        name: place.to_owned(),
        line: None,
        what: format!("there is a store already, at revision {rev}"),
        remedy:
            "A bundle is imported into a new data directory (--data-dir) or an empty database (--database-url): give \
                 another one, or move this one away. Nothing was changed"
                .into(),
    })
}

/// Looks at a directory that is not in use.
pub(super) fn in_directory(dir: &Path) -> Result<Found, StoreError> {
    let database = dir.join(DATABASE_FILE);
    open::look(&database)?;
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    if length(&database) == 0 {
        return Ok(if database.exists() { Found::Unfinished } else { Found::Nothing });
    }
    if dir.join(format!("{DATABASE_FILE}-journal")).exists() {
        // It never came to its first transaction.
        return Ok(Found::Unfinished);
    }
    let has_log = length(&dir.join(WAL_FILE)) > 0;
    let conn = match (has_log, dir.join(format!("{DATABASE_FILE}-shm")).exists()) {
        (false, _) => sqlite::open_look(&database, Look::Alone)?,
        (true, true) => sqlite::open_look(&database, Look::WithLog)?,
        (true, false) => sqlite::open_reader(&database, None)?,
    };
    if migrate::version(&conn)? == 0 { Ok(Found::Unfinished) } else { in_database(Conn::Lite(&conn)) }
}

/// Looks at a database that has tables of ours.
fn in_database(conn: Conn<'_>) -> Result<Found, StoreError> {
    if fact(conn, meta::IMPORTING)?.is_some() {
        return Ok(Found::Unfinished);
    }
    match meta::head_rev(conn) {
        Ok(rev) => Ok(Found::Store(rev)),
        Err(StoreError::Corrupt { .. }) => Ok(Found::Unfinished),
        Err(error) => Err(error),
    }
}

/// Removes what an import has made in `dir`.
pub(super) fn clear_directory(files: &Files, dir: &Path) -> Result<(), StoreError> {
    let blobs = dir.join(BLOBS_DIR);
    if blobs.exists() {
        files.remove_all(&blobs).map_err(|e| StoreError::io("clearing", &blobs, e))?;
    }
    // A log without its database would be taken for a loss; a journal without one is nothing.
    for suffix in ["-wal", "-shm", "", "-journal"] {
        let path = dir.join(format!("{DATABASE_FILE}{suffix}"));
        match files.remove(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(StoreError::io("clearing", &path, e)),
            _ => {}
        }
    }
    files.sync_dir(dir).map_err(|e| StoreError::io("syncing", dir, e))
}

/// A database of a server.
#[cfg(feature = "postgres")]
pub(super) mod far {
    use std::time::Duration;

    use super::{Found, in_database, require_free};
    use crate::store::backend::Conn;
    use crate::store::backend::postgres::{Connector, PostgresUrl, Session, migrate};
    use crate::store::bundle::MoveError;
    use crate::store::tables::TABLES;
    use crate::store::{Options, StoreError};

    /// How long one statement of an import may run: a check of everything at its end.
    const STATEMENT_TIME: Duration = Duration::from_secs(6 * 60 * 60);

    /// The way to the database.
    pub(in crate::store::bundle) fn connector(options: &Options, url: PostgresUrl) -> Result<Connector, StoreError> {
        Connector::start(url, options.durability, STATEMENT_TIME)
    }

    pub(super) fn free(options: &Options, url: PostgresUrl) -> Result<(), MoveError> {
        let connector = connector(options, url)?;
        let found = found(&connector.session()?, &connector.place())?;
        require_free(&connector.place(), found).map(|_| ())
    }

    /// Looks at a database.
    pub(in crate::store::bundle) fn found(session: &Session, place: &str) -> Result<Found, StoreError> {
        if migrate::version(session, place)? == 0 { Ok(Found::Nothing) } else { in_database(Conn::Pg(session)) }
    }

    /// Empties every table of ours; the tables themselves stay, for the next one.
    pub(in crate::store::bundle) fn clear(session: &Session) -> Result<(), StoreError> {
        let tables: Vec<_> = TABLES.iter().map(|table| table.name).collect();
        session.script(
            "emptying the tables",
            format!("TRUNCATE {}, chunks, permission_cache, tenant_use", tables.join(", ")),
        )
    }
}
