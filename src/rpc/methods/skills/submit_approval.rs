//! `skills_submit_approval`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::ApprovalRow;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::skills::approvals::{self, Submission};

/// Submit a skill that the caller may read for a review, so that it may be published to the tenant.
///
/// The approval is of its files as they are now. Who may write to the tenant's skill folder decides; reviewers that are
/// named are those of them who may.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SkillsSubmitApproval {
    /// The skill.
    skill_name: String,
    /// The caller, as without it; an admin may name another user.
    #[serde(default)]
    submitted_by: Option<String>,
    /// Users.
    #[serde(default)]
    reviewers: Option<Vec<String>>,
    /// Free text.
    #[serde(default)]
    comments: Option<String>,
}

/// The submission.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkillsSubmitApprovalOutput {
    /// Its id.
    approval_id: String,
    /// The skill.
    skill_name: String,
    /// Who submitted it.
    submitted_by: String,
    /// Users, as they were named.
    reviewers: Option<Vec<String>>,
}

impl Method for SkillsSubmitApproval {
    const NAME: &'static str = "skills_submit_approval";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::Validation, ErrorCode::PermissionDenied, ErrorCode::Precondition, ErrorCode::Indeterminate];
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = SkillsSubmitApprovalOutput;

    async fn call(self, cx: &RequestContext) -> Result<SkillsSubmitApprovalOutput, RpcError> {
        let reviewers = self.reviewers.clone();
        let output = move |row: &ApprovalRow| SkillsSubmitApprovalOutput {
            approval_id: row.approval_id.clone(),
            skill_name: row.skill_name.clone(),
            submitted_by: row.submitted_by.clone(),
            reviewers: reviewers.clone(),
        };
        cx.reply_with(output.clone());
        let submission = Submission {
            skill_name: self.skill_name,
            submitted_by: self.submitted_by.unwrap_or_else(|| cx.call.caller.user.clone()),
            reviewers: self.reviewers.unwrap_or_default(),
            comments: self.comments,
        };
        Ok(output(&approvals::submit(&cx.call, submission).await?))
    }
}
