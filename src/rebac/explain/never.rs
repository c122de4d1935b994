//! Whether any tuples at all could satisfy a name: what no change can repair.
//!
//! Looks at rules only and errs on the side of "could": every relation is taken to be grantable and revocable at will.
//! What it denies is certain: an empty union, `x` and not `x`, a directory's answer above the root.

use rustc_hash::{FxHashMap, FxHashSet};

use super::super::ObjectRef;
use super::super::eval::dirname;
use super::super::graph::Graph;
use super::super::names::KindId;
use super::super::schema::{Direction, FILE, Name, Node, NodeId};

/// Relations that are set by themselves in one formula; with more, nothing is claimed.
const ATOMS_MAX: usize = 10;

/// What a formula is made of.
#[derive(Debug)]
enum Formula {
    Known(bool),
    Atom(usize),
    Any(Vec<Formula>),
    All(Vec<Formula>),
    Not(Box<Formula>),
}

/// Whether `name` on `object` certainly cannot hold, whatever tuples there are.
pub(super) fn is_impossible(graph: &Graph, object: ObjectRef<'_>, name: Name) -> bool {
    let levels = if object.kind == "file" {
        std::iter::successors(Some(object.id), |path| dirname(path)).count() - 1
    } else {
        0
    };
    let kind = graph.kinds.find(object.kind);
    let mut above: FxHashMap<Name, bool> = FxHashMap::default();
    let on_files: Vec<Name> = if levels == 0 { Vec::new() } else { graph.schema.all_names(FILE) };
    for _ in 0..levels {
        let next: FxHashMap<_, _> = on_files
            .iter()
            .map(|name| (*name, Possible { graph, above: &above, kind: Some(FILE) }.name(*name)))
            .collect();
        if next == above {
            break;
        }
        above = next;
    }
    !Possible { graph, above: &above, kind }.name(name)
}

struct Possible<'a> {
    graph: &'a Graph,
    /// What can hold on the directory above; nothing is known of names that are missing here: they are tuples.
    above: &'a FxHashMap<Name, bool>,
    kind: Option<KindId>,
}

impl Possible<'_> {
    fn name(&self, name: Name) -> bool {
        let mut atoms = FxHashMap::default();
        let Some(formula) = self.formula(name, &mut atoms, &mut FxHashSet::default(), &mut 0) else { return true };
        if atoms.len() > ATOMS_MAX {
            return true;
        }
        (0..1_u32 << atoms.len()).any(|world| holds(&formula, world))
    }

    /// `None` = too large to tell.
    fn formula(
        &self,
        name: Name,
        atoms: &mut FxHashMap<Name, usize>,
        under_way: &mut FxHashSet<NodeId>,
        size: &mut usize,
    ) -> Option<Formula> {
        *size += 1;
        if *size > 1_000 {
            return None;
        }
        let next = atoms.len();
        let mut atom = |name: Name| Formula::Atom(*atoms.entry(name).or_insert(next));
        let Name::Node(node) = name else { return Some(atom(name)) };
        let rule = self.graph.schema.node(node);
        if let Node::Ttu { direction: Direction::Path, computed, .. } = rule {
            let computed = self.graph.schema.reference(FILE, *computed);
            // At the root nothing is above, and `above` is empty there.
            let possible =
                self.kind == Some(FILE) && !self.above.is_empty() && self.above.get(&computed) != Some(&false);
            return Some(if possible { atom(name) } else { Formula::Known(false) });
        }
        if matches!(rule, Node::Ttu { .. }) || !under_way.insert(node) {
            return Some(atom(name));
        }
        let mut each = |names: &[Name]| {
            names.iter().map(|name| self.formula(*name, atoms, under_way, size)).collect::<Option<Vec<_>>>()
        };
        let formula = match rule {
            Node::Union(names) => Formula::Any(each(names)?),
            Node::Intersection(names) => Formula::All(each(names)?),
            Node::Exclusion(name) => Formula::Not(Box::new(Formula::Any(each(&[*name])?))),
            Node::Ttu { .. } => Formula::Known(true),
        };
        under_way.remove(&node);
        Some(formula)
    }
}

fn holds(formula: &Formula, world: u32) -> bool {
    match formula {
        Formula::Known(known) => *known,
        Formula::Atom(atom) => world >> atom & 1 == 1,
        Formula::Any(operands) => operands.iter().any(|o| holds(o, world)),
        Formula::All(operands) => operands.iter().all(|o| holds(o, world)),
        Formula::Not(operand) => !holds(operand, world),
    }
}
