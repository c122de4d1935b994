//! Shares, consent and what is public, written: tuples like others, with rules of their own on what replaces what.
//!
//! A person has one share of a thing: sharing again changes its level and its end. Ending a share ends all of them.

use crate::auth::{AuthIndex, Caller};
use crate::model::TupleRow;
use crate::rebac::Graph;
use crate::service::access::{Access, USER};
use crate::service::names::{EVERYBODY, EntityName};
use crate::service::relations::questions::is_own;
use crate::service::relations::shares::{Level, RELATIONS};
use crate::service::relations::tuples_ops::{self, TupleRequest, crowded, entity, make_room, manages, require_manage};
use crate::service::{Call, Lacking, ServiceError};
use crate::store::{Sql, WriteOp, WriteTx, entities, nodes, tuples};

/// The relation of whom may discover somebody, on that somebody.
pub(super) const CONSENT: &str = "consent_granted";
/// The relation of everybody on what anybody of the tenant may discover.
pub(super) const PUBLIC: &str = "public_discoverable";

/// A share that is wanted.
#[derive(Debug, Clone)]
pub struct ShareRequest {
    /// What is shared.
    pub resource: EntityName,
    /// With whom.
    pub user: String,
    /// What it gives.
    pub level: Level,
    /// The tenant that the client takes the resource to belong to.
    pub tenant: Option<String>,
    /// The tenant of the user; `None` = that of the resource.
    pub user_tenant: Option<String>,
    /// Unix time, µs.
    pub expires_at_us: Option<i64>,
}

/// Shares something with a person, or changes the share that he has. Returns its id.
pub async fn share(call: &Call, request: ShareRequest) -> Result<String, ServiceError> {
    EntityName::subject(USER, &request.user)?;
    let op = ShareWithUser { caller: call.caller.clone(), tuple_id: call.store.random().uuid(), request };
    let (caller, request) = (op.caller.clone(), op.request.clone());
    let crowded = call
        .read(move |tx| {
            let (tenant, _) = request.authorize(&Access::new(tx, &caller, None)?)?;
            crowded(tx, &request.resource, tenant)
        })
        .await?;
    make_room(call, crowded).await?;
    call.submit(op).await
}

impl ShareRequest {
    /// The tenants of the resource and of the person, if the caller may share it.
    fn authorize<T: Sql>(&self, access: &Access<'_, T>) -> Result<(String, String), ServiceError> {
        let tx = access.tx();
        let asked = self.tenant.as_deref().unwrap_or(&access.caller().tenant);
        let tenant = self.resource.tenant(tx, asked)?;
        require_manage(access, &tenant, &self.resource)?;
        require_tenant(access, self.tenant.as_deref(), &tenant, &self.resource)?;
        let graph = tx.view::<Graph>();
        let (kind, relation) = (self.resource.kind.as_str(), self.level.relation());
        if graph.has_namespace(kind) && !graph.defines(kind, relation) {
            return Err(ServiceError::Precondition(format!(
                "the namespace of '{kind}' has no relation '{relation}': a share would give nothing. Grant one of its \
                 own relations with rebac_create"
            )));
        }
        let user_tenant = match &self.user_tenant {
            Some(named) => named.clone(),
            None if access.is_instance_admin() => self.tenant_of_user(tx, &tenant)?,
            // Who is in other tenants is not to be found out: they are named by whoever knows them.
            None => tenant.clone(),
        };
        Ok((tenant, user_tenant))
    }

    /// The tenant of the only user of that name who has a key; of nobody's name that of the resource.
    fn tenant_of_user(&self, tx: &impl Sql, resource: &str) -> Result<String, ServiceError> {
        let mut tenants = tx.view::<AuthIndex>().tenants_of(&self.user);
        match (tenants.pop(), tenants.len()) {
            (None, _) => Ok(resource.to_owned()),
            (Some(only), 0) => Ok(only),
            _ => Err(ServiceError::InvalidParams(format!(
                "user_id '{}' is ambiguous: there are users of that name in several tenants; say which one is meant \
                 (user_tenant_id)",
                self.user
            ))),
        }
    }
}

/// Refuses a tenant that the client named and that is not the object's; the instance admin crosses tenants.
fn require_tenant<T: Sql>(
    access: &Access<'_, T>,
    named: Option<&str>,
    tenant: &str,
    object: &EntityName,
) -> Result<(), ServiceError> {
    match named.is_some_and(|named| named != tenant) && !access.is_instance_admin() {
        true => Err(ServiceError::InvalidParams(format!(
            "tenant isolation: {object} belongs to another tenant than tenant_id says"
        ))),
        false => Ok(()),
    }
}

/// Shares something with a person.
#[derive(Debug)]
pub struct ShareWithUser {
    /// Who asks.
    pub caller: Caller,
    /// The id it gets if it is new; drawn by the request.
    pub tuple_id: String,
    /// The share.
    pub request: ShareRequest,
}

impl WriteOp for ShareWithUser {
    const NAME: &'static str = "share_put";
    type Output = String;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<String, ServiceError> {
        let request = &self.request;
        let (tenant, user_tenant, created_by) = {
            let access = Access::in_writer(&*tx, &self.caller)?;
            let (tenant, user_tenant) = request.authorize(&access)?;
            (tenant, user_tenant, access.caller().actor().to_owned())
        };
        let object = entities::intern(tx, &tenant, &request.resource.kind, &request.resource.id)?;
        let subject = entities::intern(tx, &user_tenant, USER, &request.user)?;
        for level in Level::ALL.into_iter().filter(|level| *level != request.level) {
            if let Some(other) = tuples::find_identity(tx, object, level.relation(), subject, None)? {
                tuples::delete(tx, &other)?;
            }
        }
        let tuple = TupleRow {
            tuple_id: self.tuple_id.clone(),
            object,
            relation: request.level.relation().to_owned(),
            subject,
            subject_relation: None,
            created_at_us: tx.now_us(),
            expires_at_us: request.expires_at_us,
            condition: None,
            created_by,
            rev: 0,
        };
        let put = tuples::put(tx, tuple)?;
        if let (Some(path), tuples::Put::Created(_)) = (request.resource.path(), &put) {
            nodes::make_explicit(tx, &path)?;
        }
        Ok(put.tuple_id().to_owned())
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.request.resource.id.len() + self.request.user.len()
    }
}

/// Which relation is to end.
#[derive(Debug, Clone)]
pub enum Ending {
    /// Every share of a thing with the users of a name, of whichever tenant.
    Shares {
        /// What is shared.
        resource: EntityName,
        /// With whom.
        user: String,
    },
    /// One share.
    Share(String),
    /// That everybody may discover a thing.
    Public(EntityName),
    /// That somebody may discover another.
    Consent {
        /// Who had given it.
        from: EntityName,
        /// To whom.
        to: EntityName,
    },
}

/// Ends a relation. Returns whether it was there; who may not end it gets a refusal either way.
pub async fn end(call: &Call, ending: Ending) -> Result<bool, ServiceError> {
    call.submit(EndRelation { caller: call.caller.clone(), ending }).await
}

/// Ends a share, a consent or what is public.
#[derive(Debug)]
pub struct EndRelation {
    /// Who asks.
    pub caller: Caller,
    /// Which one.
    pub ending: Ending,
}

impl WriteOp for EndRelation {
    const NAME: &'static str = "relation_end";
    const GROWS: bool = false;
    type Output = bool;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<bool, ServiceError> {
        let doomed = self.find(&Access::in_writer(&*tx, &self.caller)?)?;
        for row in &doomed {
            tuples::delete(tx, row)?;
        }
        Ok(!doomed.is_empty())
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

impl EndRelation {
    /// The tuples that go, if the caller may end them.
    fn find<T: Sql>(&self, access: &Access<'_, T>) -> Result<Vec<TupleRow>, ServiceError> {
        let tx = access.tx();
        let (object, relations, who): (_, &[&str], _) = match &self.ending {
            Ending::Share(share_id) => return Self::one(access, share_id),
            Ending::Shares { resource, user } => {
                (resource, RELATIONS, EntityName { kind: USER.to_owned(), id: user.clone() })
            }
            Ending::Public(resource) => (resource, &[PUBLIC], everybody()),
            Ending::Consent { from, to } => (from, &[CONSENT], to.clone()),
        };
        let tenant = object.tenant(tx, &access.caller().tenant)?;
        let own = matches!(self.ending, Ending::Consent { .. })
            && is_own(access.caller(), tx.view::<AuthIndex>(), &tenant, object);
        if !own {
            require_manage(access, &tenant, object)?;
        }
        let Some(object) = entities::find(tx, &tenant, &object.kind, &object.id)? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for row in tuples::on_object(tx, object.id)? {
            if !relations.contains(&row.relation.as_str()) || row.subject_relation.is_some() {
                continue;
            }
            let subject = entity(tx, row.subject)?;
            if subject.kind == who.kind && subject.name == who.id {
                found.push(row);
            }
        }
        Ok(found)
    }

    /// The share of this id. What is no share, is not there or is not the caller's to end is told alike.
    fn one<T: Sql>(access: &Access<'_, T>, share_id: &str) -> Result<Vec<TupleRow>, ServiceError> {
        let tx = access.tx();
        let found = tuples::find(tx, share_id)?.filter(|row| Level::of(&row.relation).is_some());
        if let Some(row) = found
            && manages(access, &entity(tx, row.object)?)?
        {
            return Ok(vec![row]);
        }
        if access.caller().is_admin {
            return Ok(Vec::new());
        }
        Err(ServiceError::PermissionDenied {
            message: format!("Access denied: User '{}' may not revoke the share '{share_id}'", access.caller().user),
            hint: "the share does not exist, or the permission to manage what is shared is missing".into(),
            lacking: Lacking::new("manage", format_args!("tuple:{share_id}")),
        })
    }
}

/// Everybody of a tenant.
pub(super) fn everybody() -> EntityName {
    EntityName { kind: EVERYBODY.to_owned(), id: EVERYBODY.to_owned() }
}

/// Lets everybody of the resource's tenant discover it. Gives no right to read. Returns the id of the tuple.
pub async fn publish(call: &Call, resource: EntityName, tenant: Option<String>) -> Result<String, ServiceError> {
    let request = TupleRequest { tenant, ..TupleRequest::plain(everybody(), PUBLIC, resource) };
    tuples_ops::create(call, request).await
}

/// Lets `to` discover `from`. Returns the id of the tuple.
pub async fn consent(
    call: &Call,
    from: EntityName,
    to: EntityName,
    tenant: Option<String>,
    expires_at_us: Option<i64>,
) -> Result<String, ServiceError> {
    let request = TupleRequest { tenant, expires_at_us, ..TupleRequest::plain(to, CONSENT, from) };
    tuples_ops::create(call, request).await
}

/// Whether a tuple is somebody's consent to be discovered himself, which nobody else has to give.
pub(super) fn is_own_consent<T: Sql>(
    access: &Access<'_, T>,
    relation: &str,
    tenant: &str,
    object: &EntityName,
) -> bool {
    relation == CONSENT && is_own(access.caller(), access.tx().view::<AuthIndex>(), tenant, object)
}
