//! Trajectories: begun, noted in, ended, judged, listed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{FeedbackView, LIMIT_DEFAULT, StepView, TrajectoryView, whole};
use crate::model::{TrajectoryNoteRow, TrajectoryRow};
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::records;
use crate::service::trajectories::ops::{self, End, NoteRequest};
use crate::service::trajectories::{self, Strategy, TrajectoryFilter};

/// What a method about one trajectory may be refused for.
const REFUSALS: &[ErrorCode] = &[ErrorCode::FileNotFound, ErrorCode::PermissionDenied, ErrorCode::Precondition];

/// The id of a trajectory.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TrajectoryIdView {
    /// The id.
    trajectory_id: String,
}

/// That it is done.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DoneView {
    /// Always true: what is not done is an error.
    success: bool,
}

/// Begin a trajectory: an attempt at a task.
///
/// It is the caller's, or his agent's. Steps are noted in it until it is completed.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AceStartTrajectory {
    /// What is to be done.
    task_description: String,
    /// Of what kind that is.
    #[serde(default)]
    task_type: Option<String>,
}

impl Method for AceStartTrajectory {
    const NAME: &'static str = "ace_start_trajectory";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = TrajectoryIdView;

    async fn call(self, cx: &RequestContext) -> Result<TrajectoryIdView, RpcError> {
        let view = |row: &TrajectoryRow| TrajectoryIdView { trajectory_id: row.trajectory_id.clone() };
        cx.reply_with(view);
        Ok(view(&ops::start(&cx.call, self.task_description, self.task_type).await?))
    }
}

/// Note a step of a trajectory that goes on.
///
/// A trajectory holds at most 2,000 steps and pieces of feedback.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AceLogTrajectoryStep {
    /// Which trajectory.
    trajectory_id: String,
    /// The kind of step, e.g. `action`, `decision`, `observation`.
    step_type: String,
    /// What was done.
    description: String,
    /// What came of it: any JSON, at most 16 KiB.
    #[serde(default)]
    result: Option<Value>,
}

impl Method for AceLogTrajectoryStep {
    const NAME: &'static str = "ace_log_trajectory_step";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = REFUSALS;
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = DoneView;

    async fn call(self, cx: &RequestContext) -> Result<DoneView, RpcError> {
        cx.reply_with(|_: &TrajectoryNoteRow| DoneView { success: true });
        let request = NoteRequest {
            note_type: self.step_type,
            message: Some(self.description),
            data: self.result,
            ..NoteRequest::default()
        };
        ops::log_step(&cx.call, self.trajectory_id, request).await?;
        Ok(DoneView { success: true })
    }
}

/// End a trajectory, once.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AceCompleteTrajectory {
    /// Which trajectory.
    trajectory_id: String,
    /// `success`, `failure` or `partial`.
    status: String,
    /// How well it went, from 0 to 1.
    #[serde(default)]
    success_score: Option<f64>,
    /// What went wrong.
    #[serde(default)]
    error_message: Option<String>,
}

impl Method for AceCompleteTrajectory {
    const NAME: &'static str = "ace_complete_trajectory";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = REFUSALS;
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = TrajectoryIdView;

    async fn call(self, cx: &RequestContext) -> Result<TrajectoryIdView, RpcError> {
        let view = |row: &TrajectoryRow| TrajectoryIdView { trajectory_id: row.trajectory_id.clone() };
        cx.reply_with(view);
        let end = End { status: self.status, success_score: self.success_score, error_message: self.error_message };
        Ok(view(&ops::complete(&cx.call, self.trajectory_id, end).await?))
    }
}

/// Say something about a trajectory, ended or not.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AceAddFeedback {
    /// Which trajectory.
    trajectory_id: String,
    /// The kind of feedback, e.g. `human`, `monitoring`.
    feedback_type: String,
    /// The score that it gives, from 0 to 1.
    #[serde(default)]
    score: Option<f64>,
    /// Who or what says so.
    #[serde(default)]
    source: Option<String>,
    /// In words.
    #[serde(default)]
    message: Option<String>,
    /// In figures: any JSON, at most 16 KiB.
    #[serde(default)]
    metrics: Option<Value>,
}

/// The id of feedback.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FeedbackIdView {
    /// The id.
    feedback_id: String,
}

impl Method for AceAddFeedback {
    const NAME: &'static str = "ace_add_feedback";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = REFUSALS;
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = FeedbackIdView;

    async fn call(self, cx: &RequestContext) -> Result<FeedbackIdView, RpcError> {
        let view = |row: &TrajectoryNoteRow| FeedbackIdView { feedback_id: row.note_id.clone() };
        cx.reply_with(view);
        let request = NoteRequest {
            note_type: self.feedback_type,
            message: self.message,
            data: self.metrics,
            score: self.score,
            source: self.source,
        };
        Ok(view(&ops::add_feedback(&cx.call, self.trajectory_id, request).await?))
    }
}

/// What was said about a trajectory, oldest first.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AceGetTrajectoryFeedback {
    /// Which trajectory.
    trajectory_id: String,
}

impl Method for AceGetTrajectoryFeedback {
    const NAME: &'static str = "ace_get_trajectory_feedback";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FileNotFound];
    type Output = Vec<FeedbackView>;

    async fn call(self, cx: &RequestContext) -> Result<Vec<FeedbackView>, RpcError> {
        let whole = trajectories::get(&cx.call, self.trajectory_id).await?;
        Ok(whole.feedback.into_iter().map(FeedbackView::from).collect())
    }
}

/// A trajectory with its steps and what was said about it.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AceGetTrajectory {
    /// Which trajectory.
    trajectory_id: String,
}

/// A trajectory with everything about it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WholeTrajectoryView {
    /// What a list says of it.
    #[serde(flatten)]
    trajectory: TrajectoryView,
    /// Its steps, oldest first.
    steps: Vec<StepView>,
    /// What was said about it, oldest first.
    feedback: Vec<FeedbackView>,
}

impl Method for AceGetTrajectory {
    const NAME: &'static str = "ace_get_trajectory";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FileNotFound];
    type Output = WholeTrajectoryView;

    async fn call(self, cx: &RequestContext) -> Result<WholeTrajectoryView, RpcError> {
        let whole = trajectories::get(&cx.call, self.trajectory_id).await?;
        Ok(WholeTrajectoryView {
            trajectory: whole.row.into(),
            steps: whole.steps.into_iter().map(StepView::from).collect(),
            feedback: whole.feedback.into_iter().map(FeedbackView::from).collect(),
        })
    }
}

/// The score of a trajectory: of its end and of the feedback that gave one.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AceGetEffectiveScore {
    /// Which trajectory.
    trajectory_id: String,
    /// `latest`; `average`; or `weighted`, where the n-th score counts n times. Default: `latest`.
    #[serde(default)]
    strategy: Option<String>,
}

/// A score.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ScoreView {
    /// From 0 to 1; 0 if nobody gave one.
    effective_score: f64,
}

impl Method for AceGetEffectiveScore {
    const NAME: &'static str = "ace_get_effective_score";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FileNotFound];
    type Output = ScoreView;

    async fn call(self, cx: &RequestContext) -> Result<ScoreView, RpcError> {
        let strategy = Strategy::parse(self.strategy.as_deref().unwrap_or("latest"))?;
        let effective_score = trajectories::effective_score(&cx.call, self.trajectory_id, strategy).await?;
        Ok(ScoreView { effective_score })
    }
}

/// Mark a trajectory as one from which to learn again; `process_relearning` lists those.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AceMarkForRelearning {
    /// Which trajectory.
    trajectory_id: String,
    /// Why.
    reason: String,
    /// Higher is more urgent. Default: 5.
    #[serde(default)]
    priority: Option<i64>,
}

impl Method for AceMarkForRelearning {
    const NAME: &'static str = "ace_mark_for_relearning";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = REFUSALS;
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = DoneView;

    async fn call(self, cx: &RequestContext) -> Result<DoneView, RpcError> {
        cx.reply_with(|_: &TrajectoryRow| DoneView { success: true });
        ops::mark_for_relearning(&cx.call, self.trajectory_id, self.reason, self.priority.unwrap_or(5)).await?;
        Ok(DoneView { success: true })
    }
}

/// List trajectories that the caller may see, newest first.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AceQueryTrajectories {
    /// Of this kind of task.
    #[serde(default)]
    task_type: Option<String>,
    /// With this status.
    #[serde(default)]
    status: Option<String>,
    /// Made by this agent.
    #[serde(default)]
    agent_id: Option<String>,
    /// 1 to 1,000. Default: 50.
    #[serde(default)]
    limit: Option<u64>,
}

impl Method for AceQueryTrajectories {
    const NAME: &'static str = "ace_query_trajectories";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = Vec<TrajectoryView>;

    async fn call(self, cx: &RequestContext) -> Result<Vec<TrajectoryView>, RpcError> {
        let limit = records::limit(self.limit, LIMIT_DEFAULT)?;
        let filter = TrajectoryFilter { task_type: self.task_type, status: self.status, agent_id: self.agent_id };
        Ok(whole(trajectories::list(&cx.call, filter, limit).await?, limit)?)
    }
}
