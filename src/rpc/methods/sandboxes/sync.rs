//! `sandbox_sync`, which the original has not: there the tree is mounted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rpc::codec::WireTime;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::sandboxes::bring_back::{self, BroughtBack, Left};

/// Bring back what programs have made of the files of a sandbox since they were copied or brought back last.
///
/// Whoever connected it may, and it is done with the rights of then: new files, new versions and removals, each over the
/// version that was copied. What the server has changed meanwhile stays as the server has it (`conflicts`). Links, second
/// names of files, pipes, sockets and devices are not followed and not taken (`not_taken`), nor is what lies outside of the
/// directory that was connected, or may not be written. The copy stays.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SandboxSync {
    /// The id.
    sandbox_id: String,
}

/// A file that was not brought back.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NotBack {
    /// Its path in the tree.
    path: String,
    /// Why, for people.
    reason: String,
}

impl From<&Left> for NotBack {
    fn from(left: &Left) -> Self {
        Self { path: left.path.clone(), reason: left.why.clone() }
    }
}

/// What was brought back, and what not.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Changes {
    /// Files that are new in the tree.
    files_created: u64,
    /// Files that have a new version.
    files_updated: u64,
    /// Files that are gone from the tree.
    files_deleted: u64,
    /// Files that were as they had been copied.
    files_unchanged: u64,
    /// Files that the server has changed too, and keeps as it has them; the first thousand.
    conflicts: Vec<NotBack>,
    /// What was not taken; the first thousand.
    not_taken: Vec<NotBack>,
    /// Files of both kinds beside those.
    more: u64,
}

impl From<&BroughtBack> for Changes {
    fn from(back: &BroughtBack) -> Self {
        Self {
            files_created: back.created,
            files_updated: back.updated,
            files_deleted: back.deleted,
            files_unchanged: back.unchanged,
            conflicts: back.conflicts.iter().map(NotBack::from).collect(),
            not_taken: back.left.iter().map(NotBack::from).collect(),
            more: back.more,
        }
    }
}

/// A sandbox whose files were brought back.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SandboxSyncOutput {
    /// The id.
    sandbox_id: String,
    /// Whose sandbox it is.
    provider: String,
    /// The directory that is connected.
    workspace: String,
    /// ISO 8601, UTC, without a zone.
    synced_at: String,
    /// What was brought back, and what not.
    changes: Changes,
}

impl SandboxSyncOutput {
    fn new(sandbox_id: &str, back: &BroughtBack) -> Self {
        Self {
            sandbox_id: sandbox_id.to_owned(),
            provider: back.provider.clone(),
            workspace: back.workspace.clone(),
            synced_at: WireTime::naive(back.at_us).iso(),
            changes: Changes::from(back),
        }
    }
}

impl Method for SandboxSync {
    const NAME: &'static str = "sandbox_sync";
    const ACCESS: Access = Access::Write;
    const LONG: bool = true;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::FileNotFound, ErrorCode::PermissionDenied, ErrorCode::Precondition];
    type Output = SandboxSyncOutput;

    async fn call(self, cx: &RequestContext) -> Result<SandboxSyncOutput, RpcError> {
        let id = self.sandbox_id.clone();
        cx.reply_with(move |back: &BroughtBack| SandboxSyncOutput::new(&id, back));
        let back = bring_back::bring_back(&cx.call, &cx.services.sandboxes, self.sandbox_id.clone(), false).await?;
        Ok(SandboxSyncOutput::new(&self.sandbox_id, &back))
    }
}
