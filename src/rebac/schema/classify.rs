//! Which names can be walked: those that are nothing but unions of grants, found on the object or above it.
//!
//! Knows compiled names alone, no tuples. Invariant: a name for which walking and evaluating might differ is not walked.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Direction, FILE, Name, Node, NodeId, Schema, Walk};
use crate::rebac::edge::{RelId, SetId, set_of};

/// Finds out whether a name can be walked.
pub(super) struct Classifier<'s> {
    pub(super) schema: &'s Schema,
}

/// What a name is made of when all unions are opened.
#[derive(Default)]
struct Flat {
    /// The unions opened, the name itself included.
    opened: FxHashSet<Name>,
    granting: BTreeMap<RelId, (bool, Vec<SetId>)>,
    /// The names read on the directory above.
    above: Vec<Name>,
}

impl Classifier<'_> {
    pub(super) fn walk(&self, node: NodeId, known: &mut FxHashMap<Name, bool>) -> Option<Walk> {
        let name = Name::Node(node);
        let flat = self.flatten(name)?;
        if flat.above.is_empty() {
            return Walk::new(false, flat.granting);
        }
        self.inherits(name, known).then(|| Walk::new(true, flat.granting)).flatten()
    }

    /// `None` = it holds an operator that is no union, or leads elsewhere than to sets of subjects.
    fn flatten(&self, name: Name) -> Option<Flat> {
        let mut flat = Flat::default();
        let mut open = vec![name];
        while let Some(name) = open.pop() {
            let name = self.canonical(name);
            if !flat.opened.insert(name) {
                continue;
            }
            match name {
                Name::Broken => return None,
                Name::Direct(relation) => flat.granting.entry(relation).or_default().0 = true,
                Name::Node(node) => match self.schema.node(node) {
                    Node::Union(names) => open.extend(names),
                    Node::Ttu { direction: Direction::Path, computed, .. } => {
                        flat.above.push(self.canonical(self.schema.reference(FILE, *computed)));
                    }
                    Node::Ttu { direction: Direction::Reverse, tupleset, computed } => {
                        flat.granting.entry(*tupleset).or_default().1.push(set_of(*computed));
                    }
                    Node::Ttu { .. } | Node::Intersection(_) | Node::Exclusion(_) => return None,
                },
            }
        }
        Some(flat)
    }

    /// Whether an object without tuples has its directory's answer. Either the name reads itself above, and nothing
    /// above that it does not contain; or it is a union of names that inherit.
    fn inherits(&self, name: Name, known: &mut FxHashMap<Name, bool>) -> bool {
        let name = self.canonical(name);
        if let Some(known) = known.get(&name) {
            return *known;
        }
        // Under way counts as no: at worst the general evaluator does what a walk could.
        known.insert(name, false);
        let inherits = self.reads_itself_above(name) || self.is_union_of_inheriting(name, known);
        known.insert(name, inherits);
        inherits
    }

    fn reads_itself_above(&self, name: Name) -> bool {
        let Some(flat) = self.flatten(name) else { return false };
        flat.above.contains(&name)
            && (mutant!(HomogeneousTooWide) || flat.above.iter().all(|above| flat.opened.contains(above)))
    }

    fn is_union_of_inheriting(&self, name: Name, known: &mut FxHashMap<Name, bool>) -> bool {
        let Name::Node(node) = name else { return false };
        let Node::Union(names) = self.schema.node(node) else { return false };
        !names.is_empty() && names.iter().all(|name| self.inherits(*name, known))
    }

    /// A union of one is that one.
    fn canonical(&self, mut name: Name) -> Name {
        for _ in 0..self.schema.nodes.len() {
            match name {
                Name::Node(node) => match self.schema.node(node) {
                    Node::Union(names) if names.len() == 1 => name = names[0],
                    _ => break,
                },
                _ => break,
            }
        }
        name
    }
}
