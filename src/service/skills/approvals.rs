//! Reviews of skills, read and asked for: who waits, who may see it, and which approval lets somebody publish.

use serde_json::Value;

use crate::auth::check_name as check_user;
use crate::model::{ApprovalRow, VirtualPath};
use crate::service::access::{Access, Permission};
use crate::service::located::Located;
use crate::service::skills::approvals_ops::{DecideSkill, SubmitSkill};
use crate::service::skills::ops::Reviewed;
use crate::service::skills::tree::Whole;
use crate::service::skills::{Tier, info, moving};
use crate::service::{Call, ServiceError};
use crate::store::{Sql, approvals};

/// Approvals that are listed.
pub const LISTED_MAX: u64 = 1_000;
/// Reviewers that may be named.
const REVIEWERS_MAX: usize = 32;
/// Longest comment, bytes.
const COMMENTS_BYTES_MAX: usize = 8 * 1024;

/// The reviewers that were named.
pub(super) fn reviewers(row: &ApprovalRow) -> Vec<String> {
    serde_json::from_str(&row.reviewers).unwrap_or_default()
}

/// Whether the caller may write to the skill folder of its tenant: what it takes to decide.
pub(super) fn keeps_folder<T: Sql>(access: &Access<'_, T>) -> Result<bool, ServiceError> {
    let located = Located::find(access.tx(), &Tier::Tenant.folder(access.caller())?)?;
    let target = if located.exact { located.target() } else { located.creation_target() };
    Ok(access.file(target, Permission::Write)?.allowed())
}

/// Whether the caller may know of an approval of its tenant: who submitted it, who was named, who may decide.
fn shows<T: Sql>(access: &Access<'_, T>, row: &ApprovalRow, keeps: bool) -> bool {
    let caller = access.caller();
    let own = row.submitted_by == caller.user || reviewers(row).contains(&caller.user);
    row.tenant == caller.tenant && (keeps || access.rules(&row.tenant) || own && caller.inherits)
}

/// The approval that the caller may know of; otherwise it is not found, whether it is there or not.
pub(super) fn visible<T: Sql>(access: &Access<'_, T>, approval_id: &str) -> Result<ApprovalRow, ServiceError> {
    let found = approvals::find(access.tx(), approval_id)?;
    let keeps = keeps_folder(access)?;
    found
        .filter(|row| shows(access, row, keeps))
        .ok_or_else(|| ServiceError::Validation(format!("Approval not found: {approval_id}")))
}

/// What is submitted.
#[derive(Debug, Clone)]
pub struct Submission {
    /// The name of the skill.
    pub skill_name: String,
    /// Who says to submit it: the caller; an admin may name another.
    pub submitted_by: String,
    /// Who shall decide; nobody named: whoever may write to the tenant's folder.
    pub reviewers: Vec<String>,
    /// Free text.
    pub comments: Option<String>,
}

fn bounded(comments: Option<&String>) -> Result<(), ServiceError> {
    match comments {
        Some(text) if text.len() > COMMENTS_BYTES_MAX || text.contains('\0') => {
            let text = format!("comments is longer than {COMMENTS_BYTES_MAX} bytes, or holds NUL");
            Err(ServiceError::InvalidParams(text))
        }
        _ => Ok(()),
    }
}

/// Submits a skill for a review. The approval is of the files as they are now.
pub async fn submit(call: &Call, submission: Submission) -> Result<ApprovalRow, ServiceError> {
    bounded(submission.comments.as_ref())?;
    if submission.reviewers.len() > REVIEWERS_MAX {
        return Err(ServiceError::InvalidParams(format!("at most {REVIEWERS_MAX} reviewers")));
    }
    for name in submission.reviewers.iter().chain([&submission.submitted_by]) {
        check_user("reviewers", name).map_err(|error| ServiceError::InvalidParams(error.to_string()))?;
    }
    let skill = info(call, &submission.skill_name).await?.skill;
    let whole = moving::whole(call, skill).await?;
    let op = SubmitSkill {
        caller: call.caller.clone(),
        approval_id: call.store.random().uuid(),
        digest: whole.digest(),
        source: whole.directory.clone(),
        sources: whole.paths(),
        submission,
    };
    call.submit(op).await
}

/// A decision.
#[derive(Debug, Clone)]
pub struct Decision {
    /// About which.
    pub approval_id: String,
    /// Who says to decide: the caller; an admin may name another.
    pub reviewed_by: String,
    /// Yes or no.
    pub approve: bool,
    /// Free text.
    pub comments: Option<String>,
}

/// Decides, once.
pub async fn decide(call: &Call, decision: Decision) -> Result<ApprovalRow, ServiceError> {
    bounded(decision.comments.as_ref())?;
    call.submit(DecideSkill { caller: call.caller.clone(), decision }).await
}

/// The approvals of the tenant that the caller may know of, newest first, and whether that is all.
pub async fn list(
    call: &Call,
    status: Option<&str>,
    skill_name: Option<String>,
) -> Result<(Vec<ApprovalRow>, bool), ServiceError> {
    let known = [approvals::PENDING, approvals::APPROVED, approvals::REJECTED];
    if let Some(bad) = status.filter(|status| !known.contains(status)) {
        let text = format!("Invalid status '{bad}'. Must be one of: {}", known.join(", "));
        return Err(ServiceError::InvalidParams(text));
    }
    let (asked, status) = (call.clone(), status.map(str::to_owned));
    call.read(move |tx| {
        let access = asked.access(tx)?;
        let keeps = keeps_folder(&access)?;
        let mut rows = approvals::of_tenant(tx, &access.caller().tenant, LISTED_MAX + 1)?;
        let complete = rows.len() as u64 <= LISTED_MAX;
        rows.truncate(usize::try_from(LISTED_MAX).unwrap_or(usize::MAX));
        rows.retain(|row| {
            shows(&access, row, keeps)
                && status.as_ref().is_none_or(|status| row.status == *status)
                && skill_name.as_ref().is_none_or(|name| row.skill_name == *name)
        });
        Ok((rows, complete))
    })
    .await
}

/// The approval with which the caller publishes a skill to a tier it may not write to, if it has one.
pub(super) async fn usable(call: &Call, whole: &Whole, tier: Tier) -> Result<Option<Reviewed>, ServiceError> {
    if tier != Tier::Tenant {
        return Ok(None);
    }
    let (asked, source, digest) = (call.clone(), whole.directory.clone(), whole.digest());
    call.read(move |tx| {
        let access = asked.access(tx)?;
        if keeps_folder(&access)? {
            return Ok(None);
        }
        let caller = access.caller();
        let rows = approvals::of_tenant(tx, &caller.tenant, LISTED_MAX)?;
        let mine = rows.into_iter().find(|row| {
            row.submitted_by == caller.user
                && caller.inherits
                && row.status == approvals::APPROVED
                && row.published_at_us.is_none()
                && row.path == source.as_str()
                && row.digest == digest
        });
        Ok(mine.map(|row| Reviewed { approval_id: row.approval_id, source, digest }))
    })
    .await
}

/// The names as they are stored.
pub(super) fn reviewers_json(names: &[String]) -> String {
    Value::from(names.to_vec()).to_string()
}

/// The paths that a submission was of, for the second check.
pub(super) type Sources = Vec<VirtualPath>;
