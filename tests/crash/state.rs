//! What a database holds, read with plain SQL and none of the store's code.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use nexus_lite::model::{ContentHash, Rev};
use rusqlite::{Connection, OpenFlags};

/// What was read.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) rev: Rev,
    /// As the facts of `work.rs`, those that are there.
    pub(crate) facts: BTreeMap<String, String>,
    /// The content addresses whose bodies are files.
    pub(crate) blobs: Vec<ContentHash>,
}

/// Why nothing was read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// There is no schema yet: the power went during the first start.
    Unborn,
    /// It is damaged.
    Damaged(String),
}

impl From<rusqlite::Error> for Unreadable {
    fn from(error: rusqlite::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Opens the database at `path` as any program would, lets it recover, checks it and reads it.
#[expect(clippy::disallowed_methods, reason = "the test looks at an image with the engine alone")]
pub(crate) fn read(path: &Path) -> Result<State, Unreadable> {
    let connection = Connection::open_with_flags(path, OpenFlags::default())?;
    let integrity: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if integrity != "ok" {
        return Err(Unreadable::Damaged(integrity));
    }
    let tables: i64 =
        connection.query_row("SELECT COUNT(*) FROM sqlite_schema WHERE name = 'denials'", [], |row| row.get(0))?;
    if tables == 0 {
        return Err(Unreadable::Unborn);
    }
    let head: Option<i64> = connection.query_row("SELECT (SELECT rev FROM head)", [], |row| row.get(0))?;
    let Some(head) = head else { return Err(Unreadable::Unborn) };
    let mut state = State { rev: head.cast_unsigned(), facts: BTreeMap::new(), blobs: Vec::new() };
    state.log(&connection)?;
    state.nodes(&connection)?;
    state.contents(&connection)?;
    for (kind, sql) in [
        ("tuple", "SELECT tuple_id, 'there' FROM tuples"),
        ("key", "SELECT key_id, CASE WHEN revoked_at_us IS NULL THEN 'valid' ELSE 'revoked' END FROM api_keys"),
        ("agent", "SELECT agent_id, 'there' FROM agents"),
        ("workspace", "SELECT path, 'there' FROM workspaces"),
        ("skill", "SELECT path, name || ' ' || description FROM skills"),
    ] {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            state.facts.insert(format!("{kind} {}", row.get::<_, String>(0)?), row.get(1)?);
        }
    }
    Ok(state)
}

impl State {
    /// The log of changes has a row for each revision.
    fn log(&self, connection: &Connection) -> Result<(), Unreadable> {
        let sql = "SELECT COUNT(*), COALESCE(MIN(rev), 1), COALESCE(MAX(rev), 0) FROM changelog";
        let read: (i64, i64, i64) = connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let rev = self.rev.cast_signed();
        if read == (rev, 1, rev) { Ok(()) } else { Err(Unreadable::Damaged(format!("the log of {rev} is {read:?}"))) }
    }

    fn nodes(&mut self, connection: &Connection) -> Result<(), Unreadable> {
        let mut statement =
            connection.prepare_cached("SELECT id, parent, name, content FROM nodes WHERE detached = 0")?;
        let mut rows = statement.query([])?;
        let mut nodes = HashMap::new();
        while let Some(row) = rows.next()? {
            let content: Option<Vec<u8>> = row.get(3)?;
            nodes.insert(row.get::<_, i64>(0)?, (row.get::<_, i64>(1)?, row.get::<_, String>(2)?, content));
        }
        for (mut id, (_, _, content)) in &nodes {
            let mut path = String::new();
            while let Some((parent, name, _)) = nodes.get(id).filter(|(_, name, _)| !name.is_empty()) {
                path = format!("/{name}{path}");
                id = parent;
            }
            let value = content.as_deref().map_or("directory".to_owned(), |bytes| hash(bytes).to_hex());
            self.facts.insert(format!("node {path}"), value);
        }
        Ok(())
    }

    /// Every body in the database is what its address says.
    fn contents(&mut self, connection: &Connection) -> Result<(), Unreadable> {
        let mut statement = connection.prepare_cached("SELECT hash, body FROM contents")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let address = hash(row.get_ref(0)?.as_blob().expect("a blob"));
            match row.get_ref(1)?.as_blob_or_null().expect("a blob or none") {
                None => self.blobs.push(address),
                Some(body) if ContentHash::of(body) == address => {}
                Some(_) => return Err(Unreadable::Damaged(format!("the body {} is another", address.to_hex()))),
            }
        }
        Ok(())
    }
}

fn hash(bytes: &[u8]) -> ContentHash {
    ContentHash::from_bytes(bytes.try_into().expect("32 bytes"))
}
