//! What would make the answer yes: candidates from the cheapest ways, each tried on a clone of the graph.
//!
//! Invariant: a change that is returned was seen to flip the answer, and none of its parts does.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use crate::model::{Change, Delta, EntityId, EntityRow, TupleRow};
use crate::store::Projection;

use super::super::condition::{Condition, Tri};
use super::super::edge::PLAIN;
use super::super::graph::Graph;
use super::super::limits::{Budget, EXPLAIN_CANDIDATES_MAX, EXPLAIN_REPAIRS_MAX};
use super::super::{Env, LeafFacts, Query};
use super::cheapest::{Cheapest, Wish};
use super::facts::{Action, Element, Miss, MissWhy, Repair};
use super::power::Power;
use super::solve::Bounds;
use super::trace::{At, Ends, Form, Spot, What, entity};
use super::words::Words;

/// Stored tuples named that would help.
const MISSES_MAX: usize = 5;
/// Elements of one change: all its parts are tried.
const ELEMENTS_MAX: usize = 6;
/// Returned changes of one kind, so that others are heard of.
const OF_ONE_KIND_MAX: usize = 2;
/// Edges that trying one change may visit.
const EDGES_PER_TRIAL: u64 = 20_000;

/// What an element costs. Steps on the way cost 1 each and only break ties.
fn price(action: Action) -> u32 {
    match action {
        Action::Renew => 2_000,
        Action::Condition => 2_500,
        Action::Join => 10_000,
        Action::Remove => 12_000,
        Action::RemoveOwner => 13_000,
        Action::GrantOnObject => 14_000,
        Action::GrantAbove => 15_000,
        Action::Link => 20_000,
    }
}
/// What a directory further up costs more, and each name that a relation grants beside what was asked.
const DISTANCE: u32 = 50;
const POWER: u32 = 10;

/// A question that was not answered by yes.
pub(super) struct Search<'s> {
    pub(super) graph: &'s Graph,
    pub(super) query: &'s Query<'s>,
    pub(super) leaf: LeafFacts,
    pub(super) env: &'s Env,
    pub(super) stop: &'s dyn Fn() -> bool,
    /// Changes tried so far.
    pub(super) tried: usize,
    /// Something was left untried.
    pub(super) cut: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) misses: Vec<Miss>,
    pub(super) repairs: Vec<Repair>,
}

impl Search<'_> {
    pub(super) fn run(&mut self, words: &Words<'_, '_>, bounds: &Bounds, parents: &[Vec<At>]) -> Outcome {
        let mut judge = Judge { words, power: Power::new(self.graph), prices: FxHashMap::default() };
        let size = At::try_from(words.trace.nodes.len()).expect("nodes are bounded by the budget");
        for wish in (0..size).flat_map(|at| [Wish { at, holds: true }, Wish { at, holds: false }]) {
            judge.value(wish);
        }
        let judge = judge;
        let fulfilled = |wish: Wish| {
            let at = wish.at as usize;
            if wish.holds { bounds.low[at] } else { !bounds.high[at] }
        };
        let price = |wish: Wish| judge.prices.get(&wish).copied();
        let ways = Cheapest::new(words.trace, parents, |wish| if fulfilled(wish) { Some(0) } else { price(wish) });
        let counts = |wish: Wish| !fulfilled(wish) && price(wish).is_some();
        let (candidates, all) = ways.through_each(Wish { at: 0, holds: true }, EXPLAIN_CANDIDATES_MAX, counts);
        self.cut |= !all;
        let mut outcome = Outcome { misses: doubts(words, bounds), repairs: Vec::new() };
        for (_, way) in &candidates {
            if let Some(miss) = judge.miss(way[0]).filter(|_| way.len() <= 2)
                && outcome.misses.len() < MISSES_MAX
                && !outcome.misses.contains(&miss)
            {
                outcome.misses.push(miss);
            }
        }
        outcome.repairs = self.choose(&judge, candidates);
        outcome
    }

    /// The best of each kind, as far as they prove right.
    fn choose(&mut self, judge: &Judge<'_, '_, '_>, candidates: Vec<(u32, Vec<Wish>)>) -> Vec<Repair> {
        let mut found: Vec<(u32, Repair)> = Vec::new();
        let mut known: BTreeSet<Vec<Element>> = BTreeSet::new();
        let mut of_kind: FxHashMap<Action, usize> = FxHashMap::default();
        let mut covered: BTreeSet<(Action, Spot, Spot)> = BTreeSet::new();
        for (_, way) in candidates {
            let kind = judge.kind(way[0]);
            if of_kind.get(&kind.0).is_some_and(|count| *count >= OF_ONE_KIND_MAX) || covered.contains(&kind) {
                continue;
            }
            if found.len() >= EXPLAIN_REPAIRS_MAX {
                break;
            }
            if self.tried >= EXPLAIN_CANDIDATES_MAX || (self.stop)() {
                self.cut = true;
                break;
            }
            if way.len() > ELEMENTS_MAX {
                self.cut = true;
                continue;
            }
            self.tried += 1;
            let Some(part) = self.smallest(judge, &way) else { continue };
            let mut elements: Vec<Element> = part.iter().map(|wish| judge.element(*wish)).collect();
            elements.sort_unstable();
            if known.insert(elements.clone()) {
                *of_kind.entry(kind.0).or_default() += 1;
                covered.insert(kind);
                let total = part.iter().map(|wish| judge.prices[wish]).sum();
                found.push((total, Repair { elements }));
            }
        }
        found.sort_by_key(|(total, _)| *total);
        found.into_iter().map(|(_, repair)| repair).collect()
    }

    /// The smallest part of `way` that flips the answer: none of its own parts does then.
    fn smallest(&mut self, judge: &Judge<'_, '_, '_>, way: &[Wish]) -> Option<Vec<Wish>> {
        let mut parts: Vec<u32> = (1..1_u32 << way.len()).collect();
        parts.sort_by_key(|part| part.count_ones());
        for part in parts {
            if (self.stop)() {
                self.cut = true;
                return None;
            }
            let chosen: Vec<Wish> = (0..).zip(way).filter(|(i, _)| part >> i & 1 == 1).map(|(_, wish)| *wish).collect();
            if self.flips(judge, &chosen) {
                return Some(chosen);
            }
        }
        None
    }

    fn flips(&mut self, judge: &Judge<'_, '_, '_>, wishes: &[Wish]) -> bool {
        let mut graph = self.graph.clone();
        let mut leaf = self.leaf;
        let rev = graph.rev + 1;
        let mut changes = Vec::new();
        let mut ids = NewIds { judge, next: graph.entities.bound(), known: FxHashMap::default() };
        for wish in wishes {
            match judge.words.trace.nodes[wish.at as usize].what {
                What::Owner(_) => leaf.owner = None,
                What::Tuple(ends) | What::Missing(ends) => {
                    let row = TupleRow {
                        tuple_id: String::new(),
                        object: ids.of(ends.object, &mut changes),
                        relation: judge.words.relation(ends.relation),
                        subject: ids.of(ends.subject, &mut changes),
                        subject_relation: (ends.set != PLAIN).then(|| judge.words.relation(ends.set - 1)),
                        created_at_us: self.env.now_us,
                        expires_at_us: None,
                        condition: None,
                        created_by: String::new(),
                        rev,
                    };
                    changes.push(Change::Tuple(if wish.holds { Delta::insert(row) } else { Delta::delete(row) }));
                }
                What::Goal(..) | What::Link => {}
            }
        }
        changes.iter().for_each(|change| graph.apply(change, rev));
        let budget = &mut Budget::edges(EDGES_PER_TRIAL);
        graph.check(self.query, leaf, self.env, None, budget).allowed()
    }
}

/// Ids for what has none yet.
struct NewIds<'j, 'w, 't, 'g> {
    judge: &'j Judge<'w, 't, 'g>,
    next: EntityId,
    known: FxHashMap<Spot, EntityId>,
}

impl NewIds<'_, '_, '_, '_> {
    fn of(&mut self, spot: Spot, changes: &mut Vec<Change>) -> EntityId {
        if let Some(id) = entity(spot).or_else(|| self.known.get(&spot).copied()) {
            return id;
        }
        let (id, name) = (self.next, self.judge.words.trace.name(spot));
        self.next += 1;
        self.known.insert(spot, id);
        let (tenant, kind, name) = (name.tenant.to_owned(), name.kind.to_owned(), name.id.to_owned());
        changes.push(Change::Entity(Delta::insert(EntityRow { id, tenant, kind, name })));
        id
    }
}

/// Stored tuples of which it is not known whether they count, and that keep the answer open.
fn doubts(words: &Words<'_, '_>, bounds: &Bounds) -> Vec<Miss> {
    let trace = words.trace;
    let mut seen = vec![false; trace.nodes.len()];
    let mut open: Vec<At> = vec![0];
    let mut misses = Vec::new();
    while let Some(at) = open.pop() {
        let index = at as usize;
        if bounds.low[index] == bounds.high[index] || std::mem::replace(&mut seen[index], true) {
            continue;
        }
        if let (What::Tuple(ends), Form::Leaf(Tri::Unknown)) = (trace.nodes[index].what, &trace.nodes[index].form)
            && misses.len() < MISSES_MAX
        {
            misses.push(Miss { tuple: words.tuple(ends), why: why(words, ends) });
        }
        open.extend(trace.nodes[index].form.operands());
    }
    misses
}

/// Why a stored tuple does not count.
fn why(words: &Words<'_, '_>, ends: Ends) -> MissWhy {
    let Some(meta) = words.meta(ends) else { return MissWhy::Expired(0) };
    if let Some(at) = meta.expires_at_us.filter(|at| words.trace.env.now_us >= *at) {
        return MissWhy::Expired(at);
    }
    let (missing, failed) = meta.condition.lacks(words.trace.env);
    MissWhy::Condition { missing, failed, unreadable: meta.condition == Condition::Corrupt }
}

/// What each leaf would take.
struct Judge<'w, 't, 'g> {
    words: &'w Words<'t, 'g>,
    power: Power<'w>,
    prices: FxHashMap<Wish, u32>,
}

impl Judge<'_, '_, '_> {
    fn value(&mut self, wish: Wish) {
        let Some(action) = self.action(wish) else { return };
        let mut total = price(action);
        if let What::Missing(ends) = self.words.trace.nodes[wish.at as usize].what {
            let distance = self.words.trace.above.get(&ends.object).copied().unwrap_or(0);
            let power = self.words.trace.kind(ends.object).map_or(0, |kind| self.power.of(kind, ends.relation));
            total += DISTANCE * distance.min(50) + POWER * power.min(50);
        }
        self.prices.insert(wish, total);
    }

    fn action(&self, wish: Wish) -> Option<Action> {
        let trace = self.words.trace;
        let node = &trace.nodes[wish.at as usize];
        match (node.what, wish.holds) {
            (What::Tuple(_), false) => Some(Action::Remove),
            (What::Tuple(ends), true) => match why(self.words, ends) {
                MissWhy::Expired(_) => Some(Action::Renew),
                MissWhy::Condition { .. } => Some(Action::Condition),
            },
            (What::Owner(_), false) => Some(Action::RemoveOwner),
            (What::Missing(ends), true) => Some(if ends.subject != trace.asker || ends.set != PLAIN {
                Action::Link
            } else if ends.object == trace.leaf.0 {
                Action::GrantOnObject
            } else if trace.above.contains_key(&ends.object) {
                Action::GrantAbove
            } else {
                Action::Join
            }),
            (What::Missing(_) | What::Owner(_) | What::Goal(..) | What::Link, _) => None,
        }
    }

    /// Kind, object and subject of a leaf; of two with all alike the cheaper says enough.
    fn kind(&self, wish: Wish) -> (Action, Spot, Spot) {
        let action = self.action(wish).expect("only leaves with a price are candidates");
        match self.words.trace.nodes[wish.at as usize].what {
            What::Tuple(ends) => (action, Spot::from(wish.at), ends.subject),
            What::Missing(ends) => (action, ends.object, ends.subject),
            What::Owner(_) | What::Goal(..) | What::Link => (action, 0, 0),
        }
    }

    fn element(&self, wish: Wish) -> Element {
        let action = self.action(wish).expect("only leaves with a price are candidates");
        let trace = self.words.trace;
        let ends = match trace.nodes[wish.at as usize].what {
            What::Tuple(ends) | What::Missing(ends) => ends,
            What::Owner(_) | What::Goal(..) | What::Link => {
                let owner = trace.leaf.1.map_or(trace.asker, Spot::from);
                Ends { subject: owner, set: PLAIN, relation: super::super::schema::DIRECT_OWNER, object: trace.leaf.0 }
            }
        };
        Element { action, tuple: self.words.tuple(ends) }
    }

    fn miss(&self, wish: Wish) -> Option<Miss> {
        match (self.words.trace.nodes[wish.at as usize].what, wish.holds) {
            (What::Tuple(ends), true) => Some(Miss { tuple: self.words.tuple(ends), why: why(self.words, ends) }),
            _ => None,
        }
    }
}
