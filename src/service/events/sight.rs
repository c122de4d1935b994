//! Who may be told of an event: decided today, and for what lay at a path then, not for what lies there now.
//!
//! A path of then counts as readable if the same node still lies there and may be read, or else if the deepest directory
//! on the way that is still the same one may be read, or the file was the caller's own. So whoever takes over a path, or
//! is granted one that is empty, is told nothing of what was there before; default is no.
//! Not told either is the deletion of a file that only a grant on itself opened: the grant went with it.

use crate::auth::Caller;
use crate::model::NodeKind;
use crate::rebac::{Caches, Graph, ObjectRef};
use crate::service::ServiceError;
use crate::service::access::{Access, Permission, Target};
use crate::service::located::Located;
use crate::store::{ReadTx, Sql as _};

use super::{Event, Spot};

/// What of `event` the caller may be told: the paths that may not be read are taken out; `None` if none is left.
pub fn seen(tx: &ReadTx<'_>, caller: &Caller, caches: &Caches, event: &Event) -> Result<Option<Event>, ServiceError> {
    // An event of its own budget each: one that is dear must not hide the others.
    let access = Access::new(tx, caller, Some(caches))?;
    let may = |spot: &Option<Spot>| spot.as_ref().map_or(Ok(false), |spot| may_see(&access, spot));
    let (from, to) = (may(&event.from)?, may(&event.to)?);
    if !from && !to {
        return Ok(None);
    }
    let mut event = event.clone();
    event.from = event.from.filter(|_| from);
    event.to = event.to.filter(|_| to);
    Ok(Some(event))
}

fn may_see(access: &Access<'_, ReadTx<'_>>, spot: &Spot) -> Result<bool, ServiceError> {
    if access.rules(&spot.row.tenant) {
        return Ok(true);
    }
    let today = Located::find(access.tx(), &spot.path)?;
    if today.node().is_some_and(|node| node.id == spot.row.id) {
        return Ok(access.peek(today.target(), Permission::Read)?.allowed());
    }
    if owned(access, spot) {
        return Ok(true);
    }
    // The deepest directory of then that still lies where it lay.
    let same = today.chain.iter().zip(&spot.above).take_while(|(node, id)| node.id == **id).count();
    let Some(node) = same.checked_sub(1).and_then(|at| today.chain.get(at)) else { return Ok(false) };
    let names = spot.path.components().take(same - 1);
    let path = names.fold(crate::model::VirtualPath::root(), |path, name| path.child(name));
    let target = Target { path: &path, node: Some(node), tenant: &node.tenant };
    // A directory of one tenant says nothing of another's files in it.
    Ok(node.tenant == spot.row.tenant && access.peek(target, Permission::Read)?.allowed())
}

/// Whether a file of then was the caller's own, or of whom its rights are inherited from.
fn owned(access: &Access<'_, ReadTx<'_>>, spot: &Spot) -> bool {
    let owner = spot.row.owner.filter(|_| spot.row.kind == NodeKind::File);
    let owner = owner.and_then(|id| access.tx().view::<Graph>().name(id));
    let is = |subject: ObjectRef<'_>| owner == Some(subject);
    access.subjects().any(is) && access.caller().tenant == spot.row.tenant
}
