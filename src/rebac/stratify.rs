//! Refuses namespaces in which a name depends on its own absence.
//!
//! Works on the names of all types, not on tuples: what tuples alone can close into such a ring (a banned userset that
//! refers back) is answered as unknown by the evaluator.

use super::namespace::NamespaceError;
use super::schema::{Direction, FILE, Name, Node, NodeId, Schema};
use super::tarjan;

/// The first exclusion whose operand leads back to it, if any. A directory's answer counts as an operand, and so does
/// every type that has the name a tupleset asks for.
pub(super) fn check(schema: &Schema) -> Result<(), NamespaceError> {
    let operands: Vec<Vec<u32>> = schema.nodes().map(|(_, node)| operands(schema, node)).collect();
    let component = tarjan::components(&operands);
    for (id, node) in schema.nodes() {
        let Node::Exclusion(Name::Node(excluded)) = node else { continue };
        if component[id as usize] == component[*excluded as usize] {
            return Err(NamespaceError::NegativeCycle {
                place: schema.place(id).to_owned(),
                cycle: way_back(schema, &operands, *excluded, id),
            });
        }
    }
    Ok(())
}

fn operands(schema: &Schema, node: &Node) -> Vec<NodeId> {
    let names: Vec<Name> = match node {
        Node::Union(names) | Node::Intersection(names) => names.to_vec(),
        Node::Exclusion(name) => vec![*name],
        Node::Ttu { direction: Direction::Path, computed, .. } => vec![schema.reference(FILE, *computed)],
        Node::Ttu { computed, .. } => schema.kinds().map(|kind| schema.reference(kind, *computed)).collect(),
    };
    names.into_iter().filter_map(|name| if let Name::Node(node) = name { Some(node) } else { None }).collect()
}

/// The shortest way from the exclusion `to` over its operand `from` back to it, in names.
fn way_back(schema: &Schema, operands: &[Vec<NodeId>], from: NodeId, to: NodeId) -> String {
    let mut came_from = vec![None; operands.len()];
    let mut queue = std::collections::VecDeque::from([from]);
    while let Some(at) = queue.pop_front() {
        if at == to {
            break;
        }
        for next in &operands[at as usize] {
            if *next != from && came_from[*next as usize].is_none() {
                came_from[*next as usize] = Some(at);
                queue.push_back(*next);
            }
        }
    }
    let mut way = vec![to];
    while let Some(Some(before)) = way.last().map(|at| came_from[*at as usize]) {
        way.push(before);
    }
    way.push(to);
    way.iter().rev().map(|node| schema.place(*node)).collect::<Vec<_>>().join(" -> ")
}
