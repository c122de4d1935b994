//! `permission_cache`: a record of decisions and a hint what to warm at start. Never answers a question.
//!
//! Written by the second lane only (`notes.rs`), outside revisions and changelog.

use super::DecisionNote;
use super::StoreError;
use super::backend::Conn;
use super::digest::key16;
use super::meta;
use super::statements::statements;
use super::tx::Sql;

statements! {
    /// One decision; the newest of its question stays.
    DECISION_PUT = "INSERT INTO permission_cache (tenant, subject_type, subject_id, permission, object_type, object_id, \
        key, decision, rev, engine, incarnation, at_us) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) \
        ON CONFLICT (key) DO UPDATE SET decision = excluded.decision, rev = excluded.rev, engine = excluded.engine, \
        incarnation = excluded.incarnation, at_us = excluded.at_us";
    /// How many rows there are.
    DECISION_COUNT = "SELECT COUNT(*) FROM permission_cache";
    /// Drops the oldest.
    DECISION_TRIM = "DELETE FROM permission_cache \
        WHERE key IN (SELECT key FROM permission_cache ORDER BY at_us, key LIMIT ?1)";
    /// Drops those of another life of the store, whose revisions may mean something else now.
    DECISION_FORGET = "DELETE FROM permission_cache WHERE incarnation <> ?1";
    /// Who was asked about lately.
    DECISION_SUBJECTS = "SELECT tenant, subject_type, subject_id FROM \
        (SELECT tenant, subject_type, subject_id, at_us FROM permission_cache \
        WHERE engine = ?1 AND incarnation = ?2 ORDER BY at_us DESC LIMIT ?3) AS newest \
        GROUP BY tenant, subject_type, subject_id ORDER BY tenant, subject_type, subject_id";
    /// When a key was last used; never set back.
    KEY_USED = "UPDATE api_keys SET last_used_at_us = ?2 \
        WHERE key_id = ?1 AND (last_used_at_us IS NULL OR last_used_at_us < ?2)";
}

/// The subjects of the newest `limit` rows of this engine version and this life of the store, each once, as (tenant
/// of the object, subject type, subject id).
pub fn warm_subjects(tx: &impl Sql, engine: u32, limit: u64) -> Result<Vec<(String, String, String)>, StoreError> {
    let Some(incarnation) = meta::get(tx, meta::INCARNATION)? else { return Ok(Vec::new()) };
    tx.query(DECISION_SUBJECTS, crate::params![engine, &incarnation, limit], |row| {
        Ok((row.string(0)?, row.string(1)?, row.string(2)?))
    })
}

/// The key of a question.
pub(super) fn key(note: &DecisionNote) -> [u8; 16] {
    let DecisionNote { tenant, subject_type, subject_id, permission, object_type, object_id, .. } = note;
    key16(&[tenant, subject_type, subject_id, permission, object_type, object_id])
}

/// Writes a decision.
pub(super) fn put(conn: Conn<'_>, note: &DecisionNote, incarnation: &str, at_us: i64) -> Result<(), StoreError> {
    let key = key(note);
    let values = crate::params![
        &note.tenant,
        &note.subject_type,
        &note.subject_id,
        &note.permission,
        &note.object_type,
        &note.object_id,
        &key[..],
        note.allowed,
        note.rev,
        note.engine,
        incarnation,
        at_us,
    ];
    conn.exec(DECISION_PUT, values)
}

/// Writes when a key was last used.
pub(super) fn key_used(conn: Conn<'_>, key_id: &str, at_us: i64) -> Result<(), StoreError> {
    conn.exec(KEY_USED, crate::params![key_id, at_us])
}

/// How many rows there are.
pub(super) fn count(conn: Conn<'_>) -> Result<u64, StoreError> {
    Ok(conn.number(DECISION_COUNT, &[])?.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
}

/// Drops the `rows` oldest.
pub(super) fn trim(conn: Conn<'_>, rows: u64) -> Result<u64, StoreError> {
    conn.exec_count(DECISION_TRIM, crate::params![rows])
}

/// Drops the rows of other lives of the store.
pub(super) fn forget_others(conn: Conn<'_>, incarnation: &str) -> Result<(), StoreError> {
    conn.exec(DECISION_FORGET, crate::params![incarnation])
}
