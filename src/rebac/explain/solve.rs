//! What certainly and what possibly holds in a trace: the alternating fixpoint over all its nodes.
//!
//! Knows no tuples. Invariant: agrees with the general evaluator wherever the trace is whole.

use super::super::condition::Tri;
use super::trace::{At, Form, Trace};

/// Two bounds of each node: certainly, possibly.
#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) low: Vec<bool>,
    pub(super) high: Vec<bool>,
}

/// The nodes that have a node as operand, once per occurrence.
pub(super) fn parents(trace: &Trace<'_>) -> Vec<Vec<At>> {
    let mut parents = vec![Vec::new(); trace.nodes.len()];
    for (at, node) in (0..).zip(&trace.nodes) {
        for operand in node.form.operands() {
            parents[*operand as usize].push(at);
        }
    }
    parents
}

impl Bounds {
    pub(super) fn of(trace: &Trace<'_>, parents: &[Vec<At>]) -> Self {
        let mut low = vec![false; trace.nodes.len()];
        loop {
            let high = least(trace, parents, &low, true);
            let next = least(trace, parents, &high, false);
            if next == low {
                return Self { low, high };
            }
            low = next;
        }
    }
}

/// The least fixpoint of one bound, a NOT reading the other.
fn least(trace: &Trace<'_>, parents: &[Vec<At>], other: &[bool], high: bool) -> Vec<bool> {
    let mut holds = vec![false; trace.nodes.len()];
    let mut waiting: Vec<usize> = trace.nodes.iter().map(|node| node.form.operands().len()).collect();
    let first = |form: &Form| match form {
        Form::Leaf(Tri::Yes) => true,
        Form::Leaf(Tri::Unknown) | Form::Closed => high,
        Form::Leaf(Tri::No) | Form::Any(_) => false,
        Form::All(operands) => operands.is_empty(),
        Form::Not(operand) => !other[operand[0] as usize],
    };
    let mut open: Vec<At> = (0..).zip(&trace.nodes).filter(|(_, node)| first(&node.form)).map(|(at, _)| at).collect();
    while let Some(at) = open.pop() {
        if std::mem::replace(&mut holds[at as usize], true) {
            continue;
        }
        for above in &parents[at as usize] {
            let ready = match trace.nodes[*above as usize].form {
                Form::Any(_) => true,
                Form::All(_) => {
                    waiting[*above as usize] -= 1;
                    waiting[*above as usize] == 0
                }
                Form::Not(_) | Form::Leaf(_) | Form::Closed => false,
            };
            if ready {
                open.push(*above);
            }
        }
    }
    holds
}
