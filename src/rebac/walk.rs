//! Deciding a name that is a union of grants: probe the object, or every prefix of its path, and look at the edges.
//!
//! Does not allocate. Invariant: `Allow` and, where membership is flat, `Deny` are what the general evaluator says.

use std::sync::Arc;

use crate::model::EntityId;

use super::closure::Closure;
use super::condition::{Doubt, Tri};
use super::edge::{Edge, PLAIN, SetId};
use super::graph::{Graph, Subject};
use super::hash::NameHash;
use super::limits::Budget;
use super::names::TenantId;
use super::schema::{DIRECT_OWNER, Plan};
use super::{Env, Why};

/// Prefixes of a path that are looked for together.
const LOOK_AHEAD: usize = 8;

/// One subject and one walkable name, ready to look at cells.
pub(super) struct Prober<'g> {
    pub(super) graph: &'g Graph,
    pub(super) plan: Plan<'g>,
    pub(super) subject: Subject,
    /// The tenant of the object.
    pub(super) tenant: TenantId,
    pub(super) closure: Arc<Closure>,
    /// Whether a walk without a hit is a denial.
    pub(super) exact: bool,
}

/// What a walk has found so far.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) answer: Tri,
    pub(super) doubt: Doubt,
}

impl Default for Found {
    fn default() -> Self {
        Self { answer: Tri::No, doubt: Doubt::default() }
    }
}

impl Prober<'_> {
    /// Adds what the edges on `object` grant. `Err` = the budget was spent.
    pub(super) fn cell(&self, object: EntityId, env: &Env, found: &mut Found, budget: &mut Budget) -> Result<(), Why> {
        let edges = self.graph.edges_on(object);
        if let Some(few) = edges.slice() {
            for edge in few {
                spend(budget)?;
                if self.hits(*edge) && self.settle(object, *edge, env, found) {
                    return Ok(());
                }
            }
            return Ok(());
        }
        // From the smaller side: all edges of the cell, or all that the subject could have there.
        let questions = (self.closure.sets.len() + 2) * self.plan.grants().count() * 2;
        if edges.len() <= questions {
            for edge in edges.iter() {
                spend(budget)?;
                if self.hits(edge) && self.settle(object, edge, env, found) {
                    return Ok(());
                }
            }
            return Ok(());
        }
        for (relation, direct, computed) in self.plan.grants() {
            let plain = self.subject.ids().map(|id| (id, PLAIN, direct));
            let sets = self.closure.sets.iter();
            let through_sets =
                sets.flat_map(|(entity, set)| [(entity, set, direct), (entity, PLAIN, computed.contains(&set))]);
            for (entity, set, grants) in plain.chain(through_sets) {
                if !grants {
                    continue;
                }
                spend(budget)?;
                let Some(edge) = edges.find(Edge::forward(relation, set, entity)) else { continue };
                if self.hits(edge) && self.settle(object, edge, env, found) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Adds what the owner column of a file grants. An owner of another tenant grants nothing: it is no share.
    pub(super) fn owner(&self, owner: EntityId, found: &mut Found) {
        if self.hits(Edge::forward(DIRECT_OWNER, PLAIN, owner)) {
            found.answer = Tri::Yes;
        }
    }

    /// Whether the edge grants to the subject, if it is live and its condition holds.
    fn hits(&self, edge: Edge) -> bool {
        let Some((direct, computed)) = self.plan.grant(edge.head()) else { return false };
        let (set, entity) = (edge.middle(), edge.entity());
        let holds = |set: SetId| self.closure.sets.contains(entity, set);
        let hit = match set {
            _ if mutant!(OwnerOfAnotherTenant) && self.subject.is(entity) && edge.head() == DIRECT_OWNER => {
                return true;
            }
            PLAIN => (direct && self.subject.is(entity)) || computed.iter().any(|set| holds(*set)),
            set => direct && holds(set),
        };
        hit && self.graph.admits(edge.head(), entity, self.tenant)
    }

    /// Adds a hit; tells whether nothing more can change.
    fn settle(&self, object: EntityId, edge: Edge, env: &Env, found: &mut Found) -> bool {
        found.answer = found.answer.max(self.graph.counts(object, edge, env, &mut found.doubt));
        found.answer == Tri::Yes || (mutant!(FailedConditionHidesGroups) && edge.has_meta())
    }

    /// Walks down the directories of `path`, and the object itself.
    pub(super) fn path(
        &self,
        start: NameHash,
        path: &str,
        env: &Env,
        found: &mut Found,
        budget: &mut Budget,
    ) -> Result<(), Why> {
        let mut prefixes = Prefixes::new(start, path);
        loop {
            // Looking for one prefix does not depend on another: done together, the waits for memory overlap.
            let (mut ahead, mut count) = ([("", 0, None); LOOK_AHEAD], 0);
            for (slot, (prefix, key)) in ahead.iter_mut().zip(&mut prefixes) {
                *slot = (prefix, key, self.graph.candidate(key));
                count += 1;
            }
            for (prefix, key, candidate) in &mut ahead[..count] {
                *candidate = candidate.and_then(|id| self.graph.file_from(id, *key, self.tenant, prefix));
            }
            for (prefix, _, object) in &ahead[..count] {
                spend(budget)?;
                if mutant!(NothingIsInherited) && *prefix != path {
                    continue;
                }
                if let Some(object) = object {
                    self.cell(*object, env, found, budget)?;
                    if found.answer == Tri::Yes {
                        return Ok(());
                    }
                }
            }
            if count < LOOK_AHEAD {
                return Ok(());
            }
        }
    }
}

pub(super) fn spend(budget: &mut Budget) -> Result<(), Why> {
    if budget.spend(1) { Ok(()) } else { Err(Why::Budget) }
}

/// The prefixes of an absolute path, `/` first, the path itself last, each with its key.
pub(super) struct Prefixes<'p> {
    path: &'p str,
    hash: NameHash,
    /// Bytes of the path that the last prefix took; `None` before the first.
    at: Option<usize>,
}

impl<'p> Prefixes<'p> {
    /// `start` is the hash of the tenant and the type; `path` starts with `/`.
    pub(super) fn new(start: NameHash, path: &'p str) -> Self {
        Self { path, hash: start.segment(b""), at: None }
    }
}

impl<'p> Iterator for Prefixes<'p> {
    type Item = (&'p str, u64);
    fn next(&mut self) -> Option<Self::Item> {
        let Some(at) = self.at else {
            // `/` is two empty components; below it the first is enough.
            self.at = Some(0);
            return Some((self.path.get(..1)?, self.hash.segment(b"").key()));
        };
        let rest = self.path.get(at + 1..).filter(|rest| !rest.is_empty())?;
        let end = at + 1 + rest.bytes().position(|b| b == b'/').unwrap_or(rest.len());
        self.hash = self.hash.segment(&self.path.as_bytes()[at + 1..end]);
        self.at = Some(end);
        Some((&self.path[..end], self.hash.key()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rebac::hash::Seed;

    #[test]
    fn prefixes_of_a_path() {
        let start = NameHash::new(Seed::random(), "t", "file");
        for (path, wanted) in
            [("/", vec!["/"]), ("/a", vec!["/", "/a"]), ("/ab/c/é", vec!["/", "/ab", "/ab/c", "/ab/c/é"])]
        {
            let prefixes: Vec<_> = Prefixes::new(start, path).collect();
            assert_eq!(prefixes.iter().map(|(p, _)| *p).collect::<Vec<_>>(), wanted);
            assert!(prefixes.iter().all(|(p, key)| start.name(p).key() == *key));
        }
    }
}
