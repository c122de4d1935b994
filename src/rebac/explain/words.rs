//! Spots, tuples and rules of a trace, in words.

use rustc_hash::FxHashSet;

use super::super::condition::Condition;
use super::super::edge::{Edge, PLAIN, RelId};
use super::super::graph::Meta;
use super::super::schema::{Name, Node as RuleNode};
use super::facts::{Named, TupleFact};
use super::solve::Bounds;
use super::trace::{Ends, Spot, Trace, What, entity};

/// See the module.
pub(super) struct Words<'t, 'g> {
    pub(super) trace: &'t Trace<'g>,
    /// On which the subject certainly has a relation by tuples.
    held: FxHashSet<Spot>,
}

impl<'t, 'g> Words<'t, 'g> {
    pub(super) fn new(trace: &'t Trace<'g>, bounds: &Bounds) -> Self {
        let goals = trace.nodes.iter().zip(&bounds.low).filter(|(_, low)| **low);
        let held = goals.filter_map(|(node, _)| match node.what {
            What::Goal(object, Name::Direct(_)) => Some(object),
            _ => None,
        });
        Self { trace, held: held.collect() }
    }

    pub(super) fn named(&self, spot: Spot) -> Named {
        let name = self.trace.name(spot);
        Named {
            tenant: name.tenant.to_owned(),
            kind: name.kind.to_owned(),
            id: name.id.to_owned(),
            held: self.held.contains(&spot),
            invented: self.trace.is_invented(spot),
        }
    }

    /// What a stored tuple says beside its ends.
    pub(super) fn meta(&self, ends: Ends) -> Option<&'g Meta> {
        let graph: &'g super::super::Graph = self.trace.graph;
        let (object, subject) = (entity(ends.object)?, entity(ends.subject)?);
        graph.meta(object, Edge::forward(ends.relation, ends.set, subject).with_meta())
    }

    pub(super) fn tuple(&self, ends: Ends) -> TupleFact {
        let meta = self.meta(ends);
        TupleFact {
            subject: self.named(ends.subject),
            subject_relation: (ends.set != PLAIN).then(|| self.relation(ends.set - 1)),
            relation: self.relation(ends.relation),
            object: self.named(ends.object),
            expires_at_us: meta.and_then(|meta| meta.expires_at_us),
            conditional: meta.is_some_and(|meta| meta.condition != Condition::Always),
            tuple_id: None,
        }
    }

    pub(super) fn relation(&self, id: RelId) -> String {
        self.trace.graph.relations.name(id.into()).to_owned()
    }

    /// The name of a goal; a rule within a rule has none.
    pub(super) fn name(&self, object: Spot, name: Name) -> Option<String> {
        match name {
            Name::Direct(relation) => Some(self.relation(relation)),
            Name::Node(_) | Name::Broken => {
                let kind = self.trace.kind(object)?;
                self.trace.graph.schema.named(kind, name).map(|id| self.relation(id))
            }
        }
    }

    /// The name, or for a rule within a rule its operator.
    pub(super) fn label(&self, object: Spot, name: Name) -> String {
        let operator = |name| match name {
            Name::Node(node) => match self.trace.graph.schema.node(node) {
                RuleNode::Union(_) => "(any of)",
                RuleNode::Intersection(_) => "(all of)",
                RuleNode::Exclusion(_) => "(not)",
                RuleNode::Ttu { .. } => "(through)",
            },
            Name::Direct(_) | Name::Broken => "(unreadable)",
        };
        self.name(object, name).unwrap_or_else(|| operator(name).to_owned())
    }
}
