//! Replies that are kept: what was asked again, by the same caller, while nothing has changed, is answered by the same
//! bytes.
//!
//! A page asks the same lists over and over. Owns the kept results of the methods that say so ([`Method::KEPT`]); must
//! never know what is in one. Invariant: a kept result is used only at the revision it was made at, and only until the
//! next moment at which a decision may change by itself (a grant ends), so that it is what would be made now. Where only
//! the database can tell which revision is the newest (PostgreSQL), nothing is kept. What is asked for the first time is
//! not kept either: most of it is never asked again.
//!
//! [`Method::KEPT`]: super::Method::KEPT

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::RequestContext;
use super::registry::{Params, Spec};
use crate::model::{ContentHash, Rev};
use crate::rebac::Graph;
use crate::store::Sql as _;
use crate::telemetry::metric;

/// Bytes of all kept results.
const CAPACITY_BYTES: u64 = 16 << 20;
/// The longest result that is kept, bytes: one must not push out all others.
const RESULT_BYTES_MAX: usize = 256 << 10;
/// Bytes that an entry takes beside its result.
const ENTRY_BYTES: usize = 192;
/// For the first allocation of the table.
const ENTRIES_EXPECTED: usize = 4_096;
/// Requests that are known to have been asked, at most: each takes the place of an earlier one.
const ASKED: usize = 4_096;

/// How many were used.
static USED: metric::CounterSeries = metric::CounterSeries::new();

/// A kept result.
#[derive(Clone)]
struct Kept {
    rev: Rev,
    /// From when on it stands, µs.
    since_us: i64,
    /// Until when, exclusive, µs.
    until_us: i64,
    etag: Option<String>,
    result: Bytes,
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<ContentHash, Kept> for ByBytes {
    fn weight(&self, _: &ContentHash, kept: &Kept) -> u64 {
        (kept.result.len() + ENTRY_BYTES) as u64
    }
}

/// The kept results of one store.
pub struct Replies {
    kept: Cache<ContentHash, Kept, ByBytes>,
    asked: Asked,
}

impl Default for Replies {
    fn default() -> Self {
        Self { kept: Cache::with_weighter(ENTRIES_EXPECTED, CAPACITY_BYTES, ByBytes), asked: Asked::default() }
    }
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
    fn before(&self, key: &ContentHash) -> bool {
        let mark = key.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        // Less than the number of places, whatever a word of this machine is.
        let place = usize::try_from(mark % ASKED as u64).unwrap_or(0);
        self.0[place].swap(mark, Ordering::Relaxed) == mark
    }
}

impl std::fmt::Debug for Replies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replies").field("kept", &self.kept.len()).finish()
    }
}

/// A request whose result may be kept, and the state in which it was asked.
pub(super) struct Question {
    key: ContentHash,
    rev: Rev,
    now_us: i64,
    until_us: i64,
}

impl Replies {
    /// What a request of this method is kept under, at the newest revision; `None` if it is not kept.
    pub(super) fn question(cx: &RequestContext, spec: &Spec, params: &Params<'_>) -> Option<Question> {
        if !spec.entry.kept {
            return None;
        }
        let (rev, now_us, until_us) = cx.call.store.glance(|now| {
            let now_us = now.now_us();
            (now.rev(), now_us, now.view::<Graph>().stands_until(now_us))
        })?;
        (until_us > now_us).then(|| Question { key: key(cx, spec, params), rev, now_us, until_us })
    }

    /// Appends the kept result, if there is one that stands.
    pub(super) fn find(&self, cx: &RequestContext, question: &Question, out: &mut Vec<u8>) -> bool {
        let Some(kept) = self.kept.get(&question.key) else { return false };
        if kept.rev != question.rev || question.now_us < kept.since_us || question.now_us >= kept.until_us {
            return false;
        }
        USED.count(&metric::KEPT_REPLIES, &[]);
        out.extend_from_slice(&kept.result);
        *cx.etag.lock() = kept.etag;
        cx.call.answered_at(kept.rev);
        true
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
        let Question { key, rev, now_us, until_us } = question;
        let (etag, result) = (cx.etag.lock().clone(), Bytes::copy_from_slice(result));
        self.kept.insert(key, Kept { rev, since_us: now_us, until_us, etag, result });
    }
}

/// Everything that a result depends on beside the stored state: method, caller, parameters.
fn key(cx: &RequestContext, spec: &Spec, params: &Params<'_>) -> ContentHash {
    let caller = &cx.call.caller;
    let flags = [caller.inherits, caller.is_admin, caller.is_instance_admin, caller.confined, caller.agent.is_some()];
    let mut text = Vec::with_capacity(256);
    text.extend(flags.map(u8::from));
    let agent = caller.agent.as_deref().unwrap_or_default();
    for part in [spec.entry.name, &caller.tenant, &caller.subject_type, &caller.subject_id, &caller.user, agent] {
        // Lengths first, so that no two lists of parts give the same bytes.
        text.extend(part.len().to_le_bytes());
        text.extend(part.as_bytes());
    }
    match params {
        Params::Raw(raw) => text.extend(raw.get().as_bytes()),
        Params::Value(map) => {
            text.extend(serde_json::to_vec(map).expect("a map of JSON values is JSON"));
        }
    }
    ContentHash::of(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_is_known_until_others_take_its_place() {
        let asked = Asked::default();
        let keys: Vec<ContentHash> = (0..ASKED as u64 / 8).map(|n| ContentHash::of(&n.to_le_bytes())).collect();
        assert!(!keys.iter().any(|key| asked.before(key)), "none was asked");
        let known = keys.iter().filter(|key| asked.before(key)).count();
        assert!(known > keys.len() * 3 / 4, "{known} of {} are known", keys.len());
        for other in keys.len() as u64..9 * ASKED as u64 {
            asked.before(&ContentHash::of(&other.to_le_bytes()));
        }
        assert!(keys.iter().filter(|key| asked.before(key)).count() < keys.len() / 8, "it is bounded");
    }
}
