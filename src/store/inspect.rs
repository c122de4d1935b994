//! Looking at a data directory without changing a byte of it: whether a server runs there or not, whatever is wrong.
//!
//! No migration, no checkpoint, no recovery, no file beside the database. Must not be used inside a process that has
//! the store open: closing a file of the database drops all locks of the process on it.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde::Serialize;

use super::backend::sqlite::{self, Look};
use super::lock::{self, Holder};
use super::migrate::{self, MIGRATIONS};
use super::open::{self, DATABASE_FILE, WAL_FILE};
use super::scrub::{Progress, Scrubbed};
use super::statements::statements;
use super::{Durability, StoreError, bundle, meta, schema, scrub, status};

statements! {
    /// A fact, before the store is open.
    INSPECT_META = "SELECT value FROM meta WHERE key = ?1";
    /// Rows per table of the first schema.
    INSPECT_ROWS = "SELECT 'nodes', COUNT(*) FROM nodes UNION ALL SELECT 'versions', COUNT(*) FROM versions \
        UNION ALL SELECT 'contents', COUNT(*) FROM contents UNION ALL SELECT 'skills', COUNT(*) FROM skills \
        UNION ALL SELECT 'entities', COUNT(*) FROM entities UNION ALL SELECT 'tuples', COUNT(*) FROM tuples \
        UNION ALL SELECT 'namespaces', COUNT(*) FROM namespaces UNION ALL SELECT 'changelog', COUNT(*) FROM changelog \
        UNION ALL SELECT 'permission_cache', COUNT(*) FROM permission_cache \
        UNION ALL SELECT 'api_keys', COUNT(*) FROM api_keys UNION ALL SELECT 'agents', COUNT(*) FROM agents \
        UNION ALL SELECT 'workspaces', COUNT(*) FROM workspaces UNION ALL SELECT 'mounts', COUNT(*) FROM mounts \
        UNION ALL SELECT 'sandboxes', COUNT(*) FROM sandboxes";
    /// Rows per table of the second.
    INSPECT_ROWS_2 = "SELECT 'idempotency', COUNT(*) FROM idempotency UNION ALL SELECT 'denials', COUNT(*) FROM denials";
    /// Rows per table of the fourth.
    INSPECT_ROWS_4 = "SELECT 'snapshots', COUNT(*) FROM snapshots";
    /// Rows per table of the fifth.
    INSPECT_ROWS_5 = "SELECT 'mount_files', COUNT(*) FROM mount_files UNION ALL SELECT 'sync_jobs', COUNT(*) FROM sync_jobs";
    /// Rows per table of the sixth.
    INSPECT_ROWS_6 = "SELECT 'unused', COUNT(*) FROM unused";
    /// Rows per table of the seventh.
    INSPECT_ROWS_7 = "SELECT 'memories', COUNT(*) FROM memories UNION ALL SELECT 'trajectories', COUNT(*) FROM trajectories \
        UNION ALL SELECT 'trajectory_notes', COUNT(*) FROM trajectory_notes \
        UNION ALL SELECT 'playbooks', COUNT(*) FROM playbooks";
    /// Rows per table of the eighth.
    INSPECT_ROWS_8 = "SELECT 'quotas', COUNT(*) FROM quotas UNION ALL SELECT 'tenant_use', COUNT(*) FROM tenant_use";
    /// Rows per table of the ninth.
    INSPECT_ROWS_9 = "SELECT 'subscriptions', COUNT(*) FROM subscriptions";
    /// Rows per table of the tenth.
    INSPECT_ROWS_10 = "SELECT 'skill_approvals', COUNT(*) FROM skill_approvals";
    /// Keys: all, revoked, past their end.
    INSPECT_KEYS = "SELECT COUNT(*), \
        CAST(COALESCE(SUM(CASE WHEN revoked_at_us IS NOT NULL THEN 1 ELSE 0 END), 0) AS BIGINT), \
        CAST(COALESCE(SUM(CASE WHEN revoked_at_us IS NULL AND expires_at_us <= ?1 THEN 1 ELSE 0 END), 0) AS BIGINT), \
        CAST(COALESCE(SUM(CASE WHEN revoked_at_us IS NULL AND (expires_at_us IS NULL OR expires_at_us > ?1) \
        AND is_instance_admin = 1 THEN 1 ELSE 0 END), 0) AS BIGINT) FROM api_keys";
}

/// Databases up to this size are looked through for damage even without a scrub, bytes.
const QUICK_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What is in a data directory.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// There is no such directory.
    Missing,
    /// It is a file, or cannot be looked into.
    Unreadable(String),
    /// There is no database in it.
    Empty,
    /// A first start was cut short; the next one begins anew.
    CutShort,
    /// A database that this program does not use: foreign, newer, damaged.
    Unusable {
        /// What is wrong with it.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// A database of ours.
    Readable(Box<Facts>),
}

/// Who has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lock {
    /// No server has used it.
    Never,
    /// No server uses it.
    Free,
    /// A server runs.
    Held {
        /// Its process, as it wrote it down.
        pid: String,
        /// Since when, as it wrote it down.
        since: Option<String>,
    },
    /// It could not be found out.
    Unknown(String),
}

/// Keys, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Keys {
    /// All.
    pub all: u64,
    /// Revoked.
    pub revoked: u64,
    /// Not revoked, and past their end.
    pub expired: u64,
    /// Live ones of instance admins.
    pub instance_admins: u64,
}

/// What a database says.
#[derive(Debug, Clone, Serialize)]
pub struct Facts {
    /// The version of its schema.
    pub schema: u64,
    /// What differs between its schema and ours of that version.
    pub schema_differs: Vec<String>,
    /// Its revision.
    pub rev: u64,
    /// Whether the last run ended as it should; `false` also while one runs.
    pub clean_shutdown: bool,
    /// Whether the last run could lose acknowledged writes in a power cut.
    pub relaxed: bool,
    /// Rows per table.
    pub rows: Vec<(String, u64)>,
    /// Keys.
    pub keys: Keys,
    /// What SQLite's quick look says; `None` = it was not taken, the file is large.
    pub quick_check: Option<Vec<String>>,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// The directory.
    pub data_dir: PathBuf,
    /// Who has it.
    pub lock: Lock,
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Bytes of its write-ahead log.
    pub wal_bytes: u64,
    /// What is in it.
    pub state: State,
}

/// A directory that is being looked at. A server cannot start on it until this is dropped, nor run off with it.
#[derive(Debug)]
pub struct Inspector {
    data_dir: PathBuf,
    lock: Lock,
    _held: Option<File>,
    /// Where a copy may be made if there is no other way to read a database with its log.
    scratch: PathBuf,
}

impl Inspector {
    /// Looks at `data_dir`. In `scratch`, an empty directory elsewhere, a copy is made where a log has lost its shared
    /// memory; nothing else is written anywhere.
    #[must_use]
    pub fn new(data_dir: &Path, scratch: &Path) -> Self {
        let (lock, held) = match lock::holder(data_dir) {
            Ok(Holder::NoFile) => (Lock::Never, None),
            Ok(Holder::Nobody(file)) => (Lock::Free, Some(file)),
            Ok(Holder::Process { pid, since }) => (Lock::Held { pid, since }, None),
            Err(error) => (Lock::Unknown(error.to_string()), None),
        };
        Self { data_dir: data_dir.to_owned(), lock, _held: held, scratch: scratch.to_owned() }
    }

    /// Everything but the bodies. `now_us` decides which keys have expired.
    #[must_use]
    pub fn inspect(&self, now_us: i64) -> Inspection {
        Inspection {
            data_dir: self.data_dir.clone(),
            lock: self.lock.clone(),
            database_bytes: self.length(DATABASE_FILE),
            wal_bytes: self.length(WAL_FILE),
            state: self.state(now_us),
        }
    }

    /// Reads everything: bodies, rules, files. `progress` is told how far it is and may end it.
    pub fn scrub(&self, progress: &mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<Scrubbed, StoreError> {
        scrub::run(&self.open()?, &self.data_dir, progress)
    }

    fn length(&self, name: &str) -> u64 {
        std::fs::metadata(self.data_dir.join(name)).map_or(0, |file| file.len())
    }

    fn state(&self, now_us: i64) -> State {
        let database = self.data_dir.join(DATABASE_FILE);
        match std::fs::read_dir(&self.data_dir) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return State::Missing,
            Err(e) => return State::Unreadable(e.to_string()),
            Ok(_) => {}
        }
        match std::fs::metadata(&database) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return State::Empty,
            Err(e) => return State::Unreadable(e.to_string()),
            Ok(file) if file.len() == 0 => return State::CutShort,
            Ok(_) => {}
        }
        if self.data_dir.join(format!("{DATABASE_FILE}-journal")).exists() {
            return State::CutShort;
        }
        match open::look(&database).and_then(|()| self.facts(&database, now_us)) {
            Ok(facts) => State::Readable(Box::new(facts)),
            Err(StoreError::Unusable { what, remedy, .. }) => State::Unusable { what, remedy },
            Err(StoreError::Io { source, .. }) => State::Unreadable(source.to_string()),
            Err(error) => State::Unusable {
                what: format!("it cannot be read ({error})"),
                remedy:
                    "Restore a backup: nexus-lite restore BACKUP --data-dir DIR. Keep this directory until that works"
                        .into(),
            },
        }
    }

    /// A connection that changes nothing.
    fn open(&self) -> Result<Connection, StoreError> {
        let database = self.data_dir.join(DATABASE_FILE);
        let (log, shm) = (self.length(WAL_FILE) > 0, self.data_dir.join(format!("{DATABASE_FILE}-shm")).exists());
        if matches!(self.lock, Lock::Held { .. }) {
            // The server keeps log and shared memory open, so neither is made by us. As any other reader.
            return sqlite::open_look(&database, Look::WithLog)
                .and_then(|conn| meta::head_rev((&conn).into()).map(|_| conn))
                .or_else(|_| sqlite::open_reader(&database, None));
        }
        match (log, shm) {
            (false, _) => sqlite::open_look(&database, Look::Alone),
            (true, true) => sqlite::open_look(&database, Look::WithLog),
            (true, false) => {
                // Without shared memory SQLite would make some, here.
                for name in [DATABASE_FILE, WAL_FILE] {
                    let (from, to) = (self.data_dir.join(name), self.scratch.join(name));
                    std::fs::copy(&from, &to).map_err(|e| StoreError::io("copying", &from, e))?;
                }
                sqlite::open_reader(&self.scratch.join(DATABASE_FILE), None)
            }
        }
    }

    fn facts(&self, database: &Path, now_us: i64) -> Result<Facts, StoreError> {
        let conn = self.open()?;
        let version = migrate::version(&conn)?;
        if version > MIGRATIONS.len() as u64 {
            return Err(migrate::newer(&database.display().to_string(), version, MIGRATIONS.len() as u64));
        }
        if let Some(of) = fact(&conn, meta::IMPORTING)? {
            return Err(bundle::unfinished(&database.display().to_string(), &of));
        }
        let small = self.length(DATABASE_FILE) <= QUICK_BYTES_MAX;
        let quick_check = if small { Some(quick(&conn)?) } else { None };
        let mut rows = Vec::new();
        let later = [
            (2, INSPECT_ROWS_2),
            (4, INSPECT_ROWS_4),
            (5, INSPECT_ROWS_5),
            (6, INSPECT_ROWS_6),
            (7, INSPECT_ROWS_7),
            (8, INSPECT_ROWS_8),
            (9, INSPECT_ROWS_9),
            (10, INSPECT_ROWS_10),
        ];
        let later = later.into_iter().filter(|(since, _)| version >= *since).map(|(_, sql)| sql);
        for sql in std::iter::once(INSPECT_ROWS).chain(later) {
            sqlite::each(&conn, sql, &[], |row| {
                rows.push((row.string(0)?, row.id(1)?));
                Ok(ControlFlow::Continue(()))
            })?;
        }
        let mut keys = Keys::default();
        sqlite::each(&conn, INSPECT_KEYS, crate::params![now_us], |row| {
            keys = Keys { all: row.id(0)?, revoked: row.id(1)?, expired: row.id(2)?, instance_admins: row.id(3)? };
            Ok(ControlFlow::Break(()))
        })?;
        Ok(Facts {
            schema: version,
            schema_differs: schema::differences(&conn, version)?,
            rev: meta::head_rev((&conn).into())?,
            clean_shutdown: fact(&conn, meta::CLEAN_SHUTDOWN)?.as_deref() == Some("1"),
            relaxed: fact(&conn, meta::DURABILITY)?.as_deref() == Some(Durability::Relaxed.as_str()),
            rows,
            keys,
            quick_check,
        })
    }
}

fn fact(conn: &Connection, key: &str) -> Result<Option<String>, StoreError> {
    let mut value = None;
    sqlite::each(conn, INSPECT_META, crate::params![key], |row| {
        value = Some(row.string(0)?);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(value)
}

/// What SQLite's quick look says; empty = nothing is wrong.
fn quick(conn: &Connection) -> Result<Vec<String>, StoreError> {
    let mut said = Vec::new();
    sqlite::each(conn, "PRAGMA quick_check(10)", &[], |row| {
        let text = row.string(0)?;
        if text != "ok" {
            said.push(text);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(said)
}

/// The engine of this program: its version, whether that is one that may be used, and the compile options that are
/// missing.
pub fn engine() -> Result<(&'static str, bool, Vec<&'static str>), StoreError> {
    let conn = Connection::open_in_memory().map_err(|e| StoreError::sql("asking the engine", e))?;
    let current = rusqlite::version_number() >= sqlite::VERSION_MIN;
    Ok((rusqlite::version(), current, status::missing_options(&conn)?))
}

/// The version of the schema that this program writes.
#[must_use]
pub fn schema_version() -> u64 {
    MIGRATIONS.len() as u64
}
