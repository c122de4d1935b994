//! The store's house-keeping: from time to time a pass over the past, over the bodies and over the blob files, a bounded
//! step at each tick.
//!
//! Each step looks first and writes only what it has found, in a transaction of its own that moves no revision. Nobody
//! else writes, so what was found is still so. Invariant: a step looks at 1,000 rows or 256 directories at most.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::StoreError;
use super::batch::{Core, Lost};
use super::meta;
use super::retention::{self, Keep};
use super::tx::Loader;
use super::{collection, shared::Shared};
use crate::model::time::micros;
use crate::model::{ContentHash, NodeId, Rev};

/// How far a pass is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    /// The next pass begins at this time, µs.
    #[default]
    Waiting,
    /// States of the past, behind this key; what is older than the revision may go.
    Past(Rev, (NodeId, Rev)),
    /// Bodies, behind this hash.
    Bodies(Option<ContentHash>),
    /// Directories of blob files, from this one on.
    Files(u32),
}

/// What the writer knows of its house-keeping.
#[derive(Debug, Default)]
pub(super) struct House {
    phase: Phase,
    next_pass_us: i64,
}

/// What is left of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing.
    Nothing,
    /// More steps.
    Steps,
    /// More steps, and who holds all bodies (a backup) lets none of them be taken now.
    Held,
}

/// What a pass has removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// States of the past.
    pub states: u64,
    /// Bodies.
    pub bodies: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blob files that no row named.
    pub files: u64,
}

impl Core {
    /// One step for somebody who does not wait for the next pass; with `begin`, the first of a new one.
    pub(super) fn keep_house_now(&mut self, begin: bool) -> Result<Left, StoreError> {
        self.ready()?;
        if begin {
            self.house = House::default();
        }
        let before = self.house.phase;
        self.keep_house()?;
        Ok(match self.house.phase {
            Phase::Waiting => Left::Nothing,
            phase if phase == before => Left::Held,
            _ => Left::Steps,
        })
    }

    /// One step.
    pub(super) fn keep_house(&mut self) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let (limits, now_us) = (&shared.limits, shared.now_us());
        let keep = Keep { versions: limits.keep_versions, days: limits.keep_days };
        let tx = Loader { conn: self.link.conn(), rev: self.counters.rev, now_us };
        self.house.phase = match self.house.phase {
            Phase::Waiting if now_us < self.house.next_pass_us => return Ok(()),
            Phase::Waiting => match retention::horizon(&tx, keep) {
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::error!(%error, "nothing of the past is thrown away: the log cannot be read");
                    Phase::Bodies(None)
                }
                horizon => Phase::Past(horizon?, (0, 0)),
            },
            Phase::Past(0, _) => Phase::Bodies(None),
            Phase::Past(horizon, after) => {
                let found = retention::look(&tx, keep, horizon, after)?;
                if !found.doomed.is_empty() {
                    let floor = meta::history_floor(&tx)?;
                    self.in_transaction(now_us, |core| retention::drop_states(core.link.conn(), floor, &found.doomed))?;
                    shared.gauges.states_dropped.fetch_add(found.doomed.len() as u64, Ordering::Relaxed);
                    shared.metrics.states_dropped.increment(found.doomed.len() as u64);
                }
                found.next.map_or(Phase::Bodies(None), |next| Phase::Past(horizon, next))
            }
            Phase::Bodies(after) => self.collect(&shared, now_us, after)?,
            Phase::Files(_) if !shared.has_disk() => self.rest(&shared, now_us),
            Phase::Files(from) => {
                let Some(collecting) = shared.pins.collect() else { return Ok(()) };
                let (removed, next) = collection::sweep(&tx, &shared, &collecting, from, micros(limits.keep_bodies))?;
                shared.gauges.files_swept.fetch_add(removed, Ordering::Relaxed);
                shared.metrics.files_swept.increment(removed);
                next.map_or_else(|| self.rest(&shared, now_us), Phase::Files)
            }
        };
        Ok(())
    }

    /// One step over the bodies.
    fn collect(&mut self, shared: &Shared, now_us: i64, after: Option<ContentHash>) -> Result<Phase, StoreError> {
        // Before the look: what is pinned afterwards was not there, or has a row that is seen.
        let Some(collecting) = shared.pins.collect() else { return Ok(Phase::Bodies(after)) };
        let tx = Loader { conn: self.link.conn(), rev: self.counters.rev, now_us };
        let found = collection::look(&tx, after, micros(shared.limits.keep_bodies))?;
        if !found.is_idle() {
            let mut collected = collection::Collected::default();
            self.in_transaction(now_us, |core| {
                collected = found.write(core.link.conn(), &collecting, now_us)?;
                Ok(())
            })?;
            if shared.has_disk() {
                found.remove_files(shared, &collecting);
            }
            shared.gauges.bodies_collected.fetch_add(collected.bodies, Ordering::Relaxed);
            shared.gauges.bytes_collected.fetch_add(collected.bytes, Ordering::Relaxed);
            shared.metrics.bodies_collected.increment(collected.bodies);
            shared.metrics.bytes_collected.increment(collected.bytes);
        }
        Ok(found.next.map_or(Phase::Files(0), |next| Phase::Bodies(Some(next))))
    }

    /// The pass is over.
    fn rest(&mut self, shared: &Shared, now_us: i64) -> Phase {
        self.house.next_pass_us = now_us.saturating_add(micros(shared.limits.house_every));
        Phase::Waiting
    }

    /// Writes what moves no revision.
    fn in_transaction(
        &mut self,
        now_us: i64,
        write: impl FnOnce(&mut Self) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let head = self.counters;
        self.begin()
            .and_then(|()| write(self))
            .map_err(Lost::before_commit)
            .and_then(|()| self.commit(&head, now_us))
            .map_err(|lost| self.recover(lost))
    }
}
