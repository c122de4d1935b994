//! `skills_list_approvals`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::ApprovalRow;
use crate::model::time::iso_utc;
use crate::rpc::{Access, ErrorCode, Method, RequestContext, RpcError};
use crate::service::skills::approvals::{self, LISTED_MAX};

/// The submissions of the caller's tenant, newest first.
///
/// Those that the caller submitted or was named for; all of them for who may write to the tenant's skill folder.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SkillsListApprovals {
    /// `pending`, `approved` or `rejected`.
    #[serde(default)]
    status: Option<String>,
    /// Only of this skill.
    #[serde(default)]
    skill_name: Option<String>,
}

/// A submission.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ApprovalRecord {
    /// Its id.
    approval_id: String,
    /// The skill.
    skill_name: String,
    /// `pending`, `approved` or `rejected`.
    status: String,
    /// Who submitted it.
    submitted_by: String,
    /// When, ISO.
    submitted_at: String,
    /// Who decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    reviewed_by: Option<String>,
    /// When, ISO.
    #[serde(skip_serializing_if = "Option::is_none")]
    reviewed_at: Option<String>,
    /// Free text.
    #[serde(skip_serializing_if = "Option::is_none")]
    comments: Option<String>,
}

impl From<ApprovalRow> for ApprovalRecord {
    fn from(row: ApprovalRow) -> Self {
        Self {
            approval_id: row.approval_id,
            skill_name: row.skill_name,
            status: row.status,
            submitted_by: row.submitted_by,
            submitted_at: iso_utc(row.submitted_at_us),
            reviewed_by: row.reviewed_by,
            reviewed_at: row.reviewed_at_us.map(iso_utc),
            comments: row.comments,
        }
    }
}

/// Submissions.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SkillsListApprovalsOutput {
    /// The submissions.
    approvals: Vec<ApprovalRecord>,
    /// How many.
    count: usize,
    /// Only if older ones were not looked at: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    complete: Option<bool>,
    /// Only then: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Method for SkillsListApprovals {
    const NAME: &'static str = "skills_list_approvals";
    const ACCESS: Access = Access::Read;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::Indeterminate];
    type Output = SkillsListApprovalsOutput;

    async fn call(self, cx: &RequestContext) -> Result<SkillsListApprovalsOutput, RpcError> {
        let (rows, complete) = approvals::list(&cx.call, self.status.as_deref(), self.skill_name).await?;
        let approvals: Vec<_> = rows.into_iter().map(ApprovalRecord::from).collect();
        let reason = format!("the newest {LISTED_MAX} of the tenant were looked at");
        Ok(SkillsListApprovalsOutput {
            count: approvals.len(),
            approvals,
            complete: (!complete).then_some(false),
            reason: (!complete).then_some(reason),
        })
    }
}
