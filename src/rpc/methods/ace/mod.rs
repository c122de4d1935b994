//! Learning from attempts: trajectories with steps and feedback, and playbooks. The methods that older clients call by
//! another name are aliases in the registry; those whose replies have another shape stand in `legacy`.

pub mod legacy;
pub mod playbooks;
pub mod trajectories;

pub use legacy::{GetPlaybook, ProcessRelearning, QueryPlaybooks, QueryTrajectories};
pub use playbooks::{AceCreatePlaybook, AceGetPlaybook, AceQueryPlaybooks};
pub use trajectories::{
    AceAddFeedback, AceCompleteTrajectory, AceGetEffectiveScore, AceGetTrajectory, AceGetTrajectoryFeedback,
    AceLogTrajectoryStep, AceMarkForRelearning, AceQueryTrajectories, AceStartTrajectory,
};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::model::{PlaybookRow, TrajectoryNoteRow, TrajectoryRow};
use crate::rpc::codec::WireTime;
use crate::rpc::methods::memories::visibility;
use crate::service::ServiceError;
use crate::service::records::{self, Listed};

/// Rows of a list whose request names no limit.
const LIMIT_DEFAULT: usize = 50;

/// A trajectory.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TrajectoryView {
    /// Its id.
    trajectory_id: String,
    /// Whose it is.
    user_id: String,
    /// The agent that made it for him.
    agent_id: Option<String>,
    /// What was to be done.
    task_description: String,
    /// Of what kind that is.
    task_type: Option<String>,
    /// `in_progress`, `success`, `failure` or `partial`.
    status: String,
    /// From 0 to 1, as it was said at the end.
    success_score: Option<f64>,
    /// Milliseconds from its begin to its end; null while it goes on.
    duration_ms: Option<i64>,
    /// When it began; ISO-8601, UTC.
    started_at: String,
    /// When it ended; ISO-8601, UTC.
    completed_at: Option<String>,
    /// Always null: a trajectory belongs to no path.
    path: Option<String>,
    /// What went wrong.
    error_message: Option<String>,
}

impl From<TrajectoryRow> for TrajectoryView {
    fn from(row: TrajectoryRow) -> Self {
        Self {
            trajectory_id: row.trajectory_id,
            user_id: row.user_id,
            agent_id: row.agent_id,
            task_description: row.task,
            task_type: row.task_type,
            status: row.status,
            success_score: row.success_score.map(records::share),
            duration_ms: row.completed_at_us.map(|end| (end - row.started_at_us) / 1_000),
            started_at: WireTime::naive(row.started_at_us).iso(),
            completed_at: row.completed_at_us.map(|end| WireTime::naive(end).iso()),
            path: None,
            error_message: row.error_message,
        }
    }
}

/// A step of a trajectory.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StepView {
    /// Its place among the notes of the trajectory.
    number: u64,
    /// Its kind.
    step_type: String,
    /// In words.
    description: Option<String>,
    /// What came of it.
    result: Option<Value>,
    /// When; ISO-8601, UTC.
    created_at: String,
}

/// What was said about a trajectory.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FeedbackView {
    /// Its id.
    feedback_id: String,
    /// Its kind.
    feedback_type: String,
    /// The score that it gives, from 0 to 1.
    revised_score: Option<f64>,
    /// Who or what says so.
    source: Option<String>,
    /// In words.
    message: Option<String>,
    /// In figures.
    metrics: Option<Value>,
    /// When; ISO-8601, UTC.
    created_at: String,
}

fn json_of(text: Option<String>) -> Option<Value> {
    text.and_then(|text| serde_json::from_str(&text).ok())
}

impl From<TrajectoryNoteRow> for StepView {
    fn from(row: TrajectoryNoteRow) -> Self {
        Self {
            number: row.number,
            step_type: row.note_type,
            description: row.message,
            result: json_of(row.data),
            created_at: WireTime::naive(row.at_us).iso(),
        }
    }
}

impl From<TrajectoryNoteRow> for FeedbackView {
    fn from(row: TrajectoryNoteRow) -> Self {
        Self {
            feedback_id: row.note_id,
            feedback_type: row.note_type,
            revised_score: row.score.map(records::share),
            source: row.source,
            message: row.message,
            metrics: json_of(row.data),
            created_at: WireTime::naive(row.at_us).iso(),
        }
    }
}

/// A playbook in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlaybookView {
    /// Its id.
    playbook_id: String,
    /// Its name.
    name: String,
    /// Free text.
    description: Option<String>,
    /// From 1.
    version: u64,
    /// For whom it is: `agent`, `user`, `tenant` or `global`.
    scope: String,
    /// `private`, `shared` (with the tenant) or `public`; it follows from the scope.
    visibility: &'static str,
    /// How often it was used: uses are not counted here, so 0.
    usage_count: u64,
    /// 0, as it is not counted.
    success_rate: f64,
    /// 0, as it is not counted.
    avg_improvement: f64,
    /// When it was changed last; ISO-8601, UTC.
    updated_at: String,
    /// Always null: a playbook belongs to no path.
    path: Option<String>,
}

impl From<PlaybookRow> for PlaybookView {
    fn from(row: PlaybookRow) -> Self {
        Self {
            playbook_id: row.playbook_id,
            name: row.name,
            description: row.description,
            version: row.version,
            visibility: visibility(&row.scope),
            scope: row.scope,
            usage_count: 0,
            success_rate: 0.0,
            avg_improvement: 0.0,
            updated_at: WireTime::naive(row.updated_at_us).iso(),
            path: None,
        }
    }
}

/// A playbook with its strategies.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WholePlaybookView {
    /// What a list says of it.
    #[serde(flatten)]
    playbook: PlaybookView,
    /// Who made it.
    user_id: String,
    /// The agent that made it for him.
    agent_id: Option<String>,
    /// When it was made; ISO-8601, UTC.
    created_at: String,
    /// Always null: uses are not counted here.
    last_used_at: Option<String>,
    /// An object with `strategies`.
    content: Value,
}

impl From<PlaybookRow> for WholePlaybookView {
    fn from(row: PlaybookRow) -> Self {
        Self {
            user_id: row.user_id.clone(),
            agent_id: row.agent_id.clone(),
            created_at: WireTime::naive(row.created_at_us).iso(),
            last_used_at: None,
            content: json_of(Some(row.content.clone())).unwrap_or_default(),
            playbook: row.into(),
        }
    }
}

/// A list that can only be given whole: a short one that does not say so would look like all there is.
fn whole<R, V: From<R>>(listed: Listed<R>, limit: usize) -> Result<Vec<V>, ServiceError> {
    match listed.cut_short {
        Some(why) if listed.rows.len() < limit => Err(ServiceError::Precondition(format!("the list is cut: {why}"))),
        _ => Ok(listed.rows.into_iter().map(V::from).collect()),
    }
}
