//! Small numbers for names: tenants, types and relations.

use std::sync::Arc;

use super::hash::{NameHash, Seed};
use super::index::Index;
use super::pvec::PVec;

/// The id of a tenant's name.
pub(super) type TenantId = u32;
/// The id of a type's name.
pub(super) type KindId = u32;

/// Names by number, numbers by name. Append-only; a clone costs two pointers.
#[derive(Debug, Clone)]
pub(super) struct Names {
    seed: Seed,
    ids: Index,
    names: PVec<Arc<str>, 16>,
    len: u32,
}

impl Default for Names {
    fn default() -> Self {
        Self { seed: Seed::random(), ids: Index::default(), names: PVec::new(), len: 0 }
    }
}

impl Names {
    pub(super) fn with(names: &[&str]) -> Self {
        let mut interned = Self::default();
        for name in names {
            interned.intern(name);
        }
        interned
    }

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    fn key(&self, name: &str) -> u64 {
        NameHash::empty(self.seed).segment(name.as_bytes()).key()
    }

    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.ids.find(self.key(name), |id| self.name(id) == name)
    }

    pub(super) fn name(&self, id: u32) -> &str {
        self.names.get(id).map_or("", |name| name)
    }

    pub(super) fn intern(&mut self, name: &str) -> u32 {
        if let Some(id) = self.find(name) {
            return id;
        }
        let id = self.len;
        *self.names.get_mut(id) = name.into();
        self.ids.insert(self.key(name), id);
        self.len += 1;
        id
    }
}

/// A set of relation ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RelationSet(Vec<u64>);

impl RelationSet {
    pub(super) fn contains(&self, id: u16) -> bool {
        self.0.get(usize::from(id) / 64).is_some_and(|word| word >> (id % 64) & 1 == 1)
    }

    pub(super) fn insert(&mut self, id: u16) {
        let at = usize::from(id) / 64;
        if self.0.len() <= at {
            self.0.resize(at + 1, 0);
        }
        self.0[at] |= 1 << (id % 64);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0_u16..).take(self.0.len() * 64).filter(|id| self.contains(*id))
    }
}
