//! The named limits of the engine, and the budget that one request may spend.
//!
//! A spent budget makes an answer unknown; it never turns into an answer, and NOT does not invert it.

use std::sync::Arc;

/// Edges and path components that one ordinary request may visit.
pub const EDGES_PER_REQUEST: u64 = 100_000;
/// Edges that the check inside a write transaction may visit: 2 ms of the writer's time, at 0.2 µs an edge.
pub const EDGES_PER_SECOND_CHECK: u64 = 10_000;
/// Edges between two looks at the clock, where one stops the work.
pub const EDGES_PER_LOOK: u64 = 4_096;
/// Edges that warming one subject's closure may visit at start.
pub const EDGES_PER_WARM_UP: u64 = 100_000;
/// Relation names that the graph can tell apart; one more is refused, for a wrapped number would be another name.
pub const RELATIONS_MAX: usize = 32_767;
/// Edges of one cell above which it is kept as a tree instead of a slice.
pub const SLICE_EDGES_MAX: usize = 64;
/// Bytes that all cached closures may take together.
pub const CLOSURE_CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes that all cached lists of what is above a set may take together.
pub const ABOVE_CACHE_BYTES: usize = 16 * 1024 * 1024;
/// Sets above a set that are kept as a list. More are followed tuple by tuple: joining long lists of a chain of groups
/// would cost the square of its length.
pub const SETS_ABOVE_MAX: usize = 256;
/// Sets that a subject is in directly, for which room is made. A wrong guess costs a copy or some bytes.
pub const SETS_EXPECTED: usize = 32;
/// Sets that room is made for, for each group that a subject is in directly. A wrong guess costs a copy or some bytes.
pub const SETS_EXPECTED_ABOVE: usize = 4;
/// Edges that one question may follow beyond its budget, to know what lies above groups for those who ask next.
pub const EDGES_FOR_OTHERS: u64 = 10_000;
/// Bytes that all cached lists of granted paths may take together.
pub const REACH_CACHE_BYTES: u64 = 32 * 1024 * 1024;
/// Rules within rules of one expanded tree; each takes two levels of its JSON, of which readers allow 128.
pub const EXPAND_DEPTH_MAX: usize = 40;
/// Nodes of one expanded tree.
pub const EXPAND_NODES_MAX: usize = 5_000;
/// Tuples shown at one node of an expanded tree.
pub const EXPAND_TUPLES_MAX: usize = 1_000;
/// Rules nested in each other in one namespace.
pub const RULE_DEPTH_MAX: usize = 32;
/// Rules and references of one namespace.
pub const RULES_MAX: usize = 1_024;
/// Sets of one cell that an explanation follows, beside those with the subject in them.
pub const EXPLAIN_FAN_OUT: usize = 256;
/// Changes that one explanation tries.
pub const EXPLAIN_CANDIDATES_MAX: usize = 1_000;
/// Changes that one explanation returns.
pub const EXPLAIN_REPAIRS_MAX: usize = 5;

/// Longest name of a relation or permission in a namespace, bytes; as long as a tuple may say it.
pub const NAME_BYTES_MAX: usize = 255;

/// Work that one request may spend, in edges visited.
#[derive(Debug, Clone)]
pub struct Budget {
    left: u64,
    spent: u64,
    stop: Option<Stop>,
}

/// Ends the work early; the engine has no clock of its own.
#[derive(Clone)]
struct Stop {
    /// Asked again when so many edges are spent.
    look_at: u64,
    now: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stop").field("look_at", &self.look_at).finish_non_exhaustive()
    }
}

impl Budget {
    /// The budget of an ordinary request: [`EDGES_PER_REQUEST`].
    #[must_use]
    pub fn request() -> Self {
        Self::edges(EDGES_PER_REQUEST)
    }

    /// A budget of `edges`.
    #[must_use]
    pub fn edges(edges: u64) -> Self {
        Self { left: edges, spent: 0, stop: None }
    }

    /// Spent, too, when `stop` says so; it is asked once every [`EDGES_PER_LOOK`] edges, so never by a small check.
    #[must_use]
    pub fn until(self, stop: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        let look_at = self.spent.saturating_add(EDGES_PER_LOOK);
        Self { stop: Some(Stop { look_at, now: Arc::new(stop) }), ..self }
    }

    /// Edges visited so far.
    #[must_use]
    pub fn spent(&self) -> u64 {
        self.spent
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// Takes `edges` from it; `false` = not enough left, and nothing is left from now on.
    pub(super) fn spend(&mut self, edges: u64) -> bool {
        if edges > self.left {
            self.left = 0;
            return false;
        }
        self.left -= edges;
        self.spent += edges;
        if let Some(stop) = self.stop.as_mut().filter(|stop| stop.look_at <= self.spent) {
            stop.look_at = self.spent.saturating_add(EDGES_PER_LOOK);
            if (stop.now)() {
                self.left = 0;
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn a_stop_is_asked_seldom_and_ends_the_budget_for_good() {
        let asked = Arc::new(AtomicU64::new(0));
        let looks = Arc::clone(&asked);
        let mut budget = Budget::edges(u64::MAX).until(move || looks.fetch_add(1, Ordering::Relaxed) == 1);
        let spent = (0..10 * EDGES_PER_LOOK).take_while(|_| budget.spend(1)).count() as u64;
        assert_eq!((spent, asked.load(Ordering::Relaxed)), (2 * EDGES_PER_LOOK - 1, 2));
        assert!(!budget.spend(1) && asked.load(Ordering::Relaxed) == 2, "nothing is left");
    }
}
