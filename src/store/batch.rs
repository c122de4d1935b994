//! One transaction of the writer: what happens to a batch of messages from BEGIN to the last answer.
//!
//! Plain and synchronous; the actor around it is in `writer.rs`. Order, always: operations, head row, everything a
//! publish needs, COMMIT, publish, answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::model::time::monotonic;

use super::StoreError;
use super::backend::sqlite::{self, RwConnection, Trouble};
use super::checkpoint::Checkpoints;
use super::fault::FaultPoint;
use super::meta;
use super::notes::Rows;
use super::projection::Working;
use super::queue::Queued;
use super::shared::Shared;
use super::tx::{Counters, Now, WriteTx};

/// What the writer owns: the one read-write connection, the working projections, the numbers.
pub(super) struct Core {
    pub(super) conn: RwConnection,
    pub(super) working: Working,
    pub(super) counters: Counters,
    pub(super) shared: Arc<Shared>,
    pub(super) rows: Rows,
    /// What the remembered replies weigh, bytes.
    pub(super) replies: u64,
    pub(super) checkpoints: Checkpoints,
    /// Bytes of messages written since the last look at the disk.
    pub(super) unseen_bytes: u64,
}

/// The transaction of a batch is lost.
pub(super) struct Lost {
    error: StoreError,
    trouble: Option<Trouble>,
    /// COMMIT had been said.
    committing: bool,
}

impl Lost {
    pub(super) fn before_commit(error: StoreError) -> Self {
        Self { trouble: Trouble::of(&error), error, committing: false }
    }
}

impl Core {
    /// Runs a batch and answers every message of it.
    pub(super) fn run(&mut self, mut batch: Vec<Queued>) {
        let Some(first) = batch.first() else { return };
        self.shared.gauges.set_oldest(&self.shared.clock, first.sent);
        if let Some(reason) = self.shared.read_only.lock().clone() {
            return answer_all(batch, &StoreError::ReadOnly { reason });
        }
        self.shared.metrics.batch_ops.record(batch.len() as f64);
        self.shared.metrics.queue_depth.set(self.shared.admission.under_way() as f64);
        let (numbers, replies, mark) = (self.counters, self.replies, self.working.mark());
        match self.attempt(&mut batch, numbers) {
            Ok(()) => {
                self.shared.faults.hit(FaultPoint::AfterPublishBeforeReply);
                batch.into_iter().for_each(Queued::finish);
            }
            Err(lost) => {
                self.working.rollback(&mark);
                (self.counters, self.replies) = (numbers, replies);
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
        }
    }

    /// The batch from BEGIN to the publish.
    fn attempt(&mut self, batch: &mut Vec<Queued>, before: Counters) -> Result<(), Lost> {
        sqlite::control(&self.conn, "beginning a write", "BEGIN IMMEDIATE").map_err(Lost::before_commit)?;
        let now_us = self.shared.now_us();
        let now = Now { transaction_us: now_us, wall_us: self.shared.clock.now_us() };
        let (alone, replies) = (batch.len() == 1, self.replies);
        let mut wrote = false;
        for queued in batch.iter_mut() {
            wrote |= self.apply(queued, now, alone)?;
        }
        // An operation that was alone and failed after a write has taken the transaction with it.
        if self.conn.is_autocommit() {
            return Ok(());
        }
        wrote |= self.bound_replies(replies, now_us).map_err(Lost::before_commit)?;
        wrote |= self.take_notes_along(now_us).map_err(Lost::before_commit)?;
        if self.counters != before {
            meta::put_head(&self.conn, &self.counters).map_err(Lost::before_commit)?;
        } else if !wrote {
            return sqlite::control(&self.conn, "ending an empty write", "ROLLBACK").map_err(Lost::before_commit);
        }
        let changed = self.counters.rev != before.rev;
        let published = changed.then(|| Arc::new(self.working.publish(self.counters.rev)));
        if mutated!(self.shared, ReplyBeforeCommit) {
            batch.drain(..).for_each(Queued::finish);
        }
        self.commit(now_us)?;
        if mutated!(self.shared, PublishAfterReply) {
            batch.drain(..).for_each(Queued::finish);
        }
        if let Some(published) = published {
            self.shared.faults.hit(FaultPoint::AfterCommitBeforePublish);
            self.shared.head().publish(published);
        }
        Ok(())
    }

    /// COMMIT, and what must be true before anybody can see it.
    pub(super) fn commit(&mut self, now_us: i64) -> Result<(), Lost> {
        // A reader may see the commit before this thread goes on: its time must not be earlier.
        self.shared.gauges.time_floor_us.fetch_max(now_us, Ordering::Release);
        self.shared.faults.hit(FaultPoint::BeforeCommit);
        let started = monotonic();
        sqlite::control(&self.conn, "committing", "COMMIT").map_err(|error| Lost {
            trouble: Trouble::of(&error),
            error,
            committing: true,
        })?;
        self.shared.metrics.commit_seconds.record(started.elapsed().as_secs_f64());
        self.shared.gauges.commits.fetch_add(1, Ordering::Relaxed);
        self.checkpoints.committed();
        Ok(())
    }

    /// Applies one message; whether it has changed rows. Its failure is its own, unless the engine is in trouble.
    fn apply(&mut self, queued: &mut Queued, now: Now, alone: bool) -> Result<bool, Lost> {
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
        let (conn, working, counters) = (&self.conn, &mut self.working, &mut self.counters);
        let mut tx = WriteTx::new(conn, working, counters, &queued.origin, now, !alone);
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
        if !kept {
            self.take_back(undo.wrote, alone)?;
            if let Some(mark) = &undo.mark {
                self.working.rollback(mark);
            }
            self.counters = before;
            return Ok(false);
        }
        if undo.wrote && !alone {
            sqlite::control(&self.conn, "releasing a savepoint", "RELEASE op").map_err(Lost::before_commit)?;
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
        let rolled_back = if alone {
            sqlite::control(&self.conn, "rolling back an operation", "ROLLBACK")
        } else {
            sqlite::control(&self.conn, "rolling back an operation", "ROLLBACK TO op")
                .and_then(|()| sqlite::control(&self.conn, "releasing a savepoint", "RELEASE op"))
        };
        rolled_back.map_err(Lost::before_commit)
    }

    fn lost(&self, trouble: Trouble) -> Lost {
        let error = match trouble {
            Trouble::Full => StoreError::Full,
            Trouble::NoMemory => StoreError::Busy { queue: "memory" },
            Trouble::Io => StoreError::Indeterminate { reason: "an input/output error in an operation".into() },
        };
        Lost { error, trouble: Some(trouble), committing: false }
    }

    /// Puts the connection in order after a lost transaction; the error that answers its messages.
    pub(super) fn recover(&mut self, lost: Lost) -> StoreError {
        if sqlite::is_busy(&lost.error) {
            self.shared.busy();
        }
        tracing::error!(error = %lost.error, committing = lost.committing, "a write transaction was lost");
        if !self.conn.is_autocommit() {
            // If this fails too, opening the connection anew settles it.
            let _ = sqlite::control(&self.conn, "rolling back", "ROLLBACK");
        }
        let reason = lost.error.to_string();
        self.met_full(&lost);
        match lost.trouble {
            Some(Trouble::Io) => {
                self.shared.damaged.store(lost.error.is_damage(), Ordering::Relaxed);
                return self.stop_writing(reason);
            }
            Some(Trouble::Full | Trouble::NoMemory) => {
                if let Err(error) = self.reopen() {
                    return self.stop_writing(format!("{reason}; then {error}"));
                }
            }
            None if self.conn.is_autocommit() => {}
            None => return self.stop_writing(reason),
        }
        // Whatever COMMIT said: what is on disk decides.
        match meta::head_rev(&self.conn) {
            Ok(rev) if rev == self.counters.rev && lost.trouble == Some(Trouble::NoMemory) && lost.committing => {
                StoreError::Indeterminate { reason }
            }
            Ok(rev) if rev == self.counters.rev => lost.error,
            Ok(rev) => self.stop_writing(format!("{reason}; the database is at revision {rev}")),
            Err(error) => self.stop_writing(format!("{reason}; then {error}")),
        }
    }

    /// Tells the watch over the disk if it was full; whether that has made space.
    fn met_full(&self, lost: &Lost) -> bool {
        lost.trouble == Some(Trouble::Full) && self.shared.space.met_full(&self.shared.metrics)
    }

    /// What a failed checkpoint, or another step between batches, means for the store.
    pub(super) fn between(&mut self, done: Result<(), StoreError>) {
        let Err(error) = done else { return };
        match Trouble::of(&error) {
            Some(Trouble::Io) => {
                self.shared.damaged.store(error.is_damage(), Ordering::Relaxed);
                // Never again a sync of pages that the system may have forgotten: what is in the log must stay there.
                self.stop_writing(error.to_string());
            }
            Some(Trouble::Full) => {
                self.shared.space.met_full(&self.shared.metrics);
            }
            Some(Trouble::NoMemory) | None => tracing::warn!(%error, "the writer could not look after itself"),
        }
    }

    /// Takes no writes from now on: only a restart can tell what is on disk.
    fn stop_writing(&mut self, reason: String) -> StoreError {
        tracing::error!(reason, "the store is read-only from now on; restart the server");
        *self.shared.read_only.lock() = Some(reason.clone());
        StoreError::Indeterminate { reason }
    }

    /// Closes the connection and opens another.
    pub(super) fn reopen(&mut self) -> Result<(), StoreError> {
        tracing::warn!("opening the writer's connection anew");
        self.conn.reopen(&self.shared)?;
        self.checkpoints.watch(&mut self.conn)
    }

    /// Records of the second lane that ride along, in a savepoint of their own: they never sink a batch.
    fn take_notes_along(&mut self, now_us: i64) -> Result<bool, StoreError> {
        let most = if self.shared.space.is_low() { 0 } else { self.shared.limits.notes_per_batch };
        let notes = self.shared.lane.take(most);
        if notes.is_empty() {
            return Ok(false);
        }
        sqlite::control(&self.conn, "taking a savepoint", "SAVEPOINT notes")?;
        if let Err(error) = self.write_notes(&notes, now_us) {
            tracing::warn!(%error, "records of the second lane were dropped");
            self.lose_notes(notes.len());
            if Trouble::of(&error).is_some() {
                return Err(error);
            }
            sqlite::control(&self.conn, "rolling back records", "ROLLBACK TO notes")?;
        }
        sqlite::control(&self.conn, "releasing a savepoint", "RELEASE notes")?;
        Ok(true)
    }

    /// Records of the second lane in a transaction of their own.
    pub(super) fn drain_notes(&mut self, most: usize) -> Result<(), StoreError> {
        // On a full disk records are not worth a page: they wait, and the oldest are dropped.
        if self.shared.read_only.lock().is_some() || self.shared.space.is_low() {
            return Ok(());
        }
        let notes = self.shared.lane.take(most);
        if notes.is_empty() {
            return Ok(());
        }
        let now_us = self.shared.now_us();
        let written = sqlite::control(&self.conn, "beginning a write", "BEGIN IMMEDIATE")
            .and_then(|()| self.write_notes(&notes, now_us))
            .map_err(Lost::before_commit)
            .and_then(|()| self.commit(now_us));
        written.map_err(|lost| {
            self.lose_notes(notes.len());
            self.recover(lost)
        })
    }

    fn write_notes(&mut self, notes: &[super::Note], now_us: i64) -> Result<(), StoreError> {
        let incarnation = self.shared.incarnation.get().map_or("", String::as_str);
        self.rows.write(&self.conn, notes, incarnation, now_us)?;
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

fn answer_all(batch: Vec<Queued>, error: &StoreError) {
    for queued in batch {
        queued.fail(error.clone());
    }
}
