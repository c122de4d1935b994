//! The two transactions, in a shape that fits two engines: one text per statement with `?N`, typed values, rows by
//! position.
//!
//! `exec` may only *queue* (an engine over a network does); `query` waits. So an op reads its before-state first,
//! takes ids, revision and time from the transaction and never uses RETURNING to learn what it could know.
//! The portable rules for the texts are in `DESIGN.md`.

use std::cell::Cell;
use std::ops::ControlFlow;

use crate::model::{Change, EntityId, NodeId, Rev};

use super::StoreError;
use super::backend::sqlite::{self, Trouble};
use super::op::Origin;
use super::projection::{Mark, Projection, Published, Working};
use super::shared::Shared;

/// A parameter. A NULL keeps its type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Val<'a> {
    /// A 64-bit integer; booleans are 0 and 1.
    Int(Option<i64>),
    /// Text without NUL.
    Text(Option<&'a str>),
    /// Bytes.
    Blob(Option<&'a [u8]>),
    /// A double.
    Real(Option<f64>),
}

impl From<i64> for Val<'_> {
    fn from(v: i64) -> Self {
        Self::Int(Some(v))
    }
}
impl From<Option<i64>> for Val<'_> {
    fn from(v: Option<i64>) -> Self {
        Self::Int(v)
    }
}
impl From<u64> for Val<'_> {
    fn from(v: u64) -> Self {
        // Revisions, ids and sizes stay far below 2^63; a larger one is an error of the program.
        Self::Int(Some(i64::try_from(v).expect("ids, revisions and sizes fit 63 bits")))
    }
}
impl From<u32> for Val<'_> {
    fn from(v: u32) -> Self {
        Self::Int(Some(i64::from(v)))
    }
}
impl From<Option<u32>> for Val<'_> {
    fn from(v: Option<u32>) -> Self {
        Self::Int(v.map(i64::from))
    }
}
impl From<bool> for Val<'_> {
    fn from(v: bool) -> Self {
        Self::Int(Some(i64::from(v)))
    }
}
impl<'a> From<&'a str> for Val<'a> {
    fn from(v: &'a str) -> Self {
        Self::Text(Some(v))
    }
}
impl<'a> From<&'a String> for Val<'a> {
    fn from(v: &'a String) -> Self {
        Self::Text(Some(v))
    }
}
impl<'a> From<Option<&'a str>> for Val<'a> {
    fn from(v: Option<&'a str>) -> Self {
        Self::Text(v)
    }
}
impl<'a> From<&'a Option<String>> for Val<'a> {
    fn from(v: &'a Option<String>) -> Self {
        Self::Text(v.as_deref())
    }
}
impl<'a> From<&'a [u8]> for Val<'a> {
    fn from(v: &'a [u8]) -> Self {
        Self::Blob(Some(v))
    }
}
impl<'a> From<Option<&'a [u8]>> for Val<'a> {
    fn from(v: Option<&'a [u8]>) -> Self {
        Self::Blob(v)
    }
}

/// Turns values into the parameter list of a statement: `params![id, name, None::<&str>]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::store::Val::from($value)),*] };
}

/// A row of a result, read by position. Reading a column as another type than it has is an error, not a guess.
#[derive(Debug)]
pub enum Row<'a> {
    /// A row of SQLite.
    Lite(&'a rusqlite::Row<'a>),
}

impl Row<'_> {
    fn lite(&self) -> &rusqlite::Row<'_> {
        match self {
            Self::Lite(row) => row,
        }
    }
    /// An integer column.
    pub fn int(&self, at: usize) -> Result<i64, StoreError> {
        self.lite().get(at).map_err(|e| StoreError::sql("reading a column", e))
    }
    /// An integer column that may be NULL.
    pub fn opt_int(&self, at: usize) -> Result<Option<i64>, StoreError> {
        self.lite().get(at).map_err(|e| StoreError::sql("reading a column", e))
    }
    /// An integer column that holds an id, a revision, a size or a count.
    pub fn id(&self, at: usize) -> Result<u64, StoreError> {
        let value = self.int(at)?;
        u64::try_from(value).map_err(|_| StoreError::Corrupt { what: format!("column {at} holds {value}") })
    }
    /// An integer column that holds an entity id.
    pub fn entity(&self, at: usize) -> Result<EntityId, StoreError> {
        let value = self.int(at)?;
        EntityId::try_from(value).map_err(|_| StoreError::Corrupt { what: format!("column {at} holds {value}") })
    }
    /// A column that holds an entity id or NULL.
    pub fn opt_entity(&self, at: usize) -> Result<Option<EntityId>, StoreError> {
        if self.opt_int(at)?.is_none() { Ok(None) } else { self.entity(at).map(Some) }
    }
    /// A column that holds 0 or 1.
    pub fn bool(&self, at: usize) -> Result<bool, StoreError> {
        self.int(at).map(|v| v != 0)
    }
    /// A text column.
    pub fn text(&self, at: usize) -> Result<&str, StoreError> {
        let value = self.lite().get_ref(at).map_err(|e| StoreError::sql("reading a column", e))?;
        value.as_str().map_err(|e| StoreError::sql("reading a column", e.into()))
    }
    /// A text column that may be NULL.
    pub fn opt_text(&self, at: usize) -> Result<Option<&str>, StoreError> {
        let value = self.lite().get_ref(at).map_err(|e| StoreError::sql("reading a column", e))?;
        value.as_str_or_null().map_err(|e| StoreError::sql("reading a column", e.into()))
    }
    /// A text column, owned.
    pub fn string(&self, at: usize) -> Result<String, StoreError> {
        self.text(at).map(str::to_owned)
    }
    /// A text column that may be NULL, owned.
    pub fn opt_string(&self, at: usize) -> Result<Option<String>, StoreError> {
        self.opt_text(at).map(|v| v.map(str::to_owned))
    }
    /// A column of bytes.
    pub fn blob(&self, at: usize) -> Result<&[u8], StoreError> {
        let value = self.lite().get_ref(at).map_err(|e| StoreError::sql("reading a column", e))?;
        value.as_blob().map_err(|e| StoreError::sql("reading a column", e.into()))
    }
    /// A column of bytes that may be NULL.
    pub fn opt_blob(&self, at: usize) -> Result<Option<&[u8]>, StoreError> {
        let value = self.lite().get_ref(at).map_err(|e| StoreError::sql("reading a column", e))?;
        value.as_blob_or_null().map_err(|e| StoreError::sql("reading a column", e.into()))
    }
}

/// What both transactions can do. Functions of `store/<noun>.rs` that only read take `&impl Sql`, so that a request
/// and an operation ask the same question with the same words.
pub trait Sql {
    /// Runs a query and gives each row to `each`, until it breaks.
    fn each(
        &self,
        sql: &'static str,
        params: &[Val<'_>],
        each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError>;

    /// The revision of the data: of a read, the snapshot's; of an operation, the one it will get if it changes
    /// anything.
    fn rev(&self) -> Rev;

    /// The time of the transaction, µs since the Unix epoch; never earlier than that of any earlier revision.
    fn now_us(&self) -> i64;

    /// The projection of exactly this revision (of an operation: with the earlier operations of its batch).
    fn view<P: Projection>(&self) -> &P;

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
        mut row: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut first = None;
        self.each(sql, params, |r| {
            first = Some(row(r)?);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(first)
    }
}

/// A read transaction: one snapshot of the data and the projections of exactly its revision.
pub struct ReadTx<'a> {
    pub(super) conn: &'a rusqlite::Connection,
    pub(super) published: &'a Published,
    pub(super) now_us: i64,
    pub(super) shared: &'a Shared,
}

impl Sql for ReadTx<'_> {
    fn each(
        &self,
        sql: &'static str,
        params: &[Val<'_>],
        each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        sqlite::each(self.conn, sql, params, each).inspect_err(|error| {
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
    fn view<P: Projection>(&self) -> &P {
        self.published.view()
    }
}

impl std::fmt::Debug for ReadTx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadTx").field("rev", &self.rev()).finish_non_exhaustive()
    }
}

/// What a projection loads from: the tables at start, before any view exists.
pub(super) struct Loader<'a> {
    pub(super) conn: &'a rusqlite::Connection,
    pub(super) rev: Rev,
    pub(super) now_us: i64,
}

impl Sql for Loader<'_> {
    fn each(
        &self,
        sql: &'static str,
        params: &[Val<'_>],
        each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        sqlite::each(self.conn, sql, params, each)
    }
    fn rev(&self) -> Rev {
        self.rev
    }
    fn now_us(&self) -> i64 {
        self.now_us
    }
    fn view<P: Projection>(&self) -> &P {
        panic!("{} asked for a view while it was loaded", P::NAME)
    }
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
    conn: &'a rusqlite::Connection,
    working: &'a mut Working,
    counters: &'a mut Counters,
    origin: &'a Origin,
    now_us: i64,
    changes: Vec<Change>,
    undo: Undo,
    savepoints: bool,
    trouble: Cell<Option<Trouble>>,
}

/// What taking back an operation needs.
#[derive(Default)]
pub(super) struct Undo {
    /// The projections before the first recorded change.
    pub(super) mark: Option<Mark>,
    /// Whether a statement that changes rows was run (and so a savepoint taken, if they are in use).
    pub(super) wrote: bool,
    /// The worst that the engine said.
    pub(super) trouble: Option<Trouble>,
}

impl<'a> WriteTx<'a> {
    /// The transaction of one operation inside that of its batch. `savepoints`: it shares the batch's transaction
    /// with others, so its first write takes a savepoint.
    pub(super) fn new(
        conn: &'a rusqlite::Connection,
        working: &'a mut Working,
        counters: &'a mut Counters,
        origin: &'a Origin,
        now_us: i64,
        savepoints: bool,
    ) -> Self {
        let (changes, undo, trouble) = (Vec::new(), Undo::default(), Cell::new(None));
        Self { conn, working, counters, origin, now_us, changes, undo, savepoints, trouble }
    }

    /// The operation has succeeded: writes its changelog row and gives it its revision. `unrecorded`: it may change
    /// derived rows without recording anything.
    pub(super) fn seal(&mut self, op: &'static str, unrecorded: bool) -> Result<(), StoreError> {
        if self.changes.is_empty() {
            if self.undo.wrote && !unrecorded {
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
        self.exec_count(sql, params).map(|_| ())
    }

    /// As [`exec`](Self::exec), and waits for the number of rows it changed.
    pub fn exec_count(&mut self, sql: &'static str, params: &[Val<'_>]) -> Result<u64, StoreError> {
        if !self.undo.wrote {
            if self.savepoints {
                let taken = sqlite::control(self.conn, "taking a savepoint", SAVEPOINT);
                self.watch(taken)?;
            }
            self.undo.wrote = true;
        }
        self.watch(sqlite::exec(self.conn, sql, params))
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

    /// Records a change: into the changelog row of this op, and into the working projections at once. The op that
    /// records nothing gets no revision, and must not have written anything.
    pub fn record(&mut self, change: Change) {
        if self.undo.mark.is_none() {
            self.undo.mark = Some(self.working.mark());
        }
        let rev = self.counters.rev + 1;
        self.working.apply(&change, rev);
        self.changes.push(change);
    }
}

/// Taken before the first write of an operation that shares a transaction.
const SAVEPOINT: &str = "SAVEPOINT op";

impl Sql for WriteTx<'_> {
    fn each(
        &self,
        sql: &'static str,
        params: &[Val<'_>],
        each: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        debug_assert!(sqlite::reads_only(self.conn, sql), "a statement that writes goes through exec: {sql}");
        self.watch(sqlite::each(self.conn, sql, params, each))
    }
    fn rev(&self) -> Rev {
        self.counters.rev + 1
    }
    fn now_us(&self) -> i64 {
        self.now_us
    }
    fn view<P: Projection>(&self) -> &P {
        self.working.view()
    }
}

impl std::fmt::Debug for WriteTx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteTx").field("rev", &self.rev()).finish_non_exhaustive()
    }
}
