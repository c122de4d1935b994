//! Why an answer is what it is: for an allow a proof that can be replayed, otherwise what is nearly there and what
//! would change it.
//!
//! The answer itself is that of [`Graph::check`]; everything else is derived from a trace of the question and, where it
//! claims that something would flip the answer, tried on a clone. Does no I/O and reads no clock: the caller says when
//! to stop. Bounded by its budget and its number of candidates, never by the size of the graph.

mod cheapest;
mod facts;
mod invent;
mod never;
mod power;
mod proof;
mod repair;
mod solve;
mod trace;
mod words;

use std::borrow::Cow;

use super::closure::Closure;
use super::graph::Graph;
use super::limits::{Budget, EXPLAIN_FAN_OUT};
use super::schema::{Name, Node, relation_id};
use super::{Caches, Env, LeafFacts, Query, Verdict, Why};

pub use facts::{
    Action, Element, Explanation, Fact, How, Miss, MissWhy, Named, NoRepair, Proof, Repair, Stats, Step, TupleFact,
};

use repair::Search;
use solve::Bounds;
use trace::{Reach, Trace};
use words::Words;

impl Graph {
    /// The answer of [`check`](Graph::check) with its reasons.
    ///
    /// `budget` is that of the answer; the explanation spends from one of its own of the same kind. `stop` is asked
    /// before each change that is tried: once it says yes, the search ends incomplete.
    pub fn explain(
        &self,
        query: &Query<'_>,
        leaf: LeafFacts,
        env: &Env,
        caches: Option<&Caches>,
        budget: &mut Budget,
        stop: &dyn Fn() -> bool,
    ) -> Explanation {
        let subject = self.subject(query.subject);
        let closure_cached = self.has_closure(subject, env, caches);
        let before = budget.spent();
        let verdict = self.check(query, leaf, env, caches, budget);
        let edges = budget.spent() - before;
        let stats = Stats { rev: self.rev, edges, closure_cached, candidates: 0 };
        if self.overflowed || verdict == Verdict::Unknown(Why::TooManyRelations) {
            return Explanation::bare(verdict, stats);
        }
        // A name that nothing has yet gets a number on a clone.
        let mut graph = Cow::Borrowed(self);
        if self.question(query.object.kind, query.permission).is_none() {
            let known = relation_id(&mut graph.to_mut().relations, query.permission);
            if known.is_none() {
                return Explanation::bare(verdict, stats);
            }
        }
        let closure = self.closure(subject, env, caches, &mut Budget::request()).ok();
        let explainer = Explainer { graph: &graph, query, leaf, env, closure, stop };
        let mut explanation = explainer.explain(verdict, stats);
        let defined = !self.has_namespace(query.object.kind) || self.defines(query.object.kind, query.permission);
        explanation.defined = defined;
        explanation
    }
}

impl Graph {
    /// The names that a union by this name stands for on objects of `kind`; empty if it is no union.
    #[must_use]
    pub fn union_of(&self, kind: &str, name: &str) -> Vec<String> {
        let (Some(kind), Some(Name::Node(node))) = (self.kinds.find(kind), self.question(kind, name)) else {
            return Vec::new();
        };
        let Node::Union(names) = self.schema.node(node) else { return Vec::new() };
        let text = |name: &Name| match name {
            Name::Direct(relation) => Some(self.relations.name((*relation).into()).to_owned()),
            Name::Node(_) => self.schema.named(kind, *name).map(|id| self.relations.name(id.into()).to_owned()),
            Name::Broken => None,
        };
        names.iter().filter_map(text).collect()
    }
}

struct Explainer<'e> {
    graph: &'e Graph,
    query: &'e Query<'e>,
    leaf: LeafFacts,
    env: &'e Env,
    closure: Option<std::sync::Arc<Closure>>,
    stop: &'e dyn Fn() -> bool,
}

impl<'e> Explainer<'e> {
    fn trace(&self, reach: Reach) -> Option<Trace<'e>> {
        let closure = self.closure.clone();
        Trace::of(self.graph, self.query, self.leaf, self.env, closure, reach, &mut Budget::request())
    }

    fn explain(&self, verdict: Verdict, stats: Stats) -> Explanation {
        let bare = Explanation::bare(verdict, stats);
        if bare.verdict.allowed() { self.prove(bare) } else { self.repair(bare) }
    }

    /// The proof from a narrow trace, else from a wide one.
    fn prove(&self, mut explanation: Explanation) -> Explanation {
        for fan_out in [EXPLAIN_FAN_OUT, usize::MAX] {
            let Some(trace) = self.trace(Reach { fan_out, invent: false }) else { break };
            let parents = solve::parents(&trace);
            let bounds = Bounds::of(&trace, &parents);
            explanation.proof = proof::prove(&Words::new(&trace, &bounds), &bounds, &parents);
            if explanation.proof.is_some() || !trace.partial {
                break;
            }
        }
        explanation.complete = explanation.proof.is_some();
        explanation
    }

    /// Changes of what is there, and only if none helps, of links that could be made.
    fn repair(&self, mut explanation: Explanation) -> Explanation {
        let mut search = Search {
            graph: self.graph,
            query: self.query,
            leaf: self.leaf,
            env: self.env,
            stop: self.stop,
            tried: 0,
            cut: false,
        };
        let Some(name) = self.graph.question(self.query.object.kind, self.query.permission) else { return explanation };
        let impossible = never::is_impossible(self.graph, self.query.object, name);
        for invent in [false, true] {
            let Some(trace) = self.trace(Reach { fan_out: EXPLAIN_FAN_OUT, invent }) else { break };
            search.cut |= trace.partial;
            let parents = solve::parents(&trace);
            let bounds = Bounds::of(&trace, &parents);
            let outcome = search.run(&Words::new(&trace, &bounds), &bounds, &parents);
            explanation.misses = outcome.misses;
            explanation.repairs = outcome.repairs;
            if !explanation.repairs.is_empty() || impossible {
                break;
            }
        }
        explanation.stats.candidates = search.tried;
        explanation.no_repair = explanation.repairs.is_empty().then_some(match impossible {
            true => NoRepair::Unsatisfiable,
            false if self.query.subject.tenant != self.query.object.tenant => NoRepair::OtherTenant,
            false => NoRepair::NotFound,
        });
        explanation.complete = if explanation.repairs.is_empty() { impossible } else { !search.cut };
        explanation
    }
}
