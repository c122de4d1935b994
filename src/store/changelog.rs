//! The log of everything that changed: one row per revision, written in the transaction of the change.
//!
//! Audit, event feed, replay and time travel read it. Rows are stored as they were before and as they are after, each
//! with its `kind`, so that a reader of the table needs nothing else.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::model::{Change, Delta, Rev};

use super::StoreError;
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
        FROM changelog WHERE permissions = 1 AND rev > ?1 ORDER BY rev LIMIT ?2) AS some";
    /// The last revision at or before a time.
    CHANGELOG_REV_AT = "SELECT rev FROM changelog WHERE at_us <= ?1 ORDER BY rev DESC LIMIT 1";
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

/// The last revision at or before `at_us`; 0 if there is none.
pub fn rev_at(tx: &impl Sql, at_us: i64) -> Result<Rev, StoreError> {
    Ok(tx.query_one(CHANGELOG_REV_AT, crate::params![at_us], |row| row.id(0))?.unwrap_or(0))
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
fn encode(changes: &[Change]) -> (String, String) {
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
fn decode(rev: Rev, before: &str, after: &str) -> Result<Vec<Change>, StoreError> {
    let corrupt = |why: &dyn std::fmt::Display| StoreError::Corrupt { what: format!("changelog row {rev}: {why}") };
    let before: Vec<Option<Box<RawValue>>> = serde_json::from_str(before).map_err(|e| corrupt(&e))?;
    let after: Vec<Option<Box<RawValue>>> = serde_json::from_str(after).map_err(|e| corrupt(&e))?;
    if before.len() != after.len() {
        return Err(corrupt(&"before and after differ in length"));
    }
    let pairs = before.into_iter().zip(after);
    pairs.map(|(before, after)| decode_one(before, after).map_err(|why| corrupt(&why))).collect()
}

fn decode_one(before: Option<Box<RawValue>>, after: Option<Box<RawValue>>) -> Result<Change, String> {
    let parse = |raw: Option<Box<RawValue>>| -> Result<Value, String> {
        raw.map_or(Ok(Value::Null), |raw| serde_json::from_str(raw.get()).map_err(|e| e.to_string()))
    };
    let (before, after) = (parse(before)?, parse(after)?);
    let kind = [&after, &before].into_iter().find_map(|row| row.get("kind").cloned());
    let kind = kind.ok_or("a change has no kind")?;
    let change = serde_json::json!({ "kind": kind, "before": before, "after": after });
    serde_json::from_value(change).map_err(|e| e.to_string())
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
