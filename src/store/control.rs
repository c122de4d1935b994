//! The failing control: a store of the incumbent's design, where a reading request writes. Never part of a server.
//!
//! Owns a temporary database of its own. Each request opens its own connection; each permission check is a **deferred**
//! transaction that reads (cached decision, tuples of every ancestor) and then inserts the cache row itself, with a
//! small busy timeout. Two of them at once, and the second meets SQLITE_BUSY: the upgrade of a read transaction whose
//! snapshot is out of date cannot wait. As in the incumbent, a listing then leaves the entry out (a short answer), and
//! everything else fails with "database is locked".
//!
//! Used by `waves --control` and by tests only; outside the count of write connections (architecture D14).

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::StoreError;

/// The incumbent sets none; a little patience changes nothing.
const BUSY_TIMEOUT: Duration = Duration::from_millis(5);

/// The control's own tables: the rows of each answer, the grants, the decisions.
const SCHEMA: &str = "
CREATE TABLE answers (operation TEXT NOT NULL, position INTEGER NOT NULL, object TEXT NOT NULL, body TEXT NOT NULL,
                      PRIMARY KEY (operation, position));
CREATE TABLE grants (object TEXT NOT NULL, relation TEXT NOT NULL, subject TEXT NOT NULL,
                     PRIMARY KEY (object, relation, subject));
CREATE TABLE check_cache (subject TEXT NOT NULL, permission TEXT NOT NULL, object TEXT NOT NULL,
                          decision INTEGER NOT NULL, version INTEGER NOT NULL,
                          PRIMARY KEY (subject, permission, object));
CREATE TABLE check_versions (tenant TEXT NOT NULL PRIMARY KEY, version INTEGER NOT NULL);";
/// The rows of an answer, in order.
const ROWS_OF: &str = "SELECT object, body FROM answers WHERE operation = ?1 ORDER BY position";
/// One row of an answer, when the control is made.
const INSERT_ANSWER: &str = "INSERT INTO answers (operation, position, object, body) VALUES (?1, ?2, ?3, ?4)";
/// One grant, when the control is made.
const INSERT_GRANT: &str = "INSERT INTO grants (object, relation, subject) VALUES (?1, ?2, ?3)";
/// The counter that every check bumps, when the control is made.
const INSERT_VERSION: &str = "INSERT INTO check_versions (tenant, version) VALUES ('default', 0)";
/// A cached decision.
const CACHED: &str = "SELECT decision FROM check_cache WHERE subject = ?1 AND permission = ?2 AND object = ?3";
/// Whether a subject has a relation on an object.
const GRANTED: &str = "SELECT 1 FROM grants WHERE object = ?1 AND relation = ?2 AND subject = ?3";
/// The counter.
const VERSION: &str = "SELECT version FROM check_versions WHERE tenant = 'default'";
/// The write of a read, first half: every check bumps the counter of the tenant.
const BUMP_VERSION: &str = "UPDATE check_versions SET version = ?1 WHERE tenant = 'default'";
/// The write of a read, second half: the row that remembers the decision.
const INSERT_DECISION: &str = "INSERT INTO check_cache (subject, permission, object, decision, version) \
     VALUES (?1, 'read', ?2, ?3, ?4) \
     ON CONFLICT (subject, permission, object) DO UPDATE SET decision = excluded.decision, version = excluded.version";

/// The relations that give `read`, each looked up on every ancestor.
const READING: &[&str] = &["direct_viewer", "direct_editor", "direct_owner"];

/// One answer of the control: an operation and its rows.
#[derive(Debug, Clone)]
pub struct ControlAnswer {
    /// As [`ControlAnswer::key`] makes it.
    pub operation: String,
    /// The rows.
    pub rows: Vec<ControlRow>,
}

/// One row of an answer.
#[derive(Debug, Clone)]
pub struct ControlRow {
    /// The path that its permission is checked on.
    pub object: String,
    /// The row as JSON text.
    pub body: String,
}

impl ControlAnswer {
    /// The name of an operation: its method and its parameters.
    #[must_use]
    pub fn key(method: &str, params: &serde_json::Value) -> String {
        format!("{method} {params}")
    }
}

/// The store of the incumbent's design.
#[derive(Debug, Clone)]
pub struct ControlStore {
    path: PathBuf,
}

impl ControlStore {
    /// Makes the database file. `subject` `admin` owns everything.
    pub fn create(path: &Path, answers: &[ControlAnswer]) -> Result<Self, StoreError> {
        let store = Self { path: path.to_path_buf() };
        let step = "making the control's tables";
        let mut conn = store.connect()?;
        conn.execute_batch(SCHEMA).map_err(|e| StoreError::sql(step, e))?;
        let tx = conn.transaction().map_err(|e| StoreError::sql(step, e))?;
        tx.execute(INSERT_GRANT, params!["/", "direct_owner", "admin"]).map_err(|e| StoreError::sql(step, e))?;
        tx.execute(INSERT_VERSION, []).map_err(|e| StoreError::sql(step, e))?;
        for answer in answers {
            for (position, row) in (0_i64..).zip(&answer.rows) {
                let values = params![answer.operation, position, row.object, row.body];
                tx.execute(INSERT_ANSWER, values).map_err(|e| StoreError::sql(step, e))?;
            }
        }
        tx.commit().map_err(|e| StoreError::sql(step, e))?;
        Ok(store)
    }

    /// A connection per request, as the incumbent has it.
    #[expect(clippy::disallowed_methods, reason = "this is the design that must not be in a server: the control")]
    fn connect(&self) -> Result<Connection, StoreError> {
        let step = "opening the control's database";
        let conn = Connection::open(&self.path).map_err(|e| StoreError::sql(step, e))?;
        conn.pragma_update(None, "journal_mode", "WAL").map_err(|e| StoreError::sql(step, e))?;
        conn.pragma_update(None, "synchronous", "FULL").map_err(|e| StoreError::sql(step, e))?;
        conn.busy_timeout(BUSY_TIMEOUT).map_err(|e| StoreError::sql(step, e))?;
        Ok(conn)
    }

    /// The rows of an answer that `subject` may read. With `leave_out`, a row whose check failed is left out, as the
    /// incumbent's listings do; else the first failure is the answer.
    pub fn answer(&self, operation: &str, subject: &str, leave_out: bool) -> Result<Vec<String>, StoreError> {
        let mut conn = self.connect()?;
        let rows: Vec<(String, String)> = {
            let step = "reading the control's rows";
            let mut statement = conn.prepare(ROWS_OF).map_err(|e| StoreError::sql(step, e))?;
            let found = statement.query_map([operation], |row| Ok((row.get(0)?, row.get(1)?)));
            found.and_then(Iterator::collect).map_err(|e| StoreError::sql(step, e))?
        };
        let mut readable = Vec::with_capacity(rows.len());
        for (object, body) in rows {
            match check(&mut conn, subject, &object) {
                Ok(true) => readable.push(body),
                Ok(false) => {}
                Err(_) if leave_out => {}
                Err(error) => return Err(StoreError::sql("checking a permission", error)),
            }
        }
        Ok(readable)
    }
}

/// One permission check, the way that breaks: read, read, read, then write, in one deferred transaction.
fn check(conn: &mut Connection, subject: &str, object: &str) -> rusqlite::Result<bool> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Deferred)?;
    let version: i64 = tx.query_row(VERSION, [], |row| row.get(0))?;
    let cached: Option<bool> = tx.query_row(CACHED, params![subject, "read", object], |row| row.get(0)).optional()?;
    let mut allowed = false;
    let ancestors = object.match_indices('/').map(|(at, _)| &object[..at.max(1)]).chain([object]);
    for path in ancestors {
        for relation in READING {
            let found = tx.query_row(GRANTED, params![path, relation, subject], |_| Ok(())).optional()?;
            allowed |= found.is_some();
        }
    }
    tx.execute(BUMP_VERSION, [version + 1])?;
    tx.execute(INSERT_DECISION, params![subject, object, cached.unwrap_or(allowed), version + 1])?;
    tx.commit()?;
    Ok(allowed)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    /// Threads that ask at the same moment, and how often each does: enough that no schedule keeps them apart.
    const THREADS: usize = 8;
    const ROUNDS: usize = 10;

    fn control(dir: &tempfile::TempDir) -> ControlStore {
        let row = |n: usize| ControlRow { object: format!("/tenant:default/skill/s{n}"), body: n.to_string() };
        let answer = ControlAnswer { operation: "skills_list {}".into(), rows: (0..6).map(row).collect() };
        ControlStore::create(&dir.path().join("control.db"), &[answer]).expect("made")
    }

    #[test]
    fn right_alone_and_wrong_together() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = control(&dir);
        for _ in 0..3 {
            assert_eq!(store.answer("skills_list {}", "admin", true).expect("alone").len(), 6);
        }
        assert_eq!(store.answer("skills_list {}", "mallory", true).expect("alone").len(), 0);

        let start = Barrier::new(THREADS);
        let (mut short, mut locked) = (0, 0);
        std::thread::scope(|scope| {
            let ask = |leave_out: bool| {
                start.wait();
                (0..ROUNDS).map(|_| store.answer("skills_list {}", "admin", leave_out)).collect::<Vec<_>>()
            };
            let threads: Vec<_> = (0..THREADS).map(|n| scope.spawn(move || ask(n % 2 == 0))).collect();
            for answer in threads.into_iter().flat_map(|t| t.join().expect("no panic")) {
                match answer {
                    Ok(rows) => short += usize::from(rows.len() < 6),
                    Err(error) => locked += usize::from(error.to_string().contains("locked")),
                }
            }
        });
        assert!(short > 0, "a listing left entries out");
        assert!(locked > 0, "a request failed with \"database is locked\"");
    }
}
