//! What kinds of subjects the tuples have, counted, to know when membership is flat.
//!
//! Membership is flat when every set that tuples refer to consists of tuples alone: then the closure of a subject
//! holds all sets it is in, and a walk without a hit is a denial. Otherwise a walk without a hit proves nothing.

use super::edge::{PLAIN, RelId, SetId};
use super::names::{KindId, RelationSet};
use super::schema::{FILE, Name, Schema};

/// Of a subject that has no name.
pub(super) const NO_KIND: KindId = u32::MAX;

/// The kind of a tuple, as far as flatness depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    pub(super) on_file: bool,
    pub(super) subject_kind: KindId,
    pub(super) set: SetId,
}

/// How many tuples there are of each shape, and what follows.
#[derive(Debug, Clone, Default)]
pub(super) struct Shapes {
    counts: imbl::HashMap<Shape, u64>,
    /// Whether sets on non-file objects are flat, through any depth of usersets.
    nested: bool,
    files: bool,
    others: bool,
}

impl Shapes {
    /// Counts a tuple in.
    pub(super) fn add(&mut self, shape: Shape, schema: &Schema) {
        let count = self.counts.entry(shape).or_insert(0);
        *count += 1;
        if *count == 1 {
            self.decide(schema);
        }
    }

    /// Counts a tuple out.
    pub(super) fn remove(&mut self, shape: Shape, schema: &Schema) {
        let Some(count) = self.counts.get_mut(&shape) else { return };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&shape);
            self.decide(schema);
        }
    }

    /// Counts many in at once; [`decide`](Self::decide) comes after.
    pub(super) fn load(&mut self, counts: impl IntoIterator<Item = (Shape, u64)>) {
        for (shape, count) in counts {
            *self.counts.entry(shape).or_insert(0) += count;
        }
    }

    /// Finds out what is flat.
    pub(super) fn decide(&mut self, schema: &Schema) {
        let flat = |kind: KindId, relation: RelId| {
            mutant!(ComputedMembershipFlattened)
                || kind != FILE && schema.reference(kind, relation) == Name::Direct(relation)
        };
        let all_flat = |kind: KindId, sets: &RelationSet| sets.iter().all(|relation| flat(kind, relation));
        (self.nested, self.files, self.others) = (true, true, true);
        for shape in self.counts.keys() {
            let kind = shape.subject_kind;
            match (shape.on_file, shape.set) {
                (true, PLAIN) => self.files &= all_flat(kind, &schema.computed_on_files),
                (true, set) => self.files &= flat(kind, set - 1),
                (false, PLAIN) => self.others &= all_flat(kind, &schema.computed_elsewhere),
                (false, set) => self.nested &= flat(kind, set - 1),
            }
        }
    }

    /// The shapes that tuples have now.
    pub(super) fn iter(&self) -> impl Iterator<Item = Shape> + '_ {
        self.counts.keys().copied()
    }

    /// Whether a walk over objects of this type finds everything there is.
    pub(super) fn is_flat(&self, kind: KindId) -> bool {
        self.nested && if kind == FILE { self.files } else { self.others }
    }
}
