//! Syncs that run by themselves, with a record of how far they are.
//!
//! Owns their beginning, their end and the words about it. A job runs in the process that took it and ends with it: the
//! next start says so in its record. What it has done until then stands, and the next sync goes on from there.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::auth::Caller;
use crate::service::files::ops::MESSAGE_BYTES;
use crate::service::mounts::scope::SyncRequest;
use crate::service::mounts::sync::{Progress, SyncReport, sync_all, targets};
use crate::service::mounts::{Mounts, instance_admin, point, require_instance_admin};
use crate::service::{Call, ServiceError};
use crate::store::sync_jobs::{self, CANCELLED, COMPLETED, FAILED, PENDING, RUNNING, SyncJobRow};
use crate::store::{Origin, Sql, Store, StoreError, WriteOp, WriteTx};

/// Jobs that run at the same time.
pub const JOBS_AT_ONCE: usize = 4;
/// What a record says of a job whose server has ended.
const STOPPED: &str = "server stopped";

/// How the result of a job is written down.
pub type Written = fn(&SyncReport) -> Value;

/// Begins a sync that goes on by itself. The job as it is now.
pub async fn start(
    call: &Call,
    mounts: &Arc<Mounts>,
    request: SyncRequest,
    params: Value,
    written: Written,
) -> Result<SyncJobRow, ServiceError> {
    require_instance_admin(call).await?;
    let rows = targets(call, &request).await?;
    let progress = Arc::new(Progress::default());
    let job_id = call.store.random().uuid();
    let row = SyncJobRow {
        job_id: job_id.clone(),
        mount_point: rows.first().map_or_else(|| "/".into(), |row| row.mount_point.clone()),
        status: PENDING.into(),
        progress: 0,
        detail: "{}".into(),
        params: params.to_string(),
        created_by: call.caller.actor().to_owned(),
        created_at_us: call.store.now_us(),
        started_at_us: None,
        completed_at_us: None,
        result: None,
        error: None,
    };
    {
        let mut jobs = mounts.jobs.lock();
        if jobs.len() >= JOBS_AT_ONCE {
            return Err(ServiceError::Precondition(format!("{JOBS_AT_ONCE} syncs run already, as many as may")));
        }
        jobs.insert(job_id, Arc::clone(&progress));
    }
    let listed = Listed { mounts: Arc::clone(mounts), job_id: row.job_id.clone() };
    call.submit(PutJob { caller: call.caller.clone(), row: row.clone(), is_new: true }).await?;
    // Without the request's deadline and its key: it outlives the request.
    let mut own = call.anew(call.caller.clone());
    own.deadline = None;
    let begun = row.clone();
    tokio::spawn(async move {
        let listed = listed;
        if let Err(error) = run(&own, &listed.mounts, &rows, &request, begun, &progress, written).await {
            tracing::warn!(%error, job = listed.job_id, "the record of a sync was not written");
        }
    });
    Ok(row)
}

/// A job that is in the list of those that run, until this is dropped.
struct Listed {
    mounts: Arc<Mounts>,
    job_id: String,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.mounts.jobs.lock().remove(&self.job_id);
    }
}

async fn run(
    call: &Call,
    mounts: &Mounts,
    rows: &[crate::model::MountRow],
    request: &SyncRequest,
    mut row: SyncJobRow,
    progress: &Arc<Progress>,
    written: Written,
) -> Result<(), ServiceError> {
    row.status = RUNNING.into();
    row.started_at_us = Some(call.store.now_us());
    note(call, &row).await?;
    let synced = sync_all(call, mounts, rows, request, progress).await;
    row.completed_at_us = Some(call.store.now_us());
    row.detail = detail(progress).to_string();
    match synced {
        Ok(report) => {
            row.status = COMPLETED.into();
            row.progress = 100;
            row.result = Some(written(&report).to_string());
        }
        Err(_) if progress.is_cancelled() => {
            row.status = CANCELLED.into();
            row.progress = progress.percent();
            row.error = Some("cancelled; what it did until then stands".into());
        }
        Err(error) => {
            row.status = FAILED.into();
            row.progress = progress.percent();
            row.error = Some(error.to_string());
        }
    }
    note(call, &row).await
}

/// Writes a record in the server's name: a caller whose key was revoked meanwhile must not leave it open.
async fn note(call: &Call, row: &SyncJobRow) -> Result<(), ServiceError> {
    let op = PutJob { caller: Caller::system("sync"), row: row.clone(), is_new: false };
    call.store.submit(Origin::system(PutJob::NAME), op).await.map(|_| ())
}

fn detail(progress: &Progress) -> Value {
    json!({"files_scanned": progress.scanned()})
}

/// A job as it is now: of one that runs, how far it is this moment.
fn now(mounts: &Mounts, mut row: SyncJobRow) -> SyncJobRow {
    if let Some(progress) = mounts.jobs.lock().get(&row.job_id)
        && (row.status == RUNNING || row.status == PENDING)
    {
        row.progress = progress.percent();
        row.detail = detail(progress).to_string();
    }
    row
}

/// The job of this id.
pub async fn get(call: &Call, mounts: &Mounts, job_id: String) -> Result<Option<SyncJobRow>, ServiceError> {
    let caller = call.caller.clone();
    let found = call.read(move |tx| {
        instance_admin(tx, &caller)?;
        Ok::<_, ServiceError>(sync_jobs::get(tx, &job_id)?)
    });
    Ok(found.await?.map(|row| now(mounts, row)))
}

/// The newest jobs, of one mount and in one state if they are named.
pub async fn list(
    call: &Call,
    mounts: &Mounts,
    mount_point: Option<String>,
    status: Option<String>,
    limit: usize,
) -> Result<Vec<SyncJobRow>, ServiceError> {
    let caller = call.caller.clone();
    let asked = mount_point.as_deref().map(point);
    let rows = call.read(move |tx| {
        instance_admin(tx, &caller)?;
        let asked = asked.transpose()?;
        let mut rows = sync_jobs::newest(tx)?;
        rows.retain(|row| asked.as_ref().is_none_or(|path| path.as_str() == row.mount_point));
        rows.retain(|row| status.as_ref().is_none_or(|status| *status == row.status));
        rows.truncate(limit);
        Ok::<_, ServiceError>(rows)
    });
    Ok(rows.await?.into_iter().map(|row| now(mounts, row)).collect())
}

/// Tells a job to end. Whether it could be told, and what to tell the caller.
pub async fn cancel(call: &Call, mounts: &Mounts, job_id: &str) -> Result<(bool, String), ServiceError> {
    let Some(row) = get(call, mounts, job_id.to_owned()).await? else {
        return Ok((false, format!("Job not found: {job_id}")));
    };
    match mounts.jobs.lock().get(job_id) {
        Some(progress) if row.completed_at_us.is_none() => {
            progress.cancel();
            Ok((true, "The job ends at the next file; what it did until then stands".into()))
        }
        _ => Ok((false, format!("The job is over: {}", row.status))),
    }
}

/// Ends the records of jobs that the last server has left open.
pub async fn end_left_over(store: &Store) -> Result<(), StoreError> {
    if store.read(|tx| sync_jobs::any_open(tx)).await? {
        store.submit(Origin::system(EndJobs::NAME), EndJobs).await?;
    }
    Ok(())
}

/// Writes the record of a job.
#[derive(Debug)]
pub struct PutJob {
    caller: Caller,
    row: SyncJobRow,
    is_new: bool,
}

impl WriteOp for PutJob {
    const NAME: &'static str = "sync_job_put";
    const UNRECORDED: bool = true;
    type Output = ();
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), ServiceError> {
        if self.is_new {
            instance_admin(tx, &self.caller)?;
            return Ok(sync_jobs::insert(tx, &self.row)?);
        }
        Ok(sync_jobs::update(tx, &self.row)?)
    }

    fn bytes(&self) -> usize {
        self.row.params.len() + self.row.result.as_ref().map_or(0, String::len) + MESSAGE_BYTES
    }
}

/// Ends the records of jobs that no server runs.
#[derive(Debug)]
pub struct EndJobs;

impl WriteOp for EndJobs {
    const NAME: &'static str = "sync_jobs_end";
    const GROWS: bool = false;
    const UNRECORDED: bool = true;
    type Output = ();
    type Error = StoreError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<(), StoreError> {
        let now_us = tx.now_us();
        sync_jobs::stopped(tx, STOPPED, now_us)
    }

    fn bytes(&self) -> usize {
        MESSAGE_BYTES
    }
}
