//! Syncs that run by themselves.
//!
//! Owns the table `sync_jobs`: a record of what was asked for and how far it is. Side data, not recorded in the log; what
//! a sync changes in the tree is. Bounded: the oldest that are over make room.

use super::{Row, Sql, StoreError, WriteTx, statements::statements};
use crate::params;

/// Not begun.
pub const PENDING: &str = "pending";
/// Under way.
pub const RUNNING: &str = "running";
/// Went through; errors of single files are in its result.
pub const COMPLETED: &str = "completed";
/// Ended by an error, or with the server.
pub const FAILED: &str = "failed";
/// Ended because somebody asked for it.
pub const CANCELLED: &str = "cancelled";

/// Jobs that are kept.
pub const JOBS_MAX: u64 = 1_000;

statements! {
    /// One.
    SYNC_JOB = "SELECT job_id, mount_point, status, progress, detail, params, created_by, created_at_us, \
         started_at_us, completed_at_us, result, error FROM sync_jobs WHERE job_id = ?1";
    /// The newest.
    SYNC_JOBS_NEWEST = "SELECT job_id, mount_point, status, progress, detail, params, created_by, created_at_us, \
         started_at_us, completed_at_us, result, error FROM sync_jobs ORDER BY created_at_us DESC, job_id DESC";
    /// A new one.
    SYNC_JOB_PUT = "INSERT INTO sync_jobs (job_id, mount_point, status, progress, detail, params, created_by, \
         created_at_us, started_at_us, completed_at_us, result, error) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    /// How far it is.
    SYNC_JOB_UPDATE = "UPDATE sync_jobs SET status = ?2, progress = ?3, detail = ?4, started_at_us = ?5, \
         completed_at_us = ?6, result = ?7, error = ?8 WHERE job_id = ?1";
    /// The server has stopped under those that were under way.
    SYNC_JOBS_STOPPED = "UPDATE sync_jobs SET status = 'failed', error = ?1, completed_at_us = ?2 \
         WHERE status = 'pending' OR status = 'running'";
    /// Whether any was under way.
    SYNC_JOBS_OPEN = "SELECT 1 FROM sync_jobs WHERE status = 'pending' OR status = 'running' LIMIT 1";
    /// The oldest that are over, beyond the newest so many.
    SYNC_JOBS_OLD = "SELECT job_id FROM sync_jobs WHERE status <> 'pending' AND status <> 'running' \
         ORDER BY created_at_us DESC, job_id DESC LIMIT 100 OFFSET ?1";
    /// The end of a record.
    SYNC_JOB_DELETE = "DELETE FROM sync_jobs WHERE job_id = ?1";
}

/// A row of `sync_jobs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncJobRow {
    /// The id that clients know.
    pub job_id: String,
    /// What is synced; `/` = everything.
    pub mount_point: String,
    /// One of the words above.
    pub status: String,
    /// Percent.
    pub progress: i64,
    /// What has been done so far, JSON.
    pub detail: String,
    /// What was asked for, JSON.
    pub params: String,
    /// The subject that asked, `type:id`.
    pub created_by: String,
    /// Unix time, µs.
    pub created_at_us: i64,
    /// Unix time, µs.
    pub started_at_us: Option<i64>,
    /// Unix time, µs.
    pub completed_at_us: Option<i64>,
    /// What it gave, JSON.
    pub result: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
}

fn from_row(row: &Row<'_>) -> Result<SyncJobRow, StoreError> {
    Ok(SyncJobRow {
        job_id: row.string(0)?,
        mount_point: row.string(1)?,
        status: row.string(2)?,
        progress: row.int(3)?,
        detail: row.string(4)?,
        params: row.string(5)?,
        created_by: row.string(6)?,
        created_at_us: row.int(7)?,
        started_at_us: row.opt_int(8)?,
        completed_at_us: row.opt_int(9)?,
        result: row.opt_string(10)?,
        error: row.opt_string(11)?,
    })
}

/// The job of this id.
pub fn get(tx: &impl Sql, job_id: &str) -> Result<Option<SyncJobRow>, StoreError> {
    tx.query_one(SYNC_JOB, params![job_id], from_row)
}

/// All jobs that are kept, newest first.
pub fn newest(tx: &impl Sql) -> Result<Vec<SyncJobRow>, StoreError> {
    tx.query(SYNC_JOBS_NEWEST, &[], from_row)
}

/// Adds one and makes room for it.
pub fn insert(tx: &mut WriteTx<'_>, row: &SyncJobRow) -> Result<(), StoreError> {
    let old = tx.query(SYNC_JOBS_OLD, params![JOBS_MAX - 1], |row| row.string(0))?;
    old.iter().try_for_each(|job_id| tx.exec(SYNC_JOB_DELETE, params![job_id]))?;
    tx.exec(
        SYNC_JOB_PUT,
        params![
            &row.job_id,
            &row.mount_point,
            &row.status,
            row.progress,
            &row.detail,
            &row.params,
            &row.created_by,
            row.created_at_us,
            row.started_at_us,
            row.completed_at_us,
            row.result.as_deref(),
            row.error.as_deref(),
        ],
    )
}

/// Writes how far a job is.
pub fn update(tx: &mut WriteTx<'_>, row: &SyncJobRow) -> Result<(), StoreError> {
    tx.exec(
        SYNC_JOB_UPDATE,
        params![
            &row.job_id,
            &row.status,
            row.progress,
            &row.detail,
            row.started_at_us,
            row.completed_at_us,
            row.result.as_deref(),
            row.error.as_deref(),
        ],
    )
}

/// Whether any is not over.
pub fn any_open(tx: &impl Sql) -> Result<bool, StoreError> {
    Ok(tx.query_one(SYNC_JOBS_OPEN, &[], |_| Ok(()))?.is_some())
}

/// Ends all that are not over: the server has stopped under them.
pub fn stopped(tx: &mut WriteTx<'_>, why: &str, now_us: i64) -> Result<(), StoreError> {
    tx.exec(SYNC_JOBS_STOPPED, params![why, now_us])
}
