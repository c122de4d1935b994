//! The relationship tuples.
//!
//! Owns the table `tuples`: one row per (object, relation, subject, subject relation), named by ids of entities.
//! Knows nothing of what a relation grants nor who may write it. Every change is recorded here.

use std::ops::ControlFlow;

use super::{Row, Sql, StoreError, WriteTx, entities, statements::statements};
use crate::model::{Change, Delta, EntityId, TupleRow, VirtualPath};
use crate::params;

statements! {
    /// What the permission graph keeps of each.
    ALL_LINKS = "SELECT object, relation, subject, subject_relation, expires_at_us, condition FROM tuples \
         ORDER BY object, relation, subject, subject_relation";
    /// All of them.
    ALL_TUPLES = "SELECT object, relation, subject, subject_relation, tuple_id, created_at_us, expires_at_us, \
         condition, created_by, rev FROM tuples ORDER BY object, relation, subject, subject_relation";
    /// One by the id that clients know.
    BY_TUPLE_ID = "SELECT object, relation, subject, subject_relation, tuple_id, created_at_us, \
         expires_at_us, condition, created_by, rev FROM tuples WHERE tuple_id = ?1";
    /// One by its identity.
    BY_IDENTITY = "SELECT object, relation, subject, subject_relation, tuple_id, created_at_us, \
         expires_at_us, condition, created_by, rev FROM tuples \
         WHERE object = ?1 AND relation = ?2 AND subject = ?3 AND subject_relation = ?4";
    /// Those on an object.
    ON_OBJECT = "SELECT object, relation, subject, subject_relation, tuple_id, created_at_us, expires_at_us, \
         condition, created_by, rev FROM tuples WHERE object = ?1 ORDER BY relation, subject, subject_relation";
    /// Those of a subject, plain or as a userset.
    OF_SUBJECT = "SELECT object, relation, subject, subject_relation, tuple_id, created_at_us, \
         expires_at_us, condition, created_by, rev FROM tuples WHERE subject = ?1 ORDER BY relation, object, subject_relation";
    /// Those by which people of any tenant are let in.
    SHARES = "SELECT object, relation, subject, subject_relation, tuple_id, created_at_us, expires_at_us, \
         condition, created_by, rev FROM tuples \
         WHERE relation IN ('shared-editor', 'shared-owner', 'shared-viewer') ORDER BY created_at_us, tuple_id";
    /// Whether any is on an object.
    ANY_ON = "SELECT 1 FROM tuples WHERE object = ?1 LIMIT 1";
    /// A new one.
    INSERT_TUPLE = "INSERT INTO tuples (object, relation, subject, subject_relation, tuple_id, \
         created_at_us, expires_at_us, condition, created_by, rev) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    /// Another expiry, condition and granter for the same identity.
    UPDATE_TUPLE = "UPDATE tuples SET expires_at_us = ?5, condition = ?6, created_by = ?7, rev = ?8 \
         WHERE object = ?1 AND relation = ?2 AND subject = ?3 AND subject_relation = ?4";
    /// Its end.
    DELETE_TUPLE = "DELETE FROM tuples \
         WHERE object = ?1 AND relation = ?2 AND subject = ?3 AND subject_relation = ?4";
}

/// What [`put`] did, with the id of the tuple that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// It was not there.
    Created(String),
    /// It was there with another expiry or condition.
    Updated(String),
    /// It was there just so; nothing was written.
    Unchanged(String),
}

impl Put {
    /// The id of the tuple that stands.
    #[must_use]
    pub fn tuple_id(&self) -> &str {
        match self {
            Self::Created(id) | Self::Updated(id) | Self::Unchanged(id) => id,
        }
    }
}

fn from_row(row: &Row<'_>) -> Result<TupleRow, StoreError> {
    let subject_relation = row.text(3)?;
    Ok(TupleRow {
        object: row.entity(0)?,
        relation: row.string(1)?,
        subject: row.entity(2)?,
        subject_relation: (!subject_relation.is_empty()).then(|| subject_relation.to_owned()),
        tuple_id: row.string(4)?,
        created_at_us: row.int(5)?,
        expires_at_us: row.opt_int(6)?,
        condition: row.opt_string(7)?,
        created_by: row.string(8)?,
        rev: row.id(9)?,
    })
}

/// What the permission graph keeps of a tuple, as it stands in its row.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// The entity it is on.
    pub object: EntityId,
    /// Its relation.
    pub relation: &'a str,
    /// The entity that has the relation.
    pub subject: EntityId,
    /// The relation of a userset; empty for a plain subject.
    pub subject_relation: &'a str,
    /// When it ends, µs.
    pub expires_at_us: Option<i64>,
    /// Its condition, as stored.
    pub condition: Option<&'a str>,
}

/// Gives every tuple to `each`, by object, for a projection that loads. Borrows from the row: at a million tuples the
/// allocations would be a third of the start.
pub fn each_link(tx: &impl Sql, mut each: impl FnMut(Link<'_>)) -> Result<(), StoreError> {
    tx.each(ALL_LINKS, &[], |row| {
        each(Link {
            object: row.entity(0)?,
            relation: row.text(1)?,
            subject: row.entity(2)?,
            subject_relation: row.text(3)?,
            expires_at_us: row.opt_int(4)?,
            condition: row.opt_text(5)?,
        });
        Ok(ControlFlow::Continue(()))
    })
}

/// Gives tuples to `each` until it breaks: all there are.
pub fn scan(tx: &impl Sql, mut each: impl FnMut(TupleRow) -> ControlFlow<()>) -> Result<(), StoreError> {
    tx.each(ALL_TUPLES, &[], |row| Ok(each(from_row(row)?)))
}

/// Gives the tuples with a relation that crosses tenants to `each` until it breaks, oldest first. Looks at all tuples.
pub fn scan_shares(tx: &impl Sql, mut each: impl FnMut(TupleRow) -> ControlFlow<()>) -> Result<(), StoreError> {
    tx.each(SHARES, &[], |row| Ok(each(from_row(row)?)))
}

/// The tuple of this id.
pub fn find(tx: &impl Sql, tuple_id: &str) -> Result<Option<TupleRow>, StoreError> {
    tx.query_one(BY_TUPLE_ID, params![tuple_id], from_row)
}

/// The tuple of this identity.
pub fn find_identity(
    tx: &impl Sql,
    object: EntityId,
    relation: &str,
    subject: EntityId,
    subject_relation: Option<&str>,
) -> Result<Option<TupleRow>, StoreError> {
    tx.query_one(BY_IDENTITY, params![object, relation, subject, subject_relation.unwrap_or_default()], from_row)
}

/// The tuples on an object.
pub fn on_object(tx: &impl Sql, object: EntityId) -> Result<Vec<TupleRow>, StoreError> {
    tx.query(ON_OBJECT, params![object], from_row)
}

/// The tuples of a subject, plain or as a userset.
pub fn of_subject(tx: &impl Sql, subject: EntityId) -> Result<Vec<TupleRow>, StoreError> {
    tx.query(OF_SUBJECT, params![subject], from_row)
}

/// The tuples that name an entity, as object or as subject; each once.
pub fn on_or_of(tx: &impl Sql, entity: EntityId) -> Result<Vec<TupleRow>, StoreError> {
    let mut found = on_object(tx, entity)?;
    found.extend(of_subject(tx, entity)?.into_iter().filter(|t| t.object != entity));
    Ok(found)
}

/// Whether any tuple is on this object, live or expired.
pub fn has_on(tx: &impl Sql, tenant: &str, kind: &str, name: &str) -> Result<bool, StoreError> {
    let Some(entity) = entities::find(tx, tenant, kind, name)? else { return Ok(false) };
    Ok(tx.query_one(ANY_ON, params![entity.id], |_| Ok(()))?.is_some())
}

/// Whether any tuple is on this entity, live or expired.
pub fn any_on(tx: &impl Sql, object: EntityId) -> Result<bool, StoreError> {
    Ok(tx.query_one(ANY_ON, params![object], |_| Ok(()))?.is_some())
}

/// Writes a tuple, or replaces expiry and condition of the one with the same identity, whose id then stands.
/// `tuple.rev` is set to the revision of this transaction.
pub fn put(tx: &mut WriteTx<'_>, tuple: TupleRow) -> Result<Put, StoreError> {
    let relation = tuple.subject_relation.as_deref();
    let old = find_identity(tx, tuple.object, &tuple.relation, tuple.subject, relation)?;
    let rev = tx.rev();
    let Some(old) = old else {
        let row = TupleRow { rev, ..tuple };
        tx.exec(
            INSERT_TUPLE,
            params![
                row.object,
                &row.relation,
                row.subject,
                row.subject_relation.as_deref().unwrap_or_default(),
                &row.tuple_id,
                row.created_at_us,
                row.expires_at_us,
                &row.condition,
                &row.created_by,
                rev,
            ],
        )?;
        let id = row.tuple_id.clone();
        tx.record(Change::Tuple(Delta::insert(row)));
        return Ok(Put::Created(id));
    };
    let id = old.tuple_id.clone();
    if old.expires_at_us == tuple.expires_at_us && old.condition == tuple.condition {
        return Ok(Put::Unchanged(id));
    }
    let row = TupleRow { tuple_id: id.clone(), created_at_us: old.created_at_us, rev, ..tuple };
    tx.exec(
        UPDATE_TUPLE,
        params![
            row.object,
            &row.relation,
            row.subject,
            row.subject_relation.as_deref().unwrap_or_default(),
            row.expires_at_us,
            &row.condition,
            &row.created_by,
            rev,
        ],
    )?;
    tx.record(Change::Tuple(Delta::update(old, row)));
    Ok(Put::Updated(id))
}

/// Deletes a tuple that was read in this transaction.
pub fn delete(tx: &mut WriteTx<'_>, tuple: &TupleRow) -> Result<(), StoreError> {
    let relation = tuple.subject_relation.as_deref().unwrap_or_default();
    tx.exec(DELETE_TUPLE, params![tuple.object, &tuple.relation, tuple.subject, relation])?;
    tx.record(Change::Tuple(Delta::delete(tuple.clone())));
    Ok(())
}

/// Deletes every tuple with `path`, or any path below it, as object or as subject, whether a node is there or not,
/// and retires those entities: what comes to these paths later inherits nothing.
pub fn remove_subtree(tx: &mut WriteTx<'_>, path: &VirtualPath) -> Result<(), StoreError> {
    for entity in entities::at_or_below(tx, path)? {
        for tuple in on_or_of(tx, entity.id)? {
            delete(tx, &tuple)?;
        }
        entities::retire(tx, &entity)?;
    }
    Ok(())
}

/// Moves the grants of a subtree: removes those that waited at or below `new`, then renames the entities at or below
/// `old`. One row per explicitly granted path; no tuple changes. `new` does not lie in `old`.
pub fn rename_subtree(tx: &mut WriteTx<'_>, old: &VirtualPath, new: &VirtualPath) -> Result<(), StoreError> {
    remove_subtree(tx, new)?;
    for entity in entities::at_or_below(tx, old)? {
        let below = &entity.name[old.as_str().len()..];
        let name = format!("{new}{below}");
        entities::rename(tx, &entity, &name)?;
    }
    Ok(())
}
