//! What older clients call by other names, and read in another shape.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LIMIT_DEFAULT, PlaybookView, TrajectoryView, WholePlaybookView};
use crate::model::TrajectoryRow;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::trajectories::{self, TrajectoryFilter};
use crate::service::{playbooks, records};

/// Rows of the queue whose request names no limit.
const QUEUE_DEFAULT: usize = 10;
/// The name of the playbook if none is given.
const DEFAULT_PLAYBOOK: &str = "default";

/// List trajectories that the caller may see, newest first.
///
/// As `ace_query_trajectories`, in an object.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct QueryTrajectories {
    /// Made by this agent.
    #[serde(default)]
    agent_id: Option<String>,
    /// Of this kind of task.
    #[serde(default)]
    task_type: Option<String>,
    /// With this status.
    #[serde(default)]
    status: Option<String>,
    /// 1 to 1,000. Default: 50.
    #[serde(default)]
    limit: Option<u64>,
}

/// Trajectories.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TrajectoriesView {
    /// The trajectories.
    trajectories: Vec<TrajectoryView>,
    /// Whether that is all.
    complete: bool,
}

impl Method for QueryTrajectories {
    const NAME: &'static str = "query_trajectories";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = TrajectoriesView;

    async fn call(self, cx: &RequestContext) -> Result<TrajectoriesView, RpcError> {
        let limit = records::limit(self.limit, LIMIT_DEFAULT)?;
        let filter = TrajectoryFilter { task_type: self.task_type, status: self.status, agent_id: self.agent_id };
        let listed = trajectories::list(&cx.call, filter, limit).await?;
        let complete = listed.next.is_none() && listed.cut_short.is_none();
        Ok(TrajectoriesView { trajectories: listed.rows.into_iter().map(TrajectoryView::from).collect(), complete })
    }
}

/// List playbooks that the caller may see, newest first.
///
/// As `ace_query_playbooks`, in an object.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct QueryPlaybooks {
    /// Made by this agent.
    #[serde(default)]
    agent_id: Option<String>,
    /// For whom they are.
    #[serde(default)]
    scope: Option<String>,
    /// 1 to 1,000. Default: 50.
    #[serde(default)]
    limit: Option<u64>,
}

/// Playbooks.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlaybooksView {
    /// The playbooks.
    playbooks: Vec<PlaybookView>,
    /// Whether that is all.
    complete: bool,
}

impl Method for QueryPlaybooks {
    const NAME: &'static str = "query_playbooks";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = PlaybooksView;

    async fn call(self, cx: &RequestContext) -> Result<PlaybooksView, RpcError> {
        let limit = records::limit(self.limit, LIMIT_DEFAULT)?;
        let listed = playbooks::list(&cx.call, self.scope, self.agent_id, limit).await?;
        let complete = listed.next.is_none() && listed.cut_short.is_none();
        Ok(PlaybooksView { playbooks: listed.rows.into_iter().map(PlaybookView::from).collect(), complete })
    }
}

/// The playbook of a name, in the nearest scope that has one: the agent's or person's own, the user's, the tenant's,
/// everybody's.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GetPlaybook {
    /// Its name. Default: `default`.
    #[serde(default)]
    playbook_name: Option<String>,
}

impl Method for GetPlaybook {
    const NAME: &'static str = "get_playbook";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = Option<WholePlaybookView>;

    async fn call(self, cx: &RequestContext) -> Result<Option<WholePlaybookView>, RpcError> {
        let name = self.playbook_name.unwrap_or_else(|| DEFAULT_PLAYBOOK.to_owned());
        Ok(playbooks::named(&cx.call, name).await?.map(WholePlaybookView::from))
    }
}

/// The trajectories from which one should learn again, the most urgent first.
///
/// Learning from them takes a language model, which this server has not: nothing is processed, and each row says so.
/// What is marked stays in the queue.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ProcessRelearning {
    /// 1 to 1,000. Default: 10.
    #[serde(default)]
    limit: Option<u64>,
}

/// A trajectory that waits.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WaitingView {
    /// Which.
    trajectory_id: String,
    /// Why one should learn from it again.
    reason: Option<String>,
    /// Higher is more urgent.
    priority: Option<i64>,
    /// Always false: nothing was learned.
    success: bool,
    /// Why.
    error: &'static str,
}

impl From<TrajectoryRow> for WaitingView {
    fn from(row: TrajectoryRow) -> Self {
        Self {
            trajectory_id: row.trajectory_id,
            reason: row.relearn_reason,
            priority: row.relearn_priority,
            success: false,
            error: "not processed: learning needs a language model, and this server runs none",
        }
    }
}

/// The queue.
#[derive(Debug, Serialize, JsonSchema)]
pub struct QueueView {
    /// What waits.
    results: Vec<WaitingView>,
    /// Whether that is all.
    complete: bool,
}

impl Method for ProcessRelearning {
    const NAME: &'static str = "process_relearning";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[];
    type Output = QueueView;

    async fn call(self, cx: &RequestContext) -> Result<QueueView, RpcError> {
        let listed = trajectories::to_relearn(&cx.call, records::limit(self.limit, QUEUE_DEFAULT)?).await?;
        let complete = listed.cut_short.is_none();
        Ok(QueueView { results: listed.rows.into_iter().map(WaitingView::from).collect(), complete })
    }
}
