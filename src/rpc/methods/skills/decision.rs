//! What `skills_approve` and `skills_reject` share.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::ApprovalRow;
use crate::rpc::{ErrorCode, RequestContext, RpcError};

/// What a decision may be refused with.
pub(super) const DECIDING: &[ErrorCode] =
    &[ErrorCode::Validation, ErrorCode::PermissionDenied, ErrorCode::Precondition, ErrorCode::Indeterminate];

pub(super) fn user() -> String {
    "user".to_owned()
}

/// Refuses another tenant than the caller's: approvals of others are not found.
pub(super) fn own_tenant(cx: &RequestContext, tenant: Option<&str>) -> Result<(), RpcError> {
    match tenant {
        Some(other) if other != cx.call.caller.tenant => {
            Err(RpcError::invalid_params("tenant_id is another tenant than that of the key"))
        }
        _ => Ok(()),
    }
}

/// A decision.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DecisionOutput {
    /// About which submission.
    approval_id: String,
    /// Who decided.
    reviewed_by: String,
    /// What the reviewer is.
    reviewer_type: String,
    /// `approved` or `rejected`.
    status: String,
}

impl DecisionOutput {
    pub(super) fn new(row: &ApprovalRow, reviewer_type: &str) -> Self {
        Self {
            approval_id: row.approval_id.clone(),
            reviewed_by: row.reviewed_by.clone().unwrap_or_default(),
            reviewer_type: reviewer_type.to_owned(),
            status: row.status.clone(),
        }
    }
}
