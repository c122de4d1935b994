//! The interned names of the permission graph.
//!
//! Owns the table `entities`: a name gets a dense id once and keeps it over renames; a retired id never comes back.
//! Knows nothing of what a relation means. Every change is recorded here.

use std::ops::ControlFlow;

use super::{Row, Sql, StoreError, WriteTx, statements::statements};
use crate::model::{Change, Delta, EntityId, EntityRow, VirtualPath};
use crate::params;

/// Characters of a name that the index holds; longer names share their prefix and are told apart after the query.
const NAME_INDEX_CHARS: usize = 600;
/// The type whose names are paths.
pub const FILE: &str = "file";

statements! {
    /// All of them, for a projection that loads.
    ALL_ENTITIES = "SELECT id, tenant, type, name FROM entities ORDER BY id";
    /// One by the hash of (tenant, type, name).
    BY_KEY = "SELECT id, tenant, type, name FROM entities WHERE key = ?1";
    /// One by its id.
    BY_ID = "SELECT id, tenant, type, name FROM entities WHERE id = ?1";
    /// Those of type file whose indexed prefix is exactly this.
    FILES_AT = "SELECT id, tenant, type, name FROM entities WHERE type = 'file' AND substr(name, 1, 600) = ?1";
    /// Those of type file whose indexed prefix lies in a range.
    FILES_BETWEEN = "SELECT id, tenant, type, name FROM entities \
         WHERE type = 'file' AND substr(name, 1, 600) >= ?1 AND substr(name, 1, 600) < ?2";
    /// Those of a type and name in every tenant.
    NAMED = "SELECT id, tenant, type, name FROM entities \
         WHERE type = ?1 AND substr(name, 1, 600) = substr(?2, 1, 600) AND name = ?2 ORDER BY id";
    /// Those of a type.
    OF_TYPE = "SELECT id, tenant, type, name FROM entities WHERE type = ?1 ORDER BY id";
    /// How many of type file a tenant has, as far as a limit.
    COUNT_FILES = "SELECT COUNT(*) FROM (SELECT 1 AS one FROM entities \
         WHERE type = 'file' AND tenant = ?1 LIMIT ?2) AS listed";
    /// A new one.
    INSERT = "INSERT INTO entities (id, tenant, type, name, key) VALUES (?1, ?2, ?3, ?4, ?5)";
    /// Another name for the same id.
    RENAME = "UPDATE entities SET name = ?2, key = ?3 WHERE id = ?1";
    /// Its end.
    DELETE = "DELETE FROM entities WHERE id = ?1";
}

/// First 16 bytes of BLAKE3(tenant NUL type NUL name): the unique key of an entity.
#[must_use]
pub fn key(tenant: &str, kind: &str, name: &str) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for (at, part) in [tenant, kind, name].into_iter().enumerate() {
        if at > 0 {
            hasher.update(&[0]);
        }
        hasher.update(part.as_bytes());
    }
    let mut short = [0; 16];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    short
}

fn from_row(row: &Row<'_>) -> Result<EntityRow, StoreError> {
    Ok(EntityRow { id: row.entity(0)?, tenant: row.string(1)?, kind: row.string(2)?, name: row.string(3)? })
}

/// An entity as it stands in its row.
#[derive(Debug, Clone, Copy)]
pub struct Name<'a> {
    /// Its id.
    pub id: EntityId,
    /// Its tenant.
    pub tenant: &'a str,
    /// Its type.
    pub kind: &'a str,
    /// Its name within the type; of a file the path.
    pub name: &'a str,
}

impl From<Name<'_>> for EntityRow {
    fn from(row: Name<'_>) -> Self {
        Self { id: row.id, tenant: row.tenant.into(), kind: row.kind.into(), name: row.name.into() }
    }
}

/// Gives every entity to `each`, by ascending id. Borrows from the row.
pub fn each(tx: &impl Sql, mut each: impl FnMut(Name<'_>)) -> Result<(), StoreError> {
    tx.each(ALL_ENTITIES, &[], |row| {
        each(Name { id: row.entity(0)?, tenant: row.text(1)?, kind: row.text(2)?, name: row.text(3)? });
        Ok(ControlFlow::Continue(()))
    })
}

/// The entity of this name, if it was interned.
pub fn find(tx: &impl Sql, tenant: &str, kind: &str, name: &str) -> Result<Option<EntityRow>, StoreError> {
    let key = key(tenant, kind, name);
    tx.query_one(BY_KEY, params![&key[..]], from_row)
}

/// The entity of this id.
pub fn get(tx: &impl Sql, id: EntityId) -> Result<Option<EntityRow>, StoreError> {
    tx.query_one(BY_ID, params![id], from_row)
}

/// The entities of this type and name, one per tenant that knows it.
pub fn named(tx: &impl Sql, kind: &str, name: &str) -> Result<Vec<EntityRow>, StoreError> {
    tx.query(NAMED, params![kind, name], from_row)
}

/// The entities of a type, of every tenant.
pub fn of_type(tx: &impl Sql, kind: &str) -> Result<Vec<EntityRow>, StoreError> {
    tx.query(OF_TYPE, params![kind], from_row)
}

/// How many entities of type file a tenant has; `limit` if there are that many or more.
pub fn count_files(tx: &impl Sql, tenant: &str, limit: u64) -> Result<u64, StoreError> {
    Ok(tx.query_one(COUNT_FILES, params![tenant, limit], |row| row.id(0))?.unwrap_or(0))
}

/// The id of this name, made now if there is none.
pub fn intern(tx: &mut WriteTx<'_>, tenant: &str, kind: &str, name: &str) -> Result<EntityId, StoreError> {
    if let Some(known) = find(tx, tenant, kind, name)? {
        return Ok(known.id);
    }
    let id = tx.next_entity_id();
    let row = EntityRow { id, tenant: tenant.to_owned(), kind: kind.to_owned(), name: name.to_owned() };
    let key = key(tenant, kind, name);
    tx.exec(INSERT, params![id, &row.tenant, &row.kind, &row.name, &key[..]])?;
    tx.record(Change::Entity(Delta::insert(row)));
    Ok(id)
}

/// The entities of type file, of every tenant, whose path is `path` or lies below it, by component.
pub fn at_or_below(tx: &impl Sql, path: &VirtualPath) -> Result<Vec<EntityRow>, StoreError> {
    let text = path.as_str();
    let mut found = Vec::new();
    let mut keep = |row: &Row<'_>| {
        let entity = from_row(row)?;
        let inside = match entity.name.strip_prefix(text) {
            Some(rest) => rest.is_empty() || path.is_root() || rest.starts_with('/'),
            None => false,
        };
        if inside {
            found.push(entity);
        }
        Ok(ControlFlow::Continue(()))
    };
    if text.chars().count() >= NAME_INDEX_CHARS {
        let prefix: String = text.chars().take(NAME_INDEX_CHARS).collect();
        tx.each(FILES_AT, params![&prefix], &mut keep)?;
        return Ok(found);
    }
    if path.is_root() {
        tx.each(FILES_BETWEEN, params!["/", "0"], &mut keep)?;
        return Ok(found);
    }
    tx.each(FILES_AT, params![text], &mut keep)?;
    // '0' is the character after '/': the range holds what starts with `path/` and nothing else.
    let (from, to) = (format!("{text}/"), format!("{text}0"));
    tx.each(FILES_BETWEEN, params![&from, &to], &mut keep)?;
    Ok(found)
}

/// Gives an entity another name; its id and its tuples stay. The name must be free.
pub fn rename(tx: &mut WriteTx<'_>, entity: &EntityRow, name: &str) -> Result<(), StoreError> {
    let after = EntityRow { name: name.to_owned(), ..entity.clone() };
    let key = key(&after.tenant, &after.kind, &after.name);
    tx.exec(RENAME, params![entity.id, name, &key[..]])?;
    tx.record(Change::Entity(Delta::update(entity.clone(), after)));
    Ok(())
}

/// Ends an entity. No tuple may name it any more; its id is never given again.
pub fn retire(tx: &mut WriteTx<'_>, entity: &EntityRow) -> Result<(), StoreError> {
    tx.exec(DELETE, params![entity.id])?;
    tx.record(Change::Entity(Delta::delete(entity.clone())));
    Ok(())
}
