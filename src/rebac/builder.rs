//! Building a graph from rows: at start from the tables, and from rows that no store holds.
//!
//! Owns the bulk form of what [`apply`](super::apply) does one change at a time; the two give the same graph.

use std::sync::Arc;

use crate::model::{EntityId, EntityRow, Rev, TupleRow};

use super::apply::meta_of;
use super::edge::{Edge, Edges};
use super::graph::Graph;

/// A graph in the making: namespaces first, then all entities, then all tuples, each once.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    graph: Graph,
    /// Namespaces were put since the last time they were compiled.
    stale: bool,
    forward: Vec<(EntityId, Edge)>,
    reverse: Vec<(EntityId, Edge)>,
}

impl GraphBuilder {
    /// The default namespaces and nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a stored namespace in force; what cannot be read makes every name of its type unknown.
    pub fn namespace(&mut self, object_type: &str, config: &str) {
        self.graph.put_namespace(object_type, Some(config));
        self.stale = true;
    }

    /// Before names are given numbers: those of the rules come first.
    fn compile(&mut self) {
        if std::mem::take(&mut self.stale) {
            self.graph.compile();
        }
    }

    /// Names an entity. Its id is to be free and dense: the graph is indexed by it.
    pub fn entity(&mut self, row: &EntityRow) {
        self.compile();
        self.graph.name_entity(row);
    }

    /// Adds a tuple between named entities. The cells are built at the end: one edge at a time would copy each small
    /// cell as often as it has edges.
    pub fn tuple(&mut self, row: &TupleRow) {
        self.compile();
        let Some(ends) = self.graph.ends(row) else { return };
        let meta = meta_of(row);
        let flag = |edge: Edge| if meta.is_some() { edge.with_meta() } else { edge };
        self.forward.push((ends.object, flag(ends.forward())));
        self.reverse.push((ends.subject, flag(ends.reverse())));
        if let Some(meta) = meta {
            self.graph.meta.insert((ends.object, ends.forward()), Arc::new(meta));
        }
        let shape = self.graph.shape(ends);
        self.graph.shapes.load(shape);
        self.graph.use_as_set(ends, 0);
    }

    /// The graph, as of `rev`.
    #[must_use]
    pub fn finish(mut self, rev: Rev) -> Graph {
        self.compile();
        let Self { mut graph, forward, reverse, .. } = self;
        cells(forward, |object, edges| *graph.edges_on_mut(object) = edges);
        cells(reverse, |subject, edges| *graph.reverse.get_mut(subject) = edges);
        graph.shapes.decide(&graph.schema);
        (graph.rev, graph.perm_rev, graph.nest_rev, graph.schema_rev) = (rev, rev, rev, rev);
        graph
    }
}

fn cells(mut edges: Vec<(EntityId, Edge)>, mut put: impl FnMut(EntityId, Edges)) {
    // The tuples of a store come by object, so one of the two is in order already, and the sort sees that.
    edges.sort_unstable();
    let mut cell = Vec::new();
    for of_one in edges.chunk_by(|a, b| a.0 == b.0) {
        cell.clear();
        cell.extend(of_one.iter().map(|(_, edge)| *edge));
        put(of_one[0].0, Edges::from_sorted(&cell));
    }
}
