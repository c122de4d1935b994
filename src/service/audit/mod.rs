//! The audit: who changed what and when, and who was refused what. The log and the denials, merged by time.
//!
//! Owns who may read it, its filters and its pages. Shows which rows changed and how; never a body, never a hash of a
//! key. An admin sees what was done and refused in its tenant, and of it what is about its tenant.

pub mod view;

use std::collections::VecDeque;

use crate::model::Rev;
use crate::service::audit::view::{ChangeView, views};
use crate::service::keys::{not_instance_admin, require_admin};
use crate::service::{Call, ServiceError};
use crate::store::audit::{self, Logged};
use crate::store::changelog::{self, ChangelogRow};
use crate::store::denials::{self, DenialRow};
use crate::store::{ReadTx, Sql};

/// Rows that are looked at for one page.
const SCAN_ROWS_MAX: usize = 20_000;
/// Rows that are read at once.
const CHUNK_ROWS: u64 = 256;
/// Beyond every revision and every number.
const BEYOND: u64 = i64::MAX as u64;

/// What kind of entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditKind {
    /// Something changed.
    Change,
    /// Something was refused.
    Denial,
}

/// Which entries.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Of one kind.
    pub kind: Option<AuditKind>,
    /// By this actor, `type:id`.
    pub actor: Option<String>,
    /// Of this operation (changes) or this method (denials).
    pub op: Option<String>,
    /// About an object that begins so: a path, `group:eng`.
    pub object: Option<String>,
    /// Of this tenant. The caller's own, unless it crosses tenants.
    pub tenant: Option<String>,
    /// From this revision on.
    pub since_rev: Option<Rev>,
    /// Up to this revision.
    pub until_rev: Option<Rev>,
    /// From this time on, µs.
    pub since_us: Option<i64>,
    /// Up to this time, µs.
    pub until_us: Option<i64>,
}

/// A page that is wanted.
#[derive(Debug, Clone)]
pub struct AuditRequest {
    /// Which entries.
    pub filter: AuditFilter,
    /// In which order.
    pub newest_first: bool,
    /// Longest page.
    pub limit: usize,
    /// Where the last page ended.
    pub cursor: Option<String>,
}

/// One entry.
#[derive(Debug, Clone)]
pub enum AuditEntry {
    /// Something changed. The changes of the row stand beside it.
    Change(ChangelogRow, Vec<ChangeView>),
    /// Something was refused.
    Denial(DenialRow),
}

/// A page.
#[derive(Debug, Clone)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// Where to go on; with the oldest first also for what comes later.
    pub cursor: String,
    /// The cursor of a list with the oldest first that goes on after everything there is now.
    pub end: String,
    /// Why there may be more, if there may.
    pub cut_short: Option<String>,
}

/// Between which rows the next page begins.
#[derive(Debug, Clone, Copy)]
struct Place {
    rev: Rev,
    seq: u64,
}

impl Place {
    fn read(text: &str, newest_first: bool) -> Result<Self, ServiceError> {
        let bad = || ServiceError::InvalidParams("cursor is not one that this list, in this order, gave".into());
        let mut parts = text.split('.');
        let order = parts.next().ok_or_else(bad)?;
        let mut number = || parts.next().and_then(|n| n.parse().ok()).filter(|n| *n <= BEYOND).ok_or_else(bad);
        let place = Self { rev: number()?, seq: number()? };
        if order == tag(newest_first) && parts.next().is_none() { Ok(place) } else { Err(bad()) }
    }

    fn write(self, newest_first: bool) -> String {
        format!("{}.{}.{}", tag(newest_first), self.rev, self.seq)
    }
}

fn tag(newest_first: bool) -> &'static str {
    if newest_first { "n" } else { "o" }
}

/// A page of the audit, for an admin.
pub async fn query(call: &Call, request: AuditRequest) -> Result<AuditPage, ServiceError> {
    let caller = call.caller.clone();
    call.read_slow(move |tx| {
        let caller = require_admin(tx, &caller)?;
        let mut request = request;
        if !caller.is_instance_admin {
            if request.filter.tenant.as_ref().is_some_and(|tenant| *tenant != caller.tenant) {
                return Err(not_instance_admin());
            }
            request.filter.tenant = Some(caller.tenant.clone());
        }
        Reader::new(tx, &request)?.page(!caller.is_instance_admin)
    })
    .await
}

/// Reads one page.
struct Reader<'a, 't> {
    tx: &'a ReadTx<'t>,
    request: &'a AuditRequest,
    place: Place,
    changes: VecDeque<Logged>,
    denials: VecDeque<DenialRow>,
    /// Whether there are no further rows than those that were read.
    all_changes: bool,
    all_denials: bool,
}

impl<'a, 't> Reader<'a, 't> {
    fn new(tx: &'a ReadTx<'t>, request: &'a AuditRequest) -> Result<Self, ServiceError> {
        let newest_first = request.newest_first;
        let mut place = match &request.cursor {
            Some(cursor) => Place::read(cursor, newest_first)?,
            None if newest_first => Place { rev: BEYOND, seq: BEYOND },
            None => Place { rev: 0, seq: 0 },
        };
        // The log is in order of time, too: nothing outside the bounds is read.
        let AuditFilter { since_rev, until_rev, since_us, until_us, .. } = &request.filter;
        if newest_first {
            let by_time = until_us.map(|us| changelog::rev_at(tx, us)).transpose()?;
            let last = by_time.into_iter().chain(*until_rev).min().unwrap_or(BEYOND - 1);
            place.rev = place.rev.min(last.saturating_add(1)).min(BEYOND);
        } else {
            let by_time = since_us.map(|us| changelog::rev_at(tx, us.saturating_sub(1))).transpose()?;
            let by_rev = since_rev.map(|rev| rev.saturating_sub(1));
            place.rev = place.rev.max(by_time.into_iter().chain(by_rev).max().unwrap_or(0)).min(BEYOND);
        }
        let only = |kind| request.filter.kind.is_some_and(|k| k != kind);
        let (all_changes, all_denials) = (only(AuditKind::Change), only(AuditKind::Denial));
        let (changes, denials) = (VecDeque::new(), VecDeque::new());
        Ok(Self { tx, request, place, changes, denials, all_changes, all_denials })
    }

    fn page(mut self, own_only: bool) -> Result<AuditPage, ServiceError> {
        let (mut entries, mut scanned) = (Vec::new(), 0);
        let cut_short = loop {
            self.fill()?;
            if self.changes.is_empty() && self.denials.is_empty() {
                break None;
            }
            if entries.len() == self.request.limit {
                break Some("the page is full".to_owned());
            }
            if scanned == SCAN_ROWS_MAX {
                break Some(format!("{SCAN_ROWS_MAX} rows were looked at"));
            }
            scanned += 1;
            let Some(entry) = self.next(own_only)? else { continue };
            entries.extend(self.passes(&entry).then_some(entry));
        };
        let last = denials::before(self.tx, BEYOND, 1)?.first().map_or(0, |row| row.seq);
        let end = Place { rev: self.tx.rev(), seq: last }.write(false);
        Ok(AuditPage { entries, cursor: self.place.write(self.request.newest_first), end, cut_short })
    }

    /// Reads on where nothing is at hand.
    fn fill(&mut self) -> Result<(), ServiceError> {
        let (newest_first, filter) = (self.request.newest_first, &self.request.filter);
        if self.changes.is_empty() && !self.all_changes {
            let found = audit::next(self.tx, newest_first, self.place.rev, CHUNK_ROWS, |row| {
                is_of(&filter.tenant, &row.tenant) && is_of(&filter.actor, &row.actor) && is_of(&filter.op, &row.op)
            })?;
            self.all_changes = (found.len() as u64) < CHUNK_ROWS;
            self.changes.extend(found);
        }
        if self.denials.is_empty() && !self.all_denials {
            let next = if newest_first { denials::before } else { denials::after };
            let found = next(self.tx, self.place.seq, CHUNK_ROWS)?;
            self.all_denials = (found.len() as u64) < CHUNK_ROWS;
            self.denials.extend(found);
        }
        Ok(())
    }

    /// The next row in order of time; `None` if it is not one that the filter can want.
    fn next(&mut self, own_only: bool) -> Result<Option<AuditEntry>, ServiceError> {
        let change_first = match (self.changes.front(), self.denials.front()) {
            (Some(change), Some(denial)) if self.request.newest_first => change.row.at_us > denial.denial.at_us,
            (Some(change), Some(denial)) => change.row.at_us <= denial.denial.at_us,
            (change, _) => change.is_some(),
        };
        if !change_first {
            return Ok(self.denials.pop_front().map(|row| {
                self.place.seq = row.seq;
                AuditEntry::Denial(row)
            }));
        }
        let Some(Logged { row, wanted }) = self.changes.pop_front() else { return Ok(None) };
        self.place.rev = row.rev;
        if self.is_over(row.rev, row.at_us) {
            self.changes.clear();
            self.all_changes = true;
            return Ok(None);
        }
        if !wanted {
            return Ok(None);
        }
        let tenant = if own_only { self.request.filter.tenant.as_deref() } else { None };
        let changes = views(self.tx, &row, tenant)?;
        Ok(Some(AuditEntry::Change(row, changes)))
    }

    /// Whether a row of the log and all that follow are out of bounds. Denials are numbered as they are written, nearly
    /// but not quite in order of time: with them nothing ends.
    fn is_over(&self, rev: Rev, at_us: i64) -> bool {
        let filter = &self.request.filter;
        if self.request.newest_first {
            filter.since_rev.is_some_and(|since| rev < since) || filter.since_us.is_some_and(|since| at_us < since)
        } else {
            filter.until_rev.is_some_and(|until| rev > until) || filter.until_us.is_some_and(|until| at_us > until)
        }
    }

    fn passes(&self, entry: &AuditEntry) -> bool {
        let filter = &self.request.filter;
        let (tenant, actor, op, rev, at_us) = match entry {
            AuditEntry::Change(row, _) => (&row.tenant, &row.actor, &row.op, row.rev, row.at_us),
            AuditEntry::Denial(DenialRow { denial, .. }) => {
                (&denial.tenant, &denial.actor, &denial.method, denial.rev, denial.at_us)
            }
        };
        is_of(&filter.tenant, tenant)
            && is_of(&filter.actor, actor)
            && is_of(&filter.op, op)
            && filter.since_rev.is_none_or(|since| rev >= since)
            && filter.until_rev.is_none_or(|until| rev <= until)
            && filter.since_us.is_none_or(|since| at_us >= since)
            && filter.until_us.is_none_or(|until| at_us <= until)
            && filter.object.as_ref().is_none_or(|prefix| is_about(entry, prefix))
    }
}

fn is_of(wanted: &Option<String>, value: &str) -> bool {
    wanted.as_ref().is_none_or(|wanted| wanted == value)
}

/// Whether an entry is about an object that begins with `prefix`. Files go by their path, with or without type.
fn is_about(entry: &AuditEntry, prefix: &str) -> bool {
    let prefix = prefix.strip_prefix("file:").unwrap_or(prefix);
    let begins = |object: &str| object.strip_prefix("file:").unwrap_or(object).starts_with(prefix);
    match entry {
        AuditEntry::Change(_, changes) => changes
            .iter()
            .any(|change| change.object.as_deref().is_some_and(begins) || change.from.as_deref().is_some_and(begins)),
        AuditEntry::Denial(row) => begins(&row.denial.object),
    }
}
