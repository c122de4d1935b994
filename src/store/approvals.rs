//! Skills that wait for a review before they are shared, and what was decided.
//!
//! Owns the table `skill_approvals`. Knows nothing of skills nor of rights. Every change is recorded here.

use super::statements::statements;
use super::{Row, Sql, StoreError, WriteTx};
use crate::model::{ApprovalRow, Change, Delta};
use crate::params;

/// Nobody has decided.
pub const PENDING: &str = "pending";
/// It may be shared.
pub const APPROVED: &str = "approved";
/// It may not be shared.
pub const REJECTED: &str = "rejected";

statements! {
    /// One.
    APPROVAL_BY_ID = "SELECT approval_id, tenant, skill_name, path, digest, submitted_by, submitted_at_us, reviewers, \
         comments, status, reviewed_by, reviewed_at_us, published_at_us FROM skill_approvals WHERE approval_id = ?1";
    /// Those of a tenant, newest first.
    APPROVALS_OF_TENANT = "SELECT approval_id, tenant, skill_name, path, digest, submitted_by, submitted_at_us, \
         reviewers, comments, status, reviewed_by, reviewed_at_us, published_at_us FROM skill_approvals \
         WHERE tenant = ?1 ORDER BY submitted_at_us DESC, approval_id LIMIT ?2";
    /// How many of a tenant wait.
    APPROVALS_PENDING = "SELECT COUNT(*) FROM skill_approvals WHERE tenant = ?1 AND status = 'pending'";
    /// A new one.
    INSERT_APPROVAL = "INSERT INTO skill_approvals (approval_id, tenant, skill_name, path, digest, submitted_by, \
         submitted_at_us, reviewers, comments, status, reviewed_by, reviewed_at_us, published_at_us) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    /// What became of it.
    UPDATE_APPROVAL = "UPDATE skill_approvals SET status = ?2, reviewed_by = ?3, reviewed_at_us = ?4, comments = ?5, \
         published_at_us = ?6 WHERE approval_id = ?1";
}

fn from_row(row: &Row<'_>) -> Result<ApprovalRow, StoreError> {
    Ok(ApprovalRow {
        approval_id: row.string(0)?,
        tenant: row.string(1)?,
        skill_name: row.string(2)?,
        path: row.string(3)?,
        digest: row.string(4)?,
        submitted_by: row.string(5)?,
        submitted_at_us: row.int(6)?,
        reviewers: row.string(7)?,
        comments: row.opt_string(8)?,
        status: row.string(9)?,
        reviewed_by: row.opt_string(10)?,
        reviewed_at_us: row.opt_int(11)?,
        published_at_us: row.opt_int(12)?,
    })
}

/// The approval of this id.
pub fn find(tx: &impl Sql, approval_id: &str) -> Result<Option<ApprovalRow>, StoreError> {
    tx.query_one(APPROVAL_BY_ID, params![approval_id], from_row)
}

/// Up to `limit` of a tenant, newest first.
pub fn of_tenant(tx: &impl Sql, tenant: &str, limit: u64) -> Result<Vec<ApprovalRow>, StoreError> {
    tx.query(APPROVALS_OF_TENANT, params![tenant, limit], from_row)
}

/// How many of a tenant wait for a decision.
pub fn pending(tx: &impl Sql, tenant: &str) -> Result<u64, StoreError> {
    Ok(tx.query_one(APPROVALS_PENDING, params![tenant], |row| row.id(0))?.unwrap_or(0))
}

/// Adds one; its id is new.
pub fn insert(tx: &mut WriteTx<'_>, row: ApprovalRow) -> Result<(), StoreError> {
    tx.exec(
        INSERT_APPROVAL,
        params![
            &row.approval_id,
            &row.tenant,
            &row.skill_name,
            &row.path,
            &row.digest,
            &row.submitted_by,
            row.submitted_at_us,
            &row.reviewers,
            &row.comments,
            &row.status,
            &row.reviewed_by,
            row.reviewed_at_us,
            row.published_at_us,
        ],
    )?;
    tx.record(Change::Approval(Delta::insert(row)));
    Ok(())
}

/// Changes one that was read in this transaction: decided, or used.
pub fn update(tx: &mut WriteTx<'_>, before: ApprovalRow, after: ApprovalRow) -> Result<(), StoreError> {
    tx.exec(
        UPDATE_APPROVAL,
        params![
            &after.approval_id,
            &after.status,
            &after.reviewed_by,
            after.reviewed_at_us,
            &after.comments,
            after.published_at_us,
        ],
    )?;
    tx.record(Change::Approval(Delta::update(before, after)));
    Ok(())
}
