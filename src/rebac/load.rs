//! Loading from the tables: this thread reads and packs, another builds.
//!
//! Owns what goes between the two: chunks of rows without a text of their own, for the same few types and relations stand
//! in all of them. What a row means for the graph is [`builder`](super::builder)'s.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::model::EntityId;
use crate::store::{self, Sql, StoreError};

use super::builder::GraphBuilder;
use super::condition::Condition;
use super::graph::{Graph, Meta};

/// Rows of a chunk: handing one over costs nothing beside building it, and it stays in the cache of a core.
const CHUNK_ROWS: usize = 4_096;

/// The number of a text that many rows share: a tenant, a type, a relation. In order of first appearance.
pub(super) type Word = u32;
/// The empty text, which is the relation of a plain subject.
pub(super) const NOTHING: Word = 0;

/// Rows in their order, the entities before the tuples.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Texts with the next numbers.
    pub(super) words: Vec<Box<str>>,
    /// The names of the entities, one behind the other.
    pub(super) names: String,
    pub(super) entities: Vec<Named>,
    pub(super) tuples: Vec<Link>,
}

/// An entity.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) id: EntityId,
    pub(super) tenant: Word,
    pub(super) kind: Word,
    /// Where its name ends in the names of the chunk; it begins where the one before ends.
    pub(super) end: usize,
}

/// A tuple.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) object: EntityId,
    pub(super) relation: Word,
    pub(super) subject: EntityId,
    /// [`NOTHING`] for a plain subject.
    pub(super) set: Word,
    pub(super) meta: Option<Arc<Meta>>,
}

/// Fills chunks of so many rows and gives them away.
pub(super) struct Packer<'a> {
    rows: usize,
    known: FxHashMap<Box<str>, Word>,
    chunk: Chunk,
    give: &'a mut dyn FnMut(Chunk),
}

impl<'a> Packer<'a> {
    pub(super) fn new(rows: usize, give: &'a mut dyn FnMut(Chunk)) -> Self {
        Self { rows, known: FxHashMap::default(), chunk: Chunk::default(), give }
    }

    fn word(&mut self, text: &str) -> Word {
        if text.is_empty() {
            return NOTHING;
        }
        if let Some(known) = self.known.get(text) {
            return *known;
        }
        // Not more of them than rows, and ids of entities have 32 bits.
        let word = Word::try_from(self.known.len() + 1).unwrap_or(Word::MAX);
        self.known.insert(text.into(), word);
        self.chunk.words.push(text.into());
        word
    }

    pub(super) fn entity(&mut self, row: store::entities::Name<'_>) {
        let (tenant, kind) = (self.word(row.tenant), self.word(row.kind));
        self.chunk.names.push_str(row.name);
        self.chunk.entities.push(Named { id: row.id, tenant, kind, end: self.chunk.names.len() });
        if self.chunk.entities.len().max(self.chunk.tuples.len()) >= self.rows {
            self.hand_over();
        }
    }

    pub(super) fn tuple(&mut self, row: store::tuples::Link<'_>) {
        let (relation, set) = (self.word(row.relation), self.word(row.subject_relation));
        let meta = meta_of(row.expires_at_us, row.condition).map(Arc::new);
        self.chunk.tuples.push(Link { object: row.object, relation, subject: row.subject, set, meta });
        if self.chunk.entities.len().max(self.chunk.tuples.len()) >= self.rows {
            self.hand_over();
        }
    }

    /// Gives away what there is.
    pub(super) fn hand_over(&mut self) {
        (self.give)(std::mem::take(&mut self.chunk));
    }
}

/// Expiry and condition, if there is any.
pub(super) fn meta_of(expires_at_us: Option<i64>, condition: Option<&str>) -> Option<Meta> {
    if expires_at_us.is_none() && condition.is_none() {
        return None;
    }
    let meta = Meta { expires_at_us, condition: Condition::parse(condition) };
    (meta != Meta::default()).then_some(meta)
}

/// The graph of the tables.
pub(super) fn load(tx: &impl Sql) -> Result<Graph, StoreError> {
    let mut builder = GraphBuilder::new();
    store::namespaces::each(tx, |row| builder.namespace(&row.object_type, &row.config))?;
    let rev = tx.rev();
    store::relay::relay(
        |chunks| {
            chunks.into_iter().for_each(|chunk| builder.chunk(chunk));
            builder.finish(rev)
        },
        |give| {
            let mut packer = Packer::new(CHUNK_ROWS, give);
            store::entities::each(tx, |row| packer.entity(row))?;
            store::tuples::each_link(tx, |row| packer.tuple(row))?;
            packer.hand_over();
            Ok(())
        },
    )
}
