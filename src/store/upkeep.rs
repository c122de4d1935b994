//! What the writer throws away as it goes: remembered replies and denials that are too old or too many.
//!
//! Bounded work per transaction. Moves no revision.

use super::StoreError;
use super::batch::{Core, Lost};
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
