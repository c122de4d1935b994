//! Graphs kept for the next page of a list, so that all its pages are of one revision and one time.
//!
//! A graph is copy-on-write: keeping one costs what has changed since. Owns how many are kept and for how long; must
//! never know who may see what. Invariant: nothing is given out that is older than [`PIN_LIFETIME`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::model::Rev;
use crate::rebac::{Env, Graph, ObjectCandidates};
use crate::service::names::EntityName;

/// Lists that can be continued at the same time; one more forgets the oldest.
pub const PINS_MAX: usize = 256;
/// How long a list can be continued after its first page.
pub const PIN_LIFETIME: Duration = Duration::from_secs(60);

/// What is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedQuestion {
    /// Who.
    pub subject: EntityName,
    /// A permission or a relation.
    pub permission: String,
    /// The type of the objects.
    pub kind: String,
    /// The tenant of both.
    pub tenant: String,
}

/// A list that was begun.
pub struct Pin {
    /// What is listed.
    pub question: PinnedQuestion,
    /// The revision of the graph.
    pub rev: Rev,
    /// The time of the first page; no context.
    pub env: Env,
    /// The graph.
    pub graph: Graph,
    /// What has to be decided.
    pub candidates: ObjectCandidates,
    begun: Instant,
}

impl Pin {
    /// A list begun at the monotonic time `begun`.
    #[must_use]
    pub fn new(
        question: PinnedQuestion,
        (rev, graph): (Rev, Graph),
        candidates: ObjectCandidates,
        env: Env,
        begun: Instant,
    ) -> Self {
        Self { question, rev, env, graph, candidates, begun }
    }
}

/// The lists that can be continued; one per server.
#[derive(Default)]
pub struct Pins {
    kept: Mutex<HashMap<u64, Arc<Pin>>>,
}

impl Pins {
    /// Keeps a list under `id`, which nobody has guessed.
    pub fn keep(&self, id: u64, pin: Arc<Pin>) {
        let mut kept = self.kept.lock();
        kept.retain(|_, old| is_alive(old, pin.begun));
        if kept.len() >= PINS_MAX
            && let Some(oldest) = kept.iter().min_by_key(|(_, old)| old.begun).map(|(id, _)| *id)
        {
            kept.remove(&oldest);
        }
        kept.insert(id, pin);
    }

    /// The list kept under `id`, unless it is too old by now.
    #[must_use]
    pub fn get(&self, id: u64, now: Instant) -> Option<Arc<Pin>> {
        let mut kept = self.kept.lock();
        kept.retain(|_, pin| is_alive(pin, now));
        kept.get(&id).cloned()
    }

    /// How many lists are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.lock().len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn is_alive(pin: &Pin, now: Instant) -> bool {
    now.saturating_duration_since(pin.begun) < PIN_LIFETIME
}

impl std::fmt::Debug for Pins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pins").field("len", &self.len()).finish()
    }
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pin").field("question", &self.question).field("rev", &self.rev).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ManualClock;
    use crate::model::time::Clock as _;

    fn pin(clock: &ManualClock) -> Arc<Pin> {
        let question = PinnedQuestion {
            subject: EntityName { kind: "user".into(), id: "a".into() },
            permission: "read".into(),
            kind: "doc".into(),
            tenant: "t".into(),
        };
        Arc::new(Pin::new(question, (1, Graph::new()), ObjectCandidates::default(), Env::default(), clock.instant()))
    }

    #[test]
    fn a_list_lives_for_a_minute_and_the_oldest_makes_room() {
        let (pins, clock) = (Pins::default(), ManualClock::new(0));
        pins.keep(7, pin(&clock));
        clock.advance(PIN_LIFETIME - Duration::from_micros(1));
        assert!(pins.get(7, clock.instant()).is_some() && pins.get(8, clock.instant()).is_none());
        clock.advance(Duration::from_micros(1));
        assert!(pins.get(7, clock.instant()).is_none());
        assert!(pins.is_empty(), "and is not kept any longer");
        for id in 0..=PINS_MAX as u64 {
            clock.advance(Duration::from_micros(1));
            pins.keep(id, pin(&clock));
        }
        assert_eq!(pins.len(), PINS_MAX);
        assert!(pins.get(0, clock.instant()).is_none() && pins.get(1, clock.instant()).is_some());
    }
}
