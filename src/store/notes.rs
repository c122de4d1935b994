//! The second lane: records that nobody waits for. Bounded, one per key, dropped (and counted) when full.
//!
//! A request leaves a record and goes on; the writer takes up to 64 along with a batch, and once a second the rest in
//! a transaction of their own. They carry no revision and no changelog row.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::backend::Conn;
use super::{DecisionNote, Note};
use super::{decisions, denials};
use crate::model::time::micros;

/// Keys whose last use is remembered, to record it once a minute at most.
const KEYS_REMEMBERED: usize = 8_192;

/// What makes two records the same: the newer replaces the older.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Decision([u8; 16]),
    Use(String),
    Denial([u8; 16]),
}

/// The lane.
pub(super) struct Lane {
    waiting: Mutex<HashMap<Key, Note>>,
    /// Whether anything waits: spares the writer the lock. Set after a record is put, and again by whoever takes a part.
    armed: AtomicBool,
    /// When the use of a key was last taken up, µs. Ids of keys are made here.
    used: Mutex<FxHashMap<String, i64>>,
    capacity: usize,
    key_used_every_us: i64,
    dropped: AtomicU64,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Taken,
    /// Known already.
    Same,
    Dropped,
}

impl Lane {
    pub(super) fn new(capacity: usize, key_used_every: std::time::Duration) -> Self {
        Self {
            waiting: Mutex::default(),
            armed: AtomicBool::new(false),
            used: Mutex::default(),
            capacity,
            key_used_every_us: micros(key_used_every),
            dropped: AtomicU64::new(0),
        }
    }

    /// Leaves a record.
    pub(super) fn leave(&self, note: Note) -> Left {
        let key = match &note {
            Note::Decision(decision) => Key::Decision(decisions::key(decision)),
            Note::Denial(denial) => Key::Denial(denials::key(denial)),
            Note::KeyUsed { key_id, .. } => Key::Use(key_id.clone()),
        };
        let mut waiting = self.waiting.lock();
        if waiting.len() >= self.capacity && !waiting.contains_key(&key) {
            drop(waiting);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return Left::Dropped;
        }
        let left = if waiting.insert(key, note).is_some() { Left::Same } else { Left::Taken };
        self.armed.store(true, Ordering::Release);
        left
    }

    /// Whether a use at `last_us` is less than a minute before one at `at_us`, so that this one is not taken up.
    pub(super) fn is_recent(&self, last_us: i64, at_us: i64) -> bool {
        at_us.saturating_sub(last_us) < self.key_used_every_us
    }

    /// Whether the use of the key was taken up less than a minute before `at_us`; remembers it if not.
    pub(super) fn recently_used(&self, key_id: &str, at_us: i64) -> bool {
        let mut used = self.used.lock();
        if used.get(key_id).is_some_and(|last| self.is_recent(*last, at_us)) {
            return true;
        }
        if used.len() >= KEYS_REMEMBERED {
            used.retain(|_, last| self.is_recent(*last, at_us));
            if used.len() >= KEYS_REMEMBERED {
                used.clear();
            }
        }
        used.insert(key_id.to_owned(), at_us);
        false
    }

    /// Takes up to `most` records out.
    pub(super) fn take(&self, most: usize) -> Vec<Note> {
        if most == 0 || !self.armed.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        let mut waiting = self.waiting.lock();
        let keys: Vec<Key> = waiting.keys().take(most).cloned().collect();
        let mut taken: Vec<Note> = keys.iter().filter_map(|key| waiting.remove(key)).collect();
        // Denials are numbered as they are written.
        taken.sort_by_key(|note| if let Note::Denial(denial) = note { denial.at_us } else { 0 });
        if !waiting.is_empty() {
            // What a partial take leaves behind must be found by the next one.
            self.armed.store(true, Ordering::Release);
        }
        taken
    }

    /// Counts records that were taken and could not be written.
    pub(super) fn lost(&self, notes: usize) {
        self.dropped.fetch_add(notes as u64, Ordering::Relaxed);
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.lock().len()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Writes records; keeps `permission_cache` at its size without counting it at every write.
#[derive(Debug)]
pub(super) struct Rows {
    /// Never less than there are.
    at_most: u64,
    max: u64,
    /// The number of the newest denial.
    denials: u64,
}

impl Rows {
    pub(super) fn new(count: u64, max: u64, denials: u64) -> Self {
        Self { at_most: count, max, denials }
    }

    pub(super) fn at_most(&self) -> u64 {
        self.at_most
    }

    /// Writes `notes` in the caller's transaction and trims.
    pub(super) fn write(
        &mut self,
        conn: Conn<'_>,
        notes: &[Note],
        incarnation: &str,
        now_us: i64,
    ) -> Result<(), super::StoreError> {
        for note in notes {
            match note {
                Note::Decision(decision) => decisions::put(conn, decision, incarnation, now_us)?,
                Note::KeyUsed { key_id, at_us } => decisions::key_used(conn, key_id, *at_us)?,
                Note::Denial(denial) => {
                    // A number that is rolled back with its row is not given again.
                    self.denials += 1;
                    denials::put(conn, self.denials, denial)?;
                }
            }
        }
        let decisions = notes.iter().filter(|note| matches!(note, Note::Decision(DecisionNote { .. }))).count();
        self.at_most += decisions as u64;
        if self.at_most > self.max {
            let have = decisions::count(conn)?;
            // One percent of slack, so that a full table is not counted at every write.
            let keep = self.max - self.max / 100;
            self.at_most = if have > keep { have - decisions::trim(conn, have - keep)? } else { have };
        }
        Ok(())
    }
}
