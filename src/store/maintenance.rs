//! What keeps a store well, when somebody asks for it: checks, backups, exports, house-keeping.
//!
//! Owns these ways in; what each does is in a file of its own. What comes by itself is in `upkeep.rs`.

use std::path::PathBuf;
use std::sync::Arc;

use super::house::Left;
use super::{Removed, Status, Store, StoreError, backup, bundle, check};

/// What is said of backups on a database server.
const USE_PG_DUMP: &str = "use pg_dump, or your provider's backups; `nexus-lite export` makes a file that moves";

/// How often, and how long each time, a pass of house-keeping that was asked for waits for a backup: 10 s.
const HELD_TRIES: u32 = 100;
const HELD_WAIT: std::time::Duration = std::time::Duration::from_millis(100);

impl Store {
    /// Refuses what only a store with a disk of its own has.
    fn on_disk(&self, what: &'static str, remedy: &'static str) -> Result<(), StoreError> {
        let here = self.inner.shared.has_disk();
        if here { Ok(()) } else { Err(StoreError::NotHere { what, engine: "PostgreSQL", remedy }) }
    }

    /// Checks the whole store: SQLite's own checks and the numbered rules of `schema.sql`. On the slow lane.
    pub async fn check(&self) -> Result<check::Report, StoreError> {
        let shared = Arc::clone(&self.inner.shared);
        self.slow(move |slot| check::run(&shared, slot)).await?
    }

    /// Makes a backup in a new directory below `root`, or below `backups` in the data directory. Writers go on.
    pub async fn backup(&self, root: Option<PathBuf>) -> Result<backup::Backup, StoreError> {
        self.on_disk("a backup", USE_PG_DUMP)?;
        let shared = Arc::clone(&self.inner.shared);
        let root = root.unwrap_or_else(|| self.backups_dir());
        self.slow(move |_| backup::make(&shared, &root)).await?
    }

    /// Removes the oldest complete backups below `root`, or below `backups` in the data directory, but `keep`.
    pub async fn prune_backups(&self, root: Option<PathBuf>, keep: usize) -> Result<Vec<backup::Backup>, StoreError> {
        self.on_disk("a backup", USE_PG_DUMP)?;
        let shared = Arc::clone(&self.inner.shared);
        let root = root.unwrap_or_else(|| self.backups_dir());
        self.slow(move |_| backup::prune(&shared.files, &root, keep)).await?
    }

    /// Writes everything at one revision to `out`, on the slow lane. Writers go on. `tell` is told how far it is.
    pub async fn export(
        &self,
        mut out: Box<dyn std::io::Write + Send>,
        what: bundle::What,
        mut tell: Box<bundle::Tell<'static>>,
    ) -> Result<bundle::Header, bundle::MoveError> {
        let shared = Arc::clone(&self.inner.shared);
        let exported = self.slow(move |slot| {
            let _all = shared.pins.hold();
            slot.read(&shared, None, |tx| bundle::write(tx, &mut *out, &what, &mut *tell))
        });
        exported.await?
    }

    /// Where backups go unless another place is named.
    #[must_use]
    pub fn backups_dir(&self) -> PathBuf {
        self.data_dir().join(backup::BACKUPS_DIR)
    }

    /// Does now what the writer does once a second.
    pub async fn tick(&self) -> Result<(), StoreError> {
        self.inner.writer.tick().await
    }

    /// A whole pass of house-keeping now, which else comes by itself: the past that is not kept, bodies that nothing has
    /// named for a day, blob files without a row. Others write between its steps.
    pub async fn keep_house(&self) -> Result<Removed, StoreError> {
        let removed = |status: Status| {
            [status.states_dropped, status.bodies_collected, status.bytes_collected, status.files_swept]
        };
        let (before, mut begin, mut held) = (removed(self.status()), true, 0);
        loop {
            match self.inner.writer.keep_house(begin).await? {
                Left::Nothing => break,
                Left::Steps => held = 0,
                Left::Held if held == HELD_TRIES => {
                    return Err(StoreError::Busy { queue: "a backup, which needs every body" });
                }
                Left::Held => {
                    held += 1;
                    tokio::time::sleep(HELD_WAIT).await;
                }
            }
            begin = false;
        }
        let after = removed(self.status());
        let [states, bodies, bytes, files] = std::array::from_fn(|at| after[at] - before[at]);
        Ok(Removed { states, bodies, bytes, files })
    }
}
