//! What a tenant has and what it may have.
//!
//! Owns the tables `quotas` and `tenant_use`, the writer's count of files and bytes of each tenant, and the rule that
//! nobody makes a tenant larger than its quota. Knows nothing of who may set one. Invariant: `tenant_use` is what a count
//! over `nodes` gives, at every COMMIT (R19): the count follows the recorded changes of nodes and the rows that are freed,
//! is taken back with them, and is written in their transaction, a row per tenant and batch.
//!
//! What counts: files, and the bytes of their newest versions. Files of a removed directory count until they are freed,
//! which begins at once. Directories, earlier versions and snapshots do not count: what they take is bounded by retention.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::backend::Conn;
use super::statements::statements;
use super::{Projection, Row, Sql, StoreError, WriteTx};
use crate::model::{Change, Delta, NodeKind, NodeRow, QuotaRow, Rev};
use crate::params;

statements! {
    /// Every quota.
    ALL_QUOTAS = "SELECT tenant, bytes_max, files_max FROM quotas ORDER BY tenant";
    /// Sets one.
    QUOTA_PUT = "INSERT INTO quotas (tenant, bytes_max, files_max) VALUES (?1, ?2, ?3) ON CONFLICT (tenant) DO UPDATE SET \
         bytes_max = excluded.bytes_max, files_max = excluded.files_max";
    /// Its end: the tenant has what the settings say.
    QUOTA_DELETE = "DELETE FROM quotas WHERE tenant = ?1";
    /// What every tenant has.
    ALL_USE = "SELECT tenant, files, bytes FROM tenant_use";
    /// What one has.
    USE_OF = "SELECT files, bytes FROM tenant_use WHERE tenant = ?1";
    /// What one has now.
    USE_PUT = "INSERT INTO tenant_use (tenant, files, bytes) VALUES (?1, ?2, ?3) ON CONFLICT (tenant) DO UPDATE SET \
         files = excluded.files, bytes = excluded.bytes";
    /// Tenants that have something or a quota, behind one, with what they have.
    USE_PAGE = "SELECT t.tenant, \
         COALESCE((SELECT u.files FROM tenant_use AS u WHERE u.tenant = t.tenant), 0), \
         COALESCE((SELECT u.bytes FROM tenant_use AS u WHERE u.tenant = t.tenant), 0) FROM \
         (SELECT tenant FROM quotas UNION SELECT tenant FROM tenant_use) AS t \
         WHERE t.tenant > ?1 ORDER BY t.tenant LIMIT ?2";
    /// Every file, by its tenant and its size.
    COUNTED_FILES = "SELECT tenant, size FROM nodes WHERE type = 0";
}

/// What a tenant may have; `None` = no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of all its files.
    pub bytes_max: Option<u64>,
    /// Files.
    pub files_max: Option<u64>,
}

/// What a tenant has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Use {
    /// Files.
    pub files: u64,
    /// Bytes of their newest versions.
    pub bytes: u64,
}

/// What a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Bytes of files.
    Bytes,
    /// Files.
    Files,
}

impl Counted {
    /// `bytes` or `files`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Files => "files",
        }
    }
}

/// The refusal of what would make a tenant larger than it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverQuota {
    /// The tenant.
    pub tenant: String,
    /// Of what there would be too much.
    pub counted: Counted,
    /// What the tenant has of it.
    pub used: u64,
    /// What it may have.
    pub limit: u64,
    /// What it would have had.
    pub needed: u64,
}

impl std::fmt::Display for OverQuota {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { tenant, counted, used, limit, needed } = self;
        let counted = counted.as_str();
        write!(
            f,
            "Quota exceeded: tenant '{tenant}' has {used} {counted} of {limit}, this would make it {needed}; nothing \
             was done"
        )
    }
}

/// What an operation would add to tenants. Few of them: one, but for a restore across tenants.
#[derive(Debug, Clone, Default)]
pub struct Growth(Vec<(String, Sum)>);

/// Files and bytes, more or less.
type Sum = (i64, i64);

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

impl Growth {
    /// A file of `size` bytes comes, in the place of one of `before` bytes if there is one.
    #[must_use]
    pub fn of_file(tenant: &str, before: Option<u64>, size: u64) -> Self {
        let mut growth = Self::default();
        growth.file(tenant, before, size);
        growth
    }

    /// As [`of_file`](Self::of_file), together with what is in it already.
    pub fn file(&mut self, tenant: &str, before: Option<u64>, size: u64) {
        let files = i64::from(before.is_none());
        self.add(tenant, files, signed(size).saturating_sub(signed(before.unwrap_or(0))));
    }

    /// What another would add, too.
    pub fn join(&mut self, other: &Self) {
        other.0.iter().for_each(|(tenant, (files, bytes))| self.add(tenant, *files, *bytes));
    }

    /// A file of `size` bytes goes.
    pub fn gone(&mut self, tenant: &str, size: u64) {
        self.add(tenant, -1, -signed(size));
    }

    fn add(&mut self, tenant: &str, files: i64, bytes: i64) {
        match self.0.iter_mut().find(|(known, _)| known == tenant) {
            Some((_, sum)) => *sum = (sum.0.saturating_add(files), sum.1.saturating_add(bytes)),
            None => self.0.push((tenant.to_owned(), (files, bytes))),
        }
    }

    /// The refusal, if a tenant would become larger than it may be. What does not grow is never refused.
    pub fn require(&self, tx: &impl Sql) -> Result<(), StoreError> {
        for (tenant, delta) in self.0.iter().filter(|(_, delta)| grows(*delta)) {
            let quota = of(tx, tenant);
            if quota != Quota::default() {
                quota.require(tenant, used(tx, tenant)?, *delta)?;
            }
        }
        Ok(())
    }
}

fn grows((files, bytes): Sum) -> bool {
    files > 0 || bytes > 0
}

impl Quota {
    fn require(self, tenant: &str, used: Use, (files, bytes): Sum) -> Result<(), StoreError> {
        let asked =
            [(Counted::Files, used.files, self.files_max, files), (Counted::Bytes, used.bytes, self.bytes_max, bytes)];
        for (counted, used, limit, more) in asked {
            let (Some(limit), 1..) = (limit, more) else { continue };
            let needed = used.saturating_add(unsigned(more));
            if needed > limit {
                let tenant = tenant.to_owned();
                return Err(StoreError::OverQuota(Box::new(OverQuota { tenant, counted, used, limit, needed })));
            }
        }
        Ok(())
    }
}

/// What a tenant may have.
pub fn of(tx: &impl Sql, tenant: &str) -> Quota {
    tx.view::<Quotas>().get(tenant).unwrap_or(tx.default_quota())
}

/// What a tenant has; in the writer with what its batch has changed so far.
pub fn used(tx: &impl Sql, tenant: &str) -> Result<Use, StoreError> {
    if let Some(counts) = tx.counted() {
        return Ok(counts.of(tenant));
    }
    let found = tx.query_one(USE_OF, params![tenant], |row| Ok(Use { files: row.id(0)?, bytes: row.id(1)? }))?;
    Ok(found.unwrap_or_default())
}

/// Up to `limit` tenants behind `after` that have something or a quota of their own, by name, with what they have.
pub fn page(tx: &impl Sql, after: &str, limit: u64) -> Result<Vec<(String, Use)>, StoreError> {
    tx.query(USE_PAGE, params![after, limit], |row| Ok((row.string(0)?, Use { files: row.id(1)?, bytes: row.id(2)? })))
}

/// Gives a tenant another quota of its own; `None` = none, it has what the settings say.
pub fn put(tx: &mut WriteTx<'_>, tenant: &str, quota: Option<Quota>) -> Result<(), StoreError> {
    let row =
        |quota: Quota| QuotaRow { tenant: tenant.to_owned(), bytes_max: quota.bytes_max, files_max: quota.files_max };
    let before = tx.view::<Quotas>().get(tenant);
    if before == quota {
        return Ok(());
    }
    match quota {
        Some(quota) => tx.exec(QUOTA_PUT, params![tenant, quota.bytes_max, quota.files_max])?,
        None => tx.exec(QUOTA_DELETE, params![tenant])?,
    }
    tx.record(Change::Quota(Delta { before: before.map(row), after: quota.map(row) }));
    Ok(())
}

/// The quotas of one revision, in memory: each write asks. A clone costs a pointer.
#[derive(Debug, Clone, Default)]
pub struct Quotas(Arc<BTreeMap<String, Quota>>);

impl Quotas {
    /// The quota of its own that a tenant has.
    #[must_use]
    pub fn get(&self, tenant: &str) -> Option<Quota> {
        self.0.get(tenant).copied()
    }
}

fn from_row(row: &Row<'_>) -> Result<(String, Quota), StoreError> {
    let limit = |at: usize| Ok::<_, StoreError>(if row.opt_int(at)?.is_none() { None } else { Some(row.id(at)?) });
    Ok((row.string(0)?, Quota { bytes_max: limit(1)?, files_max: limit(2)? }))
}

impl Projection for Quotas {
    const NAME: &'static str = "quotas";

    fn load(tx: &impl Sql) -> Result<Self, StoreError> {
        Ok(Self(Arc::new(tx.query(ALL_QUOTAS, &[], from_row)?.into_iter().collect())))
    }

    fn apply(&mut self, change: &Change, _: Rev) {
        let Change::Quota(delta) = change else { return };
        let quotas = Arc::make_mut(&mut self.0);
        if let Some(before) = &delta.before {
            quotas.remove(&before.tenant);
        }
        if let Some(QuotaRow { tenant, bytes_max, files_max }) = &delta.after {
            quotas.insert(tenant.clone(), Quota { bytes_max: *bytes_max, files_max: *files_max });
        }
    }

    fn publish(&mut self, _: Rev) {}
}

/// The writer's count: what every tenant has as its open transaction sees it, and what that has changed.
#[derive(Debug, Default)]
pub struct Counts {
    now: HashMap<Arc<str>, Sum>,
    /// What the open transaction has changed, in order: the way back of a savepoint.
    log: Vec<(Arc<str>, Sum)>,
    default: Quota,
}

impl Counts {
    /// What a tenant without a quota of its own may have.
    pub(super) fn set_default(&mut self, quota: Quota) {
        self.default = quota;
    }

    pub(super) fn default_quota(&self) -> Quota {
        self.default
    }

    pub(super) fn load(&mut self, tx: &impl Sql) -> Result<(), StoreError> {
        self.log.clear();
        self.now.clear();
        tx.each(ALL_USE, &[], |row| {
            self.now.insert(row.text(0)?.into(), (row.int(1)?, row.int(2)?));
            Ok(ControlFlow::Continue(()))
        })
    }

    fn of(&self, tenant: &str) -> Use {
        let (files, bytes) = self.now.get(tenant).copied().unwrap_or_default();
        Use { files: unsigned(files), bytes: unsigned(bytes) }
    }

    /// Follows a change. What lies below a removed directory counts until it is freed.
    pub(super) fn apply(&mut self, change: &Change) {
        let Change::Node(delta) = change else { return };
        let file = |row: &&NodeRow| row.kind == NodeKind::File;
        match (delta.before.as_ref().filter(file), delta.after.as_ref().filter(file)) {
            (Some(before), Some(after)) if before.tenant == after.tenant => {
                self.add(&after.tenant, 0, signed(after.size) - signed(before.size));
            }
            (before, after) => {
                if let Some(row) = before {
                    self.add(&row.tenant, -1, -signed(row.size));
                }
                if let Some(row) = after {
                    self.add(&row.tenant, 1, signed(row.size));
                }
            }
        }
    }

    /// A file that was out of the tree already is freed.
    pub(super) fn freed(&mut self, tenant: &str, size: u64) {
        self.add(tenant, -1, -signed(size));
    }

    fn add(&mut self, tenant: &str, files: i64, bytes: i64) {
        if (files, bytes) == (0, 0) {
            return;
        }
        let tenant: Arc<str> = match self.now.get_key_value(tenant) {
            Some((known, _)) => Arc::clone(known),
            None => tenant.into(),
        };
        let now = self.now.entry(Arc::clone(&tenant)).or_default();
        *now = (now.0 + files, now.1 + bytes);
        self.log.push((tenant, (files, bytes)));
    }

    /// A point to come back to within the open transaction.
    pub(super) fn mark(&self) -> usize {
        self.log.len()
    }

    pub(super) fn rollback(&mut self, mark: usize) {
        while self.log.len() > mark {
            let Some((tenant, (files, bytes))) = self.log.pop() else { return };
            if let Some(now) = self.now.get_mut(&tenant) {
                *now = (now.0 - files, now.1 - bytes);
            }
        }
    }

    /// What has changed since a mark, by tenant.
    fn since(&self, mark: usize) -> HashMap<&Arc<str>, Sum> {
        let mut sums: HashMap<&Arc<str>, Sum> = HashMap::new();
        for (tenant, (files, bytes)) in self.log.get(mark..).unwrap_or_default() {
            let sum = sums.entry(tenant).or_default();
            *sum = (sum.0 + files, sum.1 + bytes);
        }
        sums
    }

    /// The last word on an operation that has come to its end, whichever it is: it has made no tenant larger than that may
    /// be. Those that are known to grow ask before their first write.
    pub(super) fn require(&self, mark: usize, quotas: &Quotas) -> Result<(), StoreError> {
        if self.log.len() == mark || (quotas.0.is_empty() && self.default == Quota::default()) {
            return Ok(());
        }
        for (tenant, delta) in self.since(mark).into_iter().filter(|(_, delta)| grows(*delta)) {
            let (files, bytes) = self.now.get(tenant).copied().unwrap_or_default();
            let before = Use { files: unsigned(files - delta.0), bytes: unsigned(bytes - delta.1) };
            quotas.get(tenant).unwrap_or(self.default).require(tenant, before, delta)?;
        }
        Ok(())
    }

    /// Writes what the open transaction has changed; whether there was anything.
    pub(super) fn save(&self, conn: Conn<'_>) -> Result<bool, StoreError> {
        let mut wrote = false;
        for (tenant, _) in self.since(0).into_iter().filter(|(_, delta)| *delta != (0, 0)) {
            let (files, bytes) = self.now.get(tenant).copied().unwrap_or_default();
            conn.exec(USE_PUT, params![&**tenant, files, bytes])?;
            wrote = true;
        }
        Ok(wrote)
    }

    /// The open transaction is committed.
    pub(super) fn settle(&mut self) {
        self.log.clear();
    }
}

/// Counts what is there and writes it down, where rows came without a count: after an import. In a transaction of the
/// caller.
pub(super) fn count(conn: Conn<'_>) -> Result<(), StoreError> {
    let mut counts = Counts::default();
    conn.each(COUNTED_FILES, &[], |row| {
        let (tenant, size) = (row.text(0)?, row.int(1)?);
        match counts.now.get_mut(tenant) {
            Some(now) => *now = (now.0 + 1, now.1 + size),
            None => drop(counts.now.insert(tenant.into(), (1, size))),
        }
        Ok(ControlFlow::Continue(()))
    })?;
    counts.now.iter().try_for_each(|(tenant, (files, bytes))| conn.exec(USE_PUT, params![&**tenant, *files, *bytes]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(tenant: &str, size: u64) -> NodeRow {
        NodeRow {
            parent: 1,
            name: "f".into(),
            id: 2,
            tenant: tenant.into(),
            kind: NodeKind::File,
            owner: None,
            implicit: false,
            mixed: false,
            content: None,
            size,
            version: 1,
            mime: None,
            created_at_us: 0,
            modified_at_us: 0,
            created_by: "user:alice".into(),
        }
    }

    #[test]
    fn a_count_follows_changes_and_the_way_back() {
        let mut counts = Counts::default();
        counts.apply(&Change::Node(Delta::insert(file("a", 5))));
        let mark = counts.mark();
        counts.apply(&Change::Node(Delta::update(file("a", 5), file("a", 9))));
        counts.apply(&Change::Node(Delta::update(file("a", 9), file("b", 9))));
        assert_eq!((counts.of("a"), counts.of("b")), (Use::default(), Use { files: 1, bytes: 9 }));
        counts.rollback(mark);
        assert_eq!((counts.of("a"), counts.of("b")), (Use { files: 1, bytes: 5 }, Use::default()));
        let directory = NodeRow { kind: NodeKind::Directory, size: 0, ..file("a", 0) };
        counts.apply(&Change::Node(Delta::delete(directory)));
        assert_eq!(counts.of("a").files, 1, "what lay in it counts until it is freed");
        counts.freed("a", 5);
        assert_eq!(counts.of("a"), Use::default());
    }

    #[test]
    fn what_does_not_grow_is_not_refused() {
        let quotas = Quotas(Arc::new([("a".to_owned(), Quota { bytes_max: Some(10), files_max: Some(1) })].into()));
        let mut counts = Counts::default();
        counts.apply(&Change::Node(Delta::insert(file("a", 20))));
        let refused = |counts: &Counts, mark| match counts.require(mark, &quotas) {
            Err(StoreError::OverQuota(over)) => Some((over.counted, over.used, over.limit, over.needed)),
            _ => None,
        };
        assert_eq!(refused(&counts, 0), Some((Counted::Bytes, 0, 10, 20)));
        let mark = counts.mark();
        counts.apply(&Change::Node(Delta::update(file("a", 20), file("a", 15))));
        assert_eq!(refused(&counts, mark), None, "above its quota, and less than before");
        let mark = counts.mark();
        counts.apply(&Change::Node(Delta::insert(file("a", 0))));
        assert_eq!(refused(&counts, mark), Some((Counted::Files, 1, 1, 2)));
        counts.apply(&Change::Node(Delta::delete(file("a", 15))));
        assert_eq!(refused(&counts, mark), None, "one came, one went");
    }
}
