//! A sync: what a mounted directory of the host and its mount point have become since the last one, made alike.
//!
//! Owns the order of a sync and its counts. A thread walks the host and reads what may have changed; here each file is
//! decided (`decide`), gathered into messages of few files, and written back where the mount is writable. Bounded: files
//! of one sync, bytes of one file, errors that are told. Invariant: what could not be looked at is no reason to remove
//! anything.

mod run;
mod walk;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::model::{MountRow, VirtualPath};
use crate::service::mounts::scope::{Scope, SyncRequest};
use crate::service::mounts::sync_ops::{EndSync, Target};
use crate::service::mounts::{LOCAL, Mounts, ops, point, require_instance_admin};
use crate::service::{Call, ServiceError};
use crate::store::mounts;

/// Largest file that is brought into the tree, bytes.
pub const FILE_BYTES_MAX: u64 = 64 << 20;
/// Files that one sync of a mount looks at, on either side.
pub const FILES_MAX: usize = 500_000;
/// Errors that a result tells.
pub const ERRORS_MAX: usize = 1_000;

/// What a sync did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncReport {
    /// Files of the host that were looked at.
    pub scanned: u64,
    /// New ones in the tree.
    pub created: u64,
    /// New versions in the tree.
    pub updated: u64,
    /// Gone from the tree.
    pub deleted: u64,
    /// Bytes that were brought into the tree.
    pub bytes: u64,
    /// Files that were alike already.
    pub skipped: u64,
    /// Files that the host got from the tree.
    pub written_back: u64,
    /// Files that the host lost.
    pub removed_back: u64,
    /// Files that changed on both sides, and stay as they are.
    pub conflicts: u64,
    /// Mounts that were synced.
    pub mounts: u64,
    /// What was not synced, and why; the first [`ERRORS_MAX`].
    pub errors: Vec<String>,
    /// Errors that are not among them.
    pub more_errors: u64,
}

impl SyncReport {
    fn error(&mut self, path: &str, what: impl std::fmt::Display) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(format!("{path}: {what}"));
        } else {
            self.more_errors += 1;
        }
    }

    fn conflict(&mut self, path: &str, what: &str) {
        self.conflicts += 1;
        self.error(path, what);
    }
}

/// How far a sync is, and whether it is to go on.
#[derive(Debug, Default)]
pub struct Progress {
    cancelled: AtomicBool,
    scanned: AtomicU64,
    expected: AtomicU64,
}

impl Progress {
    /// It ends at the next file.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether it was told to end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Files that were looked at.
    #[must_use]
    pub fn scanned(&self) -> u64 {
        self.scanned.load(Ordering::Relaxed)
    }

    /// Percent of what is expected from the last sync; 0 at the first.
    #[must_use]
    pub fn percent(&self) -> i64 {
        let (scanned, expected) = (self.scanned(), self.expected.load(Ordering::Relaxed));
        let percent = (scanned * 100).checked_div(expected).unwrap_or_default().min(99);
        i64::try_from(percent).unwrap_or(99)
    }
}

/// A sync that was begun keeps others from the same mount.
struct Alone<'m> {
    mounts: &'m Mounts,
    mount_id: String,
}

impl<'m> Alone<'m> {
    fn of(mounts: &'m Mounts, row: &MountRow, progress: &Arc<Progress>) -> Result<Self, ServiceError> {
        let mut running = mounts.running.lock();
        if running.contains_key(&row.mount_id) {
            let what = format!("A sync of '{}' is under way: wait for its end, or cancel its job", row.mount_point);
            return Err(ServiceError::Precondition(what));
        }
        running.insert(row.mount_id.clone(), Arc::clone(progress));
        Ok(Self { mounts, mount_id: row.mount_id.clone() })
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.mounts.running.lock().remove(&self.mount_id);
    }
}

/// Syncs one mount, or every local one, and answers when it is done.
pub async fn sync(call: &Call, mounts: &Mounts, request: SyncRequest) -> Result<SyncReport, ServiceError> {
    require_instance_admin(call).await?;
    let rows = targets(call, &request).await?;
    let report = sync_all(call, mounts, &rows, &request, &Arc::default()).await?;
    call.submit(EndSync { caller: call.caller.clone(), report }).await
}

/// The mounts that a request means.
pub(super) async fn targets(call: &Call, request: &SyncRequest) -> Result<Vec<MountRow>, ServiceError> {
    let path = request.mount_point.as_deref().map(point).transpose()?;
    if path.as_ref().is_some_and(VirtualPath::is_root) {
        let message = "the root is the store itself: there is nothing to sync it with".to_owned();
        return Err(ServiceError::NotSupported {
            message,
            hint: "name a mount of list_mounts, or none for all".into(),
        });
    }
    let rows = call.read(|tx| Ok::<_, ServiceError>(mounts::list(tx)?)).await?;
    let local = |row: &MountRow| row.active && row.backend_type == LOCAL;
    let Some(path) = path else { return Ok(rows.into_iter().filter(local).collect()) };
    match rows.into_iter().find(|row| row.active && row.mount_point == path.as_str()) {
        Some(row) if row.backend_type == LOCAL => {
            Scope::new(&path, request)?;
            Ok(vec![row])
        }
        Some(row) => Err(ServiceError::NotSupported {
            message: format!("Unsupported backend type: {}", row.backend_type),
            hint: "only local directories can be synced".into(),
        }),
        None => Err(ServiceError::NotFound(format!("Mount not found: {path}"))),
    }
}

/// Syncs one mount after the other. Whoever asks is the instance admin; each message checks that again.
pub(super) async fn sync_all(
    call: &Call,
    mounts: &Mounts,
    rows: &[MountRow],
    request: &SyncRequest,
    progress: &Arc<Progress>,
) -> Result<SyncReport, ServiceError> {
    let mut report = SyncReport::default();
    for row in rows {
        let mount_point = point(&row.mount_point)?;
        if mount_point.named_tenant().is_none() && row.tenant != call.caller.tenant {
            let tenant = &row.tenant;
            return Err(ServiceError::Precondition(format!(
                "'{mount_point}' belongs to the tenant '{tenant}': its files would become another's; sync it with a key of it"
            )));
        }
        let scope = Scope::new(&mount_point, request)?;
        let _alone = Alone::of(mounts, row, progress)?;
        let host = ops::open(mounts, &row.backend_config).await?;
        let target = Target { mount_point, mount_id: row.mount_id.clone() };
        let run = run::Run::new(call, target, scope, row.readonly, request.dry_run, progress, &mut report);
        run.await?.go(host).await?;
        report.mounts += 1;
    }
    Ok(report)
}
