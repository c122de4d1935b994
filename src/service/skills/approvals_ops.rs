//! Reviews of skills, written: submitted, decided once.
//!
//! A decision takes the right to write to the tenant's skill folder, or its admin; reviewers that were named narrow that
//! and never widen it: who submits names them. Nobody decides about his own in another's name.

use crate::auth::Caller;
use crate::model::{ApprovalRow, VirtualPath};
use crate::service::access::{Access, Permission};
use crate::service::files::ops::MESSAGE_BYTES;
use crate::service::located::Located;
use crate::service::skills::approvals::{
    Decision, Sources, Submission, keeps_folder, reviewers, reviewers_json, visible,
};
use crate::service::{Lacking, ServiceError};
use crate::store::{Sql, WriteOp, WriteTx, approvals};

/// Submissions of one tenant that may wait at a time.
const PENDING_MAX: u64 = 1_000;

/// Submits a skill.
#[derive(Debug)]
pub struct SubmitSkill {
    /// Who asks.
    pub caller: Caller,
    /// The id, drawn by the request.
    pub approval_id: String,
    /// Of the files.
    pub digest: String,
    /// The directory of the skill.
    pub source: VirtualPath,
    /// Its files.
    pub sources: Sources,
    /// What was said.
    pub submission: Submission,
}

/// The user in whose name something is done: the caller, or whom an admin names.
fn in_name_of<T: Sql>(access: &Access<'_, T>, claimed: &str, what: &str) -> Result<String, ServiceError> {
    let caller = access.caller();
    if claimed == caller.user || claimed == caller.subject_id {
        return Ok(caller.user.clone());
    }
    if access.rules(&caller.tenant) {
        return Ok(claimed.to_owned());
    }
    Err(ServiceError::PermissionDenied {
        message: format!("Access denied: {what} is '{claimed}', and you are '{}'", caller.user),
        hint: format!("send your own name as {what}; only an admin names another"),
        lacking: Lacking::new("admin", format_args!("tenant:{}", caller.tenant)),
    })
}

impl WriteOp for SubmitSkill {
    const NAME: &'static str = "skill_submit";
    type Output = ApprovalRow;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<ApprovalRow, ServiceError> {
        let row = {
            let access = Access::in_writer(&*tx, &self.caller)?;
            let submitted_by = in_name_of(&access, &self.submission.submitted_by, "submitted_by")?;
            let tenant = access.caller().tenant.clone();
            for source in &self.sources {
                let access = Access::in_writer(&*tx, &self.caller)?;
                access.require_file(Located::find(tx, source)?.target(), Permission::Read)?;
            }
            if approvals::pending(tx, &tenant)? >= PENDING_MAX {
                let text = format!("{PENDING_MAX} skills wait for a review already: decide about some first");
                return Err(ServiceError::Precondition(text));
            }
            ApprovalRow {
                approval_id: self.approval_id.clone(),
                tenant,
                skill_name: self.submission.skill_name.clone(),
                path: self.source.as_str().to_owned(),
                digest: self.digest.clone(),
                submitted_by,
                submitted_at_us: tx.now_us(),
                reviewers: reviewers_json(&self.submission.reviewers),
                comments: self.submission.comments.clone(),
                status: approvals::PENDING.into(),
                reviewed_by: None,
                reviewed_at_us: None,
                published_at_us: None,
            }
        };
        approvals::insert(tx, row.clone())?;
        Ok(row)
    }

    fn bytes(&self) -> usize {
        self.submission.comments.as_ref().map_or(0, String::len) + self.sources.len() * MESSAGE_BYTES + MESSAGE_BYTES
    }
}

/// Decides about a skill.
#[derive(Debug)]
pub struct DecideSkill {
    /// Who asks.
    pub caller: Caller,
    /// What was decided.
    pub decision: Decision,
}

impl DecideSkill {
    fn check(&self, tx: &WriteTx<'_>) -> Result<(ApprovalRow, String), ServiceError> {
        let access = Access::in_writer(tx, &self.caller)?;
        let row = visible(&access, &self.decision.approval_id)?;
        let reviewed_by = in_name_of(&access, &self.decision.reviewed_by, "reviewed_by")?;
        let (caller, named) = (access.caller(), reviewers(&row));
        if !access.rules(&row.tenant) {
            let among = named.is_empty() || named.contains(&caller.user) || named.contains(&caller.subject_id);
            if !among || !keeps_folder(&access)? {
                let folder = super::Tier::Tenant.folder(caller)?;
                return Err(ServiceError::PermissionDenied {
                    message: format!("Access denied: User '{}' may not decide about this skill", caller.user),
                    hint: match among {
                        true => format!("a review takes 'write' on '{folder}' (rebac_create, direct_editor)"),
                        false => format!("others were named as reviewers: {}", named.join(", ")),
                    },
                    lacking: Lacking::new("write", format_args!("file:{folder}")),
                });
            }
        }
        match row.reviewed_by.clone() {
            None => Ok((row, reviewed_by)),
            Some(by) => {
                Err(ServiceError::Decided { approval_id: row.approval_id, status: row.status, reviewed_by: by })
            }
        }
    }
}

impl WriteOp for DecideSkill {
    const NAME: &'static str = "skill_decide";
    type Output = ApprovalRow;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<ApprovalRow, ServiceError> {
        let (before, reviewed_by) = self.check(tx)?;
        let status = if self.decision.approve { approvals::APPROVED } else { approvals::REJECTED };
        let after = ApprovalRow {
            status: status.into(),
            reviewed_by: Some(reviewed_by),
            reviewed_at_us: Some(tx.now_us()),
            comments: self.decision.comments.clone().or_else(|| before.comments.clone()),
            ..before.clone()
        };
        approvals::update(tx, before, after.clone())?;
        Ok(after)
    }

    fn bytes(&self) -> usize {
        self.decision.comments.as_ref().map_or(0, String::len) + MESSAGE_BYTES
    }
}
