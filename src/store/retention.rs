//! Which states of the past are kept, and throwing away the others.
//!
//! A state is thrown away when **all** of this is so: it has ended; it ended more than the days ago; it is of no
//! version among the newest of its file that are kept (of a file that is there, or was until less than the days ago);
//! and no snapshot is of a revision at which it held. So what is current is never touched, and a deleted file can be
//! brought back for as long as the days.
//!
//! Knows no bodies: what nobody names any more is the matter of `collection`. Invariant: below the floor in `meta`
//! states may be missing, from it on none is; the floor is moved in the transaction that throws away.

use super::backend::Conn;
use super::statements::statements;
use super::tx::{Loader, Sql};
use super::{Row, StoreError, changelog, collection, meta, snapshots};
use crate::model::{NodeId, Rev};
use crate::params;

/// States that one step looks at, and throws away at most.
pub(super) const STEP_ROWS: u64 = 1_000;
const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

statements! {
    /// States in the order of their key.
    RETENTION_STEP = "SELECT node, from_rev, to_rev, version, content FROM versions \
         WHERE (node, from_rev) > (?1, ?2) ORDER BY node, from_rev LIMIT ?3";
    /// The newest state of a node.
    RETENTION_NEWEST = "SELECT version, to_rev FROM versions WHERE node = ?1 ORDER BY from_rev DESC LIMIT 1";
    /// Throws one away.
    RETENTION_DROP = "DELETE FROM versions WHERE node = ?1 AND from_rev = ?2";
}

/// What is kept at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keep {
    /// Versions of each file, the newest.
    pub(super) versions: u64,
    /// Days of what has ended; 0 = everything for ever.
    pub(super) days: u64,
}

/// A state that is not needed any more.
#[derive(Debug)]
pub(super) struct Doomed {
    node: NodeId,
    from: Rev,
    to: Rev,
    content: Option<Vec<u8>>,
}

/// What a look has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) doomed: Vec<Doomed>,
    /// Where the next look begins; `None` = all were looked at.
    pub(super) next: Option<(NodeId, Rev)>,
}

/// The last revision that is older than the days; 0 = none is.
pub(super) fn horizon(tx: &Loader<'_>, keep: Keep) -> Result<Rev, StoreError> {
    let Some(age_us) = i64::try_from(keep.days).ok().and_then(|days| days.checked_mul(DAY_US)) else { return Ok(0) };
    if keep.days == 0 { Ok(0) } else { changelog::rev_at(tx, tx.now_us().saturating_sub(age_us)) }
}

/// The number of a node's last version, and the revision at which it ended, if it has.
type Last = (u64, Option<Rev>);

/// Looks at the states behind a key. Changes nothing.
pub(super) fn look(
    tx: &Loader<'_>,
    keep: Keep,
    horizon: Rev,
    (node, from): (NodeId, Rev),
) -> Result<Found, StoreError> {
    let states = tx.query(RETENTION_STEP, params![node, from, STEP_ROWS], |row| {
        Ok((row.id(0)?, row.id(1)?, opt_rev(row, 2)?, row.id(3)?, row.opt_blob(4)?.map(<[u8]>::to_vec)))
    })?;
    let mut found = Found::default();
    if states.len() as u64 == STEP_ROWS {
        found.next = states.last().map(|state| (state.0, state.1));
    }
    let mut newest: Option<(NodeId, Option<Last>)> = None;
    for (node, from, to, version, content) in states {
        let Some(to) = to.filter(|to| *to <= horizon) else { continue };
        let last = match newest {
            Some((of, last)) if of == node => last,
            _ => {
                let last = tx.query_one(RETENTION_NEWEST, params![node], |row| Ok((row.id(0)?, opt_rev(row, 1)?)))?;
                newest = Some((node, last));
                last
            }
        };
        let remembered = last.filter(|(_, end)| end.is_none_or(|end| end > horizon));
        // A directory has no versions, only places.
        let recent = remembered.is_some_and(|(last, _)| version > 0 && version.saturating_add(keep.versions) > last);
        if !recent && !snapshots::kept(tx, from, Some(to))? {
            found.doomed.push(Doomed { node, from, to, content });
        }
    }
    Ok(found)
}

/// Throws states away and moves the floor, in a transaction of the caller.
pub(super) fn drop_states(conn: Conn<'_>, floor: Rev, doomed: &[Doomed]) -> Result<(), StoreError> {
    for state in doomed {
        conn.exec(RETENTION_DROP, params![state.node, state.from])?;
        if let Some(content) = &state.content {
            // Somebody may have looked at it a moment ago: its time to go begins now.
            collection::used(conn, content)?;
        }
    }
    let floor = doomed.iter().map(|state| state.to).max().unwrap_or(0).max(floor);
    meta::put_raw(conn, meta::HISTORY_FLOOR, &floor.to_string())
}

fn opt_rev(row: &Row<'_>, at: usize) -> Result<Option<Rev>, StoreError> {
    Ok(if row.opt_int(at)?.is_none() { None } else { Some(row.id(at)?) })
}
