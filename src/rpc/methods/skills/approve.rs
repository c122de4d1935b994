//! `skills_approve`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::decision::{DECIDING, DecisionOutput};
use crate::model::ApprovalRow;
use crate::rpc::{Access, CachePolicy, ErrorCode, Method, RequestContext, RpcError};
use crate::service::skills::approvals::{self, Decision};

/// Decide that a submitted skill may be published to the tenant.
///
/// Needs `write` on the tenant's skill folder, or its admin, and to be among the reviewers if some were named. A
/// decision is made once: a second one is refused.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct SkillsApprove {
    /// The submission.
    approval_id: String,
    /// The caller, as without it; an admin may name another user.
    #[serde(default)]
    reviewed_by: Option<String>,
    /// What the reviewer is.
    #[serde(default = "super::decision::user")]
    reviewer_type: String,
    /// Free text.
    #[serde(default)]
    comments: Option<String>,
    /// Only the caller's own tenant.
    #[serde(default)]
    tenant_id: Option<String>,
}

impl Method for SkillsApprove {
    const NAME: &'static str = "skills_approve";
    const ACCESS: Access = Access::Write;
    const ERRORS: &'static [ErrorCode] = DECIDING;
    const CACHE: CachePolicy = CachePolicy::NoStore;
    type Output = DecisionOutput;

    async fn call(self, cx: &RequestContext) -> Result<DecisionOutput, RpcError> {
        super::decision::own_tenant(cx, self.tenant_id.as_deref())?;
        let reviewer_type = self.reviewer_type;
        let output = move |row: &ApprovalRow| DecisionOutput::new(row, &reviewer_type);
        cx.reply_with(output.clone());
        let decision = Decision {
            approval_id: self.approval_id,
            reviewed_by: self.reviewed_by.unwrap_or_else(|| cx.call.caller.user.clone()),
            approve: true,
            comments: self.comments,
        };
        Ok(output(&approvals::decide(&cx.call, decision).await?))
    }
}
