//! Listing objects: everything of one type and tenant on which a subject has a name.
//!
//! [`reverse`](super::reverse) finds candidates, [`Graph::check`] decides each, so that the list is what the checks
//! say. Invariant: a page that is short without being the last says so. Of type file only what tuples name is listed
//! here: the tree belongs to the service.

use std::sync::Arc;

use crate::model::EntityId;

use super::graph::Graph;
use super::limits::Budget;
use super::reverse::Chain;
use super::schema::FILE;
use super::visible::{is_at_or_below, tree_order};
use super::{Caches, Env, LeafFacts, ObjectRef, Query, Verdict, Why};

/// "On which objects has `subject` `permission`?"
#[derive(Debug, Clone, Copy)]
pub struct ObjectsQuery<'a> {
    /// Who.
    pub subject: ObjectRef<'a>,
    /// A permission or a relation.
    pub permission: &'a str,
    /// The type of the objects.
    pub kind: &'a str,
    /// Their tenant.
    pub tenant: &'a str,
}

impl ObjectsQuery<'_> {
    fn question<'q>(&'q self, id: &'q str) -> Query<'q> {
        let object = ObjectRef { tenant: self.tenant, kind: self.kind, id };
        Query { subject: self.subject, permission: self.permission, object }
    }
}

/// The ids of all objects that may be in the list, in order of their bytes. They belong to the graph they came from.
#[derive(Debug, Clone, Default)]
pub struct ObjectCandidates {
    ids: Arc<[Arc<str>]>,
}

impl ObjectCandidates {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// Which nodes of the file tree a subject may have a name on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileRoots {
    /// The rules tell nothing: a NOT may hold anywhere.
    Everywhere,
    /// Only at or below these.
    Below {
        /// In tree order; none is below another.
        paths: Vec<Arc<str>>,
        /// Files that these own by column, too.
        owners: Vec<EntityId>,
    },
}

/// A page of objects, in order of the bytes of their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectPage {
    /// The ids for which the check says yes.
    pub allowed: Vec<Arc<str>>,
    /// The ids for which it cannot say, and why; they count for the limit.
    pub undecided: Vec<(Arc<str>, Why)>,
    /// The id after which the next page begins; `None` = this was the last, unless it is not complete.
    pub next: Option<Arc<str>>,
    /// `false`: the budget was spent before the page was full. Continue after `next`, or from where this page began.
    pub complete: bool,
}

impl Graph {
    /// The objects that may have to be listed: those with a live tuple that facts about the subject lead to, or,
    /// where the name may hold without any fact (behind a NOT), all of the type. `Err` = the budget was spent.
    pub fn object_candidates(
        &self,
        query: &ObjectsQuery<'_>,
        env: &Env,
        budget: &mut Budget,
    ) -> Result<ObjectCandidates, Why> {
        let found = self.kinds.find(query.kind).zip(self.tenants.find(query.tenant));
        let Some((kind, tenant)) = found else { return Ok(ObjectCandidates::default()) };
        let Some(name) = self.question(query.kind, query.permission) else { return Ok(ObjectCandidates::default()) };
        let relevant = self.relevant(kind, name);
        let found = match self.overflowed || relevant.is_vacuous(self, kind, name) {
            true => self.with_live_tuples(tenant, kind, env, budget)?,
            false => {
                Chain::run(self, self.subject(query.subject), &relevant, (tenant, kind, name), env, budget)?.objects
            }
        };
        let mut ids: Vec<Arc<str>> = found.iter().filter_map(|id| Some(Arc::clone(&self.at(*id)?.name))).collect();
        ids.sort_unstable();
        Ok(ObjectCandidates { ids: ids.into() })
    }

    /// Where in the file tree of a tenant the subject may have the name: everywhere else the check says no. Counts
    /// what is not decided as well. `Err` = the budget was spent.
    pub fn file_roots(
        &self,
        subject: ObjectRef<'_>,
        permission: &str,
        tenant: &str,
        env: &Env,
        budget: &mut Budget,
    ) -> Result<FileRoots, Why> {
        let Some(name) = self.question("file", permission) else {
            return Ok(FileRoots::Below { paths: Vec::new(), owners: Vec::new() });
        };
        let relevant = self.relevant(FILE, name);
        if self.overflowed || relevant.is_vacuous(self, FILE, name) {
            return Ok(FileRoots::Everywhere);
        }
        // A tenant without entities has no files with tuples, and owners are entities.
        let tenant = self.tenants.find(tenant).unwrap_or(u32::MAX);
        let target = (tenant, FILE, name);
        let reached = Chain::run(self, self.subject(subject), &relevant, target, env, budget)?;
        let path = |id: &EntityId| self.at(*id).map(|file| Arc::clone(&file.name)).filter(|p| p.starts_with('/'));
        let mut paths: Vec<Arc<str>> = reached.files.iter().filter_map(path).collect();
        paths.sort_unstable_by(|a, b| tree_order(a, b));
        paths.dedup_by(|later, kept| is_at_or_below(later, kept));
        let mut owners = reached.owners;
        owners.sort_unstable();
        owners.dedup();
        Ok(FileRoots::Below { paths, owners })
    }

    /// Decides candidates of this very graph, beginning after the id `after`, until `limit` objects are found and it
    /// is known whether there are more. Pass caches as for [`check`](Self::check).
    #[expect(clippy::too_many_arguments, reason = "the question, the page, and what it may use")]
    pub fn objects_page(
        &self,
        query: &ObjectsQuery<'_>,
        candidates: &ObjectCandidates,
        after: Option<&str>,
        limit: usize,
        env: &Env,
        caches: Option<&Caches>,
        budget: &mut Budget,
    ) -> ObjectPage {
        let begin = after.map_or(0, |after| candidates.ids.partition_point(|id| **id <= *after));
        let mut page = ObjectPage { complete: true, ..ObjectPage::default() };
        let mut last_decided = None;
        for id in &candidates.ids[begin..] {
            let verdict = self.check(&query.question(id), LeafFacts::default(), env, caches, budget);
            if verdict == Verdict::Unknown(Why::Budget) {
                (page.complete, page.next) = (false, last_decided);
                return page;
            }
            if verdict != Verdict::Deny {
                if page.allowed.len() + page.undecided.len() >= limit {
                    page.next = last_decided;
                    return page;
                }
                match verdict {
                    Verdict::Unknown(why) => page.undecided.push((Arc::clone(id), why)),
                    _ => page.allowed.push(Arc::clone(id)),
                }
            }
            last_decided = Some(Arc::clone(id));
        }
        page
    }

    /// One page of the objects on which the subject has the permission: candidates and decision in one call.
    pub fn list_objects(
        &self,
        query: &ObjectsQuery<'_>,
        after: Option<&str>,
        limit: usize,
        env: &Env,
        caches: Option<&Caches>,
        budget: &mut Budget,
    ) -> ObjectPage {
        match self.object_candidates(query, env, budget) {
            Ok(candidates) => self.objects_page(query, &candidates, after, limit, env, caches, budget),
            Err(_) => ObjectPage::default(),
        }
    }
}
