//! Facts about the store that are not data: the head row, `meta`, and what the first start puts there.
//!
//! `head` is read first by every read transaction (it fixes the snapshot) and written once a batch by the writer.

use crate::model::{DEFAULT_TENANT, EntityId, ROOT_NODE, Rev};

use super::StoreError;
use super::backend::Conn;
use super::statements::statements;
use super::tx::{Counters, Sql, WriteTx};

statements! {
    /// The revision of the snapshot.
    HEAD_REV = "SELECT rev FROM head WHERE one = 1";
    /// The numbers that the writer goes on from.
    HEAD_GET = "SELECT rev, next_id, next_entity FROM head WHERE one = 1";
    /// Once a batch.
    HEAD_PUT = "UPDATE head SET rev = ?1, next_id = ?2, next_entity = ?3 WHERE one = 1";
    /// The first start.
    HEAD_SEED = "INSERT INTO head (one, rev, next_id, next_entity) VALUES (1, 0, ?1, ?2)";
    /// The root directory.
    ROOT_SEED = "INSERT INTO nodes (parent, name, id, tenant, type, owner, implicit, mixed, detached, content, size, \
        version, mime, created_at_us, modified_at_us, created_by) \
        VALUES (0, '', ?1, ?2, 1, NULL, 0, 0, 0, NULL, 0, 0, NULL, ?3, ?3, 'system')";
    /// The root directory was always there.
    ROOT_VERSION_SEED = "INSERT INTO versions (node, from_rev, to_rev, parent, name, version, content, size, mime, \
        created_at_us, created_by, source, reason) \
        VALUES (?1, 0, NULL, 0, '', 0, NULL, 0, NULL, ?2, 'system', 'original', NULL)";
    /// One fact.
    META_GET = "SELECT value FROM meta WHERE key = ?1";
    /// Sets one fact.
    META_PUT = "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    /// Forgets one fact.
    META_DELETE = "DELETE FROM meta WHERE key = ?1";
    /// The newest time in the log.
    TIME_OF_HEAD = "SELECT at_us FROM changelog ORDER BY rev DESC LIMIT 1";
}

/// `meta` key: names this life of the store; revisions of one incarnation are comparable.
pub const INCARNATION: &str = "incarnation";
/// `meta` key: no earlier time is ever given to a change.
pub const TIME_FLOOR: &str = "time_floor_us";
/// `meta` key: `1` after a clean shutdown, `0` while running.
pub const CLEAN_SHUTDOWN: &str = "clean_shutdown";
/// `meta` key: `full` or `relaxed`, of the last run.
pub const DURABILITY: &str = "durability";
/// `meta` key: a hash by which the server's secret is known again, where no directory holds it.
pub const SECRET_CHECK: &str = "secret_check";
/// `meta` key: what a demo must answer, where no directory holds it; only a demo has one.
pub const DEMO: &str = "demo";
/// `meta` key: the lowest revision whose changelog row is kept, minus one. See [`floor_rev`].
pub const FLOOR_REV: &str = "floor_rev";

/// `meta` key: the revision below which states of the past may be missing. See [`history_floor`].
pub const HISTORY_FLOOR: &str = "history_floor";

/// `meta` key: there while an import fills the store; no server opens it then.
pub const IMPORTING: &str = "importing";
/// `meta` key: what the remembered replies weigh, bytes.
pub const IDEMPOTENCY_BYTES: &str = "idempotency_bytes";

/// The first id of an entity: 0 stays free for "none".
const ENTITY_FIRST: EntityId = 1;

/// A fact, if it was ever set.
pub fn get(tx: &impl Sql, key: &str) -> Result<Option<String>, StoreError> {
    tx.query_one(META_GET, crate::params![key], |row| row.string(0))
}

/// Sets a fact, as part of an operation that records a change of its own.
pub fn put(tx: &mut WriteTx<'_>, key: &str, value: &str) -> Result<(), StoreError> {
    tx.exec(META_PUT, crate::params![key, value])
}

/// Sets a fact outside an operation: at start and at close, in a transaction of the caller.
pub(super) fn put_raw(conn: Conn<'_>, key: &str, value: &str) -> Result<(), StoreError> {
    conn.exec(META_PUT, crate::params![key, value])
}

/// Forgets a fact outside an operation.
pub(super) fn delete_raw(conn: Conn<'_>, key: &str) -> Result<(), StoreError> {
    conn.exec(META_DELETE, crate::params![key])
}

/// Forgets the name of this life: the next start gives another, and no revision of before is comparable.
pub(super) fn forget_incarnation(conn: Conn<'_>) -> Result<(), StoreError> {
    conn.exec(META_DELETE, crate::params![INCARNATION])
}

/// The numbers of the head row; `None` before the first start is complete.
pub(super) fn head(tx: &impl Sql) -> Result<Option<Counters>, StoreError> {
    tx.query_one(HEAD_GET, &[], |row| {
        Ok(Counters { rev: row.id(0)?, next_id: row.id(1)?, next_entity: row.entity(2)? })
    })
}

/// Writes the head row.
pub(super) fn put_head(conn: Conn<'_>, head: &Counters) -> Result<(), StoreError> {
    conn.exec(HEAD_PUT, crate::params![head.rev, head.next_id, head.next_entity])
}

/// What the first start writes: the head and the root directory. In a transaction of the caller.
pub(super) fn seed(conn: Conn<'_>, now_us: i64) -> Result<(), StoreError> {
    conn.exec(HEAD_SEED, crate::params![ROOT_NODE + 1, ENTITY_FIRST])?;
    conn.exec(ROOT_SEED, crate::params![ROOT_NODE, DEFAULT_TENANT, now_us])?;
    conn.exec(ROOT_VERSION_SEED, crate::params![ROOT_NODE, now_us])
}

/// The time before which no change may be dated: the log's newest, or what an earlier run wrote down.
pub(super) fn time_floor(tx: &impl Sql) -> Result<i64, StoreError> {
    let logged = tx.query_one(TIME_OF_HEAD, &[], |row| row.int(0))?.unwrap_or(0);
    let noted = get(tx, TIME_FLOOR)?.and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(logged.max(noted))
}

/// The revision up to which the rows of the log are no longer kept; 0 while all are.
pub fn floor_rev(tx: &impl Sql) -> Result<Rev, StoreError> {
    let Some(text) = get(tx, FLOOR_REV)? else { return Ok(0) };
    text.parse().map_err(|_| StoreError::Corrupt { what: format!("meta '{FLOOR_REV}' is '{text}'") })
}

/// The first revision from which on the whole past of the tree is kept; 0 while all of it is. Older revisions are known
/// where a snapshot is of them.
pub fn history_floor(tx: &impl Sql) -> Result<Rev, StoreError> {
    let Some(text) = get(tx, HISTORY_FLOOR)? else { return Ok(0) };
    text.parse().map_err(|_| StoreError::Corrupt { what: format!("meta '{HISTORY_FLOOR}' is '{text}'") })
}

/// The revision of the snapshot; fixes it.
pub(super) fn head_rev(conn: Conn<'_>) -> Result<Rev, StoreError> {
    let rev = conn.number(HEAD_REV, &[])?.and_then(|rev| u64::try_from(rev).ok());
    rev.ok_or_else(|| StoreError::Corrupt { what: "the table head has no row".into() })
}
