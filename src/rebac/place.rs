//! Where a name is asked for: an entity, or a path that no tuple names.
//!
//! For those who walk down from an object without a subject in mind; the evaluator has its own, with numbers.

use crate::model::EntityId;

use super::ObjectRef;
use super::eval::dirname;
use super::graph::Graph;
use super::names::TenantId;
use super::schema::FILE;

/// An object, as far as the graph knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place<'a> {
    /// Tuples name it.
    Known(EntityId),
    /// A file that no tuple names: it has what its directories give. Tenant and path.
    Path(&'a str, &'a str),
    /// Nothing names it and nothing is above it.
    Nothing,
}

impl Graph {
    pub(super) fn place<'a>(&self, object: ObjectRef<'a>) -> Place<'a> {
        match self.entity(object) {
            Some(id) => Place::Known(id),
            None if object.kind == "file" && object.id.starts_with('/') => Place::Path(object.tenant, object.id),
            None => Place::Nothing,
        }
    }

    /// The directory of a file.
    pub(super) fn above<'a>(&'a self, place: Place<'a>) -> Option<Place<'a>> {
        let (tenant, path) = match place {
            Place::Known(id) => {
                let file = self.at(id).filter(|entity| entity.kind == FILE)?;
                (self.tenants.name(file.tenant), &*file.name)
            }
            Place::Path(tenant, path) => (tenant, path),
            Place::Nothing => return None,
        };
        Some(self.place(ObjectRef { tenant, kind: "file", id: dirname(path)? }))
    }

    pub(super) fn tenant_at(&self, place: Place<'_>) -> Option<TenantId> {
        match place {
            Place::Known(id) => self.tenant_of(id),
            Place::Path(tenant, _) => self.tenants.find(tenant),
            Place::Nothing => None,
        }
    }
}
