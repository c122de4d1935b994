//! Whether any tuples at all could satisfy a name: what no change can repair.
//!
//! Looks at rules only and errs on the side of "could": every relation is taken to be grantable and revocable at will.
//! What it denies is certain: an empty union, `x` and not `x`, a directory's answer above the root.

use rustc_hash::FxHashMap;

use super::super::ObjectRef;
use super::super::eval::dirname;
use super::super::graph::Graph;
use super::super::limits::RULES_MAX;
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
        let mut unfolding = Unfolding::default();
        let Some(formula) = self.formula(name, &mut unfolding) else { return true };
        let atoms = unfolding.atoms.len();
        atoms > ATOMS_MAX || (0..1_u32 << atoms).any(|world| holds(&formula, world))
    }

    /// `None` = too large to tell.
    fn formula(&self, name: Name, so_far: &mut Unfolding) -> Option<Formula> {
        so_far.size += 1;
        if so_far.size > RULES_MAX {
            return None;
        }
        let Name::Node(node) = name else { return Some(so_far.atom(name)) };
        match (self.graph.schema.node(node), so_far.under_way.get(&node)) {
            (Node::Ttu { direction: Direction::Path, computed, .. }, _) => {
                let computed = self.graph.schema.reference(FILE, *computed);
                // At the root nothing is above, and `above` is empty there.
                let is_below = self.kind == Some(FILE) && !self.above.is_empty();
                let possible = is_below && self.above.get(&computed) != Some(&false);
                Some(if possible { so_far.atom(name) } else { Formula::Known(false) })
            }
            (Node::Ttu { .. }, _) => Some(so_far.atom(name)),
            // A name that rests on itself alone does not hold; through a NOT nothing is claimed.
            (_, Some(negations)) if *negations == so_far.negations => Some(Formula::Known(false)),
            (_, Some(_)) => Some(so_far.atom(name)),
            (rule, None) => {
                so_far.under_way.insert(node, so_far.negations);
                let formula = self.unfold(rule, so_far);
                so_far.under_way.remove(&node);
                formula
            }
        }
    }

    fn unfold(&self, rule: &Node, so_far: &mut Unfolding) -> Option<Formula> {
        let each = |names: &[Name], so_far: &mut Unfolding| {
            names.iter().map(|name| self.formula(*name, so_far)).collect::<Option<Vec<_>>>()
        };
        Some(match rule {
            Node::Union(names) => Formula::Any(each(names, so_far)?),
            Node::Intersection(names) => Formula::All(each(names, so_far)?),
            Node::Exclusion(name) => {
                so_far.negations += 1;
                let excluded = self.formula(*name, so_far);
                so_far.negations -= 1;
                Formula::Not(Box::new(excluded?))
            }
            Node::Ttu { .. } => Formula::Known(true),
        })
    }
}

/// What has been unfolded of one name.
#[derive(Default)]
struct Unfolding {
    atoms: FxHashMap<Name, usize>,
    /// The rules around the current one, with the number of exclusions around each.
    under_way: FxHashMap<NodeId, usize>,
    negations: usize,
    size: usize,
}

impl Unfolding {
    fn atom(&mut self, name: Name) -> Formula {
        let next = self.atoms.len();
        Formula::Atom(*self.atoms.entry(name).or_insert(next))
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
