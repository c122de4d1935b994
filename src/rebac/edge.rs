//! One edge as one integer, and the sorted edges of one cell.
//!
//! An edge is `head 15 | middle 16 | entity 32 | meta 1`, so that the edges of one relation are neighbours and an edge
//! with meta (expiry, condition) sorts beside itself without. On an object: head = relation, middle = the subject's
//! relation. On a subject: head = its own relation, middle = relation. A subject's relation is 0 for a plain subject,
//! else the relation's id + 1.

use std::ops::RangeInclusive;
use std::sync::Arc;

use imbl::OrdSet;

use crate::model::EntityId;

use super::limits::SLICE_EDGES_MAX;

/// The id of a relation name; below [`RELATIONS_MAX`](super::limits::RELATIONS_MAX), so id + 1 fits 15 bits.
pub(super) type RelId = u16;
/// The relation of a subject: [`PLAIN`], or the relation's id + 1.
pub(super) type SetId = u16;

/// A subject that is not a userset.
pub(super) const PLAIN: SetId = 0;

/// The userset of `relation`.
pub(super) const fn set_of(relation: RelId) -> SetId {
    relation + 1
}

/// One tuple, seen from one end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Edge(u64);

impl Edge {
    fn new(head: u16, middle: u16, entity: EntityId) -> Self {
        Self(u64::from(head) << 49 | u64::from(middle) << 33 | u64::from(entity) << 1)
    }

    /// Seen from the object: who has `relation` on it.
    pub(super) fn forward(relation: RelId, set: SetId, subject: EntityId) -> Self {
        Self::new(relation, set, subject)
    }

    /// Seen from the subject: on what it has `relation`.
    pub(super) fn reverse(set: SetId, relation: RelId, object: EntityId) -> Self {
        Self::new(set, relation, object)
    }

    pub(super) fn with_meta(self) -> Self {
        Self(self.0 | 1)
    }
    /// Without the meta flag: the identity.
    pub(super) fn bare(self) -> Self {
        Self(self.0 & !1)
    }
    /// Whether expiry or condition are in the side map.
    pub(super) fn has_meta(self) -> bool {
        self.0 & 1 == 1
    }
    pub(super) fn head(self) -> u16 {
        (self.0 >> 49) as u16
    }
    pub(super) fn middle(self) -> u16 {
        (self.0 >> 33) as u16
    }
    pub(super) fn entity(self) -> EntityId {
        (self.0 >> 1) as u32
    }

    /// All edges with this head and a middle in `middles`.
    pub(super) fn span(head: u16, middles: RangeInclusive<u16>) -> RangeInclusive<Self> {
        Self::new(head, *middles.start(), 0)..=Self::new(head, *middles.end(), EntityId::MAX).with_meta()
    }
}

/// The edges of one cell, sorted. Up to three lie in the cell itself: most cells have no more, and whoever looks at them
/// is spared a cache line, whoever copies them a reference count.
#[derive(Debug, Clone, Default)]
pub(super) enum Edges {
    #[default]
    None,
    One(Edge),
    Two([Edge; 2]),
    Three([Edge; 3]),
    Few(Arc<[Edge]>),
    Many(Arc<OrdSet<Edge>>),
}

impl Edges {
    /// From edges in order.
    pub(super) fn from_sorted(edges: &[Edge]) -> Self {
        match edges {
            [] => Self::None,
            [edge] => Self::One(*edge),
            [a, b] => Self::Two([*a, *b]),
            [a, b, c] => Self::Three([*a, *b, *c]),
            few if few.len() <= SLICE_EDGES_MAX => Self::Few(few.into()),
            many => Self::Many(Arc::new(many.iter().copied().collect())),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(_) => 1,
            Self::Two(_) => 2,
            Self::Three(_) => 3,
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The edges as a slice, unless there are many.
    pub(super) fn slice(&self) -> Option<&[Edge]> {
        match self {
            Self::None => Some(&[]),
            Self::One(edge) => Some(std::slice::from_ref(edge)),
            Self::Two(edges) => Some(edges),
            Self::Three(edges) => Some(edges),
            Self::Few(few) => Some(few),
            Self::Many(_) => None,
        }
    }

    /// The edge equal to `wanted` but for the meta flag.
    pub(super) fn find(&self, wanted: Edge) -> Option<Edge> {
        let wanted = wanted.bare();
        let at_or_after = match self.slice() {
            Some(slice) => slice.get(slice.partition_point(|e| *e < wanted)),
            None => self.many()?.get_next(&wanted),
        };
        at_or_after.copied().filter(|e| e.bare() == wanted)
    }

    fn many(&self) -> Option<&OrdSet<Edge>> {
        if let Self::Many(many) = self { Some(many) } else { None }
    }

    /// All edges, in order.
    pub(super) fn iter(&self) -> EdgeIter<'_> {
        match self {
            Self::Many(many) => EdgeIter::Many(many.range(Edge(0)..=Edge(u64::MAX))),
            small => EdgeIter::Slice(small.slice().unwrap_or_default().iter()),
        }
    }

    /// The edges in `span`, in order.
    pub(super) fn range(&self, span: RangeInclusive<Edge>) -> EdgeIter<'_> {
        match self {
            Self::Many(many) => EdgeIter::Many(many.range(span)),
            small => {
                let slice = small.slice().unwrap_or_default();
                let from = slice.partition_point(|e| e < span.start());
                let to = slice.partition_point(|e| e <= span.end());
                EdgeIter::Slice(slice[from..to].iter())
            }
        }
    }

    /// Adds `edge`; one that differs only in its meta flag is replaced.
    pub(super) fn insert(&mut self, edge: Edge) {
        self.remove(edge);
        match self {
            Self::None => *self = Self::One(edge),
            Self::Many(many) => {
                Arc::make_mut(many).insert(edge);
            }
            small => {
                let mut edges = small.slice().unwrap_or_default().to_vec();
                edges.insert(edges.partition_point(|e| *e < edge), edge);
                *small = Self::from_sorted(&edges);
            }
        }
    }

    /// Takes out `edge`, with or without meta. Tells whether it was there.
    pub(super) fn remove(&mut self, edge: Edge) -> bool {
        let Some(found) = self.find(edge) else { return false };
        match self {
            Self::Many(many) => {
                let many = Arc::make_mut(many);
                many.remove(&found);
                // Half the limit, so that a cell at the limit does not change its form with every write.
                if many.len() <= SLICE_EDGES_MAX / 2 {
                    let edges: Vec<_> = many.iter().copied().collect();
                    *self = Self::from_sorted(&edges);
                }
            }
            small => {
                let edges: Vec<_> = small.iter().filter(|e| *e != found).collect();
                *small = Self::from_sorted(&edges);
            }
        }
        true
    }
}

/// Edges in order.
pub(super) enum EdgeIter<'a> {
    Slice(std::slice::Iter<'a, Edge>),
    Many(imbl::ordset::RangedIter<'a, Edge, imbl::shared_ptr::DefaultSharedPtr>),
}

impl Iterator for EdgeIter<'_> {
    type Item = Edge;
    fn next(&mut self) -> Option<Edge> {
        match self {
            Self::Slice(edges) => edges.next().copied(),
            Self::Many(edges) => edges.next().copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_edge_keeps_its_parts() {
        let edge = Edge::forward(32_766, set_of(32_766), EntityId::MAX);
        assert_eq!((edge.head(), edge.middle(), edge.entity()), (32_766, 32_767, EntityId::MAX));
        let edge = Edge::reverse(set_of(32_766), 32_766, 7).with_meta();
        assert_eq!((edge.head(), edge.middle(), edge.entity(), edge.has_meta()), (32_767, 32_766, 7, true));
    }

    #[test]
    fn edges_are_a_set_in_every_form() {
        let mut edges = Edges::default();
        let mut model = BTreeSet::new();
        let mut x = 1_u32;
        for step in 0..4_000 {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let edge = Edge::forward((x >> 8) as u16 % 3, (x >> 12) as u16 % 2, (x >> 16) % 40);
            let edge = if x >> 30 == 0 { edge.with_meta() } else { edge };
            // Grow first, then shrink.
            if (x >> 4) % 16 < if step < 2_000 { 10 } else { 3 } {
                model.retain(|e: &Edge| e.bare() != edge.bare());
                model.insert(edge);
                edges.insert(edge);
            } else {
                let there = model.iter().any(|e| e.bare() == edge.bare());
                model.retain(|e| e.bare() != edge.bare());
                assert_eq!(edges.remove(edge), there);
            }
            assert!(edges.iter().eq(model.iter().copied()));
            assert_eq!((edges.len(), edges.is_empty()), (model.len(), model.is_empty()));
            let span = Edge::span(1, PLAIN..=PLAIN);
            assert!(edges.range(span.clone()).eq(model.range(span).copied()));
            assert_eq!(edges.find(edge), model.iter().copied().find(|e| e.bare() == edge.bare()));
        }
        assert!(!model.is_empty());
    }
}
