//! Replies that are kept: what was asked again, by the same caller, while nothing that it depends on has changed, is
//! answered by the same bytes.
//!
//! A page asks the same lists over and over. Owns the kept results of the methods that say so ([`Method::KEPT`]); must
//! never know what is in one. Invariant: a kept result is what would be made now: it is used at the revision it was made at,
//! and at later ones while no grant, rule or key has changed and none of the names and directories it was read from (its
//! [`Footprint`]); and only until the next moment at which a decision may change by itself (a grant ends). A debug build
//! makes each one again and compares. Where only the database can tell which revision is the newest (PostgreSQL), nothing is
//! kept. What is asked for the first time is not kept either: most of it is never asked again.
//!
//! [`Method::KEPT`]: super::Method::KEPT

use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use rustc_hash::FxHasher;

use super::RequestContext;
use super::envelope::RESULT_END_BYTES;
use super::registry::{Params, Spec};
use crate::model::Rev;
use crate::rebac::Graph;
use crate::store::{Footprint, Glance, Sql as _};
use crate::telemetry::by_thread::ByThread;
use crate::telemetry::metric;
use crate::telemetry::series::CounterSeries;

/// Bytes of all kept results.
const CAPACITY_BYTES: u64 = 16 << 20;
/// The longest result that is kept, bytes: one must not push out all others.
const RESULT_BYTES_MAX: usize = 256 << 10;
/// The longest request whose result is kept, bytes.
const REQUEST_BYTES_MAX: usize = 8 << 10;
/// Bytes that an entry takes beside its result.
const ENTRY_BYTES: usize = 256;
/// For the first allocation of the table.
const ENTRIES_EXPECTED: usize = 4_096;
/// Results that a thread has at hand.
const NEAR: usize = 64;
/// The longest of them, bytes.
const NEAR_RESULT_BYTES_MAX: usize = 16 << 10;
/// Requests that are known to have been asked, at most: each takes the place of an earlier one.
const ASKED: usize = 4_096;

/// How many were used.
static USED: CounterSeries = CounterSeries::new();

/// Everything that a result depends on beside the stored state: method, caller, parameters; one after the other.
type Key = Box<[u8]>;

/// A kept result.
struct Kept {
    /// The revision it was made at.
    rev: Rev,
    /// What it depends on.
    footprint: Footprint,
    /// From when on it stands, µs.
    since_us: i64,
    /// Until when, exclusive, µs.
    until_us: i64,
    etag: Option<String>,
    result: Bytes,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, Arc<Kept>> for ByBytes {
    fn weight(&self, key: &Key, kept: &Arc<Kept>) -> u64 {
        (key.len() + kept.result.len() + kept.footprint.bytes() + ENTRY_BYTES) as u64
    }
}

/// The kept results of one store.
pub struct Replies {
    kept: Cache<Key, Arc<Kept>, ByBytes>,
    near: ByThread<Mutex<Near>>,
    asked: Asked,
}

impl Default for Replies {
    fn default() -> Self {
        let kept = Cache::with_weighter(ENTRIES_EXPECTED, CAPACITY_BYTES, ByBytes);
        Self { kept, near: ByThread::default(), asked: Asked::default() }
    }
}

/// The short results that a thread used last, each in the place that its key leads to. Looking one up in the table of all
/// threads writes to it, and each thread waits for what another one has written.
struct Near(Box<[Place]>);

/// A request and its result.
type Place = Option<(Key, Arc<Kept>)>;

impl Default for Near {
    fn default() -> Self {
        Self((0..NEAR).map(|_| None).collect())
    }
}

impl Near {
    fn get(&self, key: &[u8], mark: u64) -> Option<&Kept> {
        self.0[place(mark, NEAR)].as_ref().filter(|(known, _)| **known == *key).map(|(_, kept)| &**kept)
    }

    fn put(&mut self, key: Key, mark: u64, kept: Arc<Kept>) {
        if kept.result.len() <= NEAR_RESULT_BYTES_MAX {
            self.0[place(mark, NEAR)] = Some((key, kept));
        }
    }
}

/// A part of a key: the same for the same keys.
fn mark(key: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    key.hash(&mut hasher);
    hasher.finish()
}

/// One of so many places.
fn place(mark: u64, places: usize) -> usize {
    // Less than the number of places, whatever a word of this machine is.
    usize::try_from(mark % places as u64).unwrap_or(0)
}

/// Which requests were asked lately, by a part of their keys. May be wrong either way: it decides what is worth keeping,
/// not what is right.
struct Asked(Box<[AtomicU64]>);

impl Default for Asked {
    fn default() -> Self {
        Self((0..ASKED).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Asked {
    /// Whether this was asked before; from now on it was.
    fn before(&self, key: &[u8]) -> bool {
        let mark = mark(key);
        self.0[place(mark, ASKED)].swap(mark, Ordering::Relaxed) == mark
    }
}

impl std::fmt::Debug for Replies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replies").field("kept", &self.kept.len()).finish()
    }
}

/// A request whose result may be kept, and the state in which it was asked.
pub(super) struct Question {
    key: Key,
    rev: Rev,
    now_us: i64,
    until_us: i64,
}

/// What is known of a request.
pub(super) enum Found {
    /// Its result, which is appended.
    Kept,
    /// Nothing yet; what is made now may be kept under this.
    Nothing(Option<Question>),
}

impl Kept {
    /// Whether it is what would be made now.
    fn stands(&self, now: &Glance<'_>) -> bool {
        (self.since_us..self.until_us).contains(&now.now_us()) && now.stands(&self.footprint, self.rev)
    }

    /// Answers a request with it, at revision `rev`.
    fn answer(&self, cx: &RequestContext, rev: Rev, out: &mut Vec<u8>) {
        USED.count(&metric::KEPT_REPLIES, &[]);
        // With room for what follows it in the envelope: else the last byte would copy all of it again.
        out.reserve(self.result.len() + RESULT_END_BYTES);
        out.extend_from_slice(&self.result);
        cx.etag.lock().clone_from(&self.etag);
        // It is what would be made at this revision, too.
        cx.call.answered_at(rev);
    }
}

impl Replies {
    /// Appends the kept result of a request, at the newest revision, if there is one that stands.
    pub(super) fn find(&self, cx: &RequestContext, spec: &Spec, params: &Params<'_>, out: &mut Vec<u8>) -> Found {
        let key = if spec.entry.kept { key(cx, spec, params) } else { None };
        let Some(key) = key else { return Found::Nothing(None) };
        cx.call.store.glance(|now| self.look(cx, key, now, out)).unwrap_or(Found::Nothing(None))
    }

    fn look(&self, cx: &RequestContext, key: Key, now: &Glance<'_>, out: &mut Vec<u8>) -> Found {
        let (rev, now_us, mark) = (now.rev(), now.now_us(), mark(&key));
        let until_us = now.view::<Graph>().stands_until(now_us);
        if until_us <= now_us {
            return Found::Nothing(None);
        }
        let mut near = self.near.own().lock();
        if let Some(kept) = near.get(&key, mark).filter(|kept| kept.stands(now)) {
            kept.answer(cx, rev, out);
            return Found::Kept;
        }
        let Some(kept) = self.kept.get(&key).filter(|kept| kept.stands(now)) else {
            return Found::Nothing(Some(Question { key, rev, now_us, until_us }));
        };
        kept.answer(cx, rev, out);
        near.put(key, mark, kept);
        Found::Kept
    }

    /// Keeps a result that was just made, if it was asked before. One that has seen a newer revision than the question
    /// belongs to neither.
    pub(super) fn keep(&self, cx: &RequestContext, question: Question, result: &[u8]) {
        // A client that named a tag may have been given no body.
        if cx.call.revision() != question.rev || result.len() > RESULT_BYTES_MAX || cx.if_none_match.is_some() {
            return;
        }
        if !self.asked.before(&question.key) {
            return;
        }
        let Question { key, rev, now_us, until_us, .. } = question;
        let (etag, result) = (cx.etag.lock().clone(), Bytes::copy_from_slice(result));
        let footprint = cx.call.take_footprint();
        self.kept.insert(key, Arc::new(Kept { rev, footprint, since_us: now_us, until_us, etag, result }));
    }
}

/// The key of a request; `None` if it is too long to be kept.
fn key(cx: &RequestContext, spec: &Spec, params: &Params<'_>) -> Option<Key> {
    let caller = &cx.call.caller;
    let flags = [caller.inherits, caller.is_admin, caller.is_instance_admin, caller.confined, caller.agent.is_some()];
    let agent = caller.agent.as_deref().unwrap_or_default();
    let parts = [spec.entry.name, &caller.tenant, &caller.subject_type, &caller.subject_id, &caller.user, agent];
    let made;
    let params = match params {
        Params::Raw(raw) => raw.get(),
        Params::Value(map) => {
            made = serde_json::to_string(map).expect("a map of JSON values is JSON");
            &made
        }
    };
    if params.len() > REQUEST_BYTES_MAX {
        return None;
    }
    let length = |part: &&str| part.len() + size_of::<usize>();
    let mut key = Vec::with_capacity(flags.len() + parts.iter().map(length).sum::<usize>() + params.len());
    key.extend(flags.map(u8::from));
    for part in parts {
        // Lengths first, so that no two lists of parts give the same bytes.
        key.extend(part.len().to_le_bytes());
        key.extend(part.as_bytes());
    }
    key.extend(params.as_bytes());
    Some(key.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_is_known_until_others_take_its_place() {
        let asked = Asked::default();
        let keys: Vec<String> = (0..ASKED / 8).map(|n| format!("list {n}")).collect();
        let before = |key: &String| asked.before(key.as_bytes());
        assert!(!keys.iter().any(before), "none was asked");
        let known = keys.iter().filter(|key| before(key)).count();
        assert!(known > keys.len() * 3 / 4, "{known} of {} are known", keys.len());
        for other in keys.len()..9 * ASKED {
            before(&format!("list {other}"));
        }
        assert!(keys.iter().filter(|key| before(key)).count() < keys.len() / 8, "it is bounded");
    }
}
