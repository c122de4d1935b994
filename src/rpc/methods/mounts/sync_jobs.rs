//! `sync_mount_async`, `get_sync_job`, `cancel_sync_job` and `list_sync_jobs`: syncs that run by themselves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::sync::{SyncOutput, What};
use crate::rpc::codec::WireTime;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::mounts::jobs;
use crate::service::mounts::sync::SyncReport;
use crate::store::sync_jobs::SyncJobRow;

/// Jobs of a list unless another number is asked for.
const JOBS_LISTED: usize = 50;

/// Begin a sync that goes on by itself. For the instance admin.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SyncMountAsync {
    /// The mount.
    mount_point: String,
    #[serde(flatten)]
    what: What,
}

/// A sync that was begun.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SyncMountAsyncOutput {
    /// The id to ask with.
    job_id: String,
    /// `pending`.
    status: String,
    /// The mount.
    mount_point: String,
}

fn written(report: &SyncReport) -> Value {
    serde_json::to_value(SyncOutput::from(report)).unwrap_or_default()
}

impl Method for SyncMountAsync {
    const NAME: &'static str = "sync_mount_async";
    // The request itself writes the record of a job, which is no data; what the job then changes is.
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::FileNotFound,
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::NotSupported,
        ErrorCode::Precondition,
    ];
    type Output = SyncMountAsyncOutput;

    async fn call(self, cx: &RequestContext) -> Result<SyncMountAsyncOutput, RpcError> {
        let request = self.what.request(Some(self.mount_point))?;
        let params = json!(self.what);
        let row = jobs::start(&cx.call, &cx.services.mounts, request, params, written).await?;
        Ok(SyncMountAsyncOutput { job_id: row.job_id, status: row.status, mount_point: row.mount_point })
    }
}

/// A sync that runs by itself.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SyncJobView {
    /// Its id.
    id: String,
    /// The mount.
    mount_point: String,
    /// `pending`, `running`, `completed`, `failed` or `cancelled`.
    status: String,
    /// Of what the last sync has seen; 100 only when it is completed.
    progress_pct: i64,
    /// What has been done so far.
    progress_detail: Map<String, Value>,
    /// What was asked for.
    sync_params: Map<String, Value>,
    /// ISO-8601, UTC.
    created_at: String,
    /// ISO-8601, UTC.
    started_at: Option<String>,
    /// ISO-8601, UTC.
    completed_at: Option<String>,
    /// The subject that asked.
    created_by: String,
    /// What it gave, as `sync_mount` does.
    result: Option<Map<String, Value>>,
    /// Why it failed.
    error_message: Option<String>,
}

impl From<SyncJobRow> for SyncJobView {
    fn from(row: SyncJobRow) -> Self {
        let iso = |us: i64| WireTime::naive(us).iso();
        let object = |text: &str| serde_json::from_str(text).unwrap_or_default();
        Self {
            id: row.job_id,
            mount_point: row.mount_point,
            status: row.status,
            progress_pct: row.progress,
            progress_detail: object(&row.detail),
            sync_params: object(&row.params),
            created_at: iso(row.created_at_us),
            started_at: row.started_at_us.map(iso),
            completed_at: row.completed_at_us.map(iso),
            created_by: row.created_by,
            result: row.result.as_deref().map(object),
            error_message: row.error,
        }
    }
}

/// Look at a sync that runs by itself; null if there is none of this id. For the instance admin.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct GetSyncJob {
    /// The id.
    job_id: String,
}

impl Method for GetSyncJob {
    const NAME: &'static str = "get_sync_job";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied];
    type Output = Option<SyncJobView>;

    async fn call(self, cx: &RequestContext) -> Result<Option<SyncJobView>, RpcError> {
        Ok(jobs::get(&cx.call, &cx.services.mounts, self.job_id).await?.map(SyncJobView::from))
    }
}

/// Tell a sync that runs by itself to end. What it did until then stands. For the instance admin.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct CancelSyncJob {
    /// The id.
    job_id: String,
}

/// Whether a sync could be told to end.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CancelSyncJobOutput {
    /// Whether it was under way.
    success: bool,
    /// The id.
    job_id: String,
    /// For people.
    message: String,
}

impl Method for CancelSyncJob {
    const NAME: &'static str = "cancel_sync_job";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::PermissionDenied];
    type Output = CancelSyncJobOutput;

    async fn call(self, cx: &RequestContext) -> Result<CancelSyncJobOutput, RpcError> {
        let (success, message) = jobs::cancel(&cx.call, &cx.services.mounts, &self.job_id).await?;
        Ok(CancelSyncJobOutput { success, job_id: self.job_id, message })
    }
}

/// List the syncs that ran or run by themselves, newest first; the newest thousand are kept. For the instance admin.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ListSyncJobs {
    /// Only those of this mount.
    #[serde(default)]
    mount_point: Option<String>,
    /// Only those in this state.
    #[serde(default)]
    status: Option<String>,
    /// At most so many.
    #[serde(default = "listed")]
    limit: usize,
}

fn listed() -> usize {
    JOBS_LISTED
}

impl Method for ListSyncJobs {
    const NAME: &'static str = "list_sync_jobs";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::InvalidPath, ErrorCode::PermissionDenied];
    type Output = Vec<SyncJobView>;

    async fn call(self, cx: &RequestContext) -> Result<Vec<SyncJobView>, RpcError> {
        let Self { mount_point, status, limit } = self;
        let rows = jobs::list(&cx.call, &cx.services.mounts, mount_point, status, limit).await?;
        Ok(rows.into_iter().map(SyncJobView::from).collect())
    }
}
