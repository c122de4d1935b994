//! READ on many files, as a listing asks it: what holds for a directory is found out once.
//!
//! Decides nothing in another way than [`Access::file`]: the same bypass, the same subjects, the same budget.

use super::{Access, Permission, ServiceError, leaf_of, reason};
use crate::model::{NodeFacts, VirtualPath};
use crate::rebac::{Budget, Filter, Graph, Verdict, Why};
use crate::store::Sql;

impl<'t, T: Sql> Access<'t, T> {
    /// Prepares READ on many files, most of them of `tenant`.
    pub fn reader<'a>(&'a self, tenant: &'a str) -> Reader<'a, 't, T> {
        let own = self.caller.tenant.as_str();
        let foreign = (own != tenant).then(|| self.readable(own));
        Reader { access: self, home: self.readable(tenant), own: foreign }
    }

    fn readable<'a>(&'a self, tenant: &'a str) -> Readable<'a> {
        let graph = self.tx.view::<Graph>();
        let filter = |subject| graph.filter(subject, Permission::Read.as_str(), tenant, &self.env, self.caches);
        let bypass = self.rules(tenant);
        let filters = if bypass { Vec::new() } else { self.subjects().map(filter).collect() };
        Readable { tenant, bypass, filters }
    }
}

/// READ on many files: the effective rights of [`Access::file`], each directory decided once.
pub struct Reader<'a, 't, T: Sql> {
    access: &'a Access<'t, T>,
    /// The tenant of most.
    home: Readable<'a>,
    /// The caller's tenant, if it is another.
    own: Option<Readable<'a>>,
}

/// READ on many files of one tenant.
struct Readable<'a> {
    tenant: &'a str,
    bypass: bool,
    filters: Vec<Filter<'a>>,
}

impl<T: Sql> Reader<'_, '_, T> {
    /// Whether a node is of the tenant of most.
    pub fn is_of_home(&self, tenant: &str) -> bool {
        self.home.tenant == tenant
    }

    /// Whether what is granted on `directory`, or above it, is enough to read every node of the tenant of most that lies
    /// in it. A no says nothing: each is to be asked about.
    pub fn reads_all_in(&mut self, directory: &VirtualPath) -> bool {
        let budget = &mut *self.access.budget.borrow_mut();
        let Readable { bypass, filters, .. } = &mut self.home;
        *bypass || filters.iter_mut().any(|filter| filter.allows_all_in(directory.as_str(), budget))
    }

    /// Whether the caller may read `node` at `path`. A decision that the budget did not suffice for is an error: a
    /// listing is right, or it says that it is not.
    pub fn may_read<'n>(&mut self, path: &str, node: impl Into<NodeFacts<'n>>) -> Result<bool, ServiceError> {
        let node = node.into();
        let budget = &mut *self.access.budget.borrow_mut();
        match &mut self.own {
            _ if self.home.tenant == node.tenant => self.home.may_read(path, node, budget),
            Some(own) if own.tenant == node.tenant => own.may_read(path, node, budget),
            _ => self.access.readable(node.tenant).may_read(path, node, budget),
        }
    }
}

impl Readable<'_> {
    fn may_read(&mut self, path: &str, node: NodeFacts<'_>, budget: &mut Budget) -> Result<bool, ServiceError> {
        let leaf = leaf_of(Some(node));
        for filter in &mut self.filters {
            match filter.check(path, leaf, budget) {
                Verdict::Allow => return Ok(true),
                Verdict::Unknown(why @ (Why::Budget | Why::CorruptNamespace | Why::TooManyRelations)) => {
                    let permission = Permission::Read.as_str().to_owned();
                    return Err(ServiceError::Indeterminate {
                        permission,
                        path: path.to_owned(),
                        reason: reason(&why),
                    });
                }
                Verdict::Deny | Verdict::Unknown(_) => {}
            }
        }
        Ok(self.bypass)
    }
}

impl<T: Sql> std::fmt::Debug for Reader<'_, '_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("tenant", &self.home.tenant).finish_non_exhaustive()
    }
}
