//! Why the answer is yes: the shortest well-founded way through a trace.

use rustc_hash::FxHashMap;

use super::super::condition::Tri;
use super::super::edge::PLAIN;
use super::super::schema::{Name, Node as RuleNode};
use super::cheapest::{Cheapest, NEVER, Wish};
use super::facts::{Fact, How, Proof, Step};
use super::solve::Bounds;
use super::trace::{At, Form, Spot, What};
use super::words::Words;

/// The proof that node 0 holds, if the trace holds one.
pub(super) fn prove(words: &Words<'_, '_>, bounds: &Bounds, parents: &[Vec<At>]) -> Option<Proof> {
    let trace = words.trace;
    let ways = Cheapest::new(trace, parents, |wish| {
        let holds = match &trace.nodes[wish.at as usize].form {
            Form::Leaf(tri) => *tri == Tri::Yes,
            Form::Not([operand]) => !bounds.high[*operand as usize],
            Form::Any(_) | Form::All(_) | Form::Closed => false,
        };
        (wish.holds && holds).then_some(1)
    });
    let writer = Writer { words, ways: &ways };
    (ways.cost(yes(0)) != NEVER).then(|| writer.write())
}

fn yes(at: At) -> Wish {
    Wish { at, holds: true }
}

struct Writer<'w, 't, 'g> {
    words: &'w Words<'t, 'g>,
    ways: &'w Cheapest<'t, 'g>,
}

impl Writer<'_, '_, '_> {
    /// All facts that the first rests on. What a fact rests on was cheaper to prove: by cost, reasons come later.
    fn write(&self) -> Proof {
        let mut order = vec![0];
        let mut place = FxHashMap::from_iter([(0, 0_usize)]);
        let mut at = 0;
        while let Some(goal) = order.get(at).copied() {
            for reason in self.goals_below(goal) {
                place.entry(reason).or_insert_with(|| {
                    order.push(reason);
                    0
                });
            }
            at += 1;
        }
        order.sort_by_key(|goal| (std::cmp::Reverse(self.ways.cost(yes(*goal))), *goal));
        place.extend(order.iter().enumerate().map(|(i, goal)| (*goal, i)));
        Proof { facts: order.iter().map(|goal| self.fact(*goal, &place)).collect() }
    }

    /// The operands by which a node holds.
    fn reasons(&self, at: At) -> Vec<At> {
        self.ways.reasons(yes(at)).into_iter().map(|wish| wish.at).collect()
    }

    /// The goals that a goal rests on directly.
    fn goals_below(&self, goal: At) -> Vec<At> {
        let reasons = self.reasons(goal).into_iter();
        reasons.filter_map(|at| if self.goal(at).is_some() { Some(at) } else { self.linked(at) }).collect()
    }

    fn goal(&self, at: At) -> Option<(Spot, Name)> {
        if let What::Goal(object, name) = self.words.trace.nodes[at as usize].what {
            Some((object, name))
        } else {
            None
        }
    }

    fn operands(&self, at: At) -> &[At] {
        self.words.trace.nodes[at as usize].form.operands()
    }

    /// The goal at the other end of a link.
    fn linked(&self, at: At) -> Option<At> {
        match self.words.trace.nodes[at as usize].what {
            What::Link => self.operands(at).get(1).copied(),
            _ => None,
        }
    }

    fn fact(&self, at: At, place: &FxHashMap<At, usize>) -> Fact {
        let (object, name) = self.goal(at).expect("only goals are facts");
        let reasons = self.reasons(at);
        let labels = |names: &[Name]| names.iter().map(|name| self.words.label(object, *name)).collect::<Vec<_>>();
        let rule = if let Name::Node(node) = name { Some(self.words.trace.graph.schema.node(node)) } else { None };
        let how = match rule {
            Some(RuleNode::Exclusion(operand)) => How::Absent { operand: self.words.label(object, *operand) },
            Some(RuleNode::Intersection(names)) => {
                How::AllOf { operands: labels(names), because: reasons.iter().map(|at| place[at]).collect() }
            }
            Some(RuleNode::Union(names)) => {
                let branch = self.operands(at).iter().position(|operand| *operand == reasons[0]);
                let branch = branch.expect("a union rests on one of its branches");
                How::AnyOf { operands: labels(names), branch, because: place[&reasons[0]] }
            }
            Some(RuleNode::Ttu { tupleset, computed, .. }) => {
                let (step, goal) = self.step(reasons[0]);
                let relation = |id: u16| self.words.relation(id);
                How::Through {
                    tupleset: relation(*tupleset),
                    computed: relation(*computed),
                    step,
                    because: place[&goal],
                }
            }
            None => self.direct(reasons[0], place),
        };
        Fact { object: self.words.named(object), name: self.words.name(object, name), how }
    }

    /// How a tupleset leads on, and to which goal.
    fn step(&self, at: At) -> (Step, At) {
        let Some(goal) = self.linked(at) else { return (Step::Directory, at) };
        let leaf = self.operands(at)[0];
        match self.words.trace.nodes[leaf as usize].what {
            What::Owner(owner) => (Step::Owner(self.words.named(owner.into())), goal),
            What::Tuple(ends) | What::Missing(ends) => (Step::Tuple(self.words.tuple(ends)), goal),
            What::Goal(..) | What::Link => (Step::Directory, goal),
        }
    }

    fn direct(&self, at: At, place: &FxHashMap<At, usize>) -> How {
        let node = &self.words.trace.nodes[at as usize];
        match node.what {
            What::Tuple(ends) | What::Missing(ends) => How::Tuple(self.words.tuple(ends)),
            What::Owner(_) | What::Goal(..) => How::Owner,
            What::Link => match self.words.trace.nodes[node.form.operands()[0] as usize].what {
                What::Tuple(ends) if ends.set != PLAIN => {
                    How::Userset { tuple: self.words.tuple(ends), because: place[&node.form.operands()[1]] }
                }
                _ => How::Owner,
            },
        }
    }
}
