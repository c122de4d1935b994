//! The two transactions, in a shape that fits two engines: one text per statement with `?N`.
//!
//! `exec` may only *queue* (an engine over a network does); `query` waits. So an op reads its before-state first,
//! takes ids, revision and time from the transaction and never uses RETURNING to learn what it could know.
//! The portable rules for the texts are in `DESIGN.md`.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;

use crate::model::{Change, EntityId, NodeId, Rev};

use super::StoreError;
use super::backend::{Conn, Trouble, sqlite};
use super::footprint::{Footprint, Scope};
use super::memory::NodeMemory;
use super::op::Origin;
use super::places::Known;
use super::projection::{Mark, Projection, Published, Working};
use super::quotas::{Counts, Quota, Quotas};
use super::readers::Deadline;
use super::row::{Row, Val};
use super::shared::Shared;

/// Taken before the first write of an operation that shares a transaction.
const SAVEPOINT: &str = "SAVEPOINT op";

/// What both transactions can do. Functions of `store/<noun>.rs` that only read take `&impl Sql`, so that a request
/// and an operation ask the same question with the same words.
pub trait Sql {
    /// Runs a query and gives each row to `each`, until it breaks. Says what the rows depend on: whoever says less than
    /// is so makes a kept answer stale.
    fn each_in(
        &self,
        scope: Scope<'_>,
        sql: &'static str,
        params: &[Val<'_>],
        each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError>;

    /// Runs a query and gives each row to `each`, until it breaks.
    fn each(
        &self,
        sql: &'static str,
        params: &[Val<'_>],
        each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        self.each_in(Scope::Everything, sql, params, each)
    }

    /// The revision of the data: of a read, the snapshot's; of an operation, the one it will get if it changes
    /// anything.
    fn rev(&self) -> Rev;

    /// The time of the transaction, µs since the Unix epoch; never earlier than that of any earlier revision.
    fn now_us(&self) -> i64;

    /// The time that the clock on the wall shows, µs since the Unix epoch, also where it was set back: by it keys end.
    fn wall_us(&self) -> i64;

    /// The projection of exactly this revision (of an operation: with the earlier operations of its batch).
    fn view<P: Projection>(&self) -> &P;

    /// What is remembered of where paths lead; `None` where only the tables may tell.
    fn known(&self) -> Option<Known<'_>> {
        None
    }

    /// The nodes that the writer remembers; `None` for everybody else.
    fn remembered(&self) -> Option<&NodeMemory> {
        None
    }

    /// What a tenant without a quota of its own may have.
    fn default_quota(&self) -> Quota;

    /// What the writer knows of what tenants have; `None` for everybody else.
    fn counted(&self) -> Option<&Counts> {
        None
    }

    /// Whether each statement is a journey over a network.
    fn is_far(&self) -> bool;

    /// All rows of a query.
    fn query<T>(
        &self,
        sql: &'static str,
        params: &[Val<'_>],
        mut row: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut rows = Vec::new();
        self.each(sql, params, |r| {
            rows.push(row(r)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(rows)
    }

    /// The first row of a query.
    fn query_one<T>(
        &self,
        sql: &'static str,
        params: &[Val<'_>],
        row: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        self.query_one_in(Scope::Everything, sql, params, row)
    }

    /// The first row of a query, and what it depends on.
    fn query_one_in<T>(
        &self,
        scope: Scope<'_>,
        sql: &'static str,
        params: &[Val<'_>],
        mut row: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut first = None;
        self.each_in(scope, sql, params, |r| {
            first = Some(row(r)?);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(first)
    }
}

/// A read transaction: one snapshot of the data and the projections of exactly its revision.
pub struct ReadTx<'a> {
    pub(super) conn: Conn<'a>,
    pub(super) published: &'a Published,
    pub(super) now_us: i64,
    pub(super) shared: &'a Shared,
    pub(super) deadline: &'a Deadline,
    pub(super) footprint: RefCell<Footprint>,
}

impl Sql for ReadTx<'_> {
    fn each_in(
        &self,
        scope: Scope<'_>,
        sql: &'static str,
        params: &[Val<'_>],
        each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        // SQLite itself asks after many instructions only: a read of many small statements would never be asked.
        if self.deadline.passed(&self.shared.clock) {
            return Err(StoreError::DeadlineExceeded { step: "the next statement of a read" });
        }
        self.footprint.borrow_mut().add(scope);
        self.conn.each(sql, params, each).inspect_err(|error| {
            if sqlite::is_busy(error) {
                self.shared.busy();
            }
        })
    }
    fn rev(&self) -> Rev {
        self.published.rev
    }
    fn now_us(&self) -> i64 {
        self.now_us
    }
    fn wall_us(&self) -> i64 {
        self.shared.clock.now_us()
    }
    fn view<P: Projection>(&self) -> &P {
        self.published.view()
    }
    fn is_far(&self) -> bool {
        !self.conn.is_lite()
    }
    fn default_quota(&self) -> Quota {
        self.shared.limits.quota
    }
    fn known(&self) -> Option<Known<'_>> {
        let footprint = Some(&self.footprint);
        Some(Known { places: &self.shared.places, stamps: self.published.view(), rev: self.published.rev, footprint })
    }
}

impl ReadTx<'_> {
    /// What has been read so far; from now on it is told anew.
    pub fn take_footprint(&self) -> Footprint {
        self.footprint.take()
    }

    /// The oldest published state still held that is of `rev` or later and not later than the data: what is nearest
    /// on the way back to `rev`.
    #[must_use]
    pub fn nearest(&self, rev: Rev) -> Published {
        let held = self.shared.head().since(rev, self.rev());
        held.map_or_else(|| self.published.clone(), |state| (*state).clone())
    }
}

impl std::fmt::Debug for ReadTx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadTx").field("rev", &self.rev()).finish_non_exhaustive()
    }
}

/// What a projection loads from: the tables at start, before any view exists.
pub(super) struct Loader<'a> {
    pub(super) conn: Conn<'a>,
    pub(super) rev: Rev,
    pub(super) now_us: i64,
}

impl Sql for Loader<'_> {
    fn each_in(
        &self,
        _: Scope<'_>,
        sql: &'static str,
        params: &[Val<'_>],
        each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        // A start reads whole tables.
        self.conn.stream(sql, params, each)
    }
    fn rev(&self) -> Rev {
        self.rev
    }
    fn now_us(&self) -> i64 {
        self.now_us
    }
    fn wall_us(&self) -> i64 {
        self.now_us
    }
    fn is_far(&self) -> bool {
        !self.conn.is_lite()
    }
    fn default_quota(&self) -> Quota {
        Quota::default()
    }
    fn view<P: Projection>(&self) -> &P {
        panic!("{} asked for a view while it was loaded", P::NAME)
    }
}

/// What time it is for a batch, µs since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    /// Never earlier than that of an earlier revision.
    pub(super) transaction_us: i64,
    /// As the clock shows it.
    pub(super) wall_us: i64,
}

/// The numbers that the writer hands out inside a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) rev: Rev,
    pub(super) next_id: u64,
    pub(super) next_entity: EntityId,
}

/// The write transaction of one operation.
pub struct WriteTx<'a> {
    conn: Conn<'a>,
    working: &'a mut Working,
    counters: &'a mut Counters,
    origin: &'a Origin,
    now: Now,
    changes: Vec<Change>,
    undo: Undo,
    savepoints: bool,
    /// What tenants had before it.
    counted: usize,
    trouble: Cell<Option<Trouble>>,
    #[cfg(feature = "faults")]
    mutation: Option<super::mutation::Mutation>,
}

/// What taking back an operation needs.
#[derive(Default)]
pub(super) struct Undo {
    /// The projections before the first recorded change.
    pub(super) mark: Option<Mark>,
    /// Whether a statement that changes rows was run (and so a savepoint taken, if they are in use).
    pub(super) wrote: bool,
    /// Whether one of them was more than a remembered reply, and so has to be recorded.
    changed: bool,
    /// What remembered replies weigh that it has written, bytes.
    pub(super) remembered: u64,
    /// What those weigh that it has replaced, bytes.
    pub(super) forgotten: u64,
    /// The worst that the engine said.
    pub(super) trouble: Option<Trouble>,
}

impl<'a> WriteTx<'a> {
    /// The transaction of one operation inside that of its batch. `savepoints`: it shares the batch's transaction
    /// with others, so its first write takes a savepoint.
    pub(super) fn new(
        conn: Conn<'a>,
        working: &'a mut Working,
        counters: &'a mut Counters,
        origin: &'a Origin,
        now: Now,
        savepoints: bool,
    ) -> Self {
        let (changes, undo, trouble) = (Vec::new(), Undo::default(), Cell::new(None));
        let counted = working.counts().mark();
        Self {
            conn,
            working,
            counters,
            origin,
            now,
            changes,
            undo,
            savepoints,
            counted,
            trouble,
            #[cfg(feature = "faults")]
            mutation: None,
        }
    }

    /// Runs the operation without the guarantee of `mutation`.
    #[cfg(feature = "faults")]
    pub(super) fn take_out(&mut self, mutation: Option<super::mutation::Mutation>) {
        self.mutation = mutation;
    }

    /// Whether a test has taken the second check out.
    pub(crate) fn is_unchecked(&self) -> bool {
        mutated!(self, NoSecondCheck)
    }

    /// The operation has succeeded: writes its changelog row and gives it its revision. `unrecorded`: it may change
    /// derived rows without recording anything.
    pub(super) fn seal(&mut self, op: &'static str, unrecorded: bool) -> Result<(), StoreError> {
        self.working.counts().require(self.counted, self.working.view::<Quotas>())?;
        if self.changes.is_empty() {
            if self.undo.changed && !unrecorded {
                tracing::error!(op, "an operation changed rows without recording a change");
                let what = format!("{op} changed rows without recording a change; it was rolled back");
                return Err(StoreError::Corrupt { what });
            }
            return Ok(());
        }
        let changes = std::mem::take(&mut self.changes);
        super::changelog::append(self, op, &changes)?;
        self.counters.rev += 1;
        Ok(())
    }

    /// What a rollback of this operation needs.
    pub(super) fn into_undo(self) -> Undo {
        Undo { trouble: self.trouble.get(), ..self.undo }
    }

    /// Runs a statement that changes rows. On an engine over a network its error may surface only at COMMIT.
    pub fn exec(&mut self, sql: &'static str, params: &[Val<'_>]) -> Result<(), StoreError> {
        self.undo.changed = true;
        self.begin_writing()?;
        self.watch(self.conn.exec(sql, params))
    }

    /// As [`exec`](Self::exec), and waits for the number of rows it changed.
    pub fn exec_count(&mut self, sql: &'static str, params: &[Val<'_>]) -> Result<u64, StoreError> {
        self.undo.changed = true;
        self.begin_writing()?;
        self.watch(self.conn.exec_count(sql, params))
    }

    /// Writes a row that is no change: what is remembered of a request that is executed.
    pub(super) fn exec_beside(&mut self, sql: &'static str, params: &[Val<'_>]) -> Result<(), StoreError> {
        self.begin_writing()?;
        self.watch(self.conn.exec(sql, params))
    }

    /// A remembered reply was written in the place of another, bytes.
    pub(super) fn remembered(&mut self, before: u64, after: u64) {
        self.undo.forgotten += before;
        self.undo.remembered += after;
    }

    /// The revision that the operation gets for what it has recorded so far; of one that has recorded nothing, that of
    /// the data.
    pub(super) fn rev_so_far(&self) -> Rev {
        if self.changes.is_empty() { self.counters.rev } else { self.rev() }
    }

    /// Before the first write: the savepoint, where the operation has one.
    fn begin_writing(&mut self) -> Result<(), StoreError> {
        if !self.undo.wrote {
            if self.savepoints {
                let taken = self.conn.control("taking a savepoint", SAVEPOINT);
                self.watch(taken)?;
            }
            self.undo.wrote = true;
        }
        Ok(())
    }

    /// Remembers what an error means for the whole batch: the operation may swallow it, the writer must not.
    fn watch<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result
            && let Some(trouble) = Trouble::of(error)
        {
            self.trouble.set(Some(trouble));
        }
        result
    }

    /// A fresh id for a node, a version or another row.
    pub fn next_id(&mut self) -> NodeId {
        let id = self.counters.next_id;
        self.counters.next_id += 1;
        id
    }

    /// A fresh entity id; dense, so that the graph can index by it.
    pub fn next_entity_id(&mut self) -> EntityId {
        let id = self.counters.next_entity;
        self.counters.next_entity = id.checked_add(1).expect("2^32 entities");
        id
    }

    /// Who asked.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        self.origin
    }

    /// Before the first change of the state in memory: the way back.
    fn mark(&mut self) {
        if self.undo.mark.is_none() {
            self.undo.mark = Some(self.working.mark());
        }
    }

    /// A file that was out of the tree already, by a change that was recorded, is freed.
    pub(super) fn freed(&mut self, tenant: &str, size: u64) {
        self.mark();
        self.working.freed(tenant, size);
    }

    /// Records a change: into the changelog row of this op, and into the working projections at once. The op that
    /// records nothing gets no revision, and must not have written anything.
    pub fn record(&mut self, change: Change) {
        self.mark();
        let rev = self.counters.rev + 1;
        self.working.apply(&change, rev);
        self.changes.push(change);
    }
}

impl Sql for WriteTx<'_> {
    fn each_in(
        &self,
        _: Scope<'_>,
        sql: &'static str,
        params: &[Val<'_>],
        each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        debug_assert!(self.conn.reads_only(sql), "a statement that writes goes through exec: {sql}");
        self.watch(self.conn.each(sql, params, each))
    }
    fn rev(&self) -> Rev {
        self.counters.rev + 1
    }
    fn now_us(&self) -> i64 {
        self.now.transaction_us
    }
    fn wall_us(&self) -> i64 {
        self.now.wall_us
    }
    fn view<P: Projection>(&self) -> &P {
        self.working.view()
    }
    fn is_far(&self) -> bool {
        !self.conn.is_lite()
    }
    fn default_quota(&self) -> Quota {
        self.working.counts().default_quota()
    }
    fn counted(&self) -> Option<&Counts> {
        Some(self.working.counts())
    }
    fn remembered(&self) -> Option<&NodeMemory> {
        Some(self.working.nodes())
    }
}

impl std::fmt::Debug for WriteTx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteTx").field("rev", &self.rev()).finish_non_exhaustive()
    }
}
