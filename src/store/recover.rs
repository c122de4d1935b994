//! What follows a lost transaction: the connection is put in order, or the store takes no more writes.
//!
//! Owns the decision whether the outcome of a write is known. Invariant: what is on disk decides, never what an error
//! seems to say.

use std::sync::atomic::Ordering;

use super::StoreError;
use super::backend::{Link, Trouble, sqlite};
use super::batch::{Core, Lost};
use super::meta;

impl Core {
    /// Whether a transaction may begin: the store takes writes, and its connection is there.
    pub(super) fn ready(&mut self) -> Result<(), StoreError> {
        if let Some(reason) = self.shared.read_only.get().cloned() {
            return Err(StoreError::ReadOnly { reason });
        }
        match &self.link {
            Link::Lite(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Link::Pg(writer) if !writer.is_gone() && !self.unsure => Ok(()),
            #[cfg(feature = "postgres")]
            Link::Pg(_) => {
                let again = self.connect_again();
                *self.shared.away.lock() = again.as_ref().err().map(ToString::to_string);
                again
            }
        }
    }

    /// What a connection in trouble means for the batch.
    pub(super) fn lost(&self, trouble: Trouble) -> Lost {
        let error = match trouble {
            Trouble::Full => StoreError::Full,
            Trouble::NoMemory => StoreError::Busy { queue: "memory" },
            Trouble::Io => StoreError::Indeterminate { reason: "an input/output error in an operation".into() },
            Trouble::Gone => StoreError::Unreachable {
                place: self.shared.database.display().to_string(),
                reason: "the connection was lost in an operation".into(),
            },
        };
        Lost { trouble: Some(trouble), ..Lost::before_commit(error) }
    }

    /// Puts the connection in order after a lost transaction; the error that answers its messages.
    pub(super) fn recover(&mut self, lost: Lost) -> StoreError {
        if sqlite::is_busy(&lost.error) {
            self.shared.busy();
        }
        tracing::error!(error = %lost.error, committing = lost.committing, "a write transaction was lost");
        match self.link {
            Link::Lite(_) => self.recover_near(lost),
            #[cfg(feature = "postgres")]
            Link::Pg(_) => self.recover_far(lost),
        }
    }

    fn recover_near(&mut self, lost: Lost) -> StoreError {
        if !self.link.conn().is_autocommit() {
            // If this fails too, opening the connection anew settles it.
            let _ = self.link.conn().control("rolling back", "ROLLBACK");
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
            None if self.link.conn().is_autocommit() => {}
            Some(Trouble::Gone) | None => return self.stop_writing(reason),
        }
        // Whatever COMMIT said: what is on disk decides.
        match meta::head_rev(self.link.conn()) {
            Ok(rev) if rev == self.counters.rev && lost.trouble == Some(Trouble::NoMemory) && lost.committing => {
                StoreError::Indeterminate { reason }
            }
            Ok(rev) if rev == self.counters.rev => lost.error,
            Ok(rev) => self.stop_writing(format!("{reason}; the database is at revision {rev}")),
            Err(error) => self.stop_writing(format!("{reason}; then {error}")),
        }
    }

    /// Tells the watch over the disk if it was full; whether that has made space.
    pub(super) fn met_full(&self, lost: &Lost) -> bool {
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
            Some(Trouble::NoMemory | Trouble::Gone) | None => {
                tracing::warn!(%error, "the writer could not look after itself");
            }
        }
    }

    /// Takes no writes from now on: only a restart can tell what is on disk.
    pub(super) fn stop_writing(&mut self, reason: String) -> StoreError {
        tracing::error!(reason, "the store is read-only from now on; restart the server");
        // The first reason is the one to be told.
        self.shared.read_only.get_or_init(|| reason.clone());
        StoreError::Indeterminate { reason }
    }

    /// Closes the connection to a file and opens another.
    pub(super) fn reopen(&mut self) -> Result<(), StoreError> {
        match &mut self.link {
            Link::Lite(conn) => {
                tracing::warn!("opening the writer's connection anew");
                conn.reopen(&self.shared)?;
                self.checkpoints.watch(conn)
            }
            #[cfg(feature = "postgres")]
            Link::Pg(_) => self.connect_again(),
        }
    }
}

/// PostgreSQL: the connection may go while the server lives, and the server while we do.
#[cfg(feature = "postgres")]
mod far {
    use super::super::backend::postgres::{Committed, Outcome};
    use super::super::idempotency;
    use super::super::tx::{Counters, Loader};
    use super::*;
    use std::sync::Arc;

    impl Core {
        /// COMMIT, and the truth about it where the answer was lost.
        pub(in crate::store) fn commit_far(&mut self, before: &Counters) -> Result<(), Lost> {
            let Link::Pg(writer) = &mut self.link else { return Ok(()) };
            let error = match writer.commit() {
                Committed::Yes => return Ok(()),
                Committed::RolledBack(error) if Trouble::of(&error).is_none() => return Err(Lost::again(error)),
                Committed::RolledBack(error) => return Err(Lost::before_commit(error)),
                Committed::Unknown(error) => error,
            };
            let settled = writer.reconnect_soon().and_then(|()| writer.outcome(before, &self.counters));
            match settled {
                Ok(Outcome::Committed) => Ok(()),
                Ok(Outcome::RolledBack) => Err(Lost::before_commit(error)),
                Ok(Outcome::Foreign { rev }) => {
                    let reason =
                        format!("{error}; the database is at revision {rev}, which this server has not written");
                    Err(Lost::before_commit(self.stop_writing(reason)))
                }
                Err(_) => {
                    self.unsure = true;
                    Err(Lost { committing: true, trouble: Some(Trouble::Gone), ..Lost::before_commit(error) })
                }
            }
        }

        pub(super) fn recover_far(&mut self, lost: Lost) -> StoreError {
            let Link::Pg(writer) = &self.link else { return lost.error };
            if !writer.is_gone() {
                writer.session().discard();
            }
            if let StoreError::ReadOnly { reason } = &lost.error {
                // Nothing of the batch was done; nothing more may be.
                self.stop_writing(reason.clone());
                return lost.error;
            }
            match lost.trouble {
                Some(Trouble::Gone) if lost.committing => StoreError::Indeterminate { reason: lost.error.to_string() },
                _ => lost.error,
            }
        }

        /// A connection again, if the server can be reached now; and the state of what it holds.
        pub(super) fn connect_again(&mut self) -> Result<(), StoreError> {
            let Link::Pg(writer) = &mut self.link else { return Ok(()) };
            let found = writer.reconnect().and_then(|()| writer.head());
            let head = match found {
                Ok(head) => head,
                Err(StoreError::Occupied { who, .. }) => {
                    return Err(self.stop_writing(format!("another server has taken the database: {who}")));
                }
                Err(error @ StoreError::Unreachable { .. }) => return Err(error),
                Err(error) => {
                    let place = self.shared.database.display().to_string();
                    return Err(StoreError::Unreachable { place, reason: error.to_string() });
                }
            };
            if head == self.counters {
                self.unsure = false;
                return Ok(());
            }
            if self.unsure { self.load_again(head) } else { Err(self.foreign(&head)) }
        }

        fn foreign(&mut self, head: &Counters) -> StoreError {
            let reason = format!("the database is at revision {}, this server at {}", head.rev, self.counters.rev);
            self.stop_writing(format!("{reason}: somebody else has written to it"))
        }

        /// The transaction whose outcome nobody knew is there: everything in memory is made from the tables again.
        fn load_again(&mut self, head: Counters) -> Result<(), StoreError> {
            let now_us = self.shared.now_us();
            let loader = Loader { conn: self.link.conn(), rev: head.rev, now_us };
            self.working.load(&loader)?;
            self.replies = idempotency::load(&loader)?;
            self.counters = head;
            self.shared.publish(Arc::new(self.working.publish(head.rev)));
            self.unsure = false;
            tracing::warn!(rev = head.rev, "a write whose answer was lost is there; the state was loaded again");
            Ok(())
        }
    }
}
