//! Building a graph from rows: at start from the tables, and from rows that no store holds.
//!
//! Owns the bulk form of what [`apply`](super::apply) does one change at a time; the two give the same graph.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::model::{EntityId, EntityRow, Rev, TupleRow};

use super::edge::{Edge, Edges, PLAIN, RelId, SetId};
use super::graph::{Ends, Graph, Meta};
use super::load::{Chunk, NOTHING, Word, meta_of};
use super::names::{KindId, TenantId};
use super::pvec::PVec;
use super::schema::{FILE, relation_id};
use super::shape::{NO_KIND, Shape};

/// A graph in the making: namespaces first, then all entities, then all tuples, each once; best by object.
#[derive(Debug, Default)]
pub struct GraphBuilder {
    graph: Graph,
    /// Namespaces were put since the last time they were compiled.
    stale: bool,
    words: Vec<Meanings>,
    /// The types of the entities, close together: each tuple asks for that of its subject.
    kinds: PVec<Option<KindId>, 1_024>,
    /// The object whose tuples come, with those that came.
    object: EntityId,
    on_file: bool,
    cell: Vec<Edge>,
    reverse: Vec<(EntityId, Edge)>,
    /// How many tuples have which shape.
    shapes: FxHashMap<Shape, u64>,
}

/// What a word stands for in each place; found when it is first met there.
#[derive(Debug)]
struct Meanings {
    text: Box<str>,
    tenant: Option<TenantId>,
    kind: Option<KindId>,
    /// `Some(None)` = there was no number left for it.
    relation: Option<Option<RelId>>,
    set: Option<Option<SetId>>,
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
        *self.kinds.get_mut(row.id) = self.graph.kind_of(row.id);
    }

    /// Adds a tuple between named entities.
    pub fn tuple(&mut self, row: &TupleRow) {
        self.compile();
        let meta = meta_of(row.expires_at_us, row.condition.as_deref()).map(Arc::new);
        if let Some(ends) = self.graph.ends(row) {
            self.link(ends, meta);
        }
    }

    /// Adds the rows of a chunk.
    pub(super) fn chunk(&mut self, chunk: Chunk) {
        self.compile();
        let new = |text| Meanings { text, tenant: None, kind: None, relation: None, set: None };
        if self.words.is_empty() {
            self.words.push(new(Box::default()));
        }
        self.words.extend(chunk.words.into_iter().map(new));
        let mut begin = 0;
        for row in chunk.entities {
            let (tenant, kind) = (self.tenant(row.tenant), self.kind_named(row.kind));
            self.graph.name_as(row.id, tenant, kind, &chunk.names[begin..row.end]);
            *self.kinds.get_mut(row.id) = Some(kind);
            begin = row.end;
        }
        for row in chunk.tuples {
            let (relation, set) = (self.relation(row.relation), self.set(row.set));
            if let Some(ends) = self.graph.ends_of(row.object, relation, set, row.subject) {
                self.link(ends, row.meta);
            }
        }
    }

    fn tenant(&mut self, word: Word) -> TenantId {
        let word = &mut self.words[word as usize];
        *word.tenant.get_or_insert_with(|| self.graph.tenants.intern(&word.text))
    }

    fn kind_named(&mut self, word: Word) -> KindId {
        let word = &mut self.words[word as usize];
        *word.kind.get_or_insert_with(|| self.graph.kinds.intern(&word.text))
    }

    fn relation(&mut self, word: Word) -> Option<RelId> {
        let word = &mut self.words[word as usize];
        *word.relation.get_or_insert_with(|| relation_id(&mut self.graph.relations, &word.text))
    }

    fn set(&mut self, word: Word) -> Option<SetId> {
        if word == NOTHING {
            return Some(PLAIN);
        }
        let word = &mut self.words[word as usize];
        *word.set.get_or_insert_with(|| self.graph.set_id(&word.text))
    }

    fn kind(&self, id: EntityId) -> Option<KindId> {
        self.kinds.get(id).copied().flatten()
    }

    fn link(&mut self, ends: Ends, meta: Option<Arc<Meta>>) {
        if ends.object != self.object {
            self.put_cell();
            self.object = ends.object;
            self.on_file = self.kind(ends.object) == Some(FILE);
        }
        let flag = |edge: Edge| if meta.is_some() { edge.with_meta() } else { edge };
        self.cell.push(flag(ends.forward()));
        self.reverse.push((ends.subject, flag(ends.reverse())));
        if let Some(meta) = meta {
            self.graph.set_meta(ends.object, ends.forward(), Some(meta));
        }
        let subject_kind = self.kind(ends.subject).unwrap_or(NO_KIND);
        *self.shapes.entry(Shape { on_file: self.on_file, subject_kind, set: ends.set }).or_insert(0) += 1;
        self.graph.use_as_set(ends, 0);
    }

    /// Puts the edges of an object in place, all at once: one at a time would copy a small cell as often as it has edges.
    fn put_cell(&mut self) {
        if self.cell.is_empty() {
            return;
        }
        self.cell.sort_unstable();
        let edges = self.graph.edges_on_mut(self.object);
        if edges.is_empty() {
            *edges = Edges::from_sorted(&self.cell);
        } else {
            // Tuples of it came before, and then those of others.
            self.cell.iter().for_each(|edge| edges.insert(*edge));
        }
        self.cell.clear();
    }

    /// The graph, as of `rev`.
    #[must_use]
    pub fn finish(mut self, rev: Rev) -> Graph {
        self.compile();
        self.put_cell();
        let Self { mut graph, mut reverse, shapes, .. } = self;
        reverse.sort_unstable();
        let mut cell = Vec::new();
        for of_one in reverse.chunk_by(|a, b| a.0 == b.0) {
            cell.clear();
            cell.extend(of_one.iter().map(|(_, edge)| *edge));
            *graph.reverse.get_mut(of_one[0].0) = Edges::from_sorted(&cell);
        }
        graph.shapes.load(shapes);
        graph.shapes.decide(&graph.schema);
        (graph.rev, graph.perm_rev, graph.nest_rev, graph.schema_rev) = (rev, rev, rev, rev);
        graph
    }
}
