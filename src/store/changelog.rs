//! The log of everything that changed: one row per revision, written in the transaction of the change.
//!
//! Audit, event feed, replay and time travel read it. Rows are stored as they were before and as they are after, each
//! with its `kind`, so that a reader of the table needs nothing else.

use std::ops::ControlFlow;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::model::{Change, Delta, Rev};

use super::StoreError;
use super::meta;
use super::op::Origin;
use super::row::Row;
use super::statements::statements;
use super::tx::{Sql, WriteTx};

statements! {
    /// The row of one operation.
    CHANGELOG_PUT = "INSERT INTO changelog (rev, at_us, actor, tenant, request_id, op, permissions, before, after) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    /// What happened after a revision, in order.
    CHANGELOG_AFTER = "SELECT rev, at_us, actor, tenant, request_id, op, before, after FROM changelog \
        WHERE rev > ?1 ORDER BY rev LIMIT ?2";
    /// What a permission decision may depend on and happened after a revision, in order.
    CHANGELOG_PERMISSIONS_AFTER = "SELECT rev, at_us, actor, tenant, request_id, op, before, after FROM changelog \
        WHERE permissions = 1 AND rev > ?1 ORDER BY rev LIMIT ?2";
    /// How many such rows there are, and how long they are, as far as a limit.
    CHANGELOG_PERMISSIONS_SIZE = "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM (SELECT LENGTH(after) AS size \
        FROM changelog WHERE permissions = 1 AND rev > ?1 ORDER BY rev LIMIT ?2) AS listed";
    /// When a revision was made.
    CHANGELOG_TIME_OF = "SELECT at_us FROM changelog WHERE rev = ?1";
    /// What a revision changed.
    CHANGELOG_CHANGES_OF = "SELECT before, after FROM changelog WHERE rev = ?1";
    /// How many rows after a revision may decide permissions, as far as a limit.
    CHANGELOG_COUNT_PERMISSIONS = "SELECT COUNT(*) FROM (SELECT 1 AS one FROM changelog \
        WHERE permissions = 1 AND rev > ?1 LIMIT ?2) AS listed";
    /// The rows after a revision that may decide permissions, newest first.
    CHANGELOG_BACK_TO = "SELECT rev, before, after FROM changelog WHERE permissions = 1 AND rev > ?1 ORDER BY rev DESC";
    /// Those of an interval, oldest first.
    CHANGELOG_PERMISSIONS_BETWEEN = "SELECT rev, before, after FROM changelog \
        WHERE permissions = 1 AND rev > ?1 AND rev <= ?2 ORDER BY rev";
}

/// One row of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangelogRow {
    /// The revision.
    pub rev: Rev,
    /// When, µs since the Unix epoch; never decreases with `rev`.
    pub at_us: i64,
    /// Who, as `type:id`, or `system`.
    pub actor: String,
    /// The caller's tenant.
    pub tenant: String,
    /// The request.
    pub request_id: String,
    /// The name of the writer message.
    pub op: String,
    /// What changed, in order.
    pub changes: Vec<Change>,
}

/// The rows after revision `rev`, oldest first, at most `limit`.
pub fn after(tx: &impl Sql, rev: Rev, limit: u64) -> Result<Vec<ChangelogRow>, StoreError> {
    tx.query(CHANGELOG_AFTER, crate::params![rev, limit], read_row)
}

/// The rows after revision `rev` on which a permission decision may depend, oldest first; `None` if there are more than
/// `rows` of them, or if they are longer than `chars` together.
pub fn permissions_after(
    tx: &impl Sql,
    rev: Rev,
    rows: u64,
    chars: u64,
) -> Result<Option<Vec<ChangelogRow>>, StoreError> {
    let size =
        tx.query_one(CHANGELOG_PERMISSIONS_SIZE, crate::params![rev, rows + 1], |row| Ok((row.id(0)?, row.id(1)?)))?;
    match size {
        Some((found, long)) if found > rows || long > chars => Ok(None),
        _ => Ok(Some(tx.query(CHANGELOG_PERMISSIONS_AFTER, crate::params![rev, rows], read_row)?)),
    }
}

/// The last revision at or before `at_us`, of those whose rows are kept; the floor if there is none. Times never
/// decrease with revisions and these have no gaps, so a few point reads find it.
pub fn rev_at(tx: &impl Sql, at_us: i64) -> Result<Rev, StoreError> {
    let (mut known, mut head) = (meta::floor_rev(tx)?, tx.rev());
    while known < head {
        let middle = head - (head - known) / 2;
        match time_of(tx, middle)? {
            Some(time) if time <= at_us => known = middle,
            Some(_) => head = middle - 1,
            None => return Err(missing(middle)),
        }
    }
    Ok(known)
}

/// When a revision was made, µs since the Unix epoch; `None` if its row is not kept (or there never was one: 0).
pub fn time_of(tx: &impl Sql, rev: Rev) -> Result<Option<i64>, StoreError> {
    tx.query_one(CHANGELOG_TIME_OF, crate::params![rev], |row| row.int(0))
}

/// What a revision changed, in order; `None` if its row is not kept.
pub fn changes_of(tx: &impl Sql, rev: Rev) -> Result<Option<Vec<Change>>, StoreError> {
    tx.query_one(CHANGELOG_CHANGES_OF, crate::params![rev], |row| decode(rev, row.text(0)?, row.text(1)?))
}

/// How many revisions after `rev` may decide permissions; `limit` if there are that many or more.
pub fn count_permissions_after(tx: &impl Sql, rev: Rev, limit: u64) -> Result<u64, StoreError> {
    Ok(tx.query_one(CHANGELOG_COUNT_PERMISSIONS, crate::params![rev, limit], |row| row.id(0))?.unwrap_or(0))
}

/// Gives the changes of each revision after `rev` that may decide permissions to `each`, the newest revision first;
/// those of one revision in the order in which they were made.
pub fn back_to(
    tx: &impl Sql,
    rev: Rev,
    mut each: impl FnMut(Rev, Vec<Change>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    tx.each(CHANGELOG_BACK_TO, crate::params![rev], |row| {
        let rev = row.id(0)?;
        each(rev, decode(rev, row.text(1)?, row.text(2)?)?).map(ControlFlow::Continue)
    })
}

/// Gives the changes of each revision after `from` up to `to` that may decide permissions to `each`, in order.
pub fn permissions_between(tx: &impl Sql, from: Rev, to: Rev, mut each: impl FnMut(Change)) -> Result<(), StoreError> {
    tx.each(CHANGELOG_PERMISSIONS_BETWEEN, crate::params![from, to], |row| {
        decode(row.id(0)?, row.text(1)?, row.text(2)?)?.into_iter().for_each(&mut each);
        Ok(ControlFlow::Continue(()))
    })
}

fn missing(rev: Rev) -> StoreError {
    StoreError::Corrupt { what: format!("changelog row {rev} is missing") }
}

fn read_row(row: &Row<'_>) -> Result<ChangelogRow, StoreError> {
    let rev = row.id(0)?;
    Ok(ChangelogRow {
        rev,
        at_us: row.int(1)?,
        actor: row.string(2)?,
        tenant: row.string(3)?,
        request_id: row.string(4)?,
        op: row.string(5)?,
        changes: decode(rev, row.text(6)?, row.text(7)?)?,
    })
}

/// Writes the row of the operation that `tx` runs.
pub(super) fn append(tx: &mut WriteTx<'_>, op: &'static str, changes: &[Change]) -> Result<(), StoreError> {
    let (rev, at_us) = (tx.rev(), tx.now_us());
    let (before, after) = encode(changes);
    let permissions = changes.iter().any(Change::decides_permissions);
    let Origin { actor, tenant, request_id, .. } = tx.origin().clone();
    tx.exec(CHANGELOG_PUT, crate::params![rev, at_us, &actor, &tenant, &request_id, op, permissions, &before, &after])
}

/// The two JSON arrays of `changes`: rows before and rows after, `null` = absent.
pub(super) fn encode(changes: &[Change]) -> (String, String) {
    let (mut before, mut after) = (String::from("["), String::from("["));
    for (at, change) in changes.iter().enumerate() {
        if at > 0 {
            before.push(',');
            after.push(',');
        }
        match change {
            Change::Entity(d) => push(&mut before, &mut after, "entity", d),
            Change::Tuple(d) => push(&mut before, &mut after, "tuple", d),
            Change::Node(d) => push(&mut before, &mut after, "node", d),
            Change::Namespace(d) => push(&mut before, &mut after, "namespace", d),
            Change::Key(d) => push(&mut before, &mut after, "key", d),
            Change::Agent(d) => push(&mut before, &mut after, "agent", d),
            Change::Workspace(d) => push(&mut before, &mut after, "workspace", d),
            Change::Mount(d) => push(&mut before, &mut after, "mount", d),
            Change::Sandbox(d) => push(&mut before, &mut after, "sandbox", d),
            Change::Snapshot(d) => push(&mut before, &mut after, "snapshot", d),
            Change::Memory(d) => push(&mut before, &mut after, "memory", d),
            Change::Trajectory(d) => push(&mut before, &mut after, "trajectory", d),
            Change::TrajectoryNote(d) => push(&mut before, &mut after, "trajectory_note", d),
            Change::Playbook(d) => push(&mut before, &mut after, "playbook", d),
            Change::Quota(d) => push(&mut before, &mut after, "quota", d),
            Change::Subscription(d) => push(&mut before, &mut after, "subscription", d),
            Change::Approval(d) => push(&mut before, &mut after, "approval", d),
        }
    }
    before.push(']');
    after.push(']');
    (before, after)
}

fn push<T: serde::Serialize>(before: &mut String, after: &mut String, kind: &str, delta: &Delta<T>) {
    push_row(before, kind, delta.before.as_ref());
    push_row(after, kind, delta.after.as_ref());
}

/// Appends `row` with its kind in front. Spliced as text: a `Value` in between would cost more than the SQL.
fn push_row<T: serde::Serialize>(out: &mut String, kind: &str, row: Option<&T>) {
    let Some(row) = row else {
        out.push_str("null");
        return;
    };
    let json = serde_json::to_string(row).expect("rows are plain data with text keys");
    out.push_str("{\"kind\":\"");
    out.push_str(kind);
    out.push_str("\",");
    out.push_str(json.strip_prefix('{').expect("a row is an object with fields"));
}

/// The changes that [`encode`] wrote.
pub(super) fn decode(rev: Rev, before: &str, after: &str) -> Result<Vec<Change>, StoreError> {
    let corrupt = |why: &dyn std::fmt::Display| StoreError::Corrupt { what: format!("changelog row {rev}: {why}") };
    let before: Vec<Option<&RawValue>> = serde_json::from_str(before).map_err(|e| corrupt(&e))?;
    let after: Vec<Option<&RawValue>> = serde_json::from_str(after).map_err(|e| corrupt(&e))?;
    if before.len() != after.len() {
        return Err(corrupt(&"before and after differ in length"));
    }
    let pairs = before.into_iter().zip(after);
    pairs.map(|(before, after)| decode_one(before, after).map_err(|why| corrupt(&why))).collect()
}

/// The kind in front of a row.
#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    kind: &'a str,
}

fn decode_one(before: Option<&RawValue>, after: Option<&RawValue>) -> Result<Change, String> {
    fn delta<T: DeserializeOwned>(before: Option<&RawValue>, after: Option<&RawValue>) -> Result<Delta<T>, String> {
        let row = |raw: Option<&RawValue>| raw.map(|raw| serde_json::from_str(raw.get())).transpose();
        let read = || Ok::<_, serde_json::Error>(Delta { before: row(before)?, after: row(after)? });
        read().map_err(|e| e.to_string())
    }
    let row = after.or(before).ok_or("a change without rows")?;
    let Kind { kind } = serde_json::from_str(row.get()).map_err(|e| e.to_string())?;
    Ok(match kind {
        "entity" => Change::Entity(delta(before, after)?),
        "tuple" => Change::Tuple(delta(before, after)?),
        "node" => Change::Node(delta(before, after)?),
        "namespace" => Change::Namespace(delta(before, after)?),
        "key" => Change::Key(delta(before, after)?),
        "agent" => Change::Agent(delta(before, after)?),
        "workspace" => Change::Workspace(delta(before, after)?),
        "mount" => Change::Mount(delta(before, after)?),
        "sandbox" => Change::Sandbox(delta(before, after)?),
        "snapshot" => Change::Snapshot(delta(before, after)?),
        "memory" => Change::Memory(delta(before, after)?),
        "trajectory" => Change::Trajectory(delta(before, after)?),
        "trajectory_note" => Change::TrajectoryNote(delta(before, after)?),
        "playbook" => Change::Playbook(delta(before, after)?),
        "quota" => Change::Quota(delta(before, after)?),
        "subscription" => Change::Subscription(delta(before, after)?),
        "approval" => Change::Approval(delta(before, after)?),
        other => return Err(format!("a change of the unknown kind '{other}'")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AgentRow, EntityRow};

    #[test]
    fn changes_come_back_as_they_went() {
        let entity = |name: &str| EntityRow { id: 7, tenant: "t".into(), kind: "file".into(), name: name.into() };
        let agent = AgentRow {
            tenant: "t".into(),
            agent_id: "a\"b".into(),
            user_id: "u".into(),
            name: "n".into(),
            description: None,
            inherit_permissions: true,
            metadata: "{}".into(),
            created_at_us: 5,
        };
        let changes = vec![
            Change::Entity(Delta::insert(entity("/a"))),
            Change::Entity(Delta::update(entity("/a"), entity("/b\u{1F600}"))),
            Change::Agent(Delta::delete(agent)),
        ];
        let (before, after) = encode(&changes);
        assert!(before.starts_with("[null,{\"kind\":\"entity\",\"id\":7"), "{before}");
        assert_eq!(decode(1, &before, &after).expect("decodes"), changes);
    }

    #[test]
    fn a_damaged_row_is_an_error() {
        for (before, after) in [("[", "[]"), ("[null]", "[]"), ("[null]", "[null]"), ("[null]", "[{\"kind\":\"x\"}]")] {
            assert!(matches!(decode(3, before, after), Err(StoreError::Corrupt { .. })), "{before} {after}");
        }
    }
}
