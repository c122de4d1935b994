//! One permission of one subject on many objects, answered by position.
//!
//! Owns the order in which objects are decided (tree order, so that a directory is looked up and decided once) and
//! gives the answers back in the order of the questions. Who may ask is as for a check.

use std::sync::Arc;

use crate::model::{NodeRow, VirtualPath};
use crate::rebac::{Budget, Env, Graph, LeafFacts, ObjectRef, Query, Verdict, Why, tree_order};
use crate::service::access::{Permission, Target, indeterminate, leaf_of, reason};
use crate::service::names::{EntityName, check_word};
use crate::service::relations::checks::BATCH_CHECKS_MAX;
use crate::service::relations::objects::SLOW_EDGES_MAX;
use crate::service::relations::questions::Asker;
use crate::service::{Call, ServiceError};
use crate::store::{ReadTx, Sql, nodes};

/// Objects that may be decided where the request is.
const INLINE_OBJECTS_MAX: usize = 64;

/// "On which of `objects` has `subject` `permission`?"
#[derive(Debug, Clone)]
pub struct FilterRequest {
    /// Who.
    pub subject: EntityName,
    /// A permission or a relation.
    pub permission: String,
    /// On what; the same object may come more than once.
    pub objects: Vec<EntityName>,
    /// The tenant of the subject, and of objects that are no files; the caller's if it is not given.
    pub tenant: Option<String>,
}

/// Answers by position; `None` for an object that the caller may not ask about. What is not decidable is no; a budget
/// that is spent is an error.
pub async fn filter(call: &Call, request: FilterRequest) -> Result<Vec<Option<bool>>, ServiceError> {
    check_word("permission", "name", &request.permission)?;
    if request.objects.len() > BATCH_CHECKS_MAX {
        let text = format!("a filter has at most {BATCH_CHECKS_MAX} objects, got {}", request.objects.len());
        return Err(ServiceError::InvalidParams(text));
    }
    let (caller, caches) = (call.caller.clone(), Arc::clone(&call.caches));
    let many = request.objects.len() > INLINE_OBJECTS_MAX;
    let answers = move |tx: &ReadTx<'_>| {
        let asker = Asker::new(tx, &caller, &caches)?;
        let asker = asker.spending(Budget::edges(SLOW_EDGES_MAX));
        let tenant = request.tenant.clone().unwrap_or_else(|| asker.access.caller().tenant.clone());
        let mut decider =
            Decider { tx, asker: &asker, request: &request, tenant, answers: vec![None; request.objects.len()] };
        let budget = &mut Budget::edges(SLOW_EDGES_MAX);
        decider.files(budget)?;
        decider.others(budget)?;
        Ok(decider.answers)
    };
    if many { call.read_slow(answers).await } else { call.read(answers).await }
}

struct Decider<'a, 't, T: Sql> {
    tx: &'t T,
    asker: &'a Asker<'t, T>,
    request: &'a FilterRequest,
    /// Of the subject, and of objects that are no files.
    tenant: String,
    answers: Vec<Option<bool>>,
}

/// A path that was asked about, as the tree has it.
struct Placed {
    at: usize,
    path: VirtualPath,
    tenant: String,
    leaf: LeafFacts,
}

impl<T: Sql> Decider<'_, '_, T> {
    fn files(&mut self, budget: &mut Budget) -> Result<(), ServiceError> {
        let named = self.request.objects.iter().enumerate();
        let mut paths: Vec<(usize, VirtualPath)> = named.filter_map(|(at, o)| Some((at, o.path()?))).collect();
        paths.sort_by(|a, b| tree_order(a.1.as_str(), b.1.as_str()));
        let mut way = Way::new(self.tx)?;
        let mut placed = Vec::with_capacity(paths.len());
        for (at, path) in paths {
            if let Some(file) = self.place(&mut way, at, path)? {
                placed.push(file);
            }
        }
        // Of one tenant at a time, each in tree order.
        placed.sort_by(|a, b| a.tenant.cmp(&b.tenant));
        let (graph, caches) = (self.tx.view::<Graph>(), self.asker.caches());
        for of_tenant in placed.chunk_by(|a, b| a.tenant == b.tenant) {
            let tenant = of_tenant[0].tenant.as_str();
            let subject = self.subject(tenant);
            let mut filter = graph.filter(subject, &self.request.permission, tenant, &self.asker.env, caches);
            let mut answered = Vec::with_capacity(of_tenant.len());
            for file in of_tenant {
                match filter.check(file.path.as_str(), file.leaf, budget) {
                    Verdict::Unknown(why @ Why::Budget) => {
                        return Err(indeterminate(&self.request.permission, &file.path, &why));
                    }
                    verdict => answered.push((file.at, verdict.allowed())),
                }
            }
            answered.into_iter().for_each(|(at, yes)| self.answers[at] = Some(yes));
        }
        Ok(())
    }

    /// Where a path lies, if the caller may ask about it.
    fn place(&self, way: &mut Way, at: usize, path: VirtualPath) -> Result<Option<Placed>, ServiceError> {
        let (nearest, exact) = way.go_to(self.tx, &path)?;
        let node = exact.then_some(nearest);
        let tenant = match node {
            Some(node) => node.tenant.as_str(),
            None => path.named_tenant().unwrap_or(&nearest.tenant),
        };
        let access = &self.asker.access;
        let own = self.asker.is_own(self.subject(tenant).tenant, &self.request.subject);
        if !own && !access.rules(tenant) {
            let target = Target { path: &path, node, tenant };
            match access.peek(target, Permission::Execute)? {
                Verdict::Allow => {}
                Verdict::Unknown(why @ Why::Budget) => {
                    return Err(indeterminate(&self.request.permission, &path, &why));
                }
                Verdict::Deny | Verdict::Unknown(_) => return Ok(None),
            }
        }
        let (tenant, leaf) = (tenant.to_owned(), leaf_of(node));
        Ok(Some(Placed { at, path, tenant, leaf }))
    }

    fn others(&mut self, budget: &mut Budget) -> Result<(), ServiceError> {
        let graph = self.tx.view::<Graph>();
        let env: &Env = &self.asker.env;
        let own = self.asker.is_own(&self.tenant, &self.request.subject);
        let mut answered = Vec::new();
        for (at, object) in self.request.objects.iter().enumerate().filter(|(_, o)| o.path().is_none()) {
            if !own && !self.asker.access.manages(&self.tenant, &object.kind, &object.id)? {
                // Whether it may ask must not be lost for lack of budget.
                if self.asker.access.is_spent() {
                    let path = object.to_string();
                    let permission = "manage".to_owned();
                    return Err(ServiceError::Indeterminate { permission, path, reason: reason(&Why::Budget) });
                }
                continue;
            }
            let query = Query {
                subject: self.subject(&self.tenant),
                permission: &self.request.permission,
                object: ObjectRef { tenant: &self.tenant, kind: &object.kind, id: &object.id },
            };
            let caches = self.asker.caches();
            match graph.check(&query, LeafFacts::default(), env, caches, budget) {
                Verdict::Unknown(why @ Why::Budget) => {
                    let (permission, path) = (self.request.permission.clone(), object.to_string());
                    return Err(ServiceError::Indeterminate { permission, path, reason: reason(&why) });
                }
                verdict => answered.push((at, verdict.allowed())),
            }
        }
        answered.into_iter().for_each(|(at, yes)| self.answers[at] = Some(yes));
        Ok(())
    }

    /// The subject; everybody is everybody of the object's tenant.
    fn subject<'s>(&'s self, object_tenant: &'s str) -> ObjectRef<'s> {
        let subject = &self.request.subject;
        let tenant = if subject.is_everybody() { object_tenant } else { &self.tenant };
        ObjectRef { tenant, kind: &subject.kind, id: &subject.id }
    }
}

/// The nodes on the way to the last path, so that the next one in tree order looks up only what is new.
struct Way {
    chain: Vec<NodeRow>,
}

impl Way {
    fn new(tx: &impl Sql) -> Result<Self, ServiceError> {
        Ok(Self { chain: vec![nodes::root(tx)?] })
    }

    /// The deepest node on the way to `path` that exists, and whether it is the one at `path`.
    fn go_to(&mut self, tx: &impl Sql, path: &VirtualPath) -> Result<(&NodeRow, bool), ServiceError> {
        let known = path.components().zip(&self.chain[1..]).take_while(|(name, row)| *name == row.name).count();
        self.chain.truncate(known + 1);
        let mut exact = true;
        for name in path.components().skip(known) {
            let above = self.chain.last().map_or(crate::model::ROOT_NODE, |row| row.id);
            match nodes::child(tx, above, name)? {
                Some(row) => self.chain.push(row),
                None => {
                    exact = false;
                    break;
                }
            }
        }
        Ok((self.chain.last().expect("a way begins with the root"), exact))
    }
}
