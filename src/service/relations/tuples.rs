//! Relationship tuples, listed: those that a filter lets through and the caller may see.

use std::collections::HashMap;
use std::ops::ControlFlow;

use crate::auth::AuthIndex;
use crate::model::{EntityId, EntityRow, NodeId, NodeKind, NodeRow, TupleRow, VirtualPath};
use crate::rebac::Budget;
use crate::service::access::{Access, FILE, USER};
use crate::service::names::EntityName;
use crate::service::relations::questions::is_own;
use crate::service::relations::tuples_ops::{OWNER_PREFIX, entity, manages};
use crate::service::{Call, ServiceError};
use crate::store::{Sql, entities, nodes, tuples};

/// Most tuples of one answer.
const LIST_TUPLES_MAX: usize = 200_000;
/// The relation that the owner column of a file stands for.
const DIRECT_OWNER: &str = "direct_owner";

/// Which tuples to list. Empty parts let everything through.
#[derive(Debug, Clone, Default)]
pub struct TupleFilter {
    /// Of subjects of this type.
    pub subject_type: Option<String>,
    /// Of subjects with this id.
    pub subject_id: Option<String>,
    /// For usersets: with this relation of the subject.
    pub subject_relation: Option<String>,
    /// With one of these relations.
    pub relations: Option<Vec<String>>,
    /// On objects of this type.
    pub object_type: Option<String>,
    /// On objects with this id.
    pub object_id: Option<String>,
}

impl TupleFilter {
    /// Normalises the ids of files.
    pub fn normalised(mut self) -> Result<Self, ServiceError> {
        let normal = |kind: &Option<String>, id: &mut Option<String>| {
            if let (Some(FILE), Some(text)) = (kind.as_deref(), id.as_deref())
                && text.starts_with('/')
            {
                let path = VirtualPath::parse(text).map_err(|reason| ServiceError::path(text, reason))?;
                *id = Some(path.as_str().to_owned());
            }
            Ok::<_, ServiceError>(())
        };
        normal(&self.subject_type, &mut self.subject_id)?;
        normal(&self.object_type, &mut self.object_id)?;
        Ok(self)
    }

    fn relation(&self, relation: &str) -> bool {
        self.relations.as_ref().is_none_or(|wanted| wanted.iter().any(|r| r == relation))
    }

    fn subject(&self, row: &EntityRow, relation: Option<&str>) -> bool {
        is(self.subject_type.as_ref(), &row.kind)
            && is(self.subject_id.as_ref(), &row.name)
            && self.subject_relation.as_deref().is_none_or(|wanted| Some(wanted) == relation)
    }

    fn object(&self, row: &EntityRow) -> bool {
        is(self.object_type.as_ref(), &row.kind) && is(self.object_id.as_ref(), &row.name)
    }
}

fn is(wanted: Option<&String>, name: &str) -> bool {
    wanted.is_none_or(|wanted| wanted == name)
}

/// A tuple with the names of both ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedTuple {
    /// The id that clients know; `owner-<node>` for the owner column of a file.
    pub tuple_id: String,
    /// Who.
    pub subject: EntityName,
    /// For a userset: the relation of the subject that counts.
    pub subject_relation: Option<String>,
    /// The relation.
    pub relation: String,
    /// On what.
    pub object: EntityName,
    /// Unix time, µs.
    pub created_at_us: i64,
    /// Unix time, µs.
    pub expires_at_us: Option<i64>,
    /// The tenant of the object.
    pub tenant: String,
}

/// The live tuples that the filter lets through and the caller may see, oldest first: for admins those of their
/// tenant, for others those on what they manage and those of themselves and their agents. The owner column of files
/// is shown where the filter names a path or a user.
pub async fn list(call: &Call, filter: TupleFilter) -> Result<Vec<NamedTuple>, ServiceError> {
    let filter = filter.normalised()?;
    let (caller, caches) = (call.caller.clone(), std::sync::Arc::clone(&call.caches));
    let object = filter.object_type.is_some() && filter.object_id.is_some();
    let subject = filter.subject_id.is_some() && filter.subject_type.as_deref().is_some_and(|kind| kind != USER);
    let narrow = object || subject;
    let find = move |tx: &crate::store::ReadTx<'_>| {
        let mut lister = Lister {
            access: Access::new(tx, &caller, Some(&caches))?.spending(Budget::edges(u64::MAX)),
            filter: &filter,
            entities: HashMap::new(),
            managed: HashMap::new(),
            found: Vec::new(),
        };
        lister.tuples()?;
        lister.owners()?;
        let mut found = lister.found;
        found.sort_by(|a, b| (a.created_at_us, &a.tuple_id).cmp(&(b.created_at_us, &b.tuple_id)));
        Ok(found)
    };
    if narrow { call.read(find).await } else { call.read_slow(find).await }
}

struct Lister<'t, T: Sql> {
    access: Access<'t, T>,
    filter: &'t TupleFilter,
    entities: HashMap<EntityId, EntityRow>,
    managed: HashMap<EntityId, bool>,
    found: Vec<NamedTuple>,
}

impl<T: Sql> Lister<'_, T> {
    /// The rows of the table, from the narrower end.
    fn tuples(&mut self) -> Result<(), ServiceError> {
        let tx = self.access.tx();
        let filter = self.filter;
        if let (Some(kind), Some(id)) = (&filter.object_type, &filter.object_id) {
            for object in entities::named(tx, kind, id)? {
                tuples::on_object(tx, object.id)?.into_iter().try_for_each(|row| self.take(row))?;
            }
            return Ok(());
        }
        if let (Some(kind), Some(id)) = (&filter.subject_type, &filter.subject_id) {
            for subject in entities::named(tx, kind, id)? {
                tuples::of_subject(tx, subject.id)?.into_iter().try_for_each(|row| self.take(row))?;
            }
            return Ok(());
        }
        let mut failed = Ok(());
        tuples::scan(tx, |row| {
            failed = self.take(row);
            if failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        failed
    }

    /// Keeps a row, if it is live, wanted and visible.
    fn take(&mut self, row: TupleRow) -> Result<(), ServiceError> {
        if row.expires_at_us.is_some_and(|at| at <= self.access.tx().now_us()) || !self.filter.relation(&row.relation) {
            return Ok(());
        }
        let (object, subject) = (self.entity(row.object)?, self.entity(row.subject)?);
        let wanted = self.filter.object(&object) && self.filter.subject(&subject, row.subject_relation.as_deref());
        if !wanted || !self.visible(&object, &subject)? {
            return Ok(());
        }
        self.keep(NamedTuple {
            tuple_id: row.tuple_id,
            subject: name(subject),
            subject_relation: row.subject_relation,
            relation: row.relation,
            tenant: object.tenant.clone(),
            object: name(object),
            created_at_us: row.created_at_us,
            expires_at_us: row.expires_at_us,
        })
    }

    fn keep(&mut self, tuple: NamedTuple) -> Result<(), ServiceError> {
        self.found.push(tuple);
        match self.found.len() > LIST_TUPLES_MAX {
            true => Err(ServiceError::Precondition(format!(
                "there are more than {LIST_TUPLES_MAX} tuples; name a subject, an object or a relation"
            ))),
            false => Ok(()),
        }
    }

    fn entity(&mut self, id: EntityId) -> Result<EntityRow, ServiceError> {
        if let Some(known) = self.entities.get(&id) {
            return Ok(known.clone());
        }
        let row = entity(self.access.tx(), id)?;
        self.entities.insert(id, row.clone());
        Ok(row)
    }

    fn visible(&mut self, object: &EntityRow, subject: &EntityRow) -> Result<bool, ServiceError> {
        let caller = self.access.caller();
        let who = EntityName { kind: subject.kind.clone(), id: subject.name.clone() };
        if caller.administers(&object.tenant)
            || is_own(caller, self.access.tx().view::<AuthIndex>(), &subject.tenant, &who)
        {
            return Ok(true);
        }
        if let Some(known) = self.managed.get(&object.id) {
            return Ok(*known);
        }
        let managed = manages(&self.access, object)?;
        self.managed.insert(object.id, managed);
        Ok(managed)
    }

    /// The owner columns of files, as tuples.
    fn owners(&mut self) -> Result<(), ServiceError> {
        let filter = self.filter;
        if !filter.relation(DIRECT_OWNER) || filter.subject_relation.is_some() {
            return Ok(());
        }
        let tx = self.access.tx();
        if let (Some(FILE), Some(id)) = (filter.object_type.as_deref(), &filter.object_id) {
            let Some(path) = (EntityName { kind: FILE.into(), id: id.clone() }).path() else { return Ok(()) };
            return match nodes::find(tx, &path)? {
                Some(node) => self.take_owner(&node, &path),
                None => Ok(()),
            };
        }
        let (Some(USER), Some(user)) = (filter.subject_type.as_deref(), &filter.subject_id) else { return Ok(()) };
        if filter.object_id.is_some() || filter.object_type.as_deref().is_some_and(|kind| kind != FILE) {
            return Ok(());
        }
        let mut directories: HashMap<NodeId, Option<VirtualPath>> = HashMap::new();
        for owner in entities::named(tx, USER, user)? {
            for node in nodes::owned_files(tx, owner.id, LIST_TUPLES_MAX as u64 + 1)? {
                let directory = match directories.get(&node.parent) {
                    Some(known) => known.clone(),
                    None => {
                        let path = nodes::path_of(tx, node.parent)?;
                        directories.insert(node.parent, path.clone());
                        path
                    }
                };
                if let Some(directory) = directory {
                    self.take_owner(&node, &directory.child(&node.name))?;
                }
            }
        }
        Ok(())
    }

    fn take_owner(&mut self, node: &NodeRow, path: &VirtualPath) -> Result<(), ServiceError> {
        let (NodeKind::File, Some(owner)) = (node.kind, node.owner) else { return Ok(()) };
        let subject = self.entity(owner)?;
        if !self.filter.subject(&subject, None) {
            return Ok(());
        }
        let caller = self.access.caller();
        let who = name(subject.clone());
        let visible = caller.administers(&node.tenant)
            || is_own(caller, self.access.tx().view::<AuthIndex>(), &subject.tenant, &who)
            || self.access.manages(&node.tenant, FILE, path.as_str())?;
        if !visible {
            return Ok(());
        }
        self.keep(NamedTuple {
            tuple_id: format!("{OWNER_PREFIX}{}", node.id),
            subject: who,
            subject_relation: None,
            relation: DIRECT_OWNER.into(),
            object: EntityName { kind: FILE.into(), id: path.as_str().to_owned() },
            created_at_us: node.created_at_us,
            expires_at_us: None,
            tenant: node.tenant.clone(),
        })
    }
}

fn name(row: EntityRow) -> EntityName {
    EntityName { kind: row.kind, id: row.name }
}
