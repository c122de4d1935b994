//! The cheapest way to make each node of a trace hold, or not hold, and the cheapest whole way that uses a given leaf.
//!
//! Knuth's generalisation of Dijkstra: a union costs its cheapest branch, an intersection the sum of all, NOT turns the
//! question round. Knows no tuples; what a leaf costs comes from outside. Invariant: every way that is returned is
//! well-founded, for a node is settled only after what it rests on.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashSet;

use super::trace::{At, Form, Trace};

/// Whether a node shall hold or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Wish {
    pub(super) at: At,
    pub(super) holds: bool,
}

impl Wish {
    fn index(self) -> usize {
        self.at as usize * 2 + usize::from(self.holds)
    }
}

/// No way leads there.
pub(super) const NEVER: u32 = u32::MAX;

/// How a wish follows from wishes about operands.
enum Needs<'t> {
    /// One of them.
    One(&'t [At], bool),
    /// All of them.
    All(&'t [At], bool),
    Nothing,
}

fn needs<'t>(trace: &'t Trace<'_>, wish: Wish) -> Needs<'t> {
    match (&trace.nodes[wish.at as usize].form, wish.holds) {
        (Form::Any(operands), true) => Needs::One(operands, true),
        (Form::Any(operands), false) => Needs::All(operands, false),
        (Form::All(operands), true) => Needs::All(operands, true),
        (Form::All(operands), false) => Needs::One(operands, false),
        (Form::Not(operand), holds) => Needs::One(operand, !holds),
        (Form::Leaf(_) | Form::Closed, _) => Needs::Nothing,
    }
}

/// Cheapest ways from the leaves.
pub(super) struct Cheapest<'t, 'g> {
    trace: &'t Trace<'g>,
    cost: Vec<u32>,
    /// Of a wish that needs one operand: which.
    choice: Vec<At>,
    /// Wishes whose cost came from outside: nothing below them is needed.
    given: Vec<bool>,
}

/// Where a wish comes from, on the cheapest whole way.
#[derive(Clone, Copy)]
struct Above {
    cost: u32,
    from: Option<Wish>,
}

impl<'t, 'g> Cheapest<'t, 'g> {
    /// `given`: the cost of a wish that is fulfilled as it is, or that a leaf fulfils by a change.
    pub(super) fn new(trace: &'t Trace<'g>, parents: &[Vec<At>], given: impl Fn(Wish) -> Option<u32>) -> Self {
        let size = trace.nodes.len() * 2;
        let mut ways = Self { trace, cost: vec![NEVER; size], choice: vec![At::MAX; size], given: vec![false; size] };
        let mut settled = vec![false; size];
        let mut waiting: Vec<(usize, u32)> =
            trace.nodes.iter().flat_map(|node| [(node.form.operands().len(), 0); 2]).collect();
        let mut heap = BinaryHeap::new();
        for at in (0..).take(trace.nodes.len()) {
            for wish in [Wish { at, holds: false }, Wish { at, holds: true }] {
                if let Some(cost) = given(wish) {
                    ways.cost[wish.index()] = cost;
                    ways.given[wish.index()] = true;
                    heap.push(Reverse((cost, wish)));
                }
            }
        }
        while let Some(Reverse((cost, wish))) = heap.pop() {
            if std::mem::replace(&mut settled[wish.index()], true) {
                continue;
            }
            for above in &parents[wish.at as usize] {
                let negates = matches!(trace.nodes[*above as usize].form, Form::Not(_));
                let next = Wish { at: *above, holds: wish.holds != negates };
                if ways.given[next.index()] {
                    continue;
                }
                let total = match needs(trace, next) {
                    Needs::One(..) => Some(cost),
                    Needs::All(..) => {
                        let (left, sum) = &mut waiting[next.index()];
                        (*left, *sum) = (*left - 1, sum.saturating_add(cost));
                        (*left == 0).then_some(*sum)
                    }
                    Needs::Nothing => None,
                };
                if let Some(total) = total.map(|t| t.saturating_add(1)).filter(|t| *t < ways.cost[next.index()]) {
                    ways.cost[next.index()] = total;
                    ways.choice[next.index()] = wish.at;
                    heap.push(Reverse((total, next)));
                }
            }
        }
        ways
    }

    pub(super) fn cost(&self, wish: Wish) -> u32 {
        self.cost[wish.index()]
    }

    /// What the cheapest way to `wish` rests on directly.
    pub(super) fn reasons(&self, wish: Wish) -> Vec<Wish> {
        if self.given[wish.index()] {
            return Vec::new();
        }
        match needs(self.trace, wish) {
            Needs::One(_, holds) => vec![Wish { at: self.choice[wish.index()], holds }],
            Needs::All(operands, holds) => operands.iter().map(|at| Wish { at: *at, holds }).collect(),
            Needs::Nothing => Vec::new(),
        }
    }

    /// For each leaf wish for which `counts`: the leaves of the cheapest whole way to `root` through it, cheapest way
    /// first. At most `limit`; tells whether that was all.
    pub(super) fn through_each(
        &self,
        root: Wish,
        limit: usize,
        counts: impl Fn(Wish) -> bool,
    ) -> (Vec<(u32, Vec<Wish>)>, bool) {
        let above = self.outside(root);
        let mut leaves: Vec<(u32, Wish)> = Vec::new();
        for at in (0..).take(self.trace.nodes.len()) {
            for wish in [Wish { at, holds: true }, Wish { at, holds: false }] {
                let around = above[wish.index()].cost;
                if around != NEVER && self.given[wish.index()] && counts(wish) {
                    leaves.push((around.saturating_add(self.cost(wish)), wish));
                }
            }
        }
        leaves.sort_unstable();
        let all = leaves.len() <= limit;
        leaves.truncate(limit);
        (leaves.into_iter().map(|(cost, leaf)| (cost, self.way(&above, leaf, &counts))).collect(), all)
    }

    /// The cheapest cost of everything but the wish itself on a whole way that uses it.
    fn outside(&self, root: Wish) -> Vec<Above> {
        let mut above = vec![Above { cost: NEVER, from: None }; self.cost.len()];
        let mut settled = vec![false; self.cost.len()];
        if self.cost(root) == NEVER {
            return above;
        }
        above[root.index()].cost = 0;
        let mut heap = BinaryHeap::from([Reverse((0_u32, root))]);
        while let Some(Reverse((cost, wish))) = heap.pop() {
            if std::mem::replace(&mut settled[wish.index()], true) || self.given[wish.index()] {
                continue;
            }
            let (operands, holds, sum) = match needs(self.trace, wish) {
                Needs::One(operands, holds) => (operands, holds, None),
                Needs::All(operands, holds) => {
                    let costs = operands.iter().map(|at| self.cost(Wish { at: *at, holds }));
                    (operands, holds, Some(costs.fold(0, u32::saturating_add)))
                }
                Needs::Nothing => continue,
            };
            for at in operands {
                let next = Wish { at: *at, holds };
                let own = self.cost(next);
                if own == NEVER || sum == Some(NEVER) {
                    continue;
                }
                let total = cost.saturating_add(sum.map_or(0, |sum| sum - own)).saturating_add(1);
                if total < above[next.index()].cost {
                    above[next.index()] = Above { cost: total, from: Some(wish) };
                    heap.push(Reverse((total, next)));
                }
            }
        }
        above
    }

    /// The leaves of the cheapest whole way through `leaf`.
    fn way(&self, above: &[Above], leaf: Wish, counts: &impl Fn(Wish) -> bool) -> Vec<Wish> {
        let mut leaves = vec![leaf];
        let mut seen = FxHashSet::from_iter([leaf]);
        let mut at = leaf;
        // The way up is a chain: each step is settled before what lies below it.
        while let Some(from) = above[at.index()].from {
            let mut open = Vec::new();
            if let Needs::All(operands, holds) = needs(self.trace, from) {
                let on_the_way = at.at;
                open.extend(operands.iter().filter(|o| **o != on_the_way).map(|o| Wish { at: *o, holds }));
            }
            while let Some(wish) = open.pop() {
                if !seen.insert(wish) {
                    continue;
                }
                if self.given[wish.index()] && counts(wish) {
                    leaves.push(wish);
                }
                open.extend(self.reasons(wish));
            }
            at = from;
        }
        leaves
    }
}
