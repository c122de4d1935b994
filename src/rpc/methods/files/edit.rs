//! `edit`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::write::WriteMetadata;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::files::edit::{self, Plan};
use crate::service::files::ops::Written;
use crate::service::{ServiceError, files};

/// How often the edits are made anew because the file has changed since they were.
const TRIES: u32 = 4;

/// Replace exact passages of a text file.
///
/// All edits or none, one after the other, each on what the one before has left. A passage must be there, to the
/// letter, once (or with `allow_multiple` any number of times, then all are replaced). The text is written over the
/// version that it was made from: if the file has changed meanwhile, the edits are made again on what is there, or,
/// with `if_match`, fail with a conflict. A text may have 4 MiB, a request 100 edits; of the difference 256 KiB are
/// shown. Needs `read` and `write` on the file.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Edit {
    /// Absolute virtual path.
    path: String,
    /// The edits.
    edits: Vec<Passage>,
    /// Fail with a conflict unless the stored etag (BLAKE3, hex) equals this one.
    #[serde(default)]
    if_match: Option<String>,
    /// Show what would come of it, and write nothing.
    #[serde(default)]
    preview: bool,
}

/// One passage in the place of another.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Passage {
    /// What is there, to the letter.
    old_str: String,
    /// What takes its place; may be empty.
    new_str: String,
    /// It may be there several times; then all are replaced.
    #[serde(default)]
    allow_multiple: bool,
}

/// What was edited.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EditOutput {
    /// Always true; a failure is an error.
    success: bool,
    /// Whether it was written.
    written: bool,
    /// Passages that were replaced.
    applied_count: usize,
    /// The unified difference, with 3 lines around.
    diff: String,
    /// Only where it is so: there is more of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff_truncated: Option<bool>,
    /// The metadata of the new version; nothing of a preview.
    #[serde(flatten)]
    metadata: Option<WriteMetadata>,
}

impl EditOutput {
    fn new(plan: &Plan, written: Option<Written>) -> Self {
        Self {
            success: true,
            written: written.is_some(),
            applied_count: plan.replaced,
            diff: plan.diff.clone(),
            diff_truncated: plan.diff_cut.then_some(true),
            metadata: written.map(WriteMetadata::from),
        }
    }
}

impl Method for Edit {
    const NAME: &'static str = "edit";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::FileNotFound,
        ErrorCode::Conflict,
        ErrorCode::InvalidPath,
        ErrorCode::PermissionDenied,
        ErrorCode::Precondition,
        ErrorCode::Validation,
        ErrorCode::Integrity,
        ErrorCode::QuotaExceeded,
        ErrorCode::StorageFull,
    ];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = EditOutput;

    async fn call(self, cx: &RequestContext) -> Result<EditOutput, RpcError> {
        let path = files::path_below_root(&self.path)?;
        let edit =
            |Passage { old_str: old, new_str: new, allow_multiple: everywhere }| edit::Edit { old, new, everywhere };
        let edits: Vec<_> = self.edits.into_iter().map(edit).collect();
        let if_match = self.if_match.filter(|etag| !etag.is_empty());
        let mut left = if if_match.is_some() { 1 } else { TRIES };
        loop {
            left -= 1;
            let plan = edit::plan(&cx.call, path.clone(), edits.clone(), if_match.clone()).await?;
            if self.preview {
                return Ok(EditOutput::new(&plan, None));
            }
            let shown = plan.clone();
            cx.reply_with(move |written: &Written| EditOutput::new(&shown, Some(written.clone())));
            match edit::write(&cx.call, plan.clone()).await {
                Err(ServiceError::Conflict { .. }) if left > 0 => {}
                written => return Ok(EditOutput::new(&plan, Some(written?))),
            }
        }
    }
}
