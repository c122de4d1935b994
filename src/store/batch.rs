//! One transaction of the writer: what happens to a batch of messages from BEGIN to the last answer.
//!
//! Plain and synchronous; the actor around it is in `writer.rs`, what follows a lost transaction in `recover.rs`. Order,
//! always: operations, head row, everything a publish needs, COMMIT, publish, answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::model::time::monotonic;

use super::StoreError;
use super::backend::{Conn, Link, Trouble};
use super::checkpoint::Checkpoints;
use super::fault::FaultPoint;
use super::house::House;
use super::meta;
use super::notes::Rows;
use super::projection::Working;
use super::queue::Queued;
use super::shared::Shared;
use super::turns::Reads;
use super::tx::{Counters, Now, WriteTx};

/// Operations in a transaction with a savepoint each, on an engine to which more are a burden for every reader
/// (PostgreSQL keeps so many sub-transactions at hand). Other batches are run in one pipelined transaction.
const SAVEPOINTS_MAX: usize = 64;

/// What the writer owns: the one read-write connection, the working projections, the numbers.
pub(super) struct Core {
    pub(super) link: Link,
    pub(super) working: Working,
    pub(super) counters: Counters,
    pub(super) shared: Arc<Shared>,
    pub(super) rows: Rows,
    /// What the remembered replies weigh, bytes.
    pub(super) replies: u64,
    pub(super) checkpoints: Checkpoints,
    pub(super) house: House,
    /// Bytes of messages written since the last look at the disk.
    pub(super) unseen_bytes: u64,
    /// A COMMIT was not answered, and nobody could be asked since.
    #[cfg(feature = "postgres")]
    pub(super) unsure: bool,
}

/// How a batch is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Each statement is waited for, and an operation that fails is taken back alone.
    Waiting,
    /// Statements are sent and waited for with COMMIT, by an engine that can. Whatever fails sinks the transaction, and the batch is run again
    /// the other way: for a network, where a wait costs more than a statement.
    Piped,
}

/// The transaction of a batch is lost.
pub(super) struct Lost {
    pub(super) error: StoreError,
    pub(super) trouble: Option<Trouble>,
    /// COMMIT had been said.
    pub(super) committing: bool,
    /// Nothing is wrong but that the batch was pipelined.
    pub(super) again: bool,
}

impl Lost {
    pub(super) fn before_commit(error: StoreError) -> Self {
        Self { trouble: Trouble::of(&error), error, committing: false, again: false }
    }

    pub(super) fn again(error: StoreError) -> Self {
        Self { trouble: None, error, committing: false, again: true }
    }
}

impl Core {
    /// Runs a batch and answers every message of it.
    pub(super) fn run(&mut self, batch: Vec<Queued>) {
        let Some(first) = batch.first() else { return };
        self.shared.gauges.set_oldest(&self.shared.clock, first.sent);
        if let Err(error) = self.ready() {
            return answer_all(batch, &error);
        }
        self.shared.metrics.batch_ops.record(batch.len() as f64);
        self.shared.metrics.queue_depth.set(self.shared.admission.under_way() as f64);
        match self.link {
            Link::Lite(_) => self.run_as(batch, Way::Waiting),
            #[cfg(feature = "postgres")]
            Link::Pg(_) => self.run_as(batch, Way::Piped),
        }
    }

    fn run_as(&mut self, mut batch: Vec<Queued>, way: Way) {
        let (numbers, replies, mark) = (self.counters, self.replies, self.working.mark());
        let began = monotonic();
        let attempted = self.attempt(&mut batch, numbers, way);
        self.shared.metrics.batch_seconds.record(began.elapsed().as_secs_f64());
        let Err(lost) = attempted else {
            self.shared.faults.hit(FaultPoint::AfterPublishBeforeReply);
            return batch.into_iter().for_each(Queued::finish);
        };
        self.working.rollback(&mark);
        (self.counters, self.replies) = (numbers, replies);
        if lost.again && way == Way::Piped {
            #[cfg(feature = "postgres")]
            if let Link::Pg(writer) = &self.link {
                // Nothing of it may be in the transactions that follow, nor may what it said.
                writer.session().discard();
            }
            return self.run_again(batch);
        }
        let lighter = self.met_full(&lost);
        let error = self.recover(lost);
        if lighter && matches!(error, StoreError::Full) {
            // Space was given up for this: what frees more of it goes once more, without the others.
            let (grows, frees) = batch.into_iter().partition(|queued| queued.job.grows());
            answer_all(grows, &error);
            return self.run(frees);
        }
        answer_all(batch, &error);
    }

    /// Runs a pipelined batch again, a few at a time, each operation with a savepoint of its own.
    fn run_again(&mut self, mut batch: Vec<Queued>) {
        while !batch.is_empty() {
            let rest = batch.split_off(batch.len().min(SAVEPOINTS_MAX));
            let piece = std::mem::replace(&mut batch, rest);
            match self.ready() {
                Ok(()) => self.run_as(piece, Way::Waiting),
                Err(error) => answer_all(piece, &error),
            }
        }
    }

    /// Begins a transaction beside the batches, which is kept or lost as one.
    pub(super) fn begin(&self) -> Result<(), StoreError> {
        self.begin_as(Way::Piped)
    }

    fn begin_as(&self, way: Way) -> Result<(), StoreError> {
        match (&self.link, way) {
            (Link::Lite(conn), _) => Conn::Lite(conn).control("beginning a write", "BEGIN IMMEDIATE"),
            #[cfg(feature = "postgres")]
            (Link::Pg(writer), way) => writer.begin(&self.counters, way == Way::Piped),
        }
    }

    /// The batch from BEGIN to the publish.
    fn attempt(&mut self, batch: &mut Vec<Queued>, before: Counters, way: Way) -> Result<(), Lost> {
        self.begin_as(way).map_err(Lost::before_commit)?;
        let now_us = self.shared.now_us();
        let now = Now { transaction_us: now_us, wall_us: self.shared.clock.now_us() };
        let (alone, replies) = (batch.len() == 1, self.replies);
        let mut wrote = false;
        let mut reads = Reads::default();
        for queued in batch.iter_mut() {
            wrote |= self.apply(queued, now, alone, way)?;
            if !alone {
                self.shared.turns.give_way(&mut reads);
            }
        }
        // An operation that was alone and failed after a write has taken the transaction with it.
        if self.link.conn().is_autocommit() {
            return Ok(());
        }
        wrote |= self.working.counts().save(self.link.conn()).map_err(|error| lost_in(way, error))?;
        wrote |= self.bound_replies(replies, now_us).map_err(|error| lost_in(way, error))?;
        wrote |= self.take_notes_along(now_us, way).map_err(|error| lost_in(way, error))?;
        if self.counters != before {
            meta::put_head(self.link.conn(), &self.counters).map_err(|error| lost_in(way, error))?;
        } else if !wrote {
            return self.link.conn().control("ending an empty write", "ROLLBACK").map_err(Lost::before_commit);
        }
        let changed = self.counters.rev != before.rev;
        let published = changed.then(|| Arc::new(self.working.publish(self.counters.rev)));
        if mutated!(self.shared, ReplyBeforeCommit) {
            batch.drain(..).for_each(Queued::finish);
        }
        self.commit(&before, now_us)?;
        self.working.settle();
        if mutated!(self.shared, PublishAfterReply) {
            batch.drain(..).for_each(Queued::finish);
        }
        if let Some(published) = published {
            self.shared.faults.hit(FaultPoint::AfterCommitBeforePublish);
            self.shared.publish(published);
        }
        Ok(())
    }

    /// COMMIT, and what must be true before anybody can see it.
    /// `before`: what the head row said at BEGIN.
    pub(super) fn commit(&mut self, before: &Counters, now_us: i64) -> Result<(), Lost> {
        // A reader may see the commit before this thread goes on: its time must not be earlier.
        self.shared.gauges.time_floor_us.fetch_max(now_us, Ordering::Release);
        self.shared.faults.hit(FaultPoint::BeforeCommit);
        let started = monotonic();
        match (&self.link, before) {
            (Link::Lite(conn), _) => Conn::Lite(conn).control("committing", "COMMIT").map_err(|error| Lost {
                trouble: Trouble::of(&error),
                error,
                committing: true,
                again: false,
            })?,
            #[cfg(feature = "postgres")]
            (Link::Pg(_), before) => self.commit_far(before)?,
        }
        self.shared.metrics.commit_seconds.record(started.elapsed().as_secs_f64());
        self.shared.gauges.commits.fetch_add(1, Ordering::Relaxed);
        self.checkpoints.committed();
        Ok(())
    }

    /// Applies one message; whether it has changed rows. Its failure is its own, unless the engine is in trouble.
    fn apply(&mut self, queued: &mut Queued, now: Now, alone: bool, way: Way) -> Result<bool, Lost> {
        queued.rev = self.counters.rev;
        if queued.origin.deadline.is_some_and(|deadline| self.shared.clock.instant() >= deadline) {
            queued.job.refuse(StoreError::DeadlineExceeded { step: "the write began" });
            return Ok(false);
        }
        if queued.job.grows() && self.shared.space.is_low() {
            self.shared.metrics.refused_full.increment(1);
            queued.job.refuse(StoreError::Full);
            return Ok(false);
        }
        let (before, name) = (self.counters, queued.job.name());
        let (conn, working, counters) = (self.link.conn(), &mut self.working, &mut self.counters);
        let savepoints = !alone && way == Way::Waiting;
        let mut tx = WriteTx::new(conn, working, counters, &queued.origin, now, savepoints);
        #[cfg(feature = "faults")]
        tx.take_out(self.shared.mutation);
        let job = &mut queued.job;
        let ran = catch_unwind(AssertUnwindSafe(|| job.apply(&mut tx) && seal(&mut tx, job.as_mut())));
        let kept = ran.unwrap_or_else(|_| {
            tracing::error!(op = name, "an operation panicked; it is rolled back");
            self.shared.metrics.panics.increment(1);
            job.refuse(StoreError::Panicked { op: name });
            false
        });
        let undo = tx.into_undo();
        if let Some(trouble) = undo.trouble {
            return Err(self.lost(trouble));
        }
        if way == Way::Piped && (self.link.has_failed() || (!kept && undo.wrote && !alone)) {
            return Err(Lost::again(StoreError::Busy { queue: "the transaction" }));
        }
        if !kept {
            self.take_back(undo.wrote, alone)?;
            if let Some(mark) = &undo.mark {
                self.working.rollback(mark);
            }
            self.counters = before;
            return Ok(false);
        }
        if undo.wrote && savepoints {
            self.link.conn().control("releasing a savepoint", "RELEASE op").map_err(Lost::before_commit)?;
        }
        if undo.mark.is_none() && !undo.wrote {
            // Numbers that were drawn and not used.
            self.counters = before;
        }
        self.replies = self.replies.saturating_add(undo.remembered).saturating_sub(undo.forgotten);
        queued.rev = self.counters.rev;
        Ok(undo.wrote)
    }

    /// Rolls the rows of one operation back.
    fn take_back(&mut self, wrote: bool, alone: bool) -> Result<(), Lost> {
        if !wrote {
            return Ok(());
        }
        let conn = self.link.conn();
        let rolled_back = if alone {
            conn.control("rolling back an operation", "ROLLBACK")
        } else {
            conn.control("rolling back an operation", "ROLLBACK TO op")
                .and_then(|()| conn.control("releasing a savepoint", "RELEASE op"))
        };
        rolled_back.map_err(Lost::before_commit)
    }

    /// Records of the second lane that ride along, in a savepoint of their own: they never sink a batch.
    fn take_notes_along(&mut self, now_us: i64, way: Way) -> Result<bool, StoreError> {
        let most = if self.shared.space.is_low() { 0 } else { self.shared.limits.notes_per_batch };
        let notes = self.shared.lane.take(most);
        if notes.is_empty() {
            return Ok(false);
        }
        if way == Way::Piped {
            return self.write_notes(&notes, now_us).map(|()| true).inspect_err(|_| self.lose_notes(notes.len()));
        }
        self.link.conn().control("taking a savepoint", "SAVEPOINT notes")?;
        if let Err(error) = self.write_notes(&notes, now_us) {
            tracing::warn!(%error, "records of the second lane were dropped");
            self.lose_notes(notes.len());
            if Trouble::of(&error).is_some() {
                return Err(error);
            }
            self.link.conn().control("rolling back records", "ROLLBACK TO notes")?;
        }
        self.link.conn().control("releasing a savepoint", "RELEASE notes")?;
        Ok(true)
    }

    /// Records of the second lane in a transaction of their own.
    pub(super) fn drain_notes(&mut self, most: usize) -> Result<(), StoreError> {
        // On a full disk records are not worth a page: they wait, and the oldest are dropped.
        if self.ready().is_err() || self.shared.space.is_low() {
            return Ok(());
        }
        let notes = self.shared.lane.take(most);
        if notes.is_empty() {
            return Ok(());
        }
        let now_us = self.shared.now_us();
        let before = self.counters;
        let written = self.begin().and_then(|()| self.write_notes(&notes, now_us));
        let written = written.map_err(Lost::before_commit).and_then(|()| self.commit(&before, now_us));
        written.map_err(|lost| {
            self.lose_notes(notes.len());
            self.recover(lost)
        })
    }

    fn write_notes(&mut self, notes: &[super::Note], now_us: i64) -> Result<(), StoreError> {
        let incarnation = self.shared.incarnation.get().map_or("", String::as_str);
        self.rows.write(self.link.conn(), notes, incarnation, now_us)?;
        self.shared.gauges.note_rows.store(self.rows.at_most(), Ordering::Relaxed);
        self.shared.metrics.notes_written.increment(notes.len() as u64);
        Ok(())
    }

    fn lose_notes(&self, count: usize) {
        self.shared.lane.lost(count);
        self.shared.metrics.notes_dropped.increment(count as u64);
    }
}

/// Writes the changelog row of an operation that has succeeded; whether that succeeded.
fn seal(tx: &mut WriteTx<'_>, job: &mut dyn super::queue::Erased) -> bool {
    match tx.seal(job.name(), job.unrecorded()) {
        Ok(()) => true,
        Err(error) => {
            job.refuse(error);
            false
        }
    }
}

/// What an error of a statement beside the operations means.
fn lost_in(way: Way, error: StoreError) -> Lost {
    if way == Way::Piped && Trouble::of(&error).is_none() { Lost::again(error) } else { Lost::before_commit(error) }
}

fn answer_all(batch: Vec<Queued>, error: &StoreError) {
    for queued in batch {
        queued.fail(error.clone());
    }
}
