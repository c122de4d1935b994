//! `sync_mount`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::mounts::scope::SyncRequest;
use crate::service::mounts::sync;
use crate::service::mounts::sync::SyncReport;

/// Make a mounted directory and its mount point alike. For the instance admin.
///
/// What has changed on the host since the last sync comes into the tree as new versions; on a writable mount what has
/// changed in the tree goes to the host. What has changed on both sides stays as it is on both and is told in `errors`,
/// as is every file that could not be taken. Without `mount_point` every local mount is synced.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SyncMount {
    /// The mount. Default: all.
    #[serde(default)]
    mount_point: Option<String>,
    #[serde(flatten)]
    what: What,
}

/// What of a mount is synced.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
pub struct What {
    /// A directory or file of the mount, as a virtual path or from the mount point on. Default: all.
    #[serde(default)]
    path: Option<String>,
    /// Whether directories are gone into.
    #[serde(default = "yes")]
    recursive: bool,
    /// Whether nothing is changed: the counts say what would be.
    #[serde(default)]
    dry_run: bool,
    /// Always true: a file without its content is none.
    #[serde(default = "yes")]
    sync_content: bool,
    /// Only files that match one of these patterns; one without a slash is for names.
    #[serde(default)]
    include_patterns: Option<Vec<String>>,
    /// No file that matches one of these patterns, and nothing in a directory that does.
    #[serde(default)]
    exclude_patterns: Option<Vec<String>>,
    /// Not built; true is refused.
    #[serde(default)]
    generate_embeddings: bool,
}

fn yes() -> bool {
    true
}

impl What {
    /// The request for one mount, or for all.
    pub(super) fn request(&self, mount_point: Option<String>) -> Result<SyncRequest, RpcError> {
        if self.generate_embeddings || !self.sync_content {
            let what = if self.sync_content { "generate_embeddings" } else { "sync_content=false" };
            return Err(RpcError::new(ErrorCode::NotSupported, format!("{what} is not supported"))
                .hint("leave it out: files come with their content and without embeddings"));
        }
        Ok(SyncRequest {
            mount_point,
            path: self.path.clone(),
            recursive: self.recursive,
            dry_run: self.dry_run,
            include: self.include_patterns.clone().unwrap_or_default(),
            exclude: self.exclude_patterns.clone().unwrap_or_default(),
        })
    }
}

/// What a sync did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SyncOutput {
    /// Files of the host that were looked at.
    files_scanned: u64,
    /// New ones in the tree.
    files_created: u64,
    /// New versions in the tree.
    files_updated: u64,
    /// Gone from the tree.
    files_deleted: u64,
    /// Files whose content was brought into the tree.
    cache_synced: u64,
    /// Their bytes.
    cache_bytes: u64,
    /// Files that were alike already.
    cache_skipped: u64,
    /// Always 0.
    embeddings_generated: u64,
    /// Files that the host got from the tree.
    files_written_back: u64,
    /// Files that the host lost, because the tree had lost them.
    files_removed_back: u64,
    /// Files that have changed on both sides and stay as they are.
    conflicts: u64,
    /// Mounts that were synced.
    mounts_synced: u64,
    /// Each file that was not synced, and why; the first thousand.
    errors: Vec<String>,
    /// Errors that are not among them.
    more_errors: u64,
}

impl From<&SyncReport> for SyncOutput {
    fn from(report: &SyncReport) -> Self {
        Self {
            files_scanned: report.scanned,
            files_created: report.created,
            files_updated: report.updated,
            files_deleted: report.deleted,
            cache_synced: report.created + report.updated,
            cache_bytes: report.bytes,
            cache_skipped: report.skipped,
            embeddings_generated: 0,
            files_written_back: report.written_back,
            files_removed_back: report.removed_back,
            conflicts: report.conflicts,
            mounts_synced: report.mounts,
            errors: report.errors.clone(),
            more_errors: report.more_errors,
        }
    }
}

impl Method for SyncMount {
    const NAME: &'static str = "sync_mount";
    const ACCESS: Access = Access::Write;
    const LONG: bool = true;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::FileNotFound,
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::NotSupported,
        ErrorCode::Precondition,
    ];
    type Output = SyncOutput;

    async fn call(self, cx: &RequestContext) -> Result<SyncOutput, RpcError> {
        cx.reply_with(|report: &SyncReport| SyncOutput::from(report));
        let request = self.what.request(self.mount_point)?;
        Ok(SyncOutput::from(&sync::sync(&cx.call, &cx.services.mounts, request).await?))
    }
}
