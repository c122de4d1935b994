//! What is mounted where.
//!
//! Owns the table `mounts` and the state in memory by which a write is told that it would go into a mount. The root is
//! not a row: it is the store itself. Every change is recorded here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Projection, Row, Sql, StoreError, WriteTx, statements::statements};
use crate::model::{Change, Delta, MountRow, Rev, VirtualPath};
use crate::params;

statements! {
    /// All of them.
    ALL_MOUNTS = "SELECT mount_point, mount_id, backend_type, backend_config, priority, readonly, tenant, active, \
         saved, owner, description, created_at_us, updated_at_us FROM mounts ORDER BY mount_point";
    /// One.
    MOUNT = "SELECT mount_point, mount_id, backend_type, backend_config, priority, readonly, tenant, active, saved, \
         owner, description, created_at_us, updated_at_us FROM mounts WHERE mount_point = ?1";
    /// A new one.
    INSERT_MOUNT = "INSERT INTO mounts (mount_point, mount_id, backend_type, backend_config, priority, readonly, \
         tenant, active, saved, owner, description, created_at_us, updated_at_us) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    /// What may change of one.
    UPDATE_MOUNT = "UPDATE mounts SET mount_id = ?2, active = ?3, saved = ?4, owner = ?5, description = ?6, \
         updated_at_us = ?7 WHERE mount_point = ?1";
    /// Its end.
    DELETE_MOUNT = "DELETE FROM mounts WHERE mount_point = ?1";
}

fn from_row(row: &Row<'_>) -> Result<MountRow, StoreError> {
    Ok(MountRow {
        mount_point: row.string(0)?,
        mount_id: row.string(1)?,
        backend_type: row.string(2)?,
        backend_config: row.string(3)?,
        priority: row.int(4)?,
        readonly: row.bool(5)?,
        tenant: row.string(6)?,
        active: row.bool(7)?,
        saved: row.bool(8)?,
        owner: row.opt_string(9)?,
        description: row.opt_string(10)?,
        created_at_us: row.int(11)?,
        updated_at_us: row.int(12)?,
    })
}

/// All mounts but the root, the saved ones that are not mounted too, by mount point.
pub fn list(tx: &impl Sql) -> Result<Vec<MountRow>, StoreError> {
    tx.query(ALL_MOUNTS, &[], from_row)
}

/// The mount at this path, mounted or saved.
pub fn find(tx: &impl Sql, mount_point: &str) -> Result<Option<MountRow>, StoreError> {
    tx.query_one(MOUNT, params![mount_point], from_row)
}

/// Adds one; its mount point is free.
pub fn insert(tx: &mut WriteTx<'_>, row: MountRow) -> Result<(), StoreError> {
    tx.exec(
        INSERT_MOUNT,
        params![
            &row.mount_point,
            &row.mount_id,
            &row.backend_type,
            &row.backend_config,
            row.priority,
            row.readonly,
            &row.tenant,
            row.active,
            row.saved,
            row.owner.as_deref(),
            row.description.as_deref(),
            row.created_at_us,
            row.updated_at_us,
        ],
    )?;
    tx.record(Change::Mount(Delta::insert(row)));
    Ok(())
}

/// Changes whether one that was read in this transaction is mounted or saved, with what belongs to that.
pub fn update(tx: &mut WriteTx<'_>, before: &MountRow, after: MountRow) -> Result<(), StoreError> {
    tx.exec(
        UPDATE_MOUNT,
        params![
            &after.mount_point,
            &after.mount_id,
            after.active,
            after.saved,
            after.owner.as_deref(),
            after.description.as_deref(),
            after.updated_at_us,
        ],
    )?;
    tx.record(Change::Mount(Delta::update(before.clone(), after)));
    Ok(())
}

/// Removes one that was read in this transaction.
pub fn delete(tx: &mut WriteTx<'_>, row: &MountRow) -> Result<(), StoreError> {
    tx.exec(DELETE_MOUNT, params![&row.mount_point])?;
    tx.record(Change::Mount(Delta::delete(row.clone())));
    Ok(())
}

/// The mount points of one revision and whether they are read-only, in memory: each write asks. A clone costs a
/// pointer.
#[derive(Debug, Clone, Default)]
pub struct Mounted(Arc<BTreeMap<String, bool>>);

impl Mounted {
    /// The read-only mount that `path` lies in, its mount point included. As many looks as the path is deep.
    #[must_use]
    pub fn readonly_at(&self, path: &VirtualPath) -> Option<&str> {
        self.around(path).filter(|(_, readonly)| *readonly).map(|(point, _)| point)
    }

    /// The mount that `path` lies in, its mount point included.
    #[must_use]
    pub fn at_or_above(&self, path: &VirtualPath) -> Option<&str> {
        self.around(path).map(|(point, _)| point)
    }

    /// The mount that `path` lies in, and whether it is read-only; mounts do not overlap.
    fn around(&self, path: &VirtualPath) -> Option<(&str, bool)> {
        if self.0.is_empty() {
            return None;
        }
        let text = path.as_str();
        let mut ends = text.match_indices('/').map(|(at, _)| at).skip(1).chain([text.len()]);
        let found = ends.find_map(|end| self.0.get_key_value(&text[..end]));
        found.map(|(point, readonly)| (point.as_str(), *readonly))
    }

    /// A mount point at `path` or below it.
    #[must_use]
    pub fn at_or_below(&self, path: &VirtualPath) -> Option<&str> {
        if self.0.contains_key(path.as_str()) {
            return self.0.get_key_value(path.as_str()).map(|(point, _)| point.as_str());
        }
        self.below(path)
    }

    /// A mount point below `path`.
    #[must_use]
    pub fn below(&self, path: &VirtualPath) -> Option<&str> {
        let below = if path.is_root() { "/".to_owned() } else { format!("{path}/") };
        let next = self.0.range(below.clone()..).next();
        next.map(|(point, _)| point.as_str()).filter(|point| point.starts_with(&below))
    }

    fn put(&mut self, row: &MountRow) {
        if row.active {
            Arc::make_mut(&mut self.0).insert(row.mount_point.clone(), row.readonly);
        }
    }
}

impl Projection for Mounted {
    const NAME: &'static str = "mounts";

    fn load(tx: &impl Sql) -> Result<Self, StoreError> {
        let mut mounted = Self::default();
        list(tx)?.iter().for_each(|row| mounted.put(row));
        Ok(mounted)
    }

    fn apply(&mut self, change: &Change, _: Rev) {
        let Change::Mount(delta) = change else { return };
        if let Some(before) = &delta.before {
            Arc::make_mut(&mut self.0).remove(&before.mount_point);
        }
        if let Some(after) = &delta.after {
            self.put(after);
        }
    }

    fn publish(&mut self, _: Rev) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_knows_its_mount_by_component() {
        let points = [("/mnt/a", true), ("/mnt/b", false), ("/x", true)];
        let mounted = Mounted(Arc::new(points.map(|(point, readonly)| (point.to_owned(), readonly)).into()));
        let path = |text: &str| VirtualPath::parse(text).expect(text);
        for (text, within, below) in [
            ("/", None, Some("/mnt/a")),
            ("/mnt", None, Some("/mnt/a")),
            ("/mnt/a", Some("/mnt/a"), Some("/mnt/a")),
            ("/mnt/a/b/c", Some("/mnt/a"), None),
            ("/mnt/ab", None, None),
            ("/mnt/b/c", None, None),
            ("/mnt/b", None, Some("/mnt/b")),
            ("/x/mnt/a", Some("/x"), None),
            ("/mn", None, None),
        ] {
            assert_eq!(mounted.readonly_at(&path(text)), within, "{text}");
            assert_eq!(mounted.at_or_below(&path(text)), below, "{text}");
        }
    }
}
