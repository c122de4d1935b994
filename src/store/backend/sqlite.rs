//! SQLite: opening connections, pragmas, running statements. The only place that opens one.
//!
//! Readers are opened read-only; the one read-write connection is opened by the writer's side alone ([`RwConnection`]
//! counts them), migrations and the first start included.

use std::ops::{ControlFlow, Deref};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql};

use crate::store::row::{Row, Val};
use crate::store::shared::Shared;
use crate::store::{Durability, StoreError};

/// `PRAGMA application_id` of our databases: "NxLt".
pub(in crate::store) const APPLICATION_ID: i32 = 0x4e78_4c74;
/// The oldest SQLite without the WAL-reset race that can corrupt a database.
pub(in crate::store) const VERSION_MIN: i32 = 3_051_003;
/// Prepared statements kept per connection; more than any request uses.
const STATEMENT_CACHE: usize = 128;
/// How long a connection waits for a lock of a foreign program (a backup tool, a shell). Ours never contend.
pub(in crate::store) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Compile options that the design counts on, as `PRAGMA compile_options` spells them.
pub(in crate::store) const COMPILE_OPTIONS: &[&str] = &["DEFAULT_MEMSTATUS=0", "THREADSAFE=1"];

/// Said once, when the database is made: neither can be changed later without rewriting the file.
/// `auto_vacuum`: space of deleted files can be given back in small steps.
/// `application_id`: a foreign database is told from ours before anything is written.
/// In one transaction, which must not write before the first: between the two it would be a database of another
/// program, and refused for ever.
const CREATION_PRAGMAS: &str = "BEGIN; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA application_id = 1316506740; COMMIT;";

/// Said to every connection, each with its reason.
const PRAGMAS: &str = "
    PRAGMA foreign_keys = ON;            -- a schema's promises are kept by the engine
    PRAGMA trusted_schema = OFF;         -- a doctored schema must not call functions with side effects
    PRAGMA cell_size_check = ON;         -- a corrupt page is noticed when it is read, not when it has spread
    PRAGMA mmap_size = 0;                -- a truncated file is an error code, not a SIGBUS; no gain was measured
    PRAGMA temp_store = MEMORY;          -- sorts are bounded and must not depend on a small /tmp
    PRAGMA wal_autocheckpoint = 0;       -- only the writer checkpoints, and between batches
";

/// Said to the writer only.
const WRITER_PRAGMAS: &str = "
    PRAGMA secure_delete = FAST;         -- deleted bodies and names are overwritten where it costs no extra write
";

/// Counts read-write connections, to prove that there is one.
#[derive(Debug, Default)]
pub(in crate::store) struct RwCount {
    open: AtomicU64,
    open_max: AtomicU64,
    opened: AtomicU64,
}

impl RwCount {
    /// How many were opened since the store was opened.
    pub(in crate::store) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }
    /// How many were open at the same time, at most.
    pub(in crate::store) fn open_max(&self) -> u64 {
        self.open_max.load(Ordering::Relaxed)
    }
}

/// The read-write connection. Cannot be cloned or shared; exists once per store.
pub(in crate::store) struct RwConnection {
    conn: Connection,
    count: Arc<RwCount>,
}

impl RwConnection {
    /// Opens the database for reading and writing and says the pragmas. `create`: it may be new.
    pub(in crate::store) fn open(
        path: &Path,
        vfs: Option<&str>,
        durability: Durability,
        wal_bytes: u64,
        count: &Arc<RwCount>,
    ) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = open_raw(path, flags, vfs)?;
        let open = count.open.fetch_add(1, Ordering::SeqCst) + 1;
        count.open_max.fetch_max(open, Ordering::SeqCst);
        count.opened.fetch_add(1, Ordering::SeqCst);
        let this = Self { conn, count: Arc::clone(count) };
        assert_eq!(open, 1, "at most one read-write connection is open at any time");
        this.prepare(durability, wal_bytes).map_err(|e| StoreError::sql("setting up the writer's connection", e))?;
        Ok(this)
    }

    /// Closes the connection and opens another, after a fault. If that fails, what is left is an empty database in
    /// memory, and the caller stops writing.
    pub(in crate::store) fn reopen(&mut self, shared: &Shared) -> Result<(), StoreError> {
        let nothing = Connection::open_in_memory().map_err(|e| StoreError::sql("leaving the database", e))?;
        drop(std::mem::replace(&mut self.conn, nothing));
        self.count.open.fetch_sub(1, Ordering::SeqCst);
        let opened = Self::open(
            &shared.database,
            shared.vfs.as_deref(),
            shared.durability,
            shared.limits.wal_bytes,
            &self.count,
        );
        // Balanced by the drop of whichever connection is left below.
        self.count.open.fetch_add(1, Ordering::SeqCst);
        let mut opened = opened?;
        std::mem::swap(&mut self.conn, &mut opened.conn);
        Ok(())
    }

    fn prepare(&self, durability: Durability, wal_bytes: u64) -> rusqlite::Result<()> {
        // First of all, so that nothing below can fail on a lock that somebody is about to give up.
        self.conn.busy_timeout(BUSY_TIMEOUT)?;
        let pages: i64 = self.conn.pragma_query_value(None, "page_count", |r| r.get(0))?;
        if pages == 0 {
            self.conn.execute_batch(CREATION_PRAGMAS)?;
        } else if self.conn.pragma_query_value(None, "application_id", |r| r.get::<_, i32>(0))? != APPLICATION_ID {
            // Seen from outside it could not be told: a journal lay beside it.
            return Err(rusqlite::Error::InvalidPath("a database of another program".into()));
        }
        // WAL: readers never wait for the writer, nor it for them.
        let mode: String = self.conn.pragma_update_and_check(None, "journal_mode", "WAL", |r| r.get(0))?;
        if !mode.eq_ignore_ascii_case("wal") {
            tracing::error!(mode, "the database refused WAL mode");
            return Err(rusqlite::Error::InvalidQuery);
        }
        self.conn.execute_batch(PRAGMAS)?;
        self.conn.execute_batch(WRITER_PRAGMAS)?;
        // A log that once grew is cut back to its limit.
        self.conn.pragma_update(None, "journal_size_limit", i64::try_from(wal_bytes).unwrap_or(i64::MAX))?;
        // FULL: an acknowledged write survives a power cut; group commit pays for it.
        let synchronous = match durability {
            Durability::Full => "FULL",
            Durability::Relaxed => "NORMAL",
        };
        self.conn.pragma_update(None, "synchronous", synchronous)?;
        // No statement of ours may damage the file, whatever it says.
        self.conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        stable_plans(&self.conn)
    }

    /// Runs `hook` with the number of pages in the write-ahead log after each commit.
    pub(in crate::store) fn on_wal(&mut self, mut hook: impl FnMut(u64) + Send + 'static) -> Result<(), StoreError> {
        let hook = move |_: &mut rusqlite::hooks::Wal, pages: i32| {
            hook(u64::try_from(pages).unwrap_or(0));
            Ok(())
        };
        self.conn.wal_hook(Some(hook)).map_err(|e| StoreError::sql("watching the write-ahead log", e))
    }
}

impl Deref for RwConnection {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        &self.conn
    }
}

impl Drop for RwConnection {
    fn drop(&mut self) {
        self.count.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Pages of the database.
pub(in crate::store) struct Pages {
    /// All of them.
    pub(in crate::store) all: u64,
    /// Those that hold nothing.
    pub(in crate::store) unused: u64,
}

/// How many pages there are, and how many hold nothing.
pub(in crate::store) fn free_pages(conn: &Connection) -> Result<Pages, StoreError> {
    let count = |pragma| conn.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let counts = count("page_count").and_then(|all| Ok((all, count("freelist_count")?)));
    let (all, unused) = counts.map_err(|e| StoreError::sql("counting free pages", e))?;
    Ok(Pages { all: u64::try_from(all).unwrap_or(0), unused: u64::try_from(unused).unwrap_or(0) })
}

/// Gives up to 1,024 free pages at the end of the database back, in a transaction of its own.
pub(in crate::store) fn shrink(conn: &Connection) -> Result<(), StoreError> {
    let step = "giving free pages back";
    let mut statement = conn.prepare("PRAGMA incremental_vacuum(1024)").map_err(|e| StoreError::sql(step, e))?;
    // One row for each page.
    let mut rows = statement.raw_query();
    while rows.next().map_err(|e| StoreError::sql(step, e))?.is_some() {}
    Ok(())
}

/// Opens a read-only connection. It can neither write nor checkpoint, and is never closed by a checkpoint of its own.
pub(in crate::store) fn open_reader(path: &Path, vfs: Option<&str>) -> Result<Connection, StoreError> {
    let conn = open_raw(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX, vfs)?;
    let set_up = || {
        conn.busy_timeout(BUSY_TIMEOUT)?;
        conn.execute_batch(PRAGMAS)?;
        conn.pragma_update(None, "query_only", true)?; // a second lock on the door that READ_ONLY shuts
        stable_plans(&conn)
    };
    set_up().map_err(|e| StoreError::sql("setting up a reader's connection", e))?;
    Ok(conn)
}

/// How a database is opened that must not change by being looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Look {
    /// Nobody has it open and no log lies beside it: the file alone, without locks.
    Alone,
    /// A log lies beside it: through its shared memory, which is read only; no lock is written, nothing is made.
    WithLog,
}

/// Opens a database for looking at it: neither it nor anything beside it is written or made.
pub(in crate::store) fn open_look(path: &Path, look: Look) -> Result<Connection, StoreError> {
    let path = std::path::absolute(path).map_err(|e| StoreError::io("finding", path, e))?;
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri.push_str(if look == Look::Alone { "?immutable=1" } else { "?readonly_shm=1" });
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let conn = open_raw(Path::new(&uri), flags, None)?;
    let set_up = || {
        conn.busy_timeout(BUSY_TIMEOUT)?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        conn.execute_batch(PRAGMAS)?;
        conn.pragma_update(None, "query_only", true)
    };
    set_up().map_err(|e| StoreError::sql("setting up a connection to look through", e))?;
    Ok(conn)
}

/// Opens a connection that can read the database and write copies of it into other files.
pub(in crate::store) fn open_copier(path: &Path, vfs: Option<&str>) -> Result<Connection, StoreError> {
    let conn = open_raw(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX, vfs)?;
    let set_up = || {
        conn.busy_timeout(BUSY_TIMEOUT)?;
        conn.execute_batch(PRAGMAS)
    };
    set_up().map_err(|e| StoreError::sql("setting up a copier's connection", e))?;
    Ok(conn)
}

/// Writes a compact copy of the newest snapshot into the new file `copy`. Not durable yet.
pub(in crate::store) fn vacuum_into(conn: &Connection, copy: &Path) -> Result<(), StoreError> {
    let text = copy.to_string_lossy();
    conn.execute("VACUUM INTO ?1", [&*text]).map(|_| ()).map_err(|e| StoreError::sql("copying the database", e))
}

/// Keeps statements prepared: one plan for all parameters. Otherwise SQLite, built with its statistics, parses and plans
/// a statement with a range, an order or a limit anew each time it is run with other values.
fn stable_plans(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(|_| ())
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that opens connections")]
fn open_raw(path: &Path, flags: OpenFlags, vfs: Option<&str>) -> Result<Connection, StoreError> {
    let opened = match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs),
        None => Connection::open_with_flags(path, flags),
    };
    opened.map_err(|e| StoreError::sql("opening the database", e))
}

/// Whether `error` is SQLITE_BUSY or SQLITE_LOCKED.
pub(in crate::store) fn is_busy(error: &StoreError) -> bool {
    matches!(error, StoreError::Sql { source, .. } if matches!(
        source.lite_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)))
}

impl ToSql for Val<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match *self {
            Val::Int(Some(v)) => ValueRef::Integer(v),
            Val::Text(Some(v)) => ValueRef::Text(v.as_bytes()),
            Val::Blob(Some(v)) => ValueRef::Blob(v),
            Val::Real(Some(v)) => ValueRef::Real(v),
            Val::Int(None) | Val::Text(None) | Val::Blob(None) | Val::Real(None) => ValueRef::Null,
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

/// The statement of `sql`, cached by its text, with its parameters bound.
fn bound<'c>(
    conn: &'c Connection,
    sql: &'static str,
    params: &[Val<'_>],
) -> Result<rusqlite::CachedStatement<'c>, StoreError> {
    let mut statement = conn.prepare_cached(sql).map_err(|e| StoreError::sql("preparing a statement", e))?;
    if statement.parameter_count() != params.len() {
        let counts = rusqlite::Error::InvalidParameterCount(params.len(), statement.parameter_count());
        return Err(StoreError::sql("binding parameters", counts));
    }
    for (at, value) in params.iter().enumerate() {
        // The other engine cannot store it, and no text of ours has a use for it.
        if matches!(value, Val::Text(Some(text)) if text.as_bytes().contains(&0)) {
            return Err(StoreError::Corrupt { what: "a text to be stored contains NUL; nothing was stored".into() });
        }
        statement.raw_bind_parameter(at + 1, value).map_err(|e| StoreError::sql("binding parameters", e))?;
    }
    Ok(statement)
}

/// Runs a query; statements are cached by their text.
pub(in crate::store) fn each(
    conn: &Connection,
    sql: &'static str,
    params: &[Val<'_>],
    mut each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError>,
) -> Result<(), StoreError> {
    let mut statement = bound(conn, sql, params)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(|e| StoreError::sql("reading rows", e))? {
        if each(&Row::Lite(row))?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Whether a statement changes nothing.
pub(in crate::store) fn reads_only(conn: &Connection, sql: &'static str) -> bool {
    // A text that cannot be prepared is an error where it is run.
    conn.prepare_cached(sql).map_or(true, |statement| statement.readonly())
}

/// Runs a statement that changes rows; returns how many.
pub(in crate::store) fn exec(conn: &Connection, sql: &'static str, params: &[Val<'_>]) -> Result<u64, StoreError> {
    let mut statement = bound(conn, sql, params)?;
    let count = statement.raw_execute().map_err(|e| StoreError::sql("writing", e))?;
    Ok(count as u64)
}

/// Runs a statement without parameters or rows: BEGIN, COMMIT and the like.
pub(in crate::store) fn control(conn: &Connection, step: &'static str, sql: &'static str) -> Result<(), StoreError> {
    let run = || conn.prepare_cached(sql)?.raw_execute();
    run().map(|_| ()).map_err(|e| StoreError::sql(step, e))
}
