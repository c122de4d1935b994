//! The other ways to write: the designs that the writer is compared with, on bare SQLite.
//!
//! Each applies the very statements (looked up by name in the store's register) that one overwrite of a file
//! executes, on a copy of the same database with the same pragmas. They check no permission and keep no graph, so
//! that every comparison leans towards them.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use nexus_lite::model::{ContentHash, NodeKind, NodeRow, ROOT_NODE};
use nexus_lite::store::statements;
use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, params};
use tokio::sync::oneshot;

/// How long a connection waits for the lock of another.
const BUSY: Duration = Duration::from_secs(5);
/// Prepared statements kept per connection.
const STATEMENTS: usize = 64;
/// What the store says to its writer, and a checkpoint at the size at which its writer makes one.
const PRAGMAS: &str = "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;
    PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA secure_delete = FAST; PRAGMA synchronous = FULL;
    PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = 4096;";

/// One overwrite of a file.
#[derive(Debug, Clone)]
pub(crate) struct Put {
    /// The components of its path.
    pub(crate) path: Vec<String>,
    pub(crate) body: Vec<u8>,
}

/// Why an attempt wrote nothing.
#[derive(Debug)]
pub(crate) enum Refused {
    /// "database is locked".
    Locked,
    Other(String),
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => Self::Locked,
            _ => Self::Other(error.to_string()),
        }
    }
}

/// How a transaction begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    Immediate,
    /// Reads first and asks for the lock when it writes: what most programs do.
    Deferred,
}

/// The texts of one overwrite, by their names in the register.
#[derive(Debug, Clone, Copy)]
struct Texts {
    head: &'static str,
    by_name: &'static str,
    content: &'static str,
    update: &'static str,
    close: &'static str,
    open: &'static str,
    changelog: &'static str,
    set_head: &'static str,
}

impl Texts {
    fn find() -> Self {
        let text = |wanted: &str| {
            let found = statements::all().find(|(_, name, _)| *name == wanted);
            found
                .unwrap_or_else(|| panic!("the store has no statement {wanted} any more: bring this peer up to date"))
                .2
        };
        Self {
            head: text("HEAD_GET"),
            by_name: text("NODE_BY_NAME"),
            content: text("PUT_CONTENT"),
            update: text("UPDATE_NODE"),
            close: text("CLOSE_VERSION"),
            open: text("OPEN_VERSION"),
            changelog: text("CHANGELOG_PUT"),
            set_head: text("HEAD_PUT"),
        }
    }
}

/// A connection of a peer.
pub(crate) struct Peer {
    conn: Connection,
    texts: Texts,
}

impl Peer {
    /// Opens the copy of the database at `path`.
    #[expect(clippy::disallowed_methods, reason = "the compared designs have connections of their own")]
    pub(crate) fn open(path: &Path, vfs: Option<&str>) -> Self {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = match vfs {
            Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs),
            None => Connection::open_with_flags(path, flags),
        };
        let conn = conn.expect("the copy of the database");
        conn.busy_timeout(BUSY).expect("a timeout");
        conn.execute_batch(PRAGMAS).expect("the pragmas");
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).expect("plans that do not depend on values");
        conn.set_prepared_statement_cache_capacity(STATEMENTS);
        Self { conn, texts: Texts::find() }
    }

    /// One transaction of its own for one overwrite.
    pub(crate) fn put(&self, put: &Put, begin: Begin) -> Result<(), Refused> {
        let begin = match begin {
            Begin::Immediate => "BEGIN IMMEDIATE",
            Begin::Deferred => "BEGIN DEFERRED",
        };
        self.run(begin)?;
        match self.apply(put).and_then(|()| self.run("COMMIT")) {
            Ok(()) => Ok(()),
            Err(refused) => {
                if !self.conn.is_autocommit() {
                    self.run("ROLLBACK")?;
                }
                Err(refused)
            }
        }
    }

    fn run(&self, sql: &str) -> Result<(), Refused> {
        self.conn.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    fn apply(&self, put: &Put) -> Result<(), Refused> {
        let texts = &self.texts;
        let (rev, next_id, next_entity): (i64, i64, i64) =
            self.conn.prepare_cached(texts.head)?.query_row([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))?;
        let mut node = None;
        let mut parent = ROOT_NODE.cast_signed();
        for name in &put.path {
            let row = self.conn.prepare_cached(texts.by_name)?.query_row(params![parent, name], node_row)?;
            parent = row.id.cast_signed();
            node = Some(row);
        }
        let before = node.expect("a path has a last component");
        let hash = ContentHash::of(&put.body);
        let now = before.modified_at_us + 1;
        let rev = rev + 1;
        let after = NodeRow {
            content: Some(hash.to_hex()),
            size: put.body.len() as u64,
            version: before.version + 1,
            modified_at_us: now,
            ..before.clone()
        };
        let size = put.body.len() as i64;
        let hash = &hash.as_bytes()[..];
        self.conn.prepare_cached(texts.content)?.execute(params![hash, size, put.body, now])?;
        self.conn.prepare_cached(texts.update)?.execute(params![
            after.parent.cast_signed(),
            after.name,
            after.tenant,
            after.owner,
            after.implicit,
            after.mixed,
            hash,
            size,
            after.version.cast_signed(),
            after.mime,
            now,
            after.created_by,
        ])?;
        self.conn.prepare_cached(texts.close)?.execute(params![after.id.cast_signed(), rev])?;
        self.conn.prepare_cached(texts.open)?.execute(params![
            after.id.cast_signed(),
            rev,
            after.parent.cast_signed(),
            after.name,
            after.version.cast_signed(),
            hash,
            size,
            after.mime,
            now,
            after.created_by,
            "original",
            None::<&str>,
        ])?;
        let json = |row: &NodeRow| format!("[{}]", serde_json::to_string(row).expect("a row is plain data"));
        let (before, after) = (json(&before), json(&after));
        let actor = "user:admin";
        self.conn
            .prepare_cached(texts.changelog)?
            .execute(params![rev, now, actor, "default", "bench", "file_put", false, before, after])?;
        self.conn.prepare_cached(texts.set_head)?.execute(params![rev, next_id, next_entity])?;
        Ok(())
    }
}

fn node_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<NodeRow> {
    let hash: Option<Vec<u8>> = row.get(8)?;
    let hex = |hash: Vec<u8>| blake3::Hash::from_slice(&hash).expect("32 bytes").to_hex().to_string();
    Ok(NodeRow {
        parent: row.get::<_, i64>(0)?.cast_unsigned(),
        name: row.get(1)?,
        id: row.get::<_, i64>(2)?.cast_unsigned(),
        tenant: row.get(3)?,
        kind: if row.get::<_, i64>(4)? == 1 { NodeKind::Directory } else { NodeKind::File },
        owner: row.get(5)?,
        implicit: row.get(6)?,
        mixed: row.get(7)?,
        content: hash.map(hex),
        size: row.get::<_, i64>(9)?.cast_unsigned(),
        version: row.get::<_, i64>(10)?.cast_unsigned(),
        mime: row.get(11)?,
        created_at_us: row.get(12)?,
        modified_at_us: row.get(13)?,
        created_by: row.get(14)?,
    })
}

/// The thread that takes one message after the other and gives each a transaction of its own.
pub(crate) struct OneByOne {
    messages: mpsc::Sender<(Put, oneshot::Sender<Result<(), Refused>>)>,
}

impl OneByOne {
    pub(crate) fn start(peer: Peer) -> Self {
        let (messages, inbox) = mpsc::channel::<(Put, oneshot::Sender<Result<(), Refused>>)>();
        std::thread::spawn(move || {
            for (put, reply) in inbox {
                // A client that went away needs no answer.
                drop(reply.send(peer.put(&put, Begin::Immediate)));
            }
        });
        Self { messages }
    }

    pub(crate) fn put(&self, put: Put) -> impl Future<Output = Result<(), Refused>> + use<> {
        let (reply, answer) = oneshot::channel();
        self.messages.send((put, reply)).expect("the thread lives as long as its sender");
        async move { answer.await.unwrap_or_else(|_| Err(Refused::Other("the thread is gone".to_owned()))) }
    }
}

/// One connection behind a mutex.
pub(crate) struct Locked(pub(crate) Mutex<Peer>);

impl Locked {
    pub(crate) fn put(&self, put: &Put) -> Result<(), Refused> {
        self.0.lock().put(put, Begin::Immediate)
    }
}
