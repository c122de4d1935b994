//! Questions about relations: who may ask them, and what the engine is asked.
//!
//! A question knows no admin bypass and no inheritance, whoever asks and about whomever (what somebody may do with a
//! file, all rules together, is what the file methods answer). Asking about oneself and one's agents is always allowed;
//! about others it takes the right to manage the object. Decides nothing else.

use crate::auth::{AuthIndex, Caller};
use crate::model::{NodeKind, VirtualPath};
use crate::rebac::{Budget, Caches, Env, Graph, LeafFacts, ObjectRef, Query};
use crate::service::access::{Access, Permission, USER};
use crate::service::located::{self, Located};
use crate::service::names::EntityName;
use crate::service::relations::past::PastView;
use crate::service::{Lacking, ServiceError};
use crate::store::Sql;

/// The type of agents in the permission graph.
const AGENT: &str = "agent";

/// "Has `subject` the relation or permission `permission` on `object`?"
#[derive(Debug, Clone)]
pub struct Question {
    /// Who.
    pub subject: EntityName,
    /// A permission or a relation.
    pub permission: String,
    /// On what.
    pub object: EntityName,
    /// The tenant of the subject, and of an object that is no file; the caller's if it is not given.
    pub tenant: Option<String>,
}

/// An object as the engine needs it: of which tenant, and what its node row says.
#[derive(Debug, Clone)]
pub struct Placed<'q> {
    /// The object.
    pub object: &'q EntityName,
    /// The tenant it belongs to: of a file that of its node, whatever the caller named.
    pub tenant: String,
    /// The owner column.
    pub leaf: LeafFacts,
}

impl Placed<'_> {
    /// As the engine names it.
    #[must_use]
    pub fn name(&self) -> ObjectRef<'_> {
        ObjectRef { tenant: &self.tenant, kind: &self.object.kind, id: &self.object.id }
    }
}

/// A question with everything that the engine needs to answer it.
#[derive(Debug, Clone)]
pub struct Resolved<'q> {
    /// As it was asked.
    pub question: &'q Question,
    /// The tenant of the subject.
    pub subject_tenant: String,
    /// On what.
    pub on: Placed<'q>,
}

impl Resolved<'_> {
    /// For the engine.
    #[must_use]
    pub fn query(&self) -> Query<'_> {
        let subject = &self.question.subject;
        Query {
            subject: ObjectRef { tenant: &self.subject_tenant, kind: &subject.kind, id: &subject.id },
            permission: &self.question.permission,
            object: self.on.name(),
        }
    }
}

/// Who asks, with the data of one revision.
pub struct Asker<'t, T: Sql> {
    /// The caller's rights. Its bypass is no answer to a question; it only lets an admin ask.
    pub access: Access<'t, T>,
    /// The time of the decisions: of the transaction, or of the earlier revision that is asked about; no context.
    pub env: Env,
    caches: &'t Caches,
    past: Option<&'t PastView>,
}

impl<'t, T: Sql> Asker<'t, T> {
    /// Re-reads the caller's identity in `tx`.
    pub fn new(tx: &'t T, caller: &Caller, caches: &'t Caches) -> Result<Self, ServiceError> {
        Self::at(tx, caller, caches, None)
    }

    /// As [`new`](Self::new), about the permissions of an earlier revision. Who may ask is decided today.
    pub fn at(
        tx: &'t T,
        caller: &Caller,
        caches: &'t Caches,
        past: Option<&'t PastView>,
    ) -> Result<Self, ServiceError> {
        let now_us = past.map_or_else(|| tx.now_us(), PastView::at_us);
        let env = Env { now_us, context: None };
        Ok(Self { access: Access::new(tx, caller, Some(caches))?, env, caches, past })
    }

    /// Spends from `budget` to find out who may ask, instead of that of an ordinary request.
    #[must_use]
    pub fn spending(self, budget: Budget) -> Self {
        Self { access: self.access.spending(budget), ..self }
    }

    /// The graph that answers.
    pub fn graph(&self) -> &'t Graph {
        match self.past {
            Some(past) => past.graph(),
            None => self.access.tx().view(),
        }
    }

    /// The closures that fit [`graph`](Self::graph); none that was rebuilt.
    pub fn caches(&self) -> Option<&'t Caches> {
        self.past.is_none().then_some(self.caches)
    }

    /// Whether an earlier revision is asked about.
    pub fn is_past(&self) -> bool {
        self.past.is_some()
    }

    /// Finds out the tenants and the owner. Does not say whether the caller may ask: see [`may_ask`](Self::may_ask).
    pub fn resolve<'q>(&self, question: &'q Question) -> Result<Resolved<'q>, ServiceError> {
        let on = self.place(&question.object, question.tenant.as_deref())?;
        let tenant = question.tenant.as_deref().unwrap_or(&self.access.caller().tenant);
        let subject_tenant = if question.subject.is_everybody() { on.tenant.clone() } else { tenant.to_owned() };
        Ok(Resolved { question, subject_tenant, on })
    }

    /// Finds out to whom an object belongs. `tenant`: of an object that is no file; the caller's if it is not given.
    pub fn place<'q>(&self, object: &'q EntityName, tenant: Option<&str>) -> Result<Placed<'q>, ServiceError> {
        let (tenant, leaf) = match object.path() {
            Some(path) => {
                let (owner, tenant) = match self.past {
                    Some(past) => {
                        let located = past.locate(self.access.tx(), &path)?;
                        let file = located.node().filter(|node| node.kind == NodeKind::File);
                        (file.and_then(|node| node.owner), located.tenant().to_owned())
                    }
                    None => located::end_of(self.access.tx(), &path)?,
                };
                (tenant, LeafFacts { owner })
            }
            None => (tenant.unwrap_or(&self.access.caller().tenant).to_owned(), LeafFacts::default()),
        };
        Ok(Placed { object, tenant, leaf })
    }

    /// Where a path leads: today, or at the revision that is asked about.
    pub(in crate::service) fn locate(&self, path: &VirtualPath) -> Result<Located, ServiceError> {
        match self.past {
            Some(past) => past.locate(self.access.tx(), path),
            None => Located::find(self.access.tx(), path),
        }
    }

    /// Whether the caller may have the answer: it is about itself or its agents, or it manages the object.
    pub fn may_ask(&self, resolved: &Resolved<'_>) -> Result<bool, ServiceError> {
        Ok(self.is_own(&resolved.subject_tenant, &resolved.question.subject) || self.manages(&resolved.on)?)
    }

    /// Whether the caller may know everything about the permissions of the object. About an earlier revision: if it
    /// may know today, and the object was the same then, or the caller managed it then; or if it rules the tenant that
    /// the object belonged to.
    pub fn manages(&self, on: &Placed<'_>) -> Result<bool, ServiceError> {
        let access = &self.access;
        let today = |tenant: &str| access.manages(tenant, &on.object.kind, &on.object.id);
        let (Some(past), Some(path)) = (self.past, on.object.path()) else { return today(&on.tenant) };
        if access.rules(&on.tenant) {
            return Ok(true);
        }
        let (now, then) = (Located::find(access.tx(), &path)?, past.locate(access.tx(), &path)?);
        if now.tenant() != then.tenant() || !today(now.tenant())? {
            return Ok(false);
        }
        let id = |located: &Located| located.node().map(|node| node.id);
        Ok((then.exact && id(&now) == id(&then)) || self.managed(on))
    }

    /// Whether the caller's own or inherited relations gave it the file at the revision that is asked about.
    fn managed(&self, on: &Placed<'_>) -> bool {
        self.access.subjects().any(|subject| {
            let query = Query { subject, permission: Permission::Execute.as_str(), object: on.name() };
            let mut budget = Budget::request();
            self.graph().check(&query, on.leaf, &self.env, self.caches(), &mut budget).allowed()
        })
    }

    /// Whether a subject is the caller, one of its agents, or the owner whose rights it inherits. An agent that was
    /// registered after the revision that is asked about may have been somebody else's then.
    pub fn is_own(&self, tenant: &str, subject: &EntityName) -> bool {
        let index = self.access.tx().view::<AuthIndex>();
        let before = |past: &PastView| index.agent(tenant, &subject.id).is_none_or(|a| a.created_at_us <= past.at_us());
        is_own(self.access.caller(), index, tenant, subject) && (subject.kind != AGENT || self.past.is_none_or(before))
    }

    /// The refusal of a question.
    pub fn refusal(&self, question: &Question) -> ServiceError {
        ServiceError::PermissionDenied {
            message: format!(
                "Access denied: User '{}' may not ask about {} on '{}'",
                self.access.caller().user,
                question.subject,
                question.object
            ),
            hint: "ask about yourself or your agents, or about an object whose permissions you manage".into(),
            lacking: Lacking::new("manage", &question.object),
        }
    }
}

impl<T: Sql> std::fmt::Debug for Asker<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker").field("caller", self.access.caller()).finish_non_exhaustive()
    }
}

/// Whether a subject is the caller, one of its agents, or the owner whose rights it inherits.
pub(in crate::service) fn is_own(caller: &Caller, index: &AuthIndex, tenant: &str, subject: &EntityName) -> bool {
    if tenant != caller.tenant {
        return false;
    }
    if subject.kind == caller.subject_type && subject.id == caller.subject_id {
        return true;
    }
    match subject.kind.as_str() {
        USER => caller.inherits && subject.id == caller.user,
        AGENT => caller.inherits && index.agent(tenant, &subject.id).is_some_and(|agent| agent.user_id == caller.user),
        _ => false,
    }
}
