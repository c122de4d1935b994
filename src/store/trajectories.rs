//! Trajectories and their notes: the steps that were taken and what was said about them.
//!
//! Owns the tables `trajectories` and `trajectory_notes`. Knows nothing of who may see one. Every change is recorded here.
//! Invariant: the notes of a trajectory are numbered from 1 without gaps; none is changed or removed.

use super::records::{Before, Source};
use super::statements::statements;
use super::{Row, Sql, StoreError, WriteTx};
use crate::model::{Change, Delta, TrajectoryNoteRow, TrajectoryRow};
use crate::params;

/// A note that is a step.
pub const STEP: &str = "step";
/// A note that is feedback.
pub const FEEDBACK: &str = "feedback";
/// The status of a trajectory that goes on.
pub const IN_PROGRESS: &str = "in_progress";

statements! {
    /// One.
    TRAJECTORY_BY_ID = "SELECT trajectory_id, tenant, user_id, agent_id, task, task_type, status, \
         success_score, error_message, started_at_us, completed_at_us, relearn_reason, relearn_priority FROM \
         trajectories WHERE trajectory_id = ?1";
    /// A page of a user's, newest first.
    TRAJECTORIES_OF_USER = "SELECT trajectory_id, tenant, user_id, agent_id, task, task_type, status, \
         success_score, error_message, started_at_us, completed_at_us, relearn_reason, relearn_priority FROM \
         trajectories WHERE tenant = ?1 AND user_id = ?2 AND started_at_us <= ?3 AND (started_at_us < ?3 OR \
         trajectory_id < ?4) ORDER BY started_at_us DESC, trajectory_id DESC LIMIT ?5";
    /// A page of a tenant's.
    TRAJECTORIES_OF_TENANT = "SELECT trajectory_id, tenant, user_id, agent_id, task, task_type, status, \
         success_score, error_message, started_at_us, completed_at_us, relearn_reason, relearn_priority FROM \
         trajectories WHERE tenant = ?1 AND started_at_us <= ?2 AND (started_at_us < ?2 OR trajectory_id < ?3) \
         ORDER BY started_at_us DESC, trajectory_id DESC LIMIT ?4";
    /// A new one.
    INSERT_TRAJECTORY = "INSERT INTO trajectories (trajectory_id, tenant, user_id, agent_id, task, \
         task_type, status, success_score, error_message, started_at_us, completed_at_us, relearn_reason, \
         relearn_priority) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    /// What may change of it.
    UPDATE_TRAJECTORY = "UPDATE trajectories SET status = ?2, success_score = ?3, error_message = ?4, \
         completed_at_us = ?5, relearn_reason = ?6, relearn_priority = ?7 WHERE trajectory_id = ?1";
    /// The last number of its notes.
    LAST_NOTE = "SELECT COALESCE(MAX(number), 0) FROM trajectory_notes WHERE trajectory_id = ?1";
    /// Its notes of a kind, in order.
    NOTES_OF = "SELECT trajectory_id, number, note_id, what, type, score, source, message, data, at_us \
         FROM trajectory_notes WHERE trajectory_id = ?1 AND what = ?2 ORDER BY number";
    /// A new one.
    INSERT_NOTE = "INSERT INTO trajectory_notes (trajectory_id, number, note_id, what, type, score, \
         source, message, data, at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
}

fn from_row(row: &Row<'_>) -> Result<TrajectoryRow, StoreError> {
    Ok(TrajectoryRow {
        trajectory_id: row.string(0)?,
        tenant: row.string(1)?,
        user_id: row.string(2)?,
        agent_id: row.opt_string(3)?,
        task: row.string(4)?,
        task_type: row.opt_string(5)?,
        status: row.string(6)?,
        success_score: row.opt_int(7)?,
        error_message: row.opt_string(8)?,
        started_at_us: row.int(9)?,
        completed_at_us: row.opt_int(10)?,
        relearn_reason: row.opt_string(11)?,
        relearn_priority: row.opt_int(12)?,
    })
}

fn note_from_row(row: &Row<'_>) -> Result<TrajectoryNoteRow, StoreError> {
    Ok(TrajectoryNoteRow {
        trajectory_id: row.string(0)?,
        number: row.id(1)?,
        note_id: row.string(2)?,
        what: row.string(3)?,
        note_type: row.string(4)?,
        score: row.opt_int(5)?,
        source: row.opt_string(6)?,
        message: row.opt_string(7)?,
        data: row.opt_string(8)?,
        at_us: row.int(9)?,
    })
}

/// The trajectory of this id.
pub fn find(tx: &impl Sql, trajectory_id: &str) -> Result<Option<TrajectoryRow>, StoreError> {
    tx.query_one(TRAJECTORY_BY_ID, params![trajectory_id], from_row)
}

/// A page, newest first. None is for a whole tenant or for everybody.
pub fn page(tx: &impl Sql, of: Source<'_>, before: &Before, limit: u64) -> Result<Vec<TrajectoryRow>, StoreError> {
    let (at, id) = (before.at_us, before.id.as_str());
    match of {
        Source::User(tenant, user) => tx.query(TRAJECTORIES_OF_USER, params![tenant, user, at, id, limit], from_row),
        Source::Tenant(tenant) => tx.query(TRAJECTORIES_OF_TENANT, params![tenant, at, id, limit], from_row),
        Source::Shared(_) | Source::Global => Ok(Vec::new()),
    }
}

/// Adds one; its id is new.
pub fn insert(tx: &mut WriteTx<'_>, row: TrajectoryRow) -> Result<(), StoreError> {
    tx.exec(
        INSERT_TRAJECTORY,
        params![
            &row.trajectory_id,
            &row.tenant,
            &row.user_id,
            &row.agent_id,
            &row.task,
            &row.task_type,
            &row.status,
            row.success_score,
            &row.error_message,
            row.started_at_us,
            row.completed_at_us,
            &row.relearn_reason,
            row.relearn_priority,
        ],
    )?;
    tx.record(Change::Trajectory(Delta::insert(row)));
    Ok(())
}

/// Changes the end of one that was read in this transaction, or its mark.
pub fn update(tx: &mut WriteTx<'_>, before: TrajectoryRow, after: TrajectoryRow) -> Result<(), StoreError> {
    tx.exec(
        UPDATE_TRAJECTORY,
        params![
            &after.trajectory_id,
            &after.status,
            after.success_score,
            &after.error_message,
            after.completed_at_us,
            &after.relearn_reason,
            after.relearn_priority,
        ],
    )?;
    tx.record(Change::Trajectory(Delta::update(before, after)));
    Ok(())
}

/// How many notes a trajectory has.
pub fn notes_count(tx: &impl Sql, trajectory_id: &str) -> Result<u64, StoreError> {
    Ok(tx.query_one(LAST_NOTE, params![trajectory_id], |row| row.id(0))?.unwrap_or(0))
}

/// The steps of a trajectory, or the feedback on it, oldest first.
pub fn notes(tx: &impl Sql, trajectory_id: &str, what: &str) -> Result<Vec<TrajectoryNoteRow>, StoreError> {
    tx.query(NOTES_OF, params![trajectory_id, what], note_from_row)
}

/// Adds a note; its number is the next one.
pub fn add_note(tx: &mut WriteTx<'_>, row: TrajectoryNoteRow) -> Result<(), StoreError> {
    tx.exec(
        INSERT_NOTE,
        params![
            &row.trajectory_id,
            row.number,
            &row.note_id,
            &row.what,
            &row.note_type,
            row.score,
            &row.source,
            &row.message,
            &row.data,
            row.at_us,
        ],
    )?;
    tx.record(Change::TrajectoryNote(Delta::insert(row)));
    Ok(())
}
