//! What the writer throws away as it goes: remembered replies and denials that are too old or too many, registrations whose
//! time has come.
//!
//! Bounded work per transaction. Moves no revision but for registrations, whose end is a change.

use super::StoreError;
use super::batch::{Core, Lost};
use super::op::{Origin, WriteOp as _};
use super::queue::{Job, Queued};
use super::workspaces::{self, SweepWorkspaces};
use super::{denials, idempotency};

impl Core {
    /// Keeps the remembered replies within their bytes, in the transaction of a batch that has brought some.
    pub(super) fn bound_replies(&mut self, before: u64, now_us: i64) -> Result<bool, StoreError> {
        if self.replies == before {
            return Ok(false);
        }
        if self.replies > idempotency::TABLE_BYTES_MAX {
            self.replies = idempotency::trim(self.link.conn(), self.replies, now_us)?;
        }
        idempotency::save(self.link.conn(), self.replies)?;
        Ok(true)
    }

    /// Once a second: a bounded part of what is due, in a transaction of its own.
    pub(super) fn throw_away(&mut self) -> Result<(), StoreError> {
        let now_us = self.shared.now_us();
        let replies = idempotency::is_due(self.link.conn(), self.replies, now_us)?;
        let denials = denials::is_due(self.link.conn(), now_us, self.shared.limits.denials)?;
        if !replies && !denials {
            return Ok(());
        }
        let (before, head) = (self.replies, self.counters);
        self.begin()
            .and_then(|()| self.trim(replies, denials, now_us))
            .map_err(Lost::before_commit)
            .and_then(|()| self.commit(&head, now_us))
            .map_err(|lost| {
                self.replies = before;
                self.recover(lost)
            })
    }

    /// Once a second: ends registrations of directories that have had their time, by a message like any other.
    pub(super) fn sweep(&mut self) -> Result<(), StoreError> {
        if !workspaces::any_expired(self.link.conn(), self.shared.now_us())? {
            return Ok(());
        }
        // A full queue: with the next tick.
        let Ok(permit) = self.shared.admission.admit(0) else { return Ok(()) };
        // Nobody waits for the answer; what fails is tried again.
        let (job, _) = Job::boxed(SweepWorkspaces);
        let origin = Origin::system(SweepWorkspaces::NAME);
        self.run(vec![Queued { job, origin, sent: self.shared.clock.instant(), bytes: 0, permit, rev: 0 }]);
        Ok(())
    }

    fn trim(&mut self, replies: bool, denials: bool, now_us: i64) -> Result<(), StoreError> {
        if replies {
            self.replies = idempotency::trim(self.link.conn(), self.replies, now_us)?;
            idempotency::save(self.link.conn(), self.replies)?;
        }
        if denials {
            denials::trim(self.link.conn(), now_us, self.shared.limits.denials)?;
        }
        Ok(())
    }
}
