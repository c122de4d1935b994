//! Relationship tuples, written: who may grant what, and what a grant does to the tree.
//!
//! A tuple is written and deleted by who manages its object, and where it would open its subject, its subject too.

use serde_json::Value;

use crate::auth::Caller;
use crate::model::{EntityRow, NodeKind, NodeRow, TupleRow, VirtualPath};
use crate::rebac::{Graph, default_namespace};
use crate::service::access::{Access, DYNAMIC_VIEWER, FILE, condition};
use crate::service::columns::ColumnRules;
use crate::service::files::columns;
use crate::service::located::Located;
use crate::service::names::{EVERYBODY, EntityName, check_word};
use crate::service::relations::shares_ops::is_own_consent;
use crate::service::{Call, Lacking, ServiceError};
use crate::store::{Sql, WriteOp, WriteTx, entities, namespaces, nodes, tuples};

/// Grants on paths without a node that one tenant may have.
const PRE_GRANTS_MAX: u64 = 10_000;
/// What the ids of tuples begin with that stand for the owner column of a file.
pub(in crate::service) const OWNER_PREFIX: &str = "owner-";
/// Relations of this form may cross tenants.
const SHARE_PREFIX: &str = "shared-";
/// What the names of tables end in.
const TABLE_SUFFIX: &str = ".csv";

/// A tuple that is wanted. Names are normalised.
#[derive(Debug, Clone)]
pub struct TupleRequest {
    /// Who.
    pub subject: EntityName,
    /// For a userset: the relation of the subject that counts.
    pub subject_relation: Option<String>,
    /// The relation.
    pub relation: String,
    /// On what.
    pub object: EntityName,
    /// The tenant that the client named.
    pub tenant: Option<String>,
    /// Unix time, µs.
    pub expires_at_us: Option<i64>,
    /// The column rules that were sent along, as they came.
    pub columns: Option<Value>,
}

/// Writes a tuple, or replaces the expiry of the one that says the same. Returns its id.
pub async fn create(call: &Call, request: TupleRequest) -> Result<String, ServiceError> {
    request.check()?;
    let op = CreateTuple { caller: call.caller.clone(), tuple_id: call.store.random().uuid(), request };
    let (caller, request) = (op.caller.clone(), op.request.clone());
    let crowded = call
        .read(move |tx| {
            let object_tenant = request.authorize(&Access::new(tx, &caller, None)?)?.object;
            crowded(tx, &request.object, object_tenant)
        })
        .await?;
    make_room(call, crowded).await?;
    if let (Some(columns), Some(path)) = (op.request.columns.clone(), op.request.object.path()) {
        call.read_slow(move |tx| columns::check(tx, &path, &columns)).await?;
    }
    call.submit(op).await
}

/// The tenant of a missing path that may have too many grants on missing paths already.
pub(super) fn crowded(tx: &impl Sql, object: &EntityName, tenant: String) -> Result<Option<String>, ServiceError> {
    let missing = match object.path() {
        Some(path) => nodes::find(tx, &path)?.is_none(),
        None => false,
    };
    let crowded = missing && entities::count_files(tx, &tenant, PRE_GRANTS_MAX)? >= PRE_GRANTS_MAX;
    Ok(crowded.then_some(tenant))
}

/// Refuses a further grant on a missing path where the tenant has too many of them.
pub(super) async fn make_room(call: &Call, crowded: Option<String>) -> Result<(), ServiceError> {
    match crowded {
        Some(tenant) => call.read_slow(move |tx| require_room(tx, &tenant)).await,
        None => Ok(()),
    }
}

/// Refuses a further grant on a missing path when the tenant has too many of them.
fn require_room(tx: &impl Sql, tenant: &str) -> Result<(), ServiceError> {
    let mut waiting = 0;
    for entity in entities::of_type(tx, FILE)?.into_iter().filter(|e| e.tenant == tenant && e.name.starts_with('/')) {
        let path = VirtualPath::parse(&entity.name).map_err(|reason| ServiceError::path(&entity.name, reason))?;
        if tuples::any_on(tx, entity.id)? && nodes::find(tx, &path)?.is_none() {
            waiting += 1;
        }
    }
    if waiting < PRE_GRANTS_MAX {
        return Ok(());
    }
    Err(ServiceError::Precondition(format!(
        "tenant '{tenant}' has {PRE_GRANTS_MAX} grants on paths that do not exist; delete some of them, or make the \
         file first"
    )))
}

/// The tenants of both ends of a tuple.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tenants {
    pub(super) object: String,
    pub(super) subject: String,
}

impl TupleRequest {
    /// Of one subject, in the object's tenant, without an end.
    #[must_use]
    pub(super) fn plain(subject: EntityName, relation: &str, object: EntityName) -> Self {
        let (subject_relation, tenant, expires_at_us, columns) = (None, None, None, None);
        Self { subject, subject_relation, relation: relation.to_owned(), object, tenant, expires_at_us, columns }
    }

    /// The rules that need no data.
    pub(super) fn check(&self) -> Result<(), ServiceError> {
        check_word("relation", "name", &self.relation)?;
        if let Some(relation) = &self.subject_relation {
            check_word("subject", "relation", relation)?;
            if self.subject.is_everybody() {
                return Err(ServiceError::InvalidParams("everybody ('*') has no members: drop the third part".into()));
            }
        }
        if self.relation == "member" && matches!(self.object.kind.as_str(), "user" | "agent") {
            let text = format!("a {} has no members; make a group and grant to it", self.object.kind);
            return Err(ServiceError::InvalidParams(text));
        }
        match (&self.columns, self.relation == DYNAMIC_VIEWER) {
            (None, false) => Ok(()),
            (None, true) => {
                Err(ServiceError::InvalidParams("column_config is required when relation is 'dynamic_viewer'".into()))
            }
            (Some(_), false) => Err(ServiceError::InvalidParams(
                "column_config can only be provided when relation is 'dynamic_viewer'".into(),
            )),
            (Some(columns), true) => self.check_columns(columns),
        }
    }

    fn check_columns(&self, columns: &Value) -> Result<(), ServiceError> {
        let is_table = self.object.path().is_some_and(|path| path.name().to_ascii_lowercase().ends_with(TABLE_SUFFIX));
        if !is_table {
            let text = format!("dynamic_viewer is for {TABLE_SUFFIX} files, not for {}", self.object);
            return Err(ServiceError::InvalidParams(text));
        }
        ColumnRules::parse(columns).map(|_| ()).map_err(ServiceError::InvalidParams)
    }

    /// The tenants of both ends, if the caller may write this tuple.
    pub(super) fn authorize<T: Sql>(&self, access: &Access<'_, T>) -> Result<Tenants, ServiceError> {
        let tx = access.tx();
        let asked = self.tenant.as_deref().unwrap_or(&access.caller().tenant);
        let object = self.object.tenant(tx, asked)?;
        if !is_own_consent(access, &self.relation, &object, &self.object) {
            require_manage(access, &object, &self.object)?;
        }
        let shared = self.relation.starts_with(SHARE_PREFIX) && !self.subject.is_everybody();
        if self.tenant.as_ref().is_some_and(|t| *t != object) && !shared && !access.is_instance_admin() {
            let text = format!(
                "tenant isolation: {} belongs to another tenant than tenant_id says, and only shared-* relations \
                 cross tenants",
                self.object
            );
            return Err(ServiceError::InvalidParams(text));
        }
        let subject = if shared { asked } else { &object };
        let subject = self.subject.tenant(tx, subject)?;
        // A path as subject is asked about in any case: whose it is would show in the next refusal.
        if self.subject.path().is_some() || opens_subject(tx, &self.subject.kind, &self.relation)? {
            require_manage(access, &subject, &self.subject)?;
        }
        if subject != object && !shared {
            let text = format!("tenant isolation: {} belongs to another tenant than {}", self.subject, self.object);
            return Err(ServiceError::InvalidParams(text));
        }
        let graph = tx.view::<Graph>();
        let mut relations = std::iter::once(&self.relation).chain(&self.subject_relation);
        if let Some(name) = relations.find(|name| !graph.can_intern_relation(name)) {
            return Err(ServiceError::Precondition(format!("there is no room for another relation name: '{name}'")));
        }
        Ok(Tenants { object, subject })
    }
}

/// Whether a tuple with this relation can open its subject: the rules of the subject's type lead from it along the
/// relation.
fn opens_subject(tx: &impl Sql, kind: &str, relation: &str) -> Result<bool, ServiceError> {
    fn leads(rules: &Value, relation: &str) -> bool {
        match rules {
            Value::Object(map) => {
                map.get("tupleset").and_then(Value::as_str) == Some(relation)
                    || map.values().any(|inner| leads(inner, relation))
            }
            Value::Array(list) => list.iter().any(|inner| leads(inner, relation)),
            _ => false,
        }
    }
    match namespaces::current(tx, kind)? {
        // Rules that cannot be read could lead anywhere.
        Some(row) => Ok(serde_json::from_str(&row.config).map_or(true, |rules| leads(&rules, relation))),
        None => Ok(default_namespace(kind).is_some_and(|rules| leads(rules, relation))),
    }
}

/// Refuses who does not manage the permissions of `object`, in the same words whether it exists or not.
pub(super) fn require_manage<T: Sql>(
    access: &Access<'_, T>,
    tenant: &str,
    object: &EntityName,
) -> Result<(), ServiceError> {
    if access.manages(tenant, &object.kind, &object.id)? {
        return Ok(());
    }
    let user = &access.caller().user;
    Err(match object.path() {
        Some(path) => ServiceError::PermissionDenied {
            message: format!(
                "Access denied: User '{user}' does not have EXECUTE permission to manage permissions on '{path}'"
            ),
            hint: format!("the permission 'execute' on '{path}' is missing; its owner can grant direct_owner"),
            lacking: Lacking::new("execute", object),
        },
        None => ServiceError::PermissionDenied {
            message: format!("Access denied: User '{user}' may not manage permissions on '{object}'"),
            hint: format!("the permission 'manage' on '{object}' is missing; an admin of its tenant has it"),
            lacking: Lacking::new("manage", object),
        },
    })
}

/// Writes a tuple.
#[derive(Debug)]
pub struct CreateTuple {
    /// Who asks.
    pub caller: Caller,
    /// The id it gets if it is new; drawn by the request.
    pub tuple_id: String,
    /// The tuple.
    pub request: TupleRequest,
}

impl WriteOp for CreateTuple {
    const NAME: &'static str = "tuple_create";
    type Output = String;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<String, ServiceError> {
        let request = &self.request;
        let (tenants, created_by) = {
            let access = Access::in_writer(&*tx, &self.caller)?;
            (request.authorize(&access)?, access.caller().actor().to_owned())
        };
        let object = entities::intern(tx, &tenants.object, &request.object.kind, &request.object.id)?;
        let subject = entities::intern(tx, &tenants.subject, &request.subject.kind, &request.subject.id)?;
        let put = tuples::put(
            tx,
            TupleRow {
                tuple_id: self.tuple_id.clone(),
                object,
                relation: request.relation.clone(),
                subject,
                subject_relation: request.subject_relation.clone(),
                created_at_us: tx.now_us(),
                expires_at_us: request.expires_at_us,
                condition: request.columns.as_ref().map(condition),
                created_by,
                rev: 0,
            },
        )?;
        if let (Some(path), tuples::Put::Created(_)) = (request.object.path(), &put) {
            nodes::make_explicit(tx, &path)?;
        }
        Ok(put.tuple_id().to_owned())
    }

    fn bytes(&self) -> usize {
        let request = &self.request;
        size_of::<Self>() + request.object.id.len() + request.subject.id.len() + request.relation.len()
    }
}

/// Deletes a tuple. Returns whether it was there; who may not know gets a refusal either way.
pub async fn delete(call: &Call, tuple_id: String) -> Result<bool, ServiceError> {
    call.submit(DeleteTuple { caller: call.caller.clone(), tuple_id }).await
}

/// Deletes a tuple by its id, or the owner of a file by the id that stands for it.
#[derive(Debug)]
pub struct DeleteTuple {
    /// Who asks.
    pub caller: Caller,
    /// The tuple.
    pub tuple_id: String,
}

/// What an id of a tuple stands for, if the caller may delete it.
enum Doomed {
    Tuple(TupleRow),
    Owner(NodeRow),
    Nothing,
}

impl WriteOp for DeleteTuple {
    const NAME: &'static str = "tuple_delete";
    const GROWS: bool = false;
    type Output = bool;
    type Error = ServiceError;

    fn apply(&self, tx: &mut WriteTx<'_>) -> Result<bool, ServiceError> {
        match self.find(&Access::in_writer(&*tx, &self.caller)?)? {
            Doomed::Nothing => return Ok(false),
            Doomed::Tuple(row) => tuples::delete(tx, &row)?,
            Doomed::Owner(node) => {
                let after = NodeRow { owner: None, ..node.clone() };
                nodes::update(tx, &node, after, "original", None)?;
            }
        }
        Ok(true)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.tuple_id.len()
    }
}

impl DeleteTuple {
    fn find<T: Sql>(&self, access: &Access<'_, T>) -> Result<Doomed, ServiceError> {
        let found = match self.tuple_id.strip_prefix(OWNER_PREFIX).map(str::parse) {
            Some(Ok(node)) => self.owner(access, node)?,
            _ => self.tuple(access)?,
        };
        match found {
            Doomed::Nothing if !access.caller().is_admin => Err(ServiceError::PermissionDenied {
                message: format!(
                    "Access denied: User '{}' may not delete the tuple '{}'",
                    access.caller().user,
                    self.tuple_id
                ),
                hint: "the tuple does not exist, or the permission to manage its object is missing".into(),
                lacking: Lacking::new("manage", format_args!("tuple:{}", self.tuple_id)),
            }),
            found => Ok(found),
        }
    }

    fn tuple<T: Sql>(&self, access: &Access<'_, T>) -> Result<Doomed, ServiceError> {
        let tx = access.tx();
        let Some(row) = tuples::find(tx, &self.tuple_id)? else { return Ok(Doomed::Nothing) };
        let (object, subject) = (entity(tx, row.object)?, entity(tx, row.subject)?);
        let managed = manages(access, &object)?
            && (!opens_subject(tx, &subject.kind, &row.relation)? || manages(access, &subject)?);
        Ok(if managed { Doomed::Tuple(row) } else { Doomed::Nothing })
    }

    fn owner<T: Sql>(&self, access: &Access<'_, T>, node: u64) -> Result<Doomed, ServiceError> {
        let tx = access.tx();
        let Some(path) = nodes::path_of(tx, node)? else { return Ok(Doomed::Nothing) };
        let located = Located::find(tx, &path)?;
        let owned = located.node().filter(|n| n.kind == NodeKind::File && n.owner.is_some());
        let Some(row) = owned else { return Ok(Doomed::Nothing) };
        let managed = access.manages(&row.tenant, FILE, path.as_str())?;
        Ok(if managed { Doomed::Owner(row.clone()) } else { Doomed::Nothing })
    }
}

/// Whether the caller manages an entity. A grant of one tenant on a path of another counts for nothing and is
/// its own tenant's to clean up.
pub(in crate::service) fn manages<T: Sql>(access: &Access<'_, T>, object: &EntityRow) -> Result<bool, ServiceError> {
    if access.caller().administers(&object.tenant) {
        return Ok(true);
    }
    let name = EntityName { kind: object.kind.clone(), id: object.name.clone() };
    Ok(name.tenant(access.tx(), &object.tenant)? == object.tenant
        && object.kind != EVERYBODY
        && access.manages(&object.tenant, &object.kind, &object.name)?)
}

/// The entity of an id that a tuple names.
pub(in crate::service) fn entity(tx: &impl Sql, id: crate::model::EntityId) -> Result<EntityRow, ServiceError> {
    let found = entities::get(tx, id)?;
    found.ok_or_else(|| {
        crate::store::StoreError::Corrupt { what: format!("a tuple names entity {id}, which is gone") }.into()
    })
}
