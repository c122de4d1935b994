//! How much a relation grants, counted in names of its type: a change proposes the least that is enough.

use rustc_hash::{FxHashMap, FxHashSet};

use super::super::edge::RelId;
use super::super::graph::Graph;
use super::super::names::KindId;
use super::super::schema::{Name, Node};

/// See the module.
pub(super) struct Power<'g> {
    graph: &'g Graph,
    kinds: FxHashMap<KindId, FxHashMap<RelId, u32>>,
}

impl<'g> Power<'g> {
    pub(super) fn new(graph: &'g Graph) -> Self {
        Self { graph, kinds: FxHashMap::default() }
    }

    /// Names of the type that a tuple of this relation helps to; one of `shared-*` counts as more, it is for others.
    pub(super) fn of(&mut self, kind: KindId, relation: RelId) -> u32 {
        let graph = self.graph;
        let counts = self.kinds.entry(kind).or_insert_with(|| count(graph, kind));
        let shared = super::super::schema::crosses_tenants(relation);
        counts.get(&relation).copied().unwrap_or(0) + u32::from(shared) * 4
    }
}

fn count(graph: &Graph, kind: KindId) -> FxHashMap<RelId, u32> {
    let mut counts = FxHashMap::default();
    for name in graph.schema.all_names(kind) {
        let mut seen = FxHashSet::default();
        let mut open = vec![name];
        while let Some(name) = open.pop() {
            if !seen.insert(name) {
                continue;
            }
            match name {
                Name::Direct(relation) => *counts.entry(relation).or_insert(0) += 1,
                Name::Node(node) => match graph.schema.node(node) {
                    Node::Union(names) | Node::Intersection(names) => open.extend(names),
                    Node::Exclusion(_) | Node::Ttu { .. } => {}
                },
                Name::Broken => {}
            }
        }
    }
    counts
}
