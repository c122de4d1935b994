//! The log and the denials, read page by page in both directions: what the audit is made of.
//!
//! Reads only. What of a row a caller may see is not decided here.

use std::ops::ControlFlow;

use crate::model::Rev;

use super::StoreError;
use super::changelog::{self, ChangelogRow};
use super::row::Row;
use super::statements::statements;
use super::tx::Sql;

statements! {
    /// The rows of the log after a revision, in order.
    AUDIT_AFTER = "SELECT rev, at_us, actor, tenant, request_id, op, before, after FROM changelog \
        WHERE rev > ?1 ORDER BY rev LIMIT ?2";
    /// The rows before a revision, the newest first.
    AUDIT_BEFORE = "SELECT rev, at_us, actor, tenant, request_id, op, before, after FROM changelog \
        WHERE rev < ?1 ORDER BY rev DESC LIMIT ?2";
}

/// A row of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The row; without its changes if they were not wanted.
    pub row: ChangelogRow,
    /// Whether they were.
    pub wanted: bool,
}

/// At most `limit` rows of the log next to revision `from`, which is not among them: the later ones in order, or the
/// earlier ones, newest first. The changes of a row are read only if it is wanted, by all that is known without them.
pub fn next(
    tx: &impl Sql,
    newest_first: bool,
    from: Rev,
    limit: u64,
    wants: impl Fn(&ChangelogRow) -> bool,
) -> Result<Vec<Logged>, StoreError> {
    let mut found = Vec::new();
    let sql = if newest_first { AUDIT_BEFORE } else { AUDIT_AFTER };
    tx.each(sql, crate::params![from, limit], |row| {
        let mut head = head(row)?;
        let wanted = wants(&head);
        if wanted {
            head.changes = changelog::decode(head.rev, row.text(6)?, row.text(7)?)?;
        }
        found.push(Logged { row: head, wanted });
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

fn head(row: &Row<'_>) -> Result<ChangelogRow, StoreError> {
    Ok(ChangelogRow {
        rev: row.id(0)?,
        at_us: row.int(1)?,
        actor: row.string(2)?,
        tenant: row.string(3)?,
        request_id: row.string(4)?,
        op: row.string(5)?,
        changes: Vec::new(),
    })
}
