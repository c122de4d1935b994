//! Who may do what with the records that people and their agents keep: memories, trajectories, playbooks.
//!
//! Owns the rules of scopes, and lists of what a caller may see, newest first. Must never know what a record holds. The
//! rules stand in `memories/DESIGN.md`. Invariants: nothing is seen that no rule gives; the tenant is that of the key.

use std::cmp::Reverse;
use std::collections::VecDeque;

use crate::auth::Caller;
use crate::model::{MemoryRow, PlaybookRow, TrajectoryRow};
use crate::rebac::ObjectRef;
use crate::store::records::{AGENT, Before, GLOBAL, Source, TENANT, USER};
use crate::store::{Sql, StoreError, WriteTx, memories, playbooks, trajectories};

use super::access::Access;
use super::{Lacking, ServiceError};

/// Most rows of a page.
pub const LIMIT_MAX: usize = 1_000;
/// Rows that one request looks at.
const SCAN_ROWS_MAX: usize = 10_000;
/// Rows that are read at once.
const CHUNK_ROWS: u64 = 256;
/// Records that are let through by grants, for each subject.
const GRANTED_MAX: usize = 1_000;
/// The millionths of one, as a number with a point.
const MILLION: f64 = 1e6;

/// What is to be done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// See it.
    Read,
    /// Change it.
    Write,
    /// Remove it.
    Delete,
}

/// A record.
pub trait Record: Sized {
    /// The type in the permission graph.
    const KIND: &'static str;
    /// As messages to people name it.
    const WHAT: &'static str;
    /// Its id.
    fn id(&self) -> &str;
    /// The tenant of who keeps it.
    fn tenant(&self) -> &str;
    /// Who keeps it.
    fn user(&self) -> &str;
    /// The agent that keeps it for him.
    fn agent(&self) -> Option<&str>;
    /// For whom it is.
    fn scope(&self) -> &str;
    /// Where it stands in a list, µs.
    fn at_us(&self) -> i64;
    /// The one of this id.
    fn find(tx: &impl Sql, id: &str) -> Result<Option<Self>, StoreError>;
    /// A page, newest first.
    fn page(tx: &impl Sql, of: Source<'_>, before: &Before, limit: u64) -> Result<Vec<Self>, StoreError>;
}

macro_rules! record {
    ($row:ty, $kind:literal, $what:literal, $store:ident, $id:ident, $at:ident, |$r:ident| $scope:expr) => {
        impl Record for $row {
            const KIND: &'static str = $kind;
            const WHAT: &'static str = $what;
            fn id(&self) -> &str {
                &self.$id
            }
            fn tenant(&self) -> &str {
                &self.tenant
            }
            fn user(&self) -> &str {
                &self.user_id
            }
            fn agent(&self) -> Option<&str> {
                self.agent_id.as_deref()
            }
            fn scope(&self) -> &str {
                let $r = self;
                $scope
            }
            fn at_us(&self) -> i64 {
                self.$at
            }
            fn find(tx: &impl Sql, id: &str) -> Result<Option<Self>, StoreError> {
                $store::find(tx, id)
            }
            fn page(tx: &impl Sql, of: Source<'_>, before: &Before, limit: u64) -> Result<Vec<Self>, StoreError> {
                $store::page(tx, of, before, limit)
            }
        }
    };
}

record!(MemoryRow, "memory", "Memory", memories, memory_id, created_at_us, |row| &row.scope);
record!(TrajectoryRow, "trajectory", "Trajectory", trajectories, trajectory_id, started_at_us, |_row| AGENT);
record!(PlaybookRow, "playbook", "Playbook", playbooks, playbook_id, created_at_us, |row| &row.scope);

/// Whether the caller keeps the record: who made it, or an agent with his rights; an agent without them what it made.
fn keeps(caller: &Caller, row: &impl Record) -> bool {
    let his = row.tenant() == caller.tenant && row.user() == caller.user;
    his && (caller.inherits || caller.agent.is_some() && caller.agent.as_deref() == row.agent())
}

/// Whether the object of a grant is a record that the caller keeps: then the grant is his to give.
pub(super) fn owns(tx: &impl Sql, caller: &Caller, tenant: &str, kind: &str, id: &str) -> Result<bool, StoreError> {
    fn of<R: Record>(tx: &impl Sql, caller: &Caller, tenant: &str, id: &str) -> Result<bool, StoreError> {
        Ok(R::find(tx, id)?.is_some_and(|row| row.tenant() == tenant && row.scope() != GLOBAL && keeps(caller, &row)))
    }
    match kind {
        MemoryRow::KIND => of::<MemoryRow>(tx, caller, tenant, id),
        TrajectoryRow::KIND => of::<TrajectoryRow>(tx, caller, tenant, id),
        PlaybookRow::KIND => of::<PlaybookRow>(tx, caller, tenant, id),
        _ => Ok(false),
    }
}

/// What the scope and the keeper alone say.
fn may_without_grants<T: Sql>(access: &Access<'_, T>, row: &impl Record, right: Right) -> bool {
    let caller = access.caller();
    if row.scope() == GLOBAL {
        return access.is_instance_admin() || right == Right::Read && caller.inherits;
    }
    let shared = row.scope() == TENANT && row.tenant() == caller.tenant && caller.inherits;
    access.rules(row.tenant()) || keeps(caller, row) || right == Right::Read && shared
}

/// Whether the caller has a right to a record.
pub fn may<T: Sql, R: Record>(access: &Access<'_, T>, row: &R, right: Right) -> Result<bool, ServiceError> {
    if may_without_grants(access, row, right) {
        return Ok(true);
    }
    let permission = match right {
        Right::Read => "read",
        Right::Write => "write",
        Right::Delete if R::KIND == MemoryRow::KIND => "execute",
        Right::Delete => "delete",
    };
    // Whoever rules the tenant of the instance admin may write tuples on his records: what everybody reads stays his.
    if row.scope() == GLOBAL && right != Right::Read {
        return Ok(false);
    }
    let here = row.tenant() == access.caller().tenant;
    let object = ObjectRef { tenant: row.tenant(), kind: R::KIND, id: row.id() };
    Ok(here && access.holds(permission, object)?)
}

/// The record, if it is there and the caller may see it. What is not there and what he may not see is one thing to him.
pub fn visible<T: Sql, R: Record>(access: &Access<'_, T>, id: &str) -> Result<Option<R>, ServiceError> {
    let Some(row) = R::find(access.tx(), id)? else { return Ok(None) };
    Ok(if may(access, &row, Right::Read)? { Some(row) } else { None })
}

/// The record, for a caller who has the right; the same refusal for one that is missing and one he may not see.
pub fn require<T: Sql, R: Record>(access: &Access<'_, T>, id: &str, right: Right) -> Result<R, ServiceError> {
    let row: R = visible(access, id)?.ok_or_else(|| ServiceError::NoRecord { what: R::WHAT, id: id.to_owned() })?;
    if may(access, &row, right)? { Ok(row) } else { Err(denied(access.caller(), &row, right)) }
}

/// The refusal of a right to a record that the caller sees.
pub fn denied<R: Record>(caller: &Caller, row: &R, right: Right) -> ServiceError {
    let (word, permission) = match right {
        Right::Read => ("READ", "read"),
        Right::Write => ("WRITE", "write"),
        Right::Delete => ("DELETE", "delete"),
    };
    let object = format!("{}:{}", R::KIND, row.id());
    ServiceError::PermissionDenied {
        message: format!("Access denied: User '{}' does not have {word} permission for '{object}'", caller.user),
        hint: format!("it belongs to the user '{}', who can grant a relation to it (rebac_create)", row.user()),
        lacking: Lacking::new(permission, object),
    }
}

/// Whose names a record of the caller has in a scope: `agent:<id>`, `user:<id>`, or empty for all of the scope.
pub fn owner_in(caller: &Caller, scope: &str) -> String {
    match (scope, &caller.agent) {
        (AGENT, Some(agent)) => format!("agent:{agent}"),
        (AGENT | USER, _) => format!("user:{}", caller.user),
        _ => String::new(),
    }
}

/// The scope as it is stored, if the caller may keep something for it.
pub fn require_scope(access: &Access<'_, WriteTx<'_>>, scope: &str) -> Result<(), ServiceError> {
    let caller = access.caller();
    let (may, who) = match scope {
        AGENT => (caller.inherits || caller.agent.is_some(), "who acts for a user"),
        USER | TENANT => (caller.inherits, "a user, or an agent that inherits his permissions"),
        _ => (access.is_instance_admin(), "the instance admin"),
    };
    if may {
        return Ok(());
    }
    Err(ServiceError::PermissionDenied {
        message: format!("Access denied: '{}' may keep nothing in the scope '{scope}'", caller.actor()),
        hint: format!("in the scope '{scope}' writes {who}; use the scope 'agent'"),
        lacking: Lacking::new("write", format_args!("scope:{scope}")),
    })
}

/// The scope of a request.
pub fn parse_scope(text: &str) -> Result<&'static str, ServiceError> {
    let known = [AGENT, USER, TENANT, GLOBAL];
    let found = known.into_iter().find(|scope| *scope == text);
    found.ok_or_else(|| ServiceError::InvalidParams(format!("scope must be one of {}", known.join(", "))))
}

/// Refuses a text that is longer than `limit` bytes, or holds NUL.
pub fn bounded(what: &str, text: Option<&str>, limit: usize) -> Result<(), ServiceError> {
    match text {
        Some(text) if text.len() > limit || text.contains('\0') => {
            Err(ServiceError::InvalidParams(format!("{what} is longer than {limit} bytes, or holds NUL")))
        }
        _ => Ok(()),
    }
}

/// A number from 0 to 1 in millionths.
pub fn millionths(what: &str, value: f64) -> Result<i64, ServiceError> {
    if !(0.0..=1.0).contains(&value) {
        return Err(ServiceError::InvalidParams(format!("{what} must be a number from 0 to 1")));
    }
    #[expect(clippy::cast_possible_truncation, reason = "0 to 1,000,000")]
    Ok((value * MILLION).round() as i64)
}

/// The number that so many millionths are.
#[must_use]
pub fn share(millionths: i64) -> f64 {
    f64::from(i32::try_from(millionths).unwrap_or(i32::MAX)) / MILLION
}

/// How many rows a request wants.
pub fn limit(limit: Option<u64>, default: usize) -> Result<usize, ServiceError> {
    match limit {
        None => Ok(default),
        Some(asked) => usize::try_from(asked)
            .ok()
            .filter(|asked| (1..=LIMIT_MAX).contains(asked))
            .ok_or_else(|| ServiceError::InvalidParams(format!("limit must be 1 to {LIMIT_MAX}, got {asked}"))),
    }
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Listed<R> {
    /// The records, newest first.
    pub rows: Vec<R>,
    /// Where the next page begins; `None` = that was all.
    pub next: Option<String>,
    /// Why there may be more than the list says; `None` = there is not.
    pub cut_short: Option<String>,
}

/// What a caller may see, newest first, each once.
pub struct Feed<'a, 't, T: Sql, R> {
    access: &'a Access<'t, T>,
    streams: Vec<Stream<'a, R>>,
    scanned: usize,
    /// Whether the grants were all looked at.
    granted_all: bool,
    last: Before,
}

/// Rows of one source.
struct Stream<'a, R> {
    /// `None` = rows that were read at the beginning.
    source: Option<Source<'a>>,
    waiting: VecDeque<R>,
    before: Before,
}

fn place<R: Record>(row: &R) -> (i64, &str) {
    (row.at_us(), row.id())
}

impl<'a, 't, T: Sql, R: Record> Feed<'a, 't, T, R> {
    /// What the caller may see behind `after`, or all of it.
    pub fn new(access: &'a Access<'t, T>, after: Option<&str>) -> Result<Self, ServiceError> {
        let before = after.map_or_else(|| Ok(Before::everything()), read_cursor)?;
        let caller = access.caller();
        let (tenant, user) = (caller.tenant.as_str(), caller.user.as_str());
        let sources = match (access.rules(tenant), caller.inherits) {
            (true, _) => vec![Source::Tenant(tenant), Source::Global],
            (false, true) => vec![Source::User(tenant, user), Source::Shared(tenant), Source::Global],
            (false, false) => vec![Source::User(tenant, user)],
        };
        let (ids, granted_all) = access.objects("read", R::KIND, GRANTED_MAX);
        let mut granted: Vec<R> = Vec::new();
        for id in ids {
            granted.extend(R::find(access.tx(), &id)?.filter(|row| row.tenant() == tenant));
        }
        granted.retain(|row| place(row) < (before.at_us, before.id.as_str()));
        granted.sort_by(|a, b| Reverse(place(a)).cmp(&Reverse(place(b))));
        let stream = |source| Stream { source: Some(source), waiting: VecDeque::new(), before: before.clone() };
        let mut streams: Vec<Stream<'a, R>> = sources.into_iter().map(stream).collect();
        streams.push(Stream { source: None, waiting: granted.into(), before: before.clone() });
        Ok(Self { access, streams, scanned: 0, granted_all, last: before })
    }

    /// The next record.
    #[expect(clippy::should_implement_trait, reason = "it can fail")]
    pub fn next(&mut self) -> Result<Option<R>, ServiceError> {
        while self.scanned < SCAN_ROWS_MAX {
            for stream in &mut self.streams {
                stream.fill(self.access.tx())?;
            }
            let heads = self.streams.iter().enumerate().filter_map(|(at, s)| Some((place(s.waiting.front()?), at)));
            let Some((_, at)) = heads.max() else { return Ok(None) };
            let row = self.streams[at].waiting.pop_front().expect("it was the first");
            // The same record, by another way.
            for stream in &mut self.streams {
                if stream.waiting.front().is_some_and(|other| other.id() == row.id()) {
                    stream.waiting.pop_front();
                }
            }
            self.scanned += 1;
            self.last = Before { at_us: row.at_us(), id: row.id().to_owned() };
            // A page of a user's has also what an agent without his rights may not see.
            if self.streams[at].source.is_none() || may_without_grants(self.access, &row, Right::Read) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    /// Whether the feed ended because it was long.
    pub fn is_cut(&self) -> bool {
        self.scanned >= SCAN_ROWS_MAX
    }

    /// Why there may be more than was given; `None` = there is not.
    pub fn cut_short(&self) -> Option<String> {
        if self.is_cut() {
            return Some(format!("one request looks at {SCAN_ROWS_MAX} records; go on with next_cursor"));
        }
        (!self.granted_all).then(|| format!("more than {GRANTED_MAX} grants, or too many to look at; ask by name"))
    }

    /// The cursor that goes on behind what was given last.
    pub fn cursor(&self) -> String {
        format!("{}.{}", self.last.at_us, self.last.id)
    }

    /// A page of those that `wanted` lets through.
    pub fn page(mut self, limit: usize, wanted: impl Fn(&R) -> bool) -> Result<Listed<R>, ServiceError> {
        let mut rows = Vec::new();
        while let Some(row) = self.next()? {
            if !wanted(&row) {
                continue;
            }
            rows.push(row);
            if rows.len() == limit {
                let next = Some(self.cursor());
                // Whether there is another one behind: else the page was the last.
                loop {
                    match self.next()? {
                        Some(row) if wanted(&row) => break,
                        Some(_) => {}
                        None if self.is_cut() => break,
                        None => return Ok(Listed { rows, next: None, cut_short: self.cut_short() }),
                    }
                }
                return Ok(Listed { rows, next, cut_short: None });
            }
        }
        let next = self.is_cut().then(|| self.cursor());
        Ok(Listed { rows, next, cut_short: self.cut_short() })
    }
}

impl<R: Record> Stream<'_, R> {
    fn fill(&mut self, tx: &impl Sql) -> Result<(), StoreError> {
        let Some(source) = self.source.filter(|_| self.waiting.is_empty()) else { return Ok(()) };
        if self.before.at_us == i64::MIN {
            return Ok(());
        }
        self.waiting = R::page(tx, source, &self.before, CHUNK_ROWS)?.into();
        self.before = match self.waiting.back() {
            Some(last) if self.waiting.len() as u64 == CHUNK_ROWS => {
                Before { at_us: last.at_us(), id: last.id().to_owned() }
            }
            // That was the last page.
            _ => Before { at_us: i64::MIN, id: String::new() },
        };
        Ok(())
    }
}

fn read_cursor(text: &str) -> Result<Before, ServiceError> {
    let parts = text.split_once('.').and_then(|(at, id)| Some(Before { at_us: at.parse().ok()?, id: id.to_owned() }));
    parts.filter(|before| !before.id.contains('\0')).ok_or_else(|| {
        ServiceError::InvalidParams("cursor is not one that this server gave; list again without it".into())
    })
}

impl<T: Sql, R> std::fmt::Debug for Feed<'_, '_, T, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("scanned", &self.scanned).finish_non_exhaustive()
    }
}
