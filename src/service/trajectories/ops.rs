//! Trajectories, written: begun, noted in, ended, marked. Notes are added and never changed.

use serde_json::Value;

use crate::auth::Caller;
use crate::model::{TrajectoryNoteRow, TrajectoryRow};
use crate::service::access::Access;
use crate::service::records::{self, Right, bounded, require_scope};
use crate::service::{Call, ServiceError};
use crate::store::records::AGENT;
use crate::store::trajectories::{self, FEEDBACK, IN_PROGRESS, STEP};
use crate::store::{Sql, WriteOp, WriteTx};

/// Longest name of a type, a status or a source, bytes.
const NAME_BYTES_MAX: usize = 255;
/// Longest text, bytes.
const TEXT_BYTES_MAX: usize = 8 * 1024;
/// Longest result of a step or metrics of feedback, bytes of JSON.
const DATA_BYTES_MAX: usize = 16 * 1024;
/// Most notes of one trajectory.
pub const NOTES_MAX: u64 = 2_000;
/// How a trajectory may end.
const ENDS: [&str; 3] = ["success", "failure", "partial"];

/// Begins a trajectory.
pub async fn start(call: &Call, task: String, task_type: Option<String>) -> Result<TrajectoryRow, ServiceError> {
    bounded("task_description", Some(&task), TEXT_BYTES_MAX)?;
    bounded("task_type", task_type.as_deref(), NAME_BYTES_MAX)?;
    let trajectory_id = call.store.random().uuid();
    call.submit(StartTrajectory { caller: call.caller.clone(), trajectory_id, task, task_type }).await
}

/// Begins a trajectory.
#[derive(Debug)]
pub struct StartTrajectory {
    caller: Caller,
    trajectory_id: String,
    task: String,
    task_type: Option<String>,
}

impl WriteOp for StartTrajectory {
    const NAME: &'static str = "trajectory_start";
    type Output = TrajectoryRow;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<TrajectoryRow, ServiceError> {
        let caller = {
            let access = Access::in_writer(&*tx, &self.caller)?;
            require_scope(&access, AGENT)?;
            access.caller().clone()
        };
        let row = TrajectoryRow {
            trajectory_id: self.trajectory_id.clone(),
            tenant: caller.tenant.clone(),
            user_id: caller.user.clone(),
            agent_id: caller.agent.clone(),
            task: self.task.clone(),
            task_type: self.task_type.clone(),
            status: IN_PROGRESS.to_owned(),
            success_score: None,
            error_message: None,
            started_at_us: tx.now_us(),
            completed_at_us: None,
            relearn_reason: None,
            relearn_priority: None,
        };
        trajectories::insert(tx, row.clone())?;
        Ok(row)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.task.len()
    }
}

/// What is noted in a trajectory.
#[derive(Debug, Clone, Default)]
pub struct NoteRequest {
    /// The kind of step or feedback.
    pub note_type: String,
    /// In words.
    pub message: Option<String>,
    /// The result of a step, the metrics of feedback.
    pub data: Option<Value>,
    /// From 0 to 1; of feedback.
    pub score: Option<f64>,
    /// Who or what says so; of feedback.
    pub source: Option<String>,
}

/// Notes a step of a trajectory that goes on.
pub async fn log_step(call: &Call, id: String, request: NoteRequest) -> Result<TrajectoryNoteRow, ServiceError> {
    note(call, id, STEP, request).await
}

/// Adds feedback to a trajectory, ended or not.
pub async fn add_feedback(call: &Call, id: String, request: NoteRequest) -> Result<TrajectoryNoteRow, ServiceError> {
    note(call, id, FEEDBACK, request).await
}

async fn note(
    call: &Call,
    trajectory_id: String,
    what: &'static str,
    request: NoteRequest,
) -> Result<TrajectoryNoteRow, ServiceError> {
    let data = request.data.filter(|data| !data.is_null()).map(|data| data.to_string());
    bounded(if what == STEP { "step_type" } else { "feedback_type" }, Some(&request.note_type), NAME_BYTES_MAX)?;
    bounded("source", request.source.as_deref(), NAME_BYTES_MAX)?;
    bounded(if what == STEP { "description" } else { "message" }, request.message.as_deref(), TEXT_BYTES_MAX)?;
    bounded(if what == STEP { "result" } else { "metrics" }, data.as_deref(), DATA_BYTES_MAX)?;
    let op = AddNote {
        caller: call.caller.clone(),
        trajectory_id,
        note_id: call.store.random().uuid(),
        what,
        score: request.score.map(|score| records::millionths("score", score)).transpose()?,
        note_type: request.note_type,
        source: request.source,
        message: request.message,
        data,
    };
    call.submit(op).await
}

/// Notes something in a trajectory.
#[derive(Debug)]
pub struct AddNote {
    caller: Caller,
    trajectory_id: String,
    note_id: String,
    what: &'static str,
    note_type: String,
    score: Option<i64>,
    source: Option<String>,
    message: Option<String>,
    data: Option<String>,
}

impl WriteOp for AddNote {
    const NAME: &'static str = "trajectory_note";
    type Output = TrajectoryNoteRow;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<TrajectoryNoteRow, ServiceError> {
        let of: TrajectoryRow = {
            let access = Access::in_writer(&*tx, &self.caller)?;
            records::require(&access, &self.trajectory_id, Right::Write)?
        };
        if self.what == STEP && of.status != IN_PROGRESS {
            return Err(ended(&of));
        }
        let count = trajectories::notes_count(tx, &of.trajectory_id)?;
        if count >= NOTES_MAX {
            let text = format!("a trajectory has at most {NOTES_MAX} steps and pieces of feedback; begin another one");
            return Err(ServiceError::Precondition(text));
        }
        let row = TrajectoryNoteRow {
            trajectory_id: of.trajectory_id,
            number: count + 1,
            note_id: self.note_id.clone(),
            what: self.what.to_owned(),
            note_type: self.note_type.clone(),
            score: self.score,
            source: self.source.clone(),
            message: self.message.clone(),
            data: self.data.clone(),
            at_us: tx.now_us(),
        };
        trajectories::add_note(tx, row.clone())?;
        Ok(row)
    }

    fn bytes(&self) -> usize {
        let texts = [&self.message, &self.data].into_iter().flatten();
        size_of::<Self>() + texts.map(String::len).sum::<usize>()
    }
}

fn ended(row: &TrajectoryRow) -> ServiceError {
    ServiceError::Precondition(format!("Trajectory {} has ended: {}", row.trajectory_id, row.status))
}

/// How a trajectory ended.
#[derive(Debug, Clone)]
pub struct End {
    /// `success`, `failure` or `partial`.
    pub status: String,
    /// From 0 to 1.
    pub success_score: Option<f64>,
    /// What went wrong.
    pub error_message: Option<String>,
}

/// Ends a trajectory, once.
pub async fn complete(call: &Call, trajectory_id: String, end: End) -> Result<TrajectoryRow, ServiceError> {
    if !ENDS.contains(&end.status.as_str()) {
        return Err(ServiceError::InvalidParams(format!("status must be one of {}", ENDS.join(", "))));
    }
    bounded("error_message", end.error_message.as_deref(), TEXT_BYTES_MAX)?;
    let op = CompleteTrajectory {
        caller: call.caller.clone(),
        trajectory_id,
        status: end.status,
        success_score: end.success_score.map(|score| records::millionths("success_score", score)).transpose()?,
        error_message: end.error_message,
    };
    call.submit(op).await
}

/// Ends a trajectory.
#[derive(Debug)]
pub struct CompleteTrajectory {
    caller: Caller,
    trajectory_id: String,
    status: String,
    success_score: Option<i64>,
    error_message: Option<String>,
}

impl WriteOp for CompleteTrajectory {
    const NAME: &'static str = "trajectory_complete";
    type Output = TrajectoryRow;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<TrajectoryRow, ServiceError> {
        let before: TrajectoryRow = {
            let access = Access::in_writer(&*tx, &self.caller)?;
            records::require(&access, &self.trajectory_id, Right::Write)?
        };
        if before.status != IN_PROGRESS {
            return Err(ended(&before));
        }
        let after = TrajectoryRow {
            status: self.status.clone(),
            success_score: self.success_score,
            error_message: self.error_message.clone(),
            // A clock that was set back ends nothing before it began.
            completed_at_us: Some(tx.now_us().max(before.started_at_us)),
            ..before.clone()
        };
        trajectories::update(tx, before, after.clone())?;
        Ok(after)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.error_message.as_ref().map_or(0, String::len)
    }
}

/// Marks a trajectory as one from which to learn again.
pub async fn mark_for_relearning(
    call: &Call,
    trajectory_id: String,
    reason: String,
    priority: i64,
) -> Result<TrajectoryRow, ServiceError> {
    bounded("reason", Some(&reason), TEXT_BYTES_MAX)?;
    call.submit(MarkForRelearning { caller: call.caller.clone(), trajectory_id, reason, priority }).await
}

/// Marks a trajectory.
#[derive(Debug)]
pub struct MarkForRelearning {
    caller: Caller,
    trajectory_id: String,
    reason: String,
    priority: i64,
}

impl WriteOp for MarkForRelearning {
    const NAME: &'static str = "trajectory_mark";
    type Output = TrajectoryRow;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<TrajectoryRow, ServiceError> {
        let before: TrajectoryRow = {
            let access = Access::in_writer(&*tx, &self.caller)?;
            records::require(&access, &self.trajectory_id, Right::Write)?
        };
        let after = TrajectoryRow {
            relearn_reason: Some(self.reason.clone()),
            relearn_priority: Some(self.priority),
            ..before.clone()
        };
        trajectories::update(tx, before, after.clone())?;
        Ok(after)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.reason.len()
    }
}
