//! The rules per object type, by revision.
//!
//! Owns the table `namespaces`: a put ends the row before it, so that the rules of any revision can be read. Does not
//! know what a rule means; `rebac` compiles them before they come here. Every change is recorded here.

use std::ops::ControlFlow;

use super::{Row, Sql, StoreError, WriteTx, statements::statements};
use crate::model::{Change, Delta, NamespaceRow};
use crate::params;

statements! {
    /// Those that hold now.
    ALL_CURRENT = "SELECT type, namespace_id, config, created_at_us, updated_at_us FROM namespaces \
         WHERE to_rev IS NULL ORDER BY type";
    /// The one that holds now for a type.
    CURRENT = "SELECT type, namespace_id, config, created_at_us, updated_at_us FROM namespaces \
         WHERE type = ?1 AND to_rev IS NULL";
    /// Whether a row of this very revision is there.
    OF_REV = "SELECT 1 FROM namespaces WHERE type = ?1 AND from_rev = ?2";
    /// A new one.
    INSERT_NAMESPACE = "INSERT INTO namespaces (type, from_rev, to_rev, namespace_id, config, hash, \
         created_at_us, updated_at_us) VALUES (?1, ?2, NULL, ?3, ?4, ?5, ?6, ?7)";
    /// The end of the current one.
    END = "UPDATE namespaces SET to_rev = ?2 WHERE type = ?1 AND to_rev IS NULL";
    /// Takes back a row of this very revision: an operation replaced its own.
    TAKE_BACK = "DELETE FROM namespaces WHERE type = ?1 AND from_rev = ?2";
}

fn from_row(row: &Row<'_>) -> Result<NamespaceRow, StoreError> {
    Ok(NamespaceRow {
        object_type: row.string(0)?,
        namespace_id: row.string(1)?,
        config: row.string(2)?,
        created_at_us: row.int(3)?,
        updated_at_us: row.int(4)?,
    })
}

/// Gives every namespace that holds now to `each`, by type.
pub fn each(tx: &impl Sql, mut each: impl FnMut(NamespaceRow)) -> Result<(), StoreError> {
    tx.each(ALL_CURRENT, &[], |row| {
        each(from_row(row)?);
        Ok(ControlFlow::Continue(()))
    })
}

/// The namespace of a type that holds now.
pub fn current(tx: &impl Sql, object_type: &str) -> Result<Option<NamespaceRow>, StoreError> {
    tx.query_one(CURRENT, params![object_type], from_row)
}

/// Creates or replaces the namespace of `row.object_type`. A replaced one keeps its id and its time of creation.
/// Returns the row that stands.
pub fn put(tx: &mut WriteTx<'_>, row: NamespaceRow) -> Result<NamespaceRow, StoreError> {
    let old = current(tx, &row.object_type)?;
    let row = match &old {
        Some(old) => NamespaceRow { namespace_id: old.namespace_id.clone(), created_at_us: old.created_at_us, ..row },
        None => row,
    };
    end(tx, &row.object_type)?;
    let hash = blake3::hash(row.config.as_bytes());
    let rev = tx.rev();
    tx.exec(
        INSERT_NAMESPACE,
        params![
            &row.object_type,
            rev,
            &row.namespace_id,
            &row.config,
            &hash.as_bytes()[..],
            row.created_at_us,
            row.updated_at_us,
        ],
    )?;
    tx.record(Change::Namespace(Delta { before: old, after: Some(row.clone()) }));
    Ok(row)
}

/// Ends the namespace of a type. Returns whether there was one.
pub fn delete(tx: &mut WriteTx<'_>, object_type: &str) -> Result<bool, StoreError> {
    let Some(old) = current(tx, object_type)? else { return Ok(false) };
    end(tx, object_type)?;
    tx.record(Change::Namespace(Delta::delete(old)));
    Ok(true)
}

/// Closes the interval of the current row; a row of this very revision would have an empty one and goes.
fn end(tx: &mut WriteTx<'_>, object_type: &str) -> Result<(), StoreError> {
    let rev = tx.rev();
    if tx.query_one(OF_REV, params![object_type, rev], |_| Ok(()))?.is_some() {
        return tx.exec(TAKE_BACK, params![object_type, rev]);
    }
    tx.exec(END, params![object_type, rev])
}
