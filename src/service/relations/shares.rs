//! Shares: the `shared-*` tuples, by which a person of any tenant is let in to something, listed.
//!
//! Owns what counts as a share and who may see one: of those going out whoever manages the resource, and who made it as
//! long as he may still read it; of those coming in the recipient himself; admins both. Writing is in `shares_ops`.

use std::collections::HashMap;
use std::ops::ControlFlow;

use crate::auth::AuthIndex;
use crate::model::{EntityId, EntityRow, TupleRow};
use crate::rebac::Budget;
use crate::service::access::{Access, Permission, USER};
use crate::service::located::Located;
use crate::service::names::EntityName;
use crate::service::relations::questions::is_own;
use crate::service::relations::tuples_ops::{entity, manages};
use crate::service::{Call, Lacking, ServiceError};
use crate::store::{Sql, entities, tuples};

/// Most shares of one answer.
pub const PAGE_MAX: usize = 1_000;
/// Most shares that are looked through for one answer.
const LOOKED_MAX: usize = 200_000;

/// What a share gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// See and read.
    Viewer,
    /// Change.
    Editor,
    /// Manage.
    Owner,
}

impl Level {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Editor, Self::Owner];

    /// As clients call it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Owner => "owner",
        }
    }

    /// The relation that gives it.
    #[must_use]
    pub const fn relation(self) -> &'static str {
        match self {
            Self::Viewer => "shared-viewer",
            Self::Editor => "shared-editor",
            Self::Owner => "shared-owner",
        }
    }

    /// What a relation gives, if it is that of a share.
    #[must_use]
    pub fn of(relation: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.relation() == relation)
    }

    /// Reads what a client sent.
    pub fn parse(text: &str) -> Result<Self, ServiceError> {
        Self::ALL.into_iter().find(|level| level.as_str() == text).ok_or_else(|| {
            ServiceError::InvalidParams(format!("relation must be 'viewer', 'editor' or 'owner', got '{text}'"))
        })
    }
}

/// The relations of shares.
pub(super) const RELATIONS: &[&str] = &[Level::Viewer.relation(), Level::Editor.relation(), Level::Owner.relation()];

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// At most so many.
    pub limit: usize,
    /// How many come before.
    pub offset: usize,
}

impl Page {
    /// Within the bounds.
    pub fn new(limit: usize, offset: usize) -> Result<Self, ServiceError> {
        match limit <= PAGE_MAX {
            true => Ok(Self { limit, offset }),
            false => Err(ServiceError::InvalidParams(format!("limit must be at most {PAGE_MAX}, got {limit}"))),
        }
    }

    fn cut(self, shares: Vec<Share>) -> Vec<Share> {
        shares.into_iter().skip(self.offset).take(self.limit).collect()
    }
}

/// A share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The id of its tuple.
    pub share_id: String,
    /// What is shared.
    pub resource: EntityName,
    /// The tenant that what is shared belongs to.
    pub owner_tenant: String,
    /// With whom.
    pub recipient: String,
    /// What it gives.
    pub level: Level,
    /// Unix time, µs.
    pub created_at_us: i64,
    /// Unix time, µs.
    pub expires_at_us: Option<i64>,
}

/// The live shares that the caller has an eye on, oldest first: on what he manages, and those that he made on what he
/// may still read.
pub async fn outgoing(
    call: &Call,
    resource: Option<EntityName>,
    tenant: Option<String>,
    page: Page,
) -> Result<Vec<Share>, ServiceError> {
    let (caller, caches) = (call.caller.clone(), std::sync::Arc::clone(&call.caches));
    let narrow = resource.is_some();
    let find = move |tx: &crate::store::ReadTx<'_>| {
        let access = Access::new(tx, &caller, Some(&caches))?.spending(Budget::edges(u64::MAX));
        let mut lister = Lister { access, tenant, entities: HashMap::new(), shown: HashMap::new(), found: Vec::new() };
        match &resource {
            Some(resource) => {
                for object in entities::named(tx, &resource.kind, &resource.id)? {
                    tuples::on_object(tx, object.id)?.into_iter().try_for_each(|row| lister.take(row))?;
                }
                lister.found.sort_by(|a, b| (a.created_at_us, &a.share_id).cmp(&(b.created_at_us, &b.share_id)));
            }
            None => {
                let mut failed = Ok(());
                tuples::scan_shares(tx, |row| {
                    failed = lister.take(row);
                    if failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                })?;
                failed?;
            }
        }
        Ok(page.cut(lister.found))
    };
    if narrow { call.read(find).await } else { call.read_slow(find).await }
}

struct Lister<'t, T: Sql> {
    access: Access<'t, T>,
    tenant: Option<String>,
    entities: HashMap<EntityId, EntityRow>,
    /// Per object: whether the caller manages it, and whether he may read it.
    shown: HashMap<EntityId, (bool, bool)>,
    found: Vec<Share>,
}

impl<T: Sql> Lister<'_, T> {
    /// Keeps a tuple, if it is a live share that the caller may see.
    fn take(&mut self, row: TupleRow) -> Result<(), ServiceError> {
        let Some(level) = live_level(&row, self.access.tx()) else { return Ok(()) };
        let (object, subject) = (self.entity(row.object)?, self.entity(row.subject)?);
        if subject.kind != USER || self.tenant.as_ref().is_some_and(|tenant| *tenant != object.tenant) {
            return Ok(());
        }
        let (manages, reads) = self.rights(&object)?;
        let made = row.created_by == self.access.caller().actor();
        if !(manages || reads && made) {
            return Ok(());
        }
        self.found.push(share(row, level, object, subject));
        within_bound(&self.found)
    }

    fn entity(&mut self, id: EntityId) -> Result<EntityRow, ServiceError> {
        if let Some(known) = self.entities.get(&id) {
            return Ok(known.clone());
        }
        let row = entity(self.access.tx(), id)?;
        self.entities.insert(id, row.clone());
        Ok(row)
    }

    fn rights(&mut self, object: &EntityRow) -> Result<(bool, bool), ServiceError> {
        if let Some(known) = self.shown.get(&object.id) {
            return Ok(*known);
        }
        let manages = manages(&self.access, object)?;
        let reads = manages || {
            let name = EntityName { kind: object.kind.clone(), id: object.name.clone() };
            match name.path() {
                Some(path) => {
                    let located = Located::find(self.access.tx(), &path)?;
                    located.tenant() == object.tenant && self.access.peek(located.target(), Permission::Read)?.allowed()
                }
                None => object.tenant == self.access.caller().tenant,
            }
        };
        self.shown.insert(object.id, (manages, reads));
        Ok((manages, reads))
    }
}

/// The live shares with a user of the caller's tenant, oldest first: for himself and for admins of the tenant.
pub async fn incoming(call: &Call, user: String, page: Page) -> Result<Vec<Share>, ServiceError> {
    let who = EntityName::subject(USER, &user)?;
    let caller = call.caller.clone();
    call.read(move |tx| {
        let access = Access::new(tx, &caller, None)?;
        let tenant = access.caller().tenant.clone();
        if !is_own(access.caller(), tx.view::<AuthIndex>(), &tenant, &who) && !access.rules(&tenant) {
            return Err(ServiceError::PermissionDenied {
                message: format!(
                    "Access denied: User '{}' may not see what is shared with '{user}'",
                    access.caller().user
                ),
                hint: "ask about yourself; an admin of the tenant may ask about everybody in it".into(),
                lacking: Lacking::new("manage", &who),
            });
        }
        let mut found = Vec::new();
        let Some(subject) = entities::find(tx, &tenant, USER, &user)? else { return Ok(found) };
        for row in tuples::of_subject(tx, subject.id)? {
            let Some(level) = live_level(&row, tx) else { continue };
            let object = entity(tx, row.object)?;
            let name = EntityName { kind: object.kind.clone(), id: object.name.clone() };
            // What another tenant has granted on a path that is not its own gives nothing.
            if name.tenant(tx, &object.tenant)? == object.tenant {
                found.push(share(row, level, object, subject.clone()));
                within_bound(&found)?;
            }
        }
        found.sort_by(|a, b| (a.created_at_us, &a.share_id).cmp(&(b.created_at_us, &b.share_id)));
        Ok(page.cut(found))
    })
    .await
}

/// What a tuple gives, if it is a live share with one person.
fn live_level(row: &TupleRow, tx: &impl Sql) -> Option<Level> {
    let live = row.expires_at_us.is_none_or(|at| tx.now_us() < at) && row.subject_relation.is_none();
    Level::of(&row.relation).filter(|_| live)
}

fn share(row: TupleRow, level: Level, object: EntityRow, subject: EntityRow) -> Share {
    Share {
        share_id: row.tuple_id,
        resource: EntityName { kind: object.kind, id: object.name },
        owner_tenant: object.tenant,
        recipient: subject.name,
        level,
        created_at_us: row.created_at_us,
        expires_at_us: row.expires_at_us,
    }
}

fn within_bound(found: &[Share]) -> Result<(), ServiceError> {
    match found.len() > LOOKED_MAX {
        true => Err(ServiceError::Precondition(format!("there are more than {LOOKED_MAX} shares; name a resource"))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_known_by_its_name_and_by_its_relation() {
        for level in Level::ALL {
            assert_eq!(Level::parse(level.as_str()).expect("a level"), level);
            assert_eq!(Level::of(level.relation()), Some(level));
        }
        assert!(Level::parse("shared-viewer").is_err() && Level::parse("Viewer").is_err());
        assert_eq!(Level::of("direct_viewer"), None);
        assert!(Page::new(PAGE_MAX, usize::MAX).is_ok() && Page::new(PAGE_MAX + 1, 0).is_err());
    }
}
