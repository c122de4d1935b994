//! Questions about relations: who may ask them, and what the engine is asked.
//!
//! A question knows no admin bypass and no inheritance, whoever asks and about whomever (what somebody may do with a
//! file, all rules together, is what the file methods answer). Asking about oneself and one's agents is always allowed;
//! about others it takes the right to manage the object. Decides nothing else.

use crate::auth::{AuthIndex, Caller};
use crate::model::NodeKind;
use crate::rebac::{Caches, Env, LeafFacts, ObjectRef, Query};
use crate::store::Sql;

use super::ServiceError;
use super::access::{Access, USER};
use super::located::Located;
use super::names::EntityName;

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
    /// For [`Graph`](crate::rebac::Graph) functions.
    pub caches: &'t Caches,
    /// The time of the transaction; no context.
    pub env: Env,
}

impl<'t, T: Sql> Asker<'t, T> {
    /// Re-reads the caller's identity in `tx`.
    pub fn new(tx: &'t T, caller: &Caller, caches: &'t Caches) -> Result<Self, ServiceError> {
        let env = Env { now_us: tx.now_us(), context: None };
        Ok(Self { access: Access::new(tx, caller, Some(caches))?, caches, env })
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
                let located = Located::find(self.access.tx(), &path)?;
                let owner = located.node().filter(|n| n.kind == NodeKind::File).and_then(|n| n.owner);
                (located.tenant().to_owned(), LeafFacts { owner })
            }
            None => (tenant.unwrap_or(&self.access.caller().tenant).to_owned(), LeafFacts::default()),
        };
        Ok(Placed { object, tenant, leaf })
    }

    /// Whether the caller may have the answer: it is about itself or its agents, or it manages the object.
    pub fn may_ask(&self, resolved: &Resolved<'_>) -> Result<bool, ServiceError> {
        Ok(self.is_own(&resolved.subject_tenant, &resolved.question.subject) || self.manages(&resolved.on)?)
    }

    /// Whether the caller may know everything about the permissions of the object.
    pub fn manages(&self, on: &Placed<'_>) -> Result<bool, ServiceError> {
        self.access.manages(&on.tenant, &on.object.kind, &on.object.id)
    }

    /// Whether a subject is the caller, one of its agents, or the owner whose rights it inherits.
    pub fn is_own(&self, tenant: &str, subject: &EntityName) -> bool {
        is_own(self.access.caller(), self.access.tx().view::<AuthIndex>(), tenant, subject)
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
        }
    }
}

impl<T: Sql> std::fmt::Debug for Asker<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker").field("caller", self.access.caller()).finish_non_exhaustive()
    }
}

/// Whether a subject is the caller, one of its agents, or the owner whose rights it inherits.
pub(super) fn is_own(caller: &Caller, index: &AuthIndex, tenant: &str, subject: &EntityName) -> bool {
    if tenant != caller.tenant {
        return false;
    }
    if subject.kind == caller.subject_type && subject.id == caller.subject_id {
        return true;
    }
    match subject.kind.as_str() {
        USER => caller.inherits && subject.id == caller.user,
        "agent" => {
            caller.inherits && index.agent(tenant, &subject.id).is_some_and(|agent| agent.user_id == caller.user)
        }
        _ => false,
    }
}
