//! Small numbers for names: tenants, types and relations.

use std::sync::Arc;

/// The id of a tenant's name.
pub(super) type TenantId = u32;
/// The id of a type's name.
pub(super) type KindId = u32;

/// Names by number, numbers by name. Append-only; a clone costs two pointers.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    ids: imbl::HashMap<Arc<str>, u32>,
    names: imbl::Vector<Arc<str>>,
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
        self.names.len()
    }

    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.ids.get(name).copied()
    }

    pub(super) fn name(&self, id: u32) -> &str {
        self.names.get(id as usize).map_or("", |name| name)
    }

    pub(super) fn intern(&mut self, name: &str) -> u32 {
        if let Some(id) = self.find(name) {
            return id;
        }
        let id = u32::try_from(self.names.len()).expect("fewer than 2^32 names");
        let name: Arc<str> = name.into();
        self.names.push_back(Arc::clone(&name));
        self.ids.insert(name, id);
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
