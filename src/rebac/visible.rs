//! Which paths are granted to a subject: what a directory needs to know to be shown without being readable.
//!
//! Built from the reverse edges of the subject and of its sets, kept in tree order: of an inherited name the topmost granted
//! paths, of any other name all of them.

use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::model::{EntityId, Rev};

use super::closure::Closure;
use super::condition::{Condition, Doubt, Tri};
use super::edge::{Edge, PLAIN, RelId, SetId};
use super::graph::{Graph, Subject};
use super::limits::Budget;
use super::names::TenantId;
use super::schema::{FILE, Name, Plan};
use super::walk::Prober;
use super::{Caches, Env, ObjectRef};

/// Subject, tenant of the files, what is asked.
pub(super) type ReachKey = (EntityId, TenantId, Name);

/// The paths granted to a subject, in tree order.
#[derive(Debug)]
pub(super) struct Reach {
    rev: Rev,
    since_us: i64,
    until_us: i64,
    /// Whether it read no condition, so that it is the same for everybody who asks.
    keep: bool,
    paths: Vec<Arc<str>>,
}

impl Reach {
    fn is_valid(&self, graph: &Graph, now_us: i64) -> bool {
        (graph.perm_rev <= self.rev || mutant!(GrantedPathsStale))
            && self.rev <= graph.rev
            && self.since_us <= now_us
            && now_us < self.until_us
    }

    /// Bytes on the heap; the texts belong to the graph.
    pub(super) fn bytes(&self) -> usize {
        self.paths.len() * size_of::<Arc<str>>()
    }
}

/// What may make a directory visible that is not readable itself.
#[derive(Debug, Clone)]
pub enum Candidates {
    /// Nothing is granted at or below it.
    No,
    /// It is visible iff at least one of these exists as a node. No path is twice among them, and of an inherited name
    /// none is below another.
    Paths(CandidatePaths),
    /// The graph cannot tell without asking each descendant: the name is not homogeneous, membership is not flat or
    /// has conditions, or the budget was spent.
    Search,
}

/// Granted paths in tree order: a slice of a shared list. Never empty.
#[derive(Debug, Clone)]
pub struct CandidatePaths {
    reach: Arc<Reach>,
    range: Range<usize>,
}

impl Deref for CandidatePaths {
    type Target = [Arc<str>];
    fn deref(&self) -> &[Arc<str>] {
        &self.reach.paths[self.range.clone()]
    }
}

impl Graph {
    /// The granted paths at or below `path` that could make it visible to `subject`: READ on an existing descendant.
    /// Grants *above* `path` and the owner column are the caller's to ask for; see [`Candidates`].
    ///
    /// For a homogeneous name one list per (subject, tenant) is computed and kept until any permission changes; each
    /// further question is a binary search.
    #[expect(clippy::too_many_arguments, reason = "the question, and what it may use")]
    pub fn visible_candidates(
        &self,
        subject: ObjectRef<'_>,
        permission: &str,
        tenant: &str,
        path: &str,
        env: &Env,
        caches: Option<&Caches>,
        budget: &mut Budget,
    ) -> Candidates {
        if self.overflowed {
            return Candidates::Search;
        }
        let Some(name) = self.question("file", permission) else { return Candidates::No };
        let subject = self.subject(subject);
        let Some(tenant_id) = self.tenants.find(tenant) else {
            return if matches!(self.schema.plan(name), Plan::General) { Candidates::Search } else { Candidates::No };
        };
        let slot = caches.zip(subject.id).map(|(caches, id)| (caches, (id, tenant_id, name)));
        let kept = slot.and_then(|(caches, key)| caches.reaches.get(&key)).filter(|r| r.is_valid(self, env.now_us));
        let reach = match kept {
            Some(reach) => reach,
            None => {
                let Some(reach) = self.reach(subject, name, (tenant, tenant_id), env, caches, budget) else {
                    return Candidates::Search;
                };
                let reach = Arc::new(reach);
                if let Some((caches, key)) = slot.filter(|_| reach.keep) {
                    caches.reaches.insert(key, Arc::clone(&reach));
                }
                reach
            }
        };
        let range = below(&reach.paths, path);
        if range.is_empty() { Candidates::No } else { Candidates::Paths(CandidatePaths { reach, range }) }
    }

    fn reach(
        &self,
        subject: Subject,
        name: Name,
        (tenant, tenant_id): (&str, TenantId),
        env: &Env,
        caches: Option<&Caches>,
        budget: &mut Budget,
    ) -> Option<Reach> {
        let object = ObjectRef { tenant, kind: "file", id: "/" };
        let prober = self.prober(subject, name, object, env, caches, budget).ok()??;
        if !prober.exact {
            return None;
        }
        let closure: &Closure = &prober.closure;
        let mut roots = Roots {
            prober: &prober,
            env,
            reach: Reach {
                rev: self.rev,
                since_us: closure.since_us,
                until_us: closure.until_us,
                keep: true,
                paths: Vec::new(),
            },
        };
        for (relation, direct, computed) in prober.plan.grants() {
            if direct {
                for id in subject.ids() {
                    roots.add(tenant_id, id, PLAIN, relation, budget)?;
                }
            }
            for (entity, set) in closure.sets.iter() {
                if direct {
                    roots.add(tenant_id, entity, set, relation, budget)?;
                }
                if computed.contains(&set) {
                    roots.add(tenant_id, entity, PLAIN, relation, budget)?;
                }
            }
        }
        let mut reach = roots.reach;
        reach.paths.sort_unstable_by(|a, b| tree_order(a, b));
        // Of a name that is not inherited a granted path says nothing of those below it.
        let covers = prober.plan.inherits();
        reach.paths.dedup_by(|later, kept| if covers { is_at_or_below(later, kept) } else { later == kept });
        reach.paths.shrink_to_fit();
        Some(reach)
    }
}

/// Collects granted paths.
struct Roots<'p, 'g> {
    prober: &'p Prober<'g>,
    env: &'p Env,
    reach: Reach,
}

impl Roots<'_, '_> {
    /// Adds the files on which `subject#set` has `relation`. `None` = the budget was spent.
    fn add(
        &mut self,
        tenant: TenantId,
        subject: EntityId,
        set: SetId,
        relation: RelId,
        budget: &mut Budget,
    ) -> Option<()> {
        let graph = self.prober.graph;
        if !graph.admits(relation, subject, tenant) {
            return Some(());
        }
        for edge in graph.edges_of(subject).range(Edge::span(set, relation..=relation)) {
            if !budget.spend(1) {
                return None;
            }
            let Some(file) = graph.at(edge.entity()) else { continue };
            let is_path = file.kind == FILE && file.tenant == tenant && file.name.starts_with('/');
            if is_path && self.counts(edge.entity(), edge, Edge::forward(relation, set, subject)) {
                self.reach.paths.push(Arc::clone(&file.name));
            }
        }
        Some(())
    }

    fn counts(&mut self, object: EntityId, reverse: Edge, forward: Edge) -> bool {
        if !reverse.has_meta() {
            return true;
        }
        let forward = forward.with_meta();
        let graph = self.prober.graph;
        if let Some(meta) = graph.meta(object, forward) {
            self.reach.keep &= mutant!(ContextNotInKey) || meta.condition == Condition::Always;
            match meta.expires_at_us {
                Some(at) if at <= self.env.now_us => self.reach.since_us = self.reach.since_us.max(at),
                Some(at) => self.reach.until_us = self.reach.until_us.min(at),
                None => {}
            }
        }
        graph.counts(object, forward, self.env, &mut Doubt::default()) == Tri::Yes
    }
}

/// Compares paths component by component: `/a`, `/a/b`, `/a.txt`.
#[must_use]
pub fn tree_order(a: &str, b: &str) -> std::cmp::Ordering {
    // Before every byte that a component may have.
    let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
    a.bytes().map(rank).cmp(b.bytes().map(rank))
}

pub(super) fn is_at_or_below(path: &str, top: &str) -> bool {
    let by_text = mutant!(PrefixByText) && path.starts_with(top);
    by_text || top == "/" || path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The part of `paths` (in tree order) that lies at or below `top`.
fn below(paths: &[Arc<str>], top: &str) -> Range<usize> {
    let from = paths.partition_point(|path| tree_order(path, top).is_lt());
    let count = paths[from..].partition_point(|path| is_at_or_below(path, top));
    from..from + count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_is_by_component() {
        let paths: Vec<Arc<str>> = ["/a", "/a/b", "/a/b/c", "/a.txt", "/ab", "/b"].map(Arc::from).to_vec();
        assert!(paths.is_sorted_by(|a, b| tree_order(a, b).is_lt()));
        for (top, wanted) in [("/", 0..6), ("/a", 0..3), ("/a/b", 1..3), ("/a.", 3..3), ("/ab", 4..5), ("/c", 6..6)] {
            assert_eq!(below(&paths, top), wanted, "{top}");
        }
    }
}
